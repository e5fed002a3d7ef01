"""A request as the protocol's message, and back: every field that makes images.

`images` prepares the files in it; `unsupported` says what a message may not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from engines.base import Run
from engines.stability.images import SentImages, measure, prepare_images
from engines.stability.models import ENGINE, check_mask_size, describe_losses, has_diffusion
from engines.stability.protocol import (
    ADAPTER_INIT_NAMES,
    ADAPTER_NAMES,
    AREA_NAMES,
    CREDENTIAL_NAMES,
    GUIDANCE_NAMES,
    SAMPLER_NAMES,
    UPSCALER_NAMES,
    WEIGHT_METHOD_NAMES,
    Message,
    check_float,
    generation,
    shorten_float,
)
from engines.stability.unsupported import EXTRAS_KEY, PRESET_KEY, check_supported
from store.errors import RequestError, StoreError
from store.request import (
    Adapter,
    FineTune,
    Guidance,
    InitialImage,
    Mask,
    Parameters,
    Prompt,
    PromptStack,
    Request,
    Upscale,
)

Size = tuple[int, int]


def choose_side(wanted: Size, image: Size) -> tuple[str, int]:
    """The one side that says the `wanted` size of an `image` made larger: its width if it can.

    Raises `RequestError` for a size of other proportions than the image's.
    """
    if find_size(image, width=wanted[0]) == wanted:
        return "width", wanted[0]
    if find_size(image, height=wanted[1]) == wanted:
        return "height", wanted[1]
    width, height = find_size(image, width=wanted[0])
    raise RequestError(
        "parameters.size",
        wanted,
        f"An image of {image[0]}x{image[1]} cannot be made {wanted[0]}x{wanted[1]}: the Stability "
        "API keeps its proportions.",
        f"Ask for {width}x{height}.",
    )


def find_size(image: Size, *, width: int | None = None, height: int | None = None) -> Size:
    """The size that an `image` of (width, height) gets when one side becomes as given."""
    if width is not None:
        return width, _scale(image[1], width, image[0])
    assert height is not None
    return _scale(image[0], height, image[1]), height


def _scale(side: int, wanted: int, whole: int) -> int:
    """`side` times `wanted` / `whole`, to the nearest; half a pixel becomes a whole one."""
    return max(1, (2 * side * wanted + whole) // (2 * whole))


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
        prompt=_read_guidance_prompt(instance),
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


def _read_guidance_prompt(instance: Message) -> str | None:
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


UNSAID = {"seed": 1, "steps": 1, "cfg_scale": 0.0, "sampler": "ddim"}
"""What an upscale has where its message says nothing, as its model uses nothing of the kind."""


def build_image(request: Request, inputs: SentImages) -> Message:
    """The image parameters of `request`. Raises `RequestError` for what they cannot express."""
    parameters = request.parameters
    image = generation.ImageParameters(samples=1)
    if parameters.upscale is not None:
        assert inputs.upscale is not None
        upscaler = parameters.upscale.upscaler
        number = UPSCALER_NAMES.find_number("parameters.upscale.upscaler", upscaler)
        image.transform.upscaler = number
        name, value = choose_side((parameters.width, parameters.height), inputs.upscale.size)
        setattr(image, name, value)
        if not has_diffusion(request.model):
            return image
    else:
        image.transform.diffusion = SAMPLER_NAMES.find_number(
            "parameters.sampler", parameters.sampler
        )
        image.width, image.height = parameters.width, parameters.height
    image.seed[:] = [parameters.seed]
    image.steps = parameters.steps
    image.parameters.append(build_step(parameters))
    image.weight_method = WEIGHT_METHOD_NAMES.find_number(
        "parameters.weight_method", parameters.weight_method
    )
    if parameters.mask is not None:
        image.masked_area_init = AREA_NAMES.find_number(
            "parameters.mask.area_init", parameters.mask.area_init
        )
    if parameters.adapter is not None:
        image.adapter.CopyFrom(_build_adapter(parameters.adapter))
    image.fine_tuning_parameters.extend(_build_tune(tune) for tune in parameters.fine_tunes)
    if parameters.content_credentials is not None:
        image.cai_parameters.model_metadata = CREDENTIAL_NAMES.find_number(
            "parameters.content_credentials", parameters.content_credentials
        )
    return image


def read_image(image: Message, *, starts_from_image: bool, upscaled: Size | None) -> dict[str, Any]:
    """The values of `Parameters` in `image`, without those that stand in the prompts.

    `starts_from_image`: whether there is an initial image. `upscaled`: the size of the image
    that is made larger, None where one is drawn. Raises `RequestError` for what is missing or
    not known.
    """
    _check_counts(image, is_upscale=upscaled is not None)
    if not starts_from_image:
        check_no_schedule(image)
    values = _read_drawing(image) if upscaled is None else _read_enlarging(image, upscaled)
    return values | {
        "guidance": read_guidance(image),
        "weight_method": WEIGHT_METHOD_NAMES.find_word("image.weight_method", image.weight_method),
        "adapter": _read_adapter(image),
        "fine_tunes": tuple(_read_tune(tune) for tune in image.fine_tuning_parameters),
        "content_credentials": _read_credentials(image),
    }


def read_area(image: Message) -> Any:
    """What lies under the mask before the first step. Raises `RequestError` when not said."""
    if not image.HasField("masked_area_init"):
        raise RequestError(
            "image.masked_area_init", None, "The message has a mask and no masked area init."
        )
    return AREA_NAMES.find_word("image.masked_area_init", image.masked_area_init)


def _check_counts(image: Message, *, is_upscale: bool) -> None:
    samples = image.samples if image.HasField("samples") or not is_upscale else 1
    seeds = 1 if is_upscale and not image.seed else len(image.seed)
    if not image.HasField("samples") and not is_upscale:
        raise RequestError("image.samples", None, "The message has no samples.")
    if samples != 1 or seeds != 1:
        raise RequestError("image.samples", samples, "Ask for one image with one seed.")
    if len(image.parameters) > 1:
        raise RequestError("image.parameters", None, "Only one set of parameters is known.")


def _read_drawing(image: Message) -> dict[str, Any]:
    for name in ("height", "width", "steps"):
        if not image.HasField(name):
            raise RequestError(f"image.{name}", None, f"The message has no {name}.")
    if image.transform.WhichOneof("type") != "diffusion":
        raise RequestError("image.transform", None, "The message has no sampler.")
    if not image.parameters or not image.parameters[0].sampler.HasField("cfg_scale"):
        raise RequestError("image.parameters", None, "The message has no cfg scale.")
    return {
        "seed": image.seed[0],
        "steps": image.steps,
        "cfg_scale": shorten_float(image.parameters[0].sampler.cfg_scale),
        "sampler": SAMPLER_NAMES.find_word("image.transform.diffusion", image.transform.diffusion),
        "width": image.width,
        "height": image.height,
    }


def _read_enlarging(image: Message, size: Size) -> dict[str, Any]:
    if image.HasField("width") == image.HasField("height"):
        given = "both width and height" if image.HasField("width") else "neither width nor height"
        raise RequestError(
            "image.width",
            None,
            f"An image is made larger to its width or to its height, and {given} "
            f"{'are' if image.HasField('width') else 'is'} given.",
            "Give one of them; the other follows from the image.",
        )
    side = "width" if image.HasField("width") else "height"
    width, height = find_size(size, **{side: getattr(image, side)})
    values = UNSAID | {"width": width, "height": height}
    if image.seed:
        values["seed"] = image.seed[0]
    if image.HasField("steps"):
        values["steps"] = image.steps
    if image.parameters and image.parameters[0].sampler.HasField("cfg_scale"):
        values["cfg_scale"] = shorten_float(image.parameters[0].sampler.cfg_scale)
    return values


def _build_adapter(adapter: Adapter) -> Message:
    return generation.T2IAdapterParameter(
        adapter_type=ADAPTER_NAMES.find_number("parameters.adapter.kind", adapter.kind),
        adapter_strength=check_float("parameters.adapter.strength", adapter.strength),
        adapter_init_type=ADAPTER_INIT_NAMES.find_number("parameters.adapter.init", adapter.init),
    )


def _read_adapter(image: Message) -> Adapter | None:
    found = image.adapter
    # The SDK's client sends an adapter of no type with every request.
    if found.adapter_type == generation.T2IADAPTER_NONE:
        return None
    field = "image.adapter"
    init: Any = ADAPTER_INIT_NAMES.find_word(f"{field}.adapter_init_type", found.adapter_init_type)
    return Adapter(
        kind=ADAPTER_NAMES.find_word(f"{field}.adapter_type", found.adapter_type),
        strength=shorten_float(found.adapter_strength),
        init=init,
    )


def _build_tune(tune: FineTune) -> Message:
    found = generation.FineTuningParameters(model_id=tune.model)
    if tune.weight is not None:
        found.weight = check_float("parameters.fine_tunes.weight", tune.weight)
    return found


def _read_tune(tune: Message) -> FineTune:
    weight = shorten_float(tune.weight) if tune.HasField("weight") else None
    return FineTune(model=tune.model_id, weight=weight)


def _read_credentials(image: Message) -> str | None:
    number = image.cai_parameters.model_metadata
    if number == generation.CAIParameters.MODEL_METADATA_UNSPECIFIED:
        return None
    return CREDENTIAL_NAMES.find_word("image.cai_parameters.model_metadata", number)


IMAGE_FIELD = "prompt.artifact"

Files = dict[str, bytes]
"""The files of the images in a message, by their SHA-256."""


class Outgoing(msgspec.Struct, frozen=True):
    """The message of a request, what a person should know about it, and the digests of the
    images in it.
    """

    message: Message
    notes: tuple[str, ...]
    digests: dict[str, str]


def prepare_message(request: Request, run: Run) -> Outgoing:
    """The message that asks for the one image of `request`; the run's id is its request id.

    Only prompts that have an effect travel. Sampler and weight method are always present, also
    where they are number 0, and so are both schedules of an initial image and the masked area
    init of a mask. Raises `RequestError` for what cannot be expressed, and what
    `run.read_input` raises.
    """
    _check_expressible(request)
    inputs = prepare_images(request, run.read_input)
    is_told = request.parameters.upscale is None or has_diffusion(request.model)
    active = request.stack.active if is_told else ()
    message = generation.Request(
        engine_id=request.model,
        request_id=run.id,
        requested_type=generation.ARTIFACT_IMAGE,
        prompt=[*(_build_prompt(prompt) for prompt in active), *_build_inputs(inputs)],
        image=build_image(request, inputs),
    )
    if request.parameters.style_preset is not None:
        message.extras.update({EXTRAS_KEY: {PRESET_KEY: request.parameters.style_preset}})
    notes = (*describe_losses(request), *inputs.notes)
    return Outgoing(message, notes, inputs.digests)


def build_message(request: Request, run: Run) -> Message:
    """The message of `prepare_message` alone."""
    return prepare_message(request, run).message


def serialize(message: Message) -> bytes:
    """The bytes of `message`, the same ones each time."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def read_message(data: bytes, engine: str = ENGINE) -> tuple[Request, str]:
    """The request and the run's id in a serialised message.

    `engine` names the engine of the request. Raises `RequestError` for bytes that are no
    message and for anything that is missing or cannot be expressed as one request: nothing
    is filled in, and nothing left out.
    """
    message = parse_message(data)
    request, _ = read_request(message, engine)
    return request, message.request_id


