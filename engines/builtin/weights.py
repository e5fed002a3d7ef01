"""The weights on board: in the package and in others, manifest, check, loading.

A folder of weights has a `manifest.json` that names the format, the revision, every file with its
SHA-256, the sizes of the networks and the methods. `model.npz` holds plain arrays; a matrix in
int8 has a second array `NAME:scale` with one float32 factor a column.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from engines.base import EngineError, Failure
from engines.builtin.methods import find_unknown
from engines.builtin.models import CAPABILITIES, MODEL, RELEASED, find_bundle
from engines.capabilities import REVISION_MARK, Capabilities, split_name
from engines.installed import read_entry_points

if TYPE_CHECKING:
    from engines.builtin.elementary import Floats

FORMAT = 1
FOLDERS = Path(__file__).with_name("weights")
FOLDER = FOLDERS / str(RELEASED[0].bundle)
MANIFEST = "manifest.json"

GROUP = "safelight.weights"
"""Entry points of packages that hold weights: each names a Python package, of which nothing is run.

Its folder holds what a folder in `weights/` does.
"""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to the model: `files` maps names to SHA-256, `sizes` names to numbers.

    `methods`: the named methods that it needs, by what they are for (`methods.py`).
    """

    format: int
    model: str
    revision: int
    pictures: int
    files: dict[str, str]
    sizes: dict[str, int]
    methods: dict[str, str] = {}

    @property
    def name(self) -> str:
        """How requests name it: `MODEL@REVISION`."""
        return f"{self.model}{REVISION_MARK}{self.revision}"


def _damaged(message: str) -> EngineError:
    return EngineError(Failure.DAMAGED_MODEL, message, "Install Safelight again.")


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """The weights there are: their folders by number, and what packages brought those not ours.

    `problems`: why others cannot be used, a sentence each.
    """

    folders: dict[int, Path]
    packages: dict[int, str]
    problems: tuple[str, ...]


@cache
def find_weights() -> Board:
    """The weights of this program and of other packages; looked for once in a process."""
    folders = {revision.bundle: FOLDERS / str(revision.bundle) for revision in RELEASED}
    packages: dict[int, str] = {}
    problems = []
    for point in read_entry_points(GROUP):
        package = point.dist.name if point.dist is not None else point.value
        try:
            folder = _find_folder(point.module)
            manifest = read_manifest(folder)
            if manifest.model != MODEL:
                raise _damaged(f"They are of another model, {manifest.model!r}.")
            if manifest.revision < 1:
                raise _damaged(f"There is no revision {manifest.revision}.")
            if manifest.revision in folders:
                raise _damaged(f"Revision {manifest.revision} is on board already.")
            if unknown := find_unknown(manifest.methods):
                raise _damaged(f"They ask for {unknown}, which this program does not have.")
        except EngineError as error:
            problems.append(
                f"The weights of the package {package} cannot be used. {error.message} Install it "
                "again, or remove it."
            )
            continue
        folders[manifest.revision], packages[manifest.revision] = folder, package
    return Board(folders=folders, packages=packages, problems=tuple(problems))


def _find_folder(module: str) -> Path:
    """The folder of a Python package, without running it. Raises `EngineError`."""
    try:
        # Of a package inside another one the outer one would be run.
        spec = None if "." in module else importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise _damaged(f"There is no package {module!r} with a folder.")
    return Path(places[0])


@cache
def make_capabilities() -> Capabilities:
    """What the revisions on board accept, those of other packages behind ours."""
    others = sorted(find_weights().packages, reverse=True)
    names = tuple(f"{MODEL}{REVISION_MARK}{number}" for number in others)
    return msgspec.structs.replace(CAPABILITIES, models=(*CAPABILITIES.models, *names))


def load_model(name: str) -> Weights:
    """The weights of the model `name`, checked. Raises `EngineError` when not on board."""
    number = find_bundle(name)
    folder = find_weights().folders.get(-1 if number is None else number)
    if number is None or folder is None:
        model, revision = split_name(name)
        raise EngineError(
            Failure.MODEL_GONE,
            f"Revision {revision} of {model} is not on board."
            if revision is not None
            else f"There is no model {name!r} on board.",
            f"On board: {', '.join((*make_capabilities().models, *CAPABILITIES.upscale_models))}.",
        )
    weights = load_weights(folder)
    if weights.manifest.revision != number:
        raise _damaged(
            f"The weights in {folder.name} are of revision {weights.manifest.revision}, not "
            f"{number}."
        )
    for released in RELEASED:
        if released.bundle == number and weights.manifest.files != released.files:
            raise _damaged(f"The weights of {released.name} are not those that were released.")
    return weights


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


def describe_weights() -> str:
    """One line about all weights on board, every file checked. Raises `EngineError` for ours."""
    board = find_weights()
    said = []
    for number, folder in board.folders.items():
        package = board.packages.get(number)
        try:
            found = check_files(folder)
        except EngineError as error:
            if package is None:
                raise
            found = f"{MODEL}, revision {number}: {error.message}"
        made_by = [own.name for own in RELEASED if own.bundle == number and own.model != MODEL]
        said.append(found + "".join(f", with {name}" for name in made_by))
        if package is not None:
            said[-1] += f" (package {package})"
    return "; ".join((*said, *board.problems))


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
