"""A request as the protocol's message, and back: every field in one place.

Weights and cfg scale are 32-bit floats on the wire: 1.3 travels as 1.2999999523162842.
Reading takes the shortest decimal that travels as the same number, so what a person types
with up to six digits comes back exactly.
"""

from __future__ import annotations

import struct

from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError

from engines.stability.capabilities import ENGINE, SAMPLERS
from engines.stability.unsupported import EXTRAS_KEY, PRESET_KEY, check_supported
from engines.stability.wire import Message, generation
from store.errors import RequestError
from store.request import Parameters, Prompt, PromptStack, Request

SAMPLER_NUMBERS = {
    name: generation.DiffusionSampler.Value(f"SAMPLER_{name.upper()}") for name in SAMPLERS
}
"""The protocol's number of each sampler."""

_SAMPLER_NAMES = {number: name for name, number in SAMPLER_NUMBERS.items()}


def build_message(request: Request, run_id: str) -> Message:
    """The message that asks for the one image of `request`; `run_id` is its request id.

    Only prompts that have an effect travel. The sampler is always present, DDIM (number 0)
    too. There is no adapter, and no schedule, as there is no initial image. Raises
    `RequestError` for what cannot be expressed.
    """
    parameters = request.parameters
    if parameters.sampler not in SAMPLER_NUMBERS:
        raise RequestError(
            "parameters.sampler",
            parameters.sampler,
            f"The Stability API has no sampler {parameters.sampler!r}.",
            f"Known: {', '.join(SAMPLERS)}.",
        )
    return generation.Request(
        engine_id=request.model,
        request_id=run_id,
        requested_type=generation.ARTIFACT_IMAGE,
        prompt=[_build_prompt(prompt) for prompt in request.stack.active],
        image=generation.ImageParameters(
            height=parameters.height,
            width=parameters.width,
            seed=[parameters.seed],
            samples=1,
            steps=parameters.steps,
            transform=generation.TransformType(diffusion=SAMPLER_NUMBERS[parameters.sampler]),
            parameters=[
                generation.StepParameter(
                    scaled_step=0,
                    sampler=generation.SamplerParameters(
                        cfg_scale=_check_float("parameters.cfg_scale", parameters.cfg_scale)
                    ),
                )
            ],
        ),
        extras=_build_extras(parameters.style_preset),
    )


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
    return read_request(message, engine), message.request_id


def parse_message(data: bytes) -> Message:
    """The message in `data`. Raises `RequestError` for bytes that are none."""
    try:
        return generation.Request.FromString(data)
    except DecodeError:
        raise RequestError("message", None, "These bytes are not a request message.") from None


def read_request(message: Message, engine: str = ENGINE) -> Request:
    """The one request that `message` expresses; see `read_message`."""
    check_supported(message)
    image = message.image
    if message.WhichOneof("params") != "image":
        raise RequestError("image", None, "Only requests for an image are known.")
    for name in ("height", "width", "samples", "steps"):
        if not image.HasField(name):
            raise RequestError(f"image.{name}", None, f"The message has no {name}.")
    if image.samples != 1 or len(image.seed) != 1:
        raise RequestError("image.samples", image.samples, "Ask for one image with one seed.")
    if image.transform.WhichOneof("type") != "diffusion":
        raise RequestError("image.transform", None, "The message has no sampler.")
    if len(image.parameters) > 1:
        raise RequestError("image.parameters", None, "Only one set of parameters is known.")
    if not image.parameters or not image.parameters[0].sampler.HasField("cfg_scale"):
        raise RequestError("image.parameters", None, "The message has no cfg scale.")
    return Request(
        engine=engine,
        model=message.engine_id,
        stack=PromptStack(prompts=tuple(_read_prompt(prompt) for prompt in message.prompt)),
        parameters=Parameters(
            seed=image.seed[0],
            steps=image.steps,
            cfg_scale=shorten_float(image.parameters[0].sampler.cfg_scale),
            sampler=_name_sampler(image.transform.diffusion),
            width=image.width,
            height=image.height,
            style_preset=_read_preset(message),
        ),
    )


def shorten_float(value: float) -> float:
    """The decimal with the fewest digits that is the same 32-bit float as `value`."""
    packed = struct.pack("<f", value)
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return float(f"{value:.9g}")


def _name_sampler(number: int) -> str:
    if number not in _SAMPLER_NAMES:
        raise RequestError(
            "image.transform.diffusion",
            number,
            f"There is no sampler with the number {number}.",
            f"Known: 0 to {len(SAMPLERS) - 1}.",
        )
    return _SAMPLER_NAMES[number]


def _check_float(field: str, value: float) -> float:
    travels: float = struct.unpack("<f", struct.pack("<f", value))[0]
    if value != 0 and travels == 0:
        raise RequestError(field, value, f"{value:g} is too close to 0 to be sent.")
    return travels


def _build_prompt(prompt: Prompt) -> Message:
    weight = _check_float("weight", prompt.weight)
    return generation.Prompt(
        text=prompt.text, parameters=generation.PromptParameters(weight=weight)
    )


def _read_prompt(prompt: Message) -> Prompt:
    if prompt.WhichOneof("prompt") != "text":
        raise RequestError("prompts", None, "Only text prompts are known.")
    is_weighted = prompt.HasField("parameters") and prompt.parameters.HasField("weight")
    weight = shorten_float(prompt.parameters.weight) if is_weighted else 1.0
    return Prompt(text=prompt.text, weight=weight)


def _build_extras(style_preset: str | None) -> Message | None:
    if style_preset is None:
        return None
    extras = struct_pb2.Struct()
    extras.update({EXTRAS_KEY: {PRESET_KEY: style_preset}})
    return extras


def _read_preset(message: Message) -> str | None:
    if not message.HasField("extras") or EXTRAS_KEY not in message.extras.fields:
        return None
    inner = message.extras.fields[EXTRAS_KEY].struct_value.fields
    return str(inner[PRESET_KEY].string_value) if PRESET_KEY in inner else None
