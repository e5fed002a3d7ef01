"""A contact sheet: thumbnails of many images side by side, in one PNG file."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pillow

from store.errors import StoreError
from tui.darkroom import Darkroom

SIDE = 96
"""Pixels of the longer side of a thumbnail, as the store makes them."""

GAP = 8
"""Pixels between thumbnails, and around them."""


async def write_contact_sheet(darkroom: Darkroom, image_ids: Sequence[str], path: Path) -> Path:
    """Write thumbnails of these images to the new PNG file `path`, in their order.

    Images that are gone are left out. Raises `StoreError` where it cannot be written.
    """
    known = {image.id: image for image in await darkroom.list_by_id(image_ids)}
    numbers = [known[image_id].number for image_id in image_ids if image_id in known]
    thumbnails = await darkroom.get_thumbnails(numbers)
    files = [thumbnails[number] for number in numbers if number in thumbnails]
    return await asyncio.to_thread(_write, files, path)


def _write(files: Sequence[bytes], path: Path) -> Path:
    across = max(1, math.ceil(math.sqrt(len(files))))
    down = max(1, math.ceil(len(files) / across))
    step = SIDE + GAP
    sheet = Pillow.new("RGB", (across * step + GAP, down * step + GAP), "black")
    for place, data in enumerate(files):
        with Pillow.open(io.BytesIO(data)) as thumbnail:
            spare = (SIDE - thumbnail.width, SIDE - thumbnail.height)
            left = GAP + place % across * step + spare[0] // 2
            top = GAP + place // across * step + spare[1] // 2
            sheet.paste(thumbnail.convert("RGB"), (left, top))
    try:
        with path.open("xb") as file:
            sheet.save(file, "PNG")
    except OSError as error:
        raise StoreError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Choose a folder where you may write, with enough space.",
        ) from error
    return path
