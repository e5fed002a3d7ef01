"""A message as clients send it, with gaps, made complete for one engine."""

from __future__ import annotations

from engines.base import Capabilities
from engines.stability.message import SAMPLER_NUMBERS
from engines.stability.unsupported import check_supported
from engines.stability.wire import Message, generation
from store.errors import RequestError
from store.fields import draw_seed, following_seed

SAMPLES_LIMIT = 10
"""Most images that one message may ask for, as the API documents it."""


def complete_message(message: Message, capabilities: Capabilities) -> list[Message]:
    """One message for each image that `message` asks for, with nothing left to be guessed.

    What is missing gets the engine's default. A seed that is 0 is drawn, as is the first one
    if there is none; seeds that are missing after it follow the last one. `message` itself
    stays as it is, and its `engine_id` names a model of `capabilities`. Raises `RequestError`.
    """
    check_supported(message)
    base = generation.Request()
    base.CopyFrom(message)
    image = base.image
    own = capabilities.for_model(base.engine_id)
    width, height = own.sizes.default
    defaults = {"width": width, "height": height, "steps": int(own.steps.default)}
    for name, value in defaults.items():
        if not image.HasField(name):
            setattr(image, name, value)
    if image.transform.WhichOneof("type") is None:
        image.transform.diffusion = SAMPLER_NUMBERS[capabilities.default_sampler]
    if not image.parameters:
        image.parameters.add()
    if not image.parameters[0].sampler.HasField("cfg_scale"):
        image.parameters[0].sampler.cfg_scale = own.cfg_scale.default
    seeds = _list_seeds(image)
    image.samples = 1
    return [_copy_with_seed(base, seed) for seed in seeds]


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
