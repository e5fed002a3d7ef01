"""Decoded pixels: opening images from outside safely, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from store.errors import StoreError

FORMATS = ("PNG", "JPEG", "WEBP")
"""The only formats that are ever opened: Pillow would start Ghostscript for others."""

FILE_LIMIT = 64 * 1024 * 1024
PIXEL_LIMIT = 64 * 1024 * 1024


def open_image(data: bytes) -> Image.Image:
    """The decoded image in `data` (PNG, JPEG or WebP; at most 64 MiB and 64 megapixels).

    Raises `StoreError` when it is none, is damaged, or is larger.
    """
    with _reading(data) as image:
        image.load()
    return image


def identify_image(data: bytes) -> tuple[str, tuple[int, int]]:
    """The format (one of `FORMATS`) and the width and height that the head of `data` says.

    The rest is not looked at. Raises `StoreError` as `open_image` does.
    """
    with _reading(data) as image:
        # Pillow calls a JPEG with further images in it MPO.
        return image.format if image.format in FORMATS else "JPEG", image.size


def is_whole(data: bytes) -> bool:
    """Whether `data` is an image that can be decoded to its end."""
    try:
        open_image(data)
    except StoreError:
        return False
    return True


@contextlib.contextmanager
def _reading(data: bytes) -> Iterator[Image.Image]:
    """The image in `data`, not decoded yet; what fails with it is told as a `StoreError`."""
    if len(data) > FILE_LIMIT:
        raise StoreError(f"The image file has {len(data):,} bytes, more than {FILE_LIMIT:,}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > PIXEL_LIMIT:
                raise StoreError(
                    f"The image has {image.width} x {image.height} pixels, too many to open."
                )
            yield image
    except UnidentifiedImageError:
        raise StoreError("This is not a readable PNG, JPEG or WebP image.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise StoreError(f"This is not a readable PNG, JPEG or WebP image: {error}.") from None
    except Image.DecompressionBombWarning as error:
        raise StoreError(f"The image is too large to open: {error}.") from None


def digest_pixels(image: Image.Image) -> str:
    """SHA-256 over mode, size and decoded pixels, never over the file."""
    head = f"{image.mode} {image.width} {image.height}\n".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def make_thumbnail(image: Image.Image, side: int = 96) -> bytes:
    """A small lossy WebP of `image`, its longer side at most `side` pixels."""
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
