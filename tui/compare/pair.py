"""Two images that are compared: their records, their files, and what differs between them."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec
from PIL import Image as Pillow

from engines.differences import Differences, find_differences
from store.errors import SafelightError, StoreError
from store.pixels import open_image
from store.records import EnvironmentRecord, Image
from tui.darkroom import Darkroom
from tui.paths import read_image_file


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


async def load_pair(darkroom: Darkroom, one: str | Path, other: str | Path) -> ImagePair:
    """Both images, and what differs: of the history by reference, or files with their record.

    A file of the history that cannot be read is told in its place. Raises `SafelightError` when
    there is no such image, or no record in a file.
    """
    here, there = await _load(darkroom, one), await _load(darkroom, other)
    return await asyncio.to_thread(_compare, here, there)


async def _load(darkroom: Darkroom, source: str | Path) -> LoadedImage:
    if isinstance(source, Path):
        return await asyncio.to_thread(_load_file, source)
    image = await darkroom.check_image(source)
    try:
        return LoadedImage(image=image, data=await darkroom.read_image(image))
    except SafelightError as error:
        return LoadedImage(image=image, data=None, fault=str(error))


def _load_file(path: Path) -> LoadedImage:
    """An image file as its record describes it. Raises `StoreError` where it has none."""
    from store.metadata.files import read_file
    from store.metadata.record import describe_changes

    data = read_image_file(path)
    read = read_file(data).read
    record = read.record
    if record is None:
        raise StoreError(f"{path.name}: {describe_changes(('record',))}")
    environment = EnvironmentRecord(values=record.environment)
    image = Image(
        number=0,
        id=record.id,
        job_id="",
        request=record.request,
        request_digest=record.request_sha256,
        seed=record.seed,
        width=record.pixels.width,
        height=record.pixels.height,
        mime=record.file.mime,
        pixels_sha256=record.pixels.sha256,
        file_sha256=record.file.sha256,
        file_bytes=record.file.size,
        path=path,
        finish_reason=record.finish_reason,
        warning=record.warning,
        seconds=record.seconds,
        created_at=record.created_at,
        purpose=record.purpose,
        parent_id=record.parent_id,
        relation=record.relation,
        environment_digest=hashlib.sha256(environment.to_json()).hexdigest(),
        stages=record.stages,
        environment=environment,
        meta=record.meta,
        changes=read.changes,
    )
    return LoadedImage(image=image, data=data)


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
