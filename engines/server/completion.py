"""A message as clients send it, with gaps, made complete for one engine."""

from __future__ import annotations

from engines.capabilities import Capabilities
from engines.stability.images import measure
from engines.stability.messages import FULL_END, FULL_START, IMAGE_FIELD, find_artifacts
from engines.stability.protocol import SAMPLER_NAMES, Message, generation
from engines.stability.unsupported import check_supported
from store.errors import RequestError
from store.limits import draw_seed, following_seed

SAMPLES_LIMIT = 10
"""Most images that one message may ask for, as the API documents it."""


def complete_message(message: Message, capabilities: Capabilities) -> list[Message]:
    """One message for each image that `message` asks for, with nothing left to be guessed.

    What is missing gets the engine's default. A seed that is 0 is drawn, as is the first one
    if there is none; seeds that are missing after it follow the last one. A size that is missing
    beside an initial image is that image's, and an image is made larger twofold. A schedule that
    is missing is the whole one, by which the initial image is ignored, as it is the SDK's
    meaning. `message` itself stays as it is, and its `engine_id` names a model of
    `capabilities`. Decodes images; raises `RequestError`.
    """
    check_supported(message)
    base = generation.Request()
    base.CopyFrom(message)
    image = base.image
    own = capabilities.for_model(base.engine_id)
    if base.engine_id in capabilities.upscale_models:
        _complete_upscale(base)
    else:
        _complete_drawing(base, own)
    if not image.HasField("steps"):
        image.steps = int(own.steps.default)
    if not image.parameters:
        image.parameters.add()
    if not image.parameters[0].sampler.HasField("cfg_scale"):
        image.parameters[0].sampler.cfg_scale = own.cfg_scale.default
    seeds = _list_seeds(image)
    image.samples = 1
    return [_copy_with_seed(base, seed) for seed in seeds]


def _complete_upscale(base: Message) -> None:
    image = base.image
    if image.transform.WhichOneof("type") == "diffusion":
        raise RequestError(
            "image.transform.diffusion",
            None,
            f"{base.engine_id} makes images larger and has no sampler.",
            "Leave it out.",
        )
    if image.transform.WhichOneof("type") is None:
        image.transform.upscaler = generation.UPSCALER_RGB
    if not image.HasField("width") and not image.HasField("height"):
        input_image, _ = find_artifacts(base)
        if input_image is not None:
            image.width = 2 * measure(input_image, IMAGE_FIELD)[0]


def _complete_drawing(base: Message, capabilities: Capabilities) -> None:
    image = base.image
    if image.transform.WhichOneof("type") == "upscaler":
        known = ", ".join(capabilities.upscale_models) or "none here"
        raise RequestError(
            "image.transform.upscaler",
            None,
            f"{base.engine_id} does not make images larger.",
            f"Engines that do: {known}.",
        )
    input_image, mask = find_artifacts(base)
    width, height = capabilities.sizes.default
    has_size = image.HasField("width") or image.HasField("height")
    if input_image is not None and not has_size and "initial_image" in capabilities.takes:
        width, height = measure(input_image, IMAGE_FIELD)
    for name, value in (("width", width), ("height", height)):
        if not image.HasField(name):
            setattr(image, name, value)
    if image.transform.WhichOneof("type") is None:
        image.transform.diffusion = SAMPLER_NAMES.numbers[capabilities.default_sampler]
    if input_image is None:
        return
    if not image.parameters:
        image.parameters.add()
    schedule = image.parameters[0].schedule
    for name, share in (("start", FULL_START), ("end", FULL_END)):
        if not schedule.HasField(name):
            setattr(schedule, name, share)
    if mask is not None and not image.HasField("masked_area_init"):
        image.masked_area_init = generation.MASKED_AREA_INIT_ZERO


def _list_seeds(image: Message) -> list[int]:
    samples = image.samples if image.HasField("samples") else 1
    if not 1 <= samples <= SAMPLES_LIMIT:
        raise RequestError(
            "image.samples",
            samples,
            f"{samples} samples cannot be made at once.",
            f"Ask for 1 to {SAMPLES_LIMIT}.",
        )
    if len(image.seed) > samples:
        raise RequestError(
            "image.seed",
            list(image.seed),
            f"There are {len(image.seed)} seeds for {samples} samples.",
            "Give one for each sample, or fewer: those that are missing follow the last one.",
        )
    seeds = [seed or draw_seed() for seed in image.seed] or [draw_seed()]
    missing = samples - len(seeds)
    return seeds + [following_seed(seeds[-1], offset) for offset in range(1, missing + 1)]


def _copy_with_seed(base: Message, seed: int) -> Message:
    copy = generation.Request()
    copy.CopyFrom(base)
    copy.image.seed[:] = [seed]
    return copy
