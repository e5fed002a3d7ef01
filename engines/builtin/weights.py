"""The weights in the package: manifest, check, loading.

`weights/manifest.json` names the format, the revision, every file with its SHA-256, and the
sizes of the networks. `model.npz` holds plain arrays; a matrix in int8 has a second array
`NAME:scale` with one float32 factor a column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from engines.base import EngineError, Failure

if TYPE_CHECKING:
    from engines.builtin.elementary import Floats

FORMAT = 1
FOLDER = Path(__file__).with_name("weights")
MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to the model: `files` maps names to SHA-256, `sizes` names to numbers."""

    format: int
    model: str
    revision: int
    pictures: int
    files: dict[str, str]
    sizes: dict[str, int]


def _damaged(message: str) -> EngineError:
    return EngineError(Failure.DAMAGED_MODEL, message, "Install Safelight again.")


def read_manifest(folder: Path = FOLDER) -> Manifest:
    """The manifest. Raises `EngineError` (damaged model) when it is missing or not readable."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise _damaged(f"The model's {MANIFEST} cannot be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(f"The model's {MANIFEST} is damaged: {error}.") from None
    if manifest.format != FORMAT:
        raise _damaged(f"The model has format {manifest.format}; this program reads {FORMAT}.")
    return manifest


def read_checked(manifest: Manifest, name: str, folder: Path = FOLDER) -> bytes:
    """The bytes of one of the model's files. Raises `EngineError` when its digest differs."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise _damaged(f"The model's file {name} cannot be read: {error.strerror}.") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.files[name]:
        raise _damaged(
            f"The model's file {name} was changed: its SHA-256 is {digest[:16]}…, "
            f"not {manifest.files[name][:16]}…."
        )
    return data


def check_files(folder: Path = FOLDER) -> str:
    """One line about the model after every file was checked. Raises `EngineError`."""
    manifest = read_manifest(folder)
    total = sum(len(read_checked(manifest, name, folder)) for name in manifest.files)
    return f"{manifest.model}, revision {manifest.revision}, {total / 2**20:.1f} MiB, intact"


class Arrays(Mapping[str, "Floats"]):
    """The arrays by name, kept as they are stored; asking for one gives it anew in float32."""

    def __init__(self, packed: Mapping[str, Any]) -> None:
        self._packed = dict(packed)

    def __getitem__(self, name: str) -> Floats:
        array = self._packed[name].astype("float32", order="C")
        scale = self._packed.get(f"{name}:scale")
        if scale is not None:
            array *= scale
        return cast("Floats", array)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._packed if not name.endswith(":scale"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """The model in memory: manifest, arrays by name, words in their order."""

    manifest: Manifest
    arrays: Arrays
    words: tuple[str, ...]


@cache
def load_weights(folder: Path = FOLDER) -> Weights:
    """Read and check the model; kept for the life of the process. Imports numpy."""
    import io

    import numpy as np

    manifest = read_manifest(folder)
    words = read_checked(manifest, "vocabulary.txt", folder).decode().split("\n")
    with np.load(io.BytesIO(read_checked(manifest, "model.npz", folder))) as packed:
        arrays = Arrays(packed)
    return Weights(manifest=manifest, arrays=arrays, words=tuple(words))
