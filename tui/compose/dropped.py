"""What can be done with image files that were dropped on the terminal, or whose path was pasted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from store.errors import SafelightError
from tui.compose.derive import InitialImages
from tui.compose.draft import DraftEditor
from tui.compose.foreign import merge_adopted
from tui.darkroom import Darkroom
from tui.paths import read_image_file
from tui.words import count_things, describe_arrival

IMPORT = "import into the history"
INTO_EDITOR = "load into the editor"
AS_INITIAL_IMAGE = "use as initial image"
AS_TEXT = "paste as text"


class DroppedFiles:
    """Does with files what was chosen, and says what became of them. Knows no widget.

    Its methods raise `SafelightError`.
    """

    def __init__(
        self, editor: DraftEditor, darkroom: Darkroom, initial_images: InitialImages
    ) -> None:
        self._editor = editor
        self._darkroom = darkroom
        self._initial_images = initial_images

    def list_choices(self, paths: Sequence[Path], *, has_text: bool) -> list[str]:
        """What can be done with these files."""
        choices = [IMPORT]
        if len(paths) == 1:
            choices += [INTO_EDITOR, AS_INITIAL_IMAGE]
        return [*choices, AS_TEXT] if has_text else choices

    async def take(self, how: str, paths: Sequence[Path], session: str | None) -> str:
        """Do it; a sentence about what became of them."""
        if how == AS_INITIAL_IMAGE:
            draft = self._editor.draft
            if reason := self._darkroom.why_no_start(draft.engine, draft.model):
                return reason
            await self._initial_images.take_file(paths[0])
            return f"The next images start from {paths[0].name}; u takes it back."
        if how == INTO_EDITOR:
            return await self._load(paths[0])
        return await self._import(paths, session)

    async def _load(self, path: Path) -> str:
        data = await asyncio.to_thread(read_image_file, path)
        adopted = await self._darkroom.read_metadata(data)
        draft, notes = merge_adopted(self._editor.draft, adopted, self._darkroom.capabilities)
        self._editor.change(draft, f"loading {path.name}")
        said = f"Loaded {path.name} ({adopted.dialect}, {adopted.grade}); u takes it back."
        return " ".join([said, *notes])

    async def _import(self, paths: Sequence[Path], session: str | None) -> str:
        said: list[str] = []
        new = failed = 0
        for path in paths:
            try:
                data = await asyncio.to_thread(read_image_file, path)
                arrival = await self._darkroom.import_image(data, path.name, session)
            except SafelightError as error:
                failed += 1
                said.append(f"{path.name}: {error}")
                continue
            new += arrival.is_new
            said.append(describe_arrival(path.name, arrival.image, is_new=arrival.is_new))
        if len(paths) == 1:
            return said[0]
        there = len(paths) - new - failed
        return f"{count_things(new, 'image')} imported, {there} there already, {failed} not."