def parse_message(data: bytes) -> Message:
    """The message in `data`. Raises `RequestError` for bytes that are none."""
    try:
        return generation.Request.FromString(data)
    except DecodeError:
        raise RequestError("message", None, "These bytes are not a request message.") from None


def read_request(message: Message, engine: str = ENGINE) -> tuple[Request, Files]:
    """The one request that `message` expresses, and the files in it; see `read_message`.

    Decodes the images, so call it in a thread where others wait.
    """
    check_supported(message)
    if message.WhichOneof("params") != "image":
        raise RequestError("image", None, "Only requests for an image are known.")
    image = message.image
    is_upscale = image.transform.WhichOneof("type") == "upscaler"
    texts = [prompt for prompt in message.prompt if prompt.WhichOneof("prompt") == "text"]
    input_image, mask = find_artifacts(message)
    size = None if input_image is None else measure(input_image, IMAGE_FIELD)
    files = {_digest(data): data for data in (input_image, mask) if data is not None}
    if is_upscale and (size is None or mask is not None):
        why = "is no image" if size is None else "is a mask"
        raise RequestError(IMAGE_FIELD, None, f"There {why} where one is to be made larger.")
    upscaled = size if is_upscale else None
    starts = input_image is not None and not is_upscale
    values = read_image(image, starts_from_image=starts, upscaled=upscaled)
    if input_image is not None and is_upscale:
        number = image.transform.upscaler
        values["upscale"] = _read_upscale(_digest(input_image), number)
    elif input_image is not None:
        start, end = read_schedules(image)
        values["initial_image"] = InitialImage(
            sha256=_digest(input_image), start_schedule=start, end_schedule=end
        )
    if mask is not None:
        values["mask"] = _read_mask(mask, size, image)
    request = Request(
        engine=engine,
        model=message.engine_id,
        stack=PromptStack(prompts=tuple(_read_prompt(prompt) for prompt in texts)),
        parameters=Parameters(style_preset=_read_preset(message), **values),
    )
    return request, files


