"""Two images that are compared: their records, their files, and what differs between them."""

from __future__ import annotations

import asyncio

import msgspec
from PIL import Image as Pillow

from engines.differences import Differences, find_differences
from store.errors import SafelightError
from store.pixels import open_image
from store.records import Image
from tui.darkroom import Darkroom


class LoadedImage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole record of an image and its file: `data`, or None with the reason in `fault`."""

    image: Image
    data: bytes | None
    fault: str = ""


class ImagePair(msgspec.Struct, frozen=True, kw_only=True):
    """Two images, and what leads from `one` (A) to `other` (B)."""

    one: LoadedImage
    other: LoadedImage
    differences: Differences


async def load_pair(darkroom: Darkroom, one: str, other: str) -> ImagePair:
    """Both images by reference, and what differs. A file that cannot be read is told, no error.

    Raises `SafelightError` when there is no such image.
    """
    here, there = await _load_image(darkroom, one), await _load_image(darkroom, other)
    return await asyncio.to_thread(_compare, here, there)


async def _load_image(darkroom: Darkroom, reference: str) -> LoadedImage:
    image = await darkroom.get_image(reference)
    try:
        return LoadedImage(image=image, data=await darkroom.read_image(image))
    except SafelightError as error:
        return LoadedImage(image=image, data=None, fault=str(error))


def open_loaded(loaded: LoadedImage) -> Pillow.Image | None:
    """The decoded file; None where it cannot be read. For a thread."""
    return None if loaded.data is None else open_image(loaded.data)


def _compare(one: LoadedImage, other: LoadedImage) -> ImagePair:
    one, here = _decode(one)
    other, there = _decode(other)
    differences = find_differences(one.image, other.image, (here, there))
    return ImagePair(one=one, other=other, differences=differences)


def _decode(loaded: LoadedImage) -> tuple[LoadedImage, Pillow.Image | None]:
    """The image with its pixels; without its file where that holds none."""
    try:
        return loaded, open_loaded(loaded)
    except SafelightError as error:
        return msgspec.structs.replace(loaded, data=None, fault=str(error)), None
