"""Images from outside on their way into the network, and its images on their way out.

Everything here is Pillow on 8-bit values, the same for the same version of Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from engines.base import EngineError, Failure
from engines.builtin.elementary import Floats
from store.decoding import lay_over_white, open_upright
from store.errors import StoreError

Size = tuple[int, int]
ReadInput = Callable[[str], bytes]

_LANCZOS = Image.Resampling.LANCZOS


def encode_png(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _open(read_input: ReadInput, sha256: str, what: str) -> Image.Image:
    """The decoded file, as it looks. Raises `EngineError`."""
    try:
        return open_upright(read_input(sha256))
    except StoreError as error:
        raise EngineError(
            Failure.INVALID_REQUEST, f"The {what} cannot be used: {error.message}", error.hint
        ) from None


def read_image(read_input: ReadInput, sha256: str, what: str) -> Image.Image:
    """The RGB image of a file, where it is transparent laid over white. Raises `EngineError`."""
    image = _open(read_input, sha256, what)
    if not image.has_transparency_data:
        return image.convert("RGB")
    over = image.convert("RGBA")
    return lay_over_white(over.convert("RGB"), over.getchannel("A"))


def read_mask(read_input: ReadInput, sha256: str, size: Size) -> Image.Image:
    """The grey image of a mask's file, stretched to `size`; its transparency has no effect.

    Raises `EngineError`.
    """
    image = _open(read_input, sha256, "mask").convert("L")
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def fit(
    image: Image.Image, size: Size, kind: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    """The image at `size`, its middle cut out where its proportions are others."""
    return image if image.size == size else ImageOps.fit(image, size, kind)


def is_cropped(size: Size, wanted: Size) -> bool:
    """Whether `fit` cuts off a pixel or more of a image of this size."""
    scale = min(size[0] / wanted[0], size[1] / wanted[1])
    return any(side - scale * aim >= 1 for side, aim in zip(size, wanted, strict=True))


def frame(
    image: Image.Image, made: Size, kind: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    """The opposite of `fit`: a image of the wanted size as the network sees it, `made` large.

    Where `made` is taller or wider, what `fit` will cut off is filled by mirroring.
    """
    if image.size == made:
        return image
    scale = max(image.width / made[0], image.height / made[1])
    wide = max(image.width, round(made[0] * scale))
    high = max(image.height, round(made[1] * scale))
    left, top = (wide - image.width) // 2, (high - image.height) // 2
    pad: list[tuple[int, int]] = [
        (top, high - image.height - top),
        (left, wide - image.width - left),
    ]
    pixels = np.asarray(image)
    pad += [(0, 0)] * (pixels.ndim - 2)
    return Image.fromarray(np.pad(pixels, pad, mode="symmetric")).resize(made, kind)


def invert(mask: Image.Image) -> Image.Image:
    """Black for white."""
    return ImageOps.invert(mask)


def from_bytes(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Floats:
    """0..255 to [-1, 1]."""
    x: Floats = image.astype(np.float32)
    x /= np.float32(127.5)
    x -= np.float32(1)
    return x


def to_bytes(x: Floats) -> NDArray[np.uint8]:
    """[-1, 1] to 0..255, rounded half to even."""
    scaled = (x + np.float32(1)) * np.float32(127.5)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