def read_requests(messages: Sequence[Message], engine: str) -> tuple[list[Request], Files]:
    """The requests of `messages`, which differ in nothing but their seeds, and their files.

    Otherwise like `read_request`; the images are decoded once.
    """
    first, files = read_request(messages[0], engine)
    return [_replace_seed(first, message.image.seed[0]) for message in messages], files


def find_artifacts(message: Message) -> tuple[bytes | None, bytes | None]:
    """The files of the initial image and of the mask. Raises `RequestError` for a second one."""
    found: dict[int, bytes] = {}
    for prompt in message.prompt:
        if prompt.WhichOneof("prompt") != "artifact":
            continue
        artifact = prompt.artifact
        if prompt.parameters.HasField("weight") and prompt.parameters.weight != 1:
            raise RequestError(IMAGE_FIELD, None, "An image has no weight.", "Leave it out.")
        if artifact.type in found:
            raise RequestError(IMAGE_FIELD, None, "There is a second image of its kind.")
        found[artifact.type] = artifact.binary
    return found.get(generation.ARTIFACT_IMAGE), found.get(generation.ARTIFACT_MASK)


class SentFiles:
    """The input files of a request that came with its `files`."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, sha256: str) -> bytes:
        """The file. Raises `StoreError` when the message does not hold it."""
        if sha256 not in self._files:
            raise StoreError(f"The message holds no image {sha256[:8]}.")
        return self._files[sha256]


def _replace_seed(request: Request, seed: int) -> Request:
    parameters = msgspec.structs.replace(request.parameters, seed=seed)
    return msgspec.structs.replace(request, parameters=parameters)


def _check_expressible(request: Request) -> None:
    if request.parameters.variation is not None:
        raise RequestError(
            "parameters.variation",
            msgspec.to_builtins(request.parameters.variation),
            "The Stability API has no variation seed: the message cannot say it.",
            "Leave the variation out, or choose the engine builtin.",
        )


def _build_prompt(prompt: Prompt) -> Message:
    weight = check_float("weight", prompt.weight)
    return generation.Prompt(
        text=prompt.text, parameters=generation.PromptParameters(weight=weight)
    )


def _build_inputs(inputs: SentImages) -> list[Message]:
    found = []
    if inputs.initial_image is not None:
        first = _build_artifact(generation.ARTIFACT_IMAGE, inputs.initial_image.data)
        first.parameters.init = True
        found.append(first)
    if inputs.mask is not None:
        found.append(_build_artifact(generation.ARTIFACT_MASK, inputs.mask.data))
    if inputs.upscale is not None:
        found.append(_build_artifact(generation.ARTIFACT_IMAGE, inputs.upscale.data))
    return found


def _build_artifact(kind: int, data: bytes) -> Message:
    return generation.Prompt(artifact=generation.Artifact(type=kind, binary=data))


def _read_prompt(prompt: Message) -> Prompt:
    if prompt.parameters.init:
        raise RequestError("prompt.parameters.init", True, "A text is no initial image.")
    is_weighted = prompt.HasField("parameters") and prompt.parameters.HasField("weight")
    weight = shorten_float(prompt.parameters.weight) if is_weighted else 1.0
    return Prompt(text=prompt.text, weight=weight)


def _read_mask(data: bytes, initial: tuple[int, int] | None, image: Message) -> Mask:
    if initial is None:
        raise RequestError(IMAGE_FIELD, None, "There is a mask and no initial image.")
    try:
        check_mask_size(measure(data, IMAGE_FIELD), initial)
    except RequestError as error:
        raise RequestError(IMAGE_FIELD, error.value, error.message, error.hint) from None
    return Mask(sha256=_digest(data), replaces="black", area_init=read_area(image))


def _read_upscale(sha256: str, number: int) -> Upscale:
    word = UPSCALER_NAMES.find_word("image.transform.upscaler", number)
    return Upscale(sha256=sha256, upscaler=word)


def _read_preset(message: Message) -> str | None:
    if not message.HasField("extras") or EXTRAS_KEY not in message.extras.fields:
        return None
    inner = message.extras.fields[EXTRAS_KEY].struct_value.fields
    return str(inner[PRESET_KEY].string_value) if PRESET_KEY in inner else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
