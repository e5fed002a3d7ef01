"""The images that a request starts from, as the protocol wants them: PNG, black is replaced.

A PNG file travels as it is kept, byte for byte. JPEG and WebP files are converted, and a mask
whose white is replaced is inverted; the same file gives the same bytes each time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import msgspec
from PIL import Image, ImageOps

from engines.stability.models import SIZES, check_initial_size, check_mask_size, check_upscale_input
from engines.stability.protocol import Message, generation
from store.decoding import WIRE_FORMATS, Role, decode_input
from store.errors import RequestError, StoreError
from store.pixels import open_image
from store.request import Request

ReadInput = Callable[[str], bytes]

_GREY = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""The modes of 8 bits: of others Pillow would make white where it is grey."""


class SentImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image as it is sent: its bytes, its size in pixels, and what was done to the file."""

    data: bytes
    size: tuple[int, int]
    note: str = ""

    @property
    def sha256(self) -> str:
        """The digest of what is sent."""
        return hashlib.sha256(self.data).hexdigest()


class SentImages(msgspec.Struct, frozen=True, kw_only=True):
    """The images of one request."""

    initial_image: SentImage | None = None
    mask: SentImage | None = None
    upscale: SentImage | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about what was sent instead of the files."""
        found = (self.initial_image, self.mask, self.upscale)
        return tuple(
            input_image.note
            for input_image in found
            if input_image is not None and input_image.note
        )

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each image that is sent, by what it is."""
        names = ("initial_image", "mask", "upscale")
        return {
            f"sent {name.replace('_', ' ')}": input_image.sha256
            for name in names
            if (input_image := getattr(self, name)) is not None
        }


def prepare_images(request: Request, read_input: ReadInput) -> SentImages:
    """The images that `request` starts from, checked against what the service takes.

    Raises `RequestError`, and `StoreError` for a file that is missing or damaged.
    """
    parameters = request.parameters
    initial = mask = upscale = None
    if parameters.initial_image is not None:
        initial = _prepare(read_input(parameters.initial_image.sha256), "initial image")
        if request.model in SIZES:
            check_initial_size(initial.size)
    if parameters.mask is not None and initial is not None:
        data = read_input(parameters.mask.sha256)
        inverts = parameters.mask.replaces == "white"
        mask = _invert(data) if inverts else _prepare(data, "mask")
        check_mask_size(mask.size, initial.size)
    if parameters.upscale is not None:
        upscale = _prepare(read_input(parameters.upscale.sha256), "image")
        check_upscale_input(request.model, upscale.size)
    return SentImages(initial_image=initial, mask=mask, upscale=upscale)


def decode_artifacts(message: Message, field: str) -> tuple[str, ...]:
    """Bring the images in a client's `message` into their plain form, in place.

    What was changed or lost, a sentence each. Raises `RequestError`, said of `field`.
    """
    roles: dict[int, Role] = {generation.ARTIFACT_IMAGE: "image", generation.ARTIFACT_MASK: "mask"}
    notes: list[str] = []
    for prompt in message.prompt:
        artifact = prompt.artifact
        if prompt.WhichOneof("prompt") != "artifact" or artifact.type not in roles:
            continue
        try:
            decoded = decode_input(artifact.binary, roles[artifact.type], formats=WIRE_FORMATS)
        except StoreError as error:
            raise RequestError(field, None, error.message, error.hint) from None
        artifact.binary = decoded.data
        notes += decoded.notes
    return tuple(notes)


def measure(data: bytes, field: str) -> tuple[int, int]:
    """Width and height of the image in `data`. Raises `RequestError`, said of `field`."""
    try:
        return open_image(data).size
    except StoreError as error:
        raise RequestError(field, None, error.message) from None


def _prepare(data: bytes, name: str) -> SentImage:
    image = open_image(data)
    if image.format == "PNG":
        return SentImage(data=data, size=image.size)
    if image.mode not in ("L", "RGB", "RGBA"):
        image = _keep_format(image, image.convert("RGBA" if "A" in image.getbands() else "RGB"))
    return _note(image, f"The {name} is a {image.format} file and was sent as PNG")


def _invert(data: bytes) -> SentImage:
    image = open_image(data)
    if image.mode not in _GREY:
        raise RequestError(
            "parameters.mask",
            image.mode,
            f"The mask's white cannot be made black: its pixels have the form {image.mode}.",
            "Save it with 8 bits a pixel.",
        )
    inverted = _keep_format(image, ImageOps.invert(image.convert("L")))
    return _note(inverted, "The mask was sent inverted, as in the protocol black is replaced")


def _keep_format(image: Image.Image, changed: Image.Image) -> Image.Image:
    changed.format = image.format
    return changed


def _note(image: Image.Image, text: str) -> SentImage:
    bare = Image.frombytes(image.mode, image.size, image.tobytes())  # pixels alone, no metadata
    file = io.BytesIO()
    bare.save(file, "PNG", compress_level=6)
    input_image = SentImage(data=file.getvalue(), size=image.size)
    return msgspec.structs.replace(input_image, note=f"{text} (SHA-256 {input_image.sha256}).")
