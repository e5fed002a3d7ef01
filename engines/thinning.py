"""Which images may be thinned, and which of those that were can have their file again.

The file of an image is dropped only where it can be made again here and now: its newest
verification found it identical, with the engine as it is now on this machine, and its record and
its file are whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from engines.registry import EngineRegistry
from store.batches import divide
from store.errors import SafelightError
from store.history import read_image
from store.integrity import check_record
from store.pixels import open_image
from store.records import Image, Purpose, Result, Verdict
from store.thinning import FileState, list_states, remove_leftovers, thin_images

if TYPE_CHECKING:
    from store.database import Database
    from store.request import Request

_NOT_WHOLE = "its record or file is not whole"

PAGE = 200
"""Images that are looked at, and files that are dropped, in one go."""


class Thinning(msgspec.Struct, frozen=True, kw_only=True):
    """What thinning did or would do.

    `images` lose their file, `files` are removed, `freed` bytes. `kept`: how many others keep
    theirs, by the reason.
    """

    images: int
    files: int
    freed: int
    kept: dict[str, int]


def thin(
    database: Database,
    registry: EngineRegistry,
    numbers: Sequence[int],
    *,
    made_before: float | None = None,
    is_rehearsal: bool = False,
) -> Thinning:
    """Drop the files of those of these images that can be made again and were made before a moment.

    `is_rehearsal`: only say what would be done; of files that the engine of now made here it is
    then only seen whether they are there.
    """
    environments = _Environments(registry)
    files_now = _FilesNow(database, registry, environments)
    kept: Counter[str] = Counter()
    chosen: dict[str, list[FileState]] = {}
    for page in divide(numbers, PAGE):
        for state in list_states(database, page, made_before=made_before):
            reason = _why_kept(state, environments) or files_now.explain(state.image)
            if reason:
                kept[reason] += 1
            else:
                chosen.setdefault(state.image.file_sha256, []).append(state)
    groups: list[list[FileState]] = []
    for sharing in chosen.values():
        if len(sharing) < sharing[0].users:
            kept["its file is also that of an image that is kept"] += len(sharing)
        else:
            groups.append(sharing)
    if is_rehearsal:
        return Thinning(
            images=sum(map(len, groups)),
            files=len(groups),
            freed=sum(sharing[0].image.file_bytes for sharing in groups),
            kept=dict(kept),
        )
    files, freed = remove_leftovers(database)
    images = 0
    # Those that share a file stand in one part, as the file goes with all of them or not at all.
    for some in divide(groups, PAGE):
        states = [state for sharing in some for state in sharing]
        whole = [state for state in states if _is_whole(database, state)]
        kept[_NOT_WHOLE] += len(states) - len(whole)
        done = thin_images(database, whole)
        images, files, freed = images + done[0], files + done[1], freed + done[2]
        kept["something about it has changed meanwhile"] += len(whole) - done[0]
    return Thinning(images=images, files=files, freed=freed, kept=dict(+kept))


class _Environments:
    """The digests of what makes images here now, by engine and model."""

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str], str] = {}

    def find(self, image: Image) -> str:
        """Of the engine that would make `image` again; "" where it cannot."""
        request = self._registry.pin(image.request, image.environment)
        key = (request.engine, request.model)
        if key not in self._known:
            self._known[key] = self._describe(request)
        return self._known[key]

    def _describe(self, request: Request) -> str:
        try:
            if self._registry.get_capabilities(request.engine).is_deterministic:
                return self._registry.describe_environment(request).digest
        except SafelightError:
            pass  # What cannot be opened can make nothing again.
        return ""


class _FilesNow:
    """Whether the files that are there are those that would be written now."""

    def __init__(
        self, database: Database, registry: EngineRegistry, environments: _Environments
    ) -> None:
        self._database = database
        self._registry = registry
        self._environments = environments

    def explain(self, image: Image) -> str:
        """Why the file of `image` could not be had again with its pixels; "" where it could.

        What the engine of now made here is not looked at: it would be written in the same way.
        """
        is_own = image.purpose is not Purpose.IMPORT
        if is_own and image.environment_digest == self._environments.find(image):
            return ""
        try:
            data = read_image(self._database, image)
            now = self._registry.encode(image.request.engine, open_image(data))
        except SafelightError:
            return _NOT_WHOLE
        return "" if now == data else "its file is written otherwise than it would be now"


def _why_kept(state: FileState, environments: _Environments) -> str:
    """Why an image keeps its file; "" where it may be dropped."""
    image, newest = state.image, state.newest
    if image.is_favourite:
        return "a favourite"
    if image.is_trashed:
        return "in the trash"
    if state.is_input:
        return "other images start from its file"
    if newest is None:
        return "never verified"
    if newest.verdict is not Verdict.IDENTICAL:
        return f"verified as {newest.verdict.value}"
    if newest.environment_digest is None or newest.environment_digest != environments.find(image):
        return "not verified with this engine on this machine"
    if image.is_damaged or not image.path.is_file():
        return _NOT_WHOLE
    return ""


def _is_whole(database: Database, state: FileState) -> bool:
    return not check_record(database, state.image)


def why_no_restore(image: Image, result: Result | None) -> str:
    """Why what was made cannot be the dropped file of `image`; "" where it is that file."""
    if result is None:
        return "It was not made again, so it stays without its pixels."
    if result.pixels_sha256 != image.pixels_sha256:
        return "What was made has other pixels, so it is not taken for the image."
    if hashlib.sha256(result.data).hexdigest() != image.file_sha256:
        return (
            "Every pixel is the same, but they are written as another file now (another version of "
            "what encodes it), and the record names the file. Regenerate it to keep the pixels as "
            "a child."
        )
    return ""
