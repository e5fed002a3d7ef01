"""A request as the protocol's message, and back: every field that makes images.

`pictures`, `image` and `steps` hold the parts; `unsupported` what a message may not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec
from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError

from engines.base import Run
from engines.stability.image import build_image, read_area, read_image
from engines.stability.images import Pictures, measure, prepare_pictures
from engines.stability.models import ENGINE
from engines.stability.names import UPSCALER_NAMES
from engines.stability.numbers import check_float, shorten_float
from engines.stability.protocol import Message, generation
from engines.stability.rules import check_mask_size, describe_losses, has_diffusion
from engines.stability.steps import read_schedules
from engines.stability.unsupported import EXTRAS_KEY, PRESET_KEY, check_supported
from store.errors import RequestError, StoreError
from store.parameters import InitialImage, Mask, Upscale
from store.request import Parameters, Prompt, PromptStack, Request

PICTURE_FIELD = "prompt.artifact"

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
    pictures = prepare_pictures(request, run.read_input)
    is_told = request.parameters.upscale is None or has_diffusion(request.model)
    active = request.stack.active if is_told else ()
    message = generation.Request(
        engine_id=request.model,
        request_id=run.id,
        requested_type=generation.ARTIFACT_IMAGE,
        prompt=[*(_build_prompt(prompt) for prompt in active), *_build_pictures(pictures)],
        image=build_image(request, pictures),
        extras=_build_extras(request.parameters.style_preset),
    )
    notes = (*describe_losses(request), *pictures.notes)
    return Outgoing(message, notes, pictures.digests)


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
    picture, mask = find_artifacts(message)
    size = None if picture is None else measure(picture, PICTURE_FIELD)
    files = {_digest(data): data for data in (picture, mask) if data is not None}
    if is_upscale and (size is None or mask is not None):
        why = "is no image" if size is None else "is a mask"
        raise RequestError(PICTURE_FIELD, None, f"There {why} where one is to be made larger.")
    upscaled = size if is_upscale else None
    starts = picture is not None and not is_upscale
    values = read_image(image, starts_from_image=starts, upscaled=upscaled)
    if picture is not None and is_upscale:
        number = image.transform.upscaler
        values["upscale"] = _read_upscale(_digest(picture), number)
    elif picture is not None:
        start, end = read_schedules(image)
        values["initial_image"] = InitialImage(
            sha256=_digest(picture), start_schedule=start, end_schedule=end
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
            raise RequestError(PICTURE_FIELD, None, "An image has no weight.", "Leave it out.")
        if artifact.type in found:
            raise RequestError(PICTURE_FIELD, None, "There is a second image of its kind.")
        found[artifact.type] = artifact.binary
    return found.get(generation.ARTIFACT_IMAGE), found.get(generation.ARTIFACT_MASK)


def read_from(files: Files) -> Callable[[str], bytes]:
    """What `Run.read_input` is for a request that came with its `files`."""

    def read(sha256: str) -> bytes:
        if sha256 not in files:
            raise StoreError(f"The message holds no image {sha256[:8]}.")
        return files[sha256]

    return read


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


def _build_pictures(pictures: Pictures) -> list[Message]:
    found = []
    if pictures.initial_image is not None:
        first = _build_artifact(generation.ARTIFACT_IMAGE, pictures.initial_image.data)
        first.parameters.init = True
        found.append(first)
    if pictures.mask is not None:
        found.append(_build_artifact(generation.ARTIFACT_MASK, pictures.mask.data))
    if pictures.upscale is not None:
        found.append(_build_artifact(generation.ARTIFACT_IMAGE, pictures.upscale.data))
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
        raise RequestError(PICTURE_FIELD, None, "There is a mask and no initial image.")
    try:
        check_mask_size(measure(data, PICTURE_FIELD), initial)
    except RequestError as error:
        raise RequestError(PICTURE_FIELD, error.value, error.message, error.hint) from None
    return Mask(sha256=_digest(data), replaces="black", area_init=read_area(image))


def _read_upscale(sha256: str, number: int) -> Upscale:
    word = UPSCALER_NAMES.find_word("image.transform.upscaler", number)
    return Upscale(sha256=sha256, upscaler=word)


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


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
