"""The protocol's step parameters: cfg scale, schedule and CLIP guidance, built and read."""

from __future__ import annotations

from engines.stability.names import GUIDANCE_NAMES
from engines.stability.numbers import check_float, shorten_float
from engines.stability.protocol import Message, generation
from store.errors import RequestError
from store.parameters import Guidance, Parameters

FULL_START, FULL_END = 1.0, 0.0
"""The schedule of a message that has none: it runs from pure noise to its end."""

_GUIDANCE = "image.parameters.guidance"


def build_step(parameters: Parameters) -> Message:
    """Everything that holds for all steps. An initial image always has both of its schedules."""
    step = generation.StepParameter(
        scaled_step=0,
        sampler=generation.SamplerParameters(
            cfg_scale=check_float("parameters.cfg_scale", parameters.cfg_scale)
        ),
    )
    if (initial := parameters.initial_image) is not None:
        step.schedule.start = check_float("parameters.start_schedule", initial.start_schedule)
        step.schedule.end = check_float("parameters.end_schedule", initial.end_schedule)
    if parameters.guidance is not None:
        step.guidance.CopyFrom(_build_guidance(parameters.guidance))
    return step


def read_schedules(image: Message) -> tuple[float, float]:
    """Start and end of the schedule. Raises `RequestError` when one is missing."""
    schedule = image.parameters[0].schedule
    for name in ("start", "end"):
        if not schedule.HasField(name):
            raise RequestError(
                "image.parameters.schedule",
                None,
                f"The message has an initial image and no {name} of its schedule.",
            )
    return shorten_float(schedule.start), shorten_float(schedule.end)


def check_no_schedule(image: Message) -> None:
    """Raise `RequestError` for a schedule that would change nothing but with an initial image."""
    for step in image.parameters:
        schedule = step.schedule
        starts = not schedule.HasField("start") or schedule.start == FULL_START
        ends = not schedule.HasField("end") or schedule.end == FULL_END
        if not starts or not ends:
            raise RequestError(
                "image.parameters.schedule",
                None,
                "A schedule has no effect without an initial image.",
                "Leave it out, or give the image too.",
            )


def read_guidance(image: Message) -> Guidance | None:
    """The CLIP guidance, None without one. Raises `RequestError`."""
    step = image.parameters[0] if image.parameters else generation.StepParameter()
    found = step.guidance
    if not found.guidance_preset:
        if found.instances:
            raise RequestError(_GUIDANCE, None, "There is guidance without a preset.")
        return None
    if len(found.instances) > 1:
        raise RequestError(_GUIDANCE, None, "Only one instance of guidance is known.")
    preset = GUIDANCE_NAMES.find_word(f"{_GUIDANCE}.guidance_preset", found.guidance_preset)
    if not found.instances:
        return Guidance(preset=preset)
    instance = found.instances[0]
    return Guidance(
        preset=preset,
        strength=_read_strength(instance),
        cuts=_read_cuts(instance),
        models=tuple(model.alias for model in instance.models),
        prompt=_read_prompt(instance),
    )


def _build_guidance(guidance: Guidance) -> Message:
    instance = generation.GuidanceInstanceParameters(
        models=[generation.Model(alias=model) for model in guidance.models]
    )
    if guidance.strength is not None:
        strength = check_float("parameters.guidance.strength", guidance.strength)
        instance.guidance_strength = strength
    if guidance.cuts is not None:
        instance.cutouts.count = guidance.cuts
    if guidance.prompt is not None:
        instance.prompt.text = guidance.prompt
    return generation.GuidanceParameters(
        guidance_preset=GUIDANCE_NAMES.find_number("parameters.guidance.preset", guidance.preset),
        instances=[instance],
    )


def _read_strength(instance: Message) -> float | None:
    if not instance.HasField("guidance_strength"):
        return None
    return shorten_float(instance.guidance_strength)


def _read_cuts(instance: Message) -> int | None:
    if not instance.HasField("cutouts"):
        return None
    if not instance.cutouts.HasField("count"):
        raise RequestError(f"{_GUIDANCE}.instances.cutouts", None, "The cuts have no count.")
    return int(instance.cutouts.count)


def _read_prompt(instance: Message) -> str | None:
    if not instance.HasField("prompt"):
        return None
    prompt = instance.prompt
    field = f"{_GUIDANCE}.instances.prompt"
    if prompt.WhichOneof("prompt") != "text":
        raise RequestError(field, None, "The prompt of the guidance is not a text.")
    if prompt.parameters.HasField("weight") and prompt.parameters.weight != 1:
        raise RequestError(
            field, None, "The prompt of the guidance has no weight.", "Leave it out."
        )
    return str(prompt.text)
