"""Bundles: ZIP files of images with their records, the files that they start from, and digests.

`manifest.json` lists each file of the bundle with its SHA-256, in the order of the images:

* `images/…`: the image files, each with its record (and signature) in it.
* `records/ID.json`: the same record by itself, for who has no reader of image files.
* `inputs/SHA256.png`: the files that requests start from.

The same images give the same bytes: entries are in order, and their times are those of 1980.
Nothing is unpacked: what is read is found by its name in the manifest, and bounded before it is
held.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from store.errors import StoreError
from store.metadata.record import RECORD_LIMIT
from store.pixels import FILE_LIMIT

FORMAT = 1
IMAGES_LIMIT = 10_000
ENTRIES_LIMIT = 4 * IMAGES_LIMIT
MANIFEST_LIMIT = 16 * 1024 * 1024
DIRECTORY_LIMIT = 16 * 1024 * 1024
"""Most bytes of a bundle's list of its entries."""

_MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_TAIL = 65_557
"""Where the end of a ZIP file begins at the earliest, from its end."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a bundle by its name in it."""

    name: str
    sha256: str
    size: int


class BundledImage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image of a bundle, its record, and the names of the files that it starts from."""

    image: Entry
    record: Entry
    inputs: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle holds. `inputs` are shared by images."""

    format: int = FORMAT
    program: str
    images: tuple[BundledImage, ...]
    inputs: tuple[Entry, ...] = ()


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image to be put into a bundle. `inputs`: files with their endings, by their digests."""

    name: str
    data: bytes
    record: bytes
    inputs: dict[str, tuple[str, bytes]] = {}


def write_bundle(target: BinaryIO, files: Iterable[BundleFile], *, program: str) -> Manifest:
    """Write a bundle of `files`, of which one at a time is held; what it lists.

    Raises `StoreError` for more than 10,000 images, and `OSError` as writing does.
    """
    images: list[BundledImage] = []
    inputs: dict[str, Entry] = {}
    taken: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:

        def add(name: str, data: bytes, method: int = zipfile.ZIP_STORED) -> Entry:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr, info.create_system, info.compress_type = _MODE, 3, method
            bundle.writestr(info, data)
            return Entry(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))

        for file in files:
            if len(images) == IMAGES_LIMIT:
                raise StoreError(f"A bundle holds at most {IMAGES_LIMIT:,} images.")
            name = _find_free(file.name, taken)
            for sha256, (suffix, data) in file.inputs.items():
                if sha256 not in inputs:
                    inputs[sha256] = add(f"inputs/{sha256}{suffix}", data)
            stem = name.rpartition(".")[0]
            images.append(
                BundledImage(
                    image=add(f"images/{name}", file.data),
                    record=add(f"records/{stem}.json", file.record, zipfile.ZIP_DEFLATED),
                    inputs=tuple(inputs[sha256].name for sha256 in file.inputs),
                )
            )
        manifest = Manifest(program=program, images=tuple(images), inputs=tuple(inputs.values()))
        text = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
        add(_MANIFEST, text + b"\n", zipfile.ZIP_DEFLATED)
    return manifest


def _find_free(name: str, taken: set[str]) -> str:
    """`name`, with a number where an image has it already on a file system without cases."""
    stem, dot, suffix = name.rpartition(".")
    number, free = 1, name
    while free.partition(".")[0].lower() in taken or free.lower() in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}"
    taken |= {free.lower(), free.rpartition(".")[0].lower()}
    return free


# Reading


class Bundle:
    """A bundle that is read, one file at a time. Its methods raise `StoreError`."""

    def __init__(self, path: Path) -> None:
        """Open the bundle and read what it lists."""
        _check_directory(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise StoreError(f"{path.name} is no ZIP file that can be read: {error}.") from None
        try:
            self._entries = _list_entries(self._zip)
            self._left = max(4 * FILE_LIMIT, 20 * path.stat().st_size)
            self.manifest = self._read_manifest()
        except BaseException:
            self._zip.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def _read_manifest(self) -> Manifest:
        data = self._read(_MANIFEST, MANIFEST_LIMIT)
        try:
            form = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("format")
            if form is not None and int(bytes(form)) > FORMAT:
                raise StoreError("The bundle was made by a newer Safelight.", "Use that one.")
            manifest = msgspec.json.decode(data, type=Manifest)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise StoreError("The list in the bundle (manifest.json) cannot be read.") from None
        if len(manifest.images) > IMAGES_LIMIT or len(manifest.inputs) > ENTRIES_LIMIT:
            raise StoreError(f"The bundle lists more than {IMAGES_LIMIT:,} images.")
        return manifest

    def read(self, entry: Entry, limit: int = FILE_LIMIT) -> bytes:
        """The bytes of a file that is listed, which must be those that were."""
        data = self._read(entry.name, min(limit, FILE_LIMIT))
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise StoreError(f"{entry.name} in the bundle was changed after it was written.")
        return data

    def read_inputs(self, image: BundledImage) -> dict[str, bytes]:
        """The files that an image starts from, by their digests; those that are damaged not."""
        by_name = {entry.name: entry for entry in self.manifest.inputs}
        found: dict[str, bytes] = {}
        for name in image.inputs[:8]:
            if (entry := by_name.get(name)) is not None:
                try:
                    found[entry.sha256] = self.read(entry)
                except StoreError:
                    continue
        return found

    def read_record(self, image: BundledImage) -> bytes:
        """The record of an image that lies beside it."""
        return self.read(image.record, RECORD_LIMIT)

    def list_strangers(self) -> Iterator[str]:
        """The names of files that the bundle does not list."""
        known = {_MANIFEST, *(entry.name for entry in self.manifest.inputs)}
        for image in self.manifest.images:
            known |= {image.image.name, image.record.name}
        return (name for name in self._entries if name not in known)

    def _read(self, name: str, limit: int) -> bytes:
        info = self._entries.get(name)
        if info is None:
            raise StoreError(f"{name} is missing in the bundle.")
        limit = min(limit, self._left)
        if info.file_size > limit:
            raise StoreError(f"{name} in the bundle has more than {limit:,} bytes.")
        try:
            with self._zip.open(info) as file:
                data = file.read(limit + 1)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise StoreError(f"{name} in the bundle cannot be read: {error}.") from None
        except NotImplementedError:
            raise StoreError(f"{name} in the bundle is compressed in an unknown way.") from None
        if len(data) > limit:
            raise StoreError(f"{name} in the bundle has more than {limit:,} bytes.")
        self._left -= len(data)
        return data


def _check_directory(path: Path) -> None:
    """Raise `StoreError` where the list of entries, which is read as a whole, is too large."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read: {error.strerror}.") from None
    place = tail.rfind(b"PK\5\6")
    if place < 0 or place + 22 > len(tail):
        raise StoreError(f"{path.name} is no ZIP file.")
    entries, length = struct.unpack_from("<HI", tail, place + 10)
    wide = tail.rfind(b"PK\6\6", 0, place)
    if wide >= 0 and wide + 56 <= len(tail):
        entries, length = struct.unpack_from("<QQ", tail, wide + 32)
    if entries > ENTRIES_LIMIT or length > DIRECTORY_LIMIT:
        raise StoreError(f"{path.name} holds more than {ENTRIES_LIMIT:,} files.")


def _list_entries(bundle: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in bundle.infolist():
        if info.filename in found:
            raise StoreError(f"{info.filename} is twice in the bundle.")
        if info.flag_bits & 1:
            raise StoreError("The bundle is locked with a password.")
        found[info.filename] = info
    return found
