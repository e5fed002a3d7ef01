"""What the next images start from: an initial image and its mask, put into the draft."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from store.errors import StoreError
from store.records import Draft, Image
from tui.compose import draft as drafts
from tui.compose.draft import DraftEditor
from tui.compose.mask_canvas import MaskCanvas
from tui.darkroom import Darkroom
from tui.paths import read_image_file

if TYPE_CHECKING:
    from store.decoding import Input, Role

PAINTED = "painted"


class InitialImages:
    """Puts images and masks into the draft. Its methods raise `SafelightError`.

    Knows no widget. `inputs` are the facts of the kept files that were met, by digest.
    """

    def __init__(self, editor: DraftEditor, darkroom: Darkroom) -> None:
        self._editor = editor
        self._darkroom = darkroom
        self.inputs: dict[str, Input] = {}

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Width and height in pixels of the kept files, by digest."""
        return {sha256: (found.width, found.height) for sha256, found in self.inputs.items()}

    def list_notes(self, draft: Draft) -> tuple[str, ...]:
        """What was changed or lost when the images of `draft` came in, as far as is known."""
        parts = (draft.initial_image, draft.mask)
        found = (self.inputs.get(part.sha256) for part in parts if part is not None)
        return tuple(dict.fromkeys(note for each in found if each for note in each.notes))

    async def _add(self, data: bytes, role: Role = "initial image") -> Input:
        found = await self._darkroom.add_input(data, role)
        self.inputs[found.sha256] = found
        return found

    async def start_from(self, image: Image) -> None:
        """Start from a past image; the undo takes it out."""
        found = await self._add(await self._darkroom.read_image(image))
        draft = drafts.start_from(self._editor.draft, found.sha256, image.id[:8], image)
        size = (found.width, found.height)
        self._editor.change(self._fit_size(draft, size), f"starting from {image.id[:4]}")

    async def take_file(self, path: Path) -> None:
        """Start from an image file."""
        found = await self._add(await asyncio.to_thread(read_image_file, path))
        draft = drafts.start_from(self._editor.draft, found.sha256, path.name)
        draft = self._fit_size(draft, (found.width, found.height))
        self._editor.change(draft, f"starting from {path.name}")
        self._editor.set_place(folder=f"{path.parent}/")

    def _fit_size(self, draft: Draft, size: tuple[int, int]) -> Draft:
        """The draft with the size of its initial image, where the engine makes that size."""
        known = self._darkroom.capabilities.get(draft.engine)
        if known is None or not known.for_model(draft.model).sizes.accepts(size):
            return draft
        return msgspec.structs.replace(draft, width=size[0], height=size[1])

    async def learn_size(self, sha256: str) -> tuple[int, int]:
        """The size of a kept file, as it looks; remembered with its other facts."""
        if sha256 not in self.inputs:
            self.inputs[sha256] = await self._darkroom.get_input(sha256)
        found = self.inputs[sha256]
        return found.width, found.height

    async def make_canvas(self) -> tuple[bytes, MaskCanvas]:
        """The initial image of the draft, and a canvas with the mask that there is."""
        initial, mask = self._editor.draft.initial_image, self._editor.draft.mask
        if initial is None:
            raise StoreError("There is no initial image.")
        data = await self._darkroom.read_input(initial.sha256)
        size = await self.learn_size(initial.sha256)
        past = None if mask is None else await self._darkroom.read_input(mask.sha256)
        canvas = await asyncio.to_thread(MaskCanvas, *size, past)
        if mask is not None and mask.replaces == "white":
            canvas.invert()
        return data, canvas

    async def take_mask_file(self, path: Path) -> None:
        """Take the mask from an image file."""
        await self._take_mask(await asyncio.to_thread(read_image_file, path), path.name)
        self._editor.set_place(folder=f"{path.parent}/")

    async def take_painted(self, data: bytes) -> None:
        """Take the mask that was painted: a PNG, black where the image is made anew."""
        await self._take_mask(data, PAINTED)

    async def _take_mask(self, data: bytes, name: str) -> None:
        initial = self._editor.draft.initial_image
        if initial is None:
            return
        wanted = await self.learn_size(initial.sha256)
        found = await self._add(data, "mask")
        if (found.width, found.height) != wanted:
            raise StoreError(
                f"The mask has {found.width} x {found.height} pixels, the initial image "
                f"{wanted[0]} x {wanted[1]}.",
                "Give one of the same size.",
            )
        self._editor.change(drafts.set_mask(self._editor.draft, found.sha256, name), "the mask")

    def remove_mask(self) -> None:
        """Take the mask out."""
        draft = msgspec.structs.replace(self._editor.draft, mask=None)
        self._editor.change(draft, "the mask")

    async def read_initial(self) -> bytes | None:
        """The initial image of the draft, its size and its mask's learnt; None without one."""
        initial, mask = self._editor.draft.initial_image, self._editor.draft.mask
        if initial is None:
            return None
        await self.learn_size(initial.sha256)
        if mask is not None:
            await self.learn_size(mask.sha256)
        return await self._darkroom.read_input(initial.sha256)
