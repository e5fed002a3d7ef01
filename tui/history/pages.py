"""A history of any length as a list: all numbers at once, the records by pages.

Numbers are eight bytes an image, so that the list knows its length, its end and every place
in it at once. Records are read by keyset when they come into sight and forgotten when many
others were read since.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections import OrderedDict

from store.errors import NotFound
from store.records import Image, Purpose
from store.request import Request
from tui.darkroom import Darkroom
from tui.diff import describe_change

PAGE = 100
_KEPT = 2000


class HistoryPages:
    """The images that match one search, newest first, as far as they were looked at."""

    def __init__(self, darkroom: Darkroom) -> None:
        self.darkroom = darkroom
        self.search = ""
        self.numbers: array[int] = array("q")
        self._images: OrderedDict[int, Image | None] = OrderedDict()
        self._parents: dict[str, Request] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    async def open(self, search: str = "") -> None:
        """Begin with all images that match `search` (all of them when it is empty)."""
        numbers = await self.darkroom.list_image_numbers(search=search or None)
        self.search, self.numbers = search, numbers
        self._images.clear()

    def get(self, row: int) -> Image | None:
        """The image in this row, None while it is not read."""
        image = self._images.get(self.numbers[row])
        if image is not None:
            self._images.move_to_end(image.number)
        return image

    def find_row(self, number: int) -> int | None:
        """The row of the image with this number, None when it is not among them."""
        row = bisect_left(self.numbers, -number, key=lambda found: -found)
        return row if row < len(self) and self.numbers[row] == number else None

    async def load(self, first: int, last: int) -> bool:
        """Read the records that are missing in these rows. True when something was read."""
        has_read = False
        row = max(0, first)
        while row <= min(last, len(self) - 1):
            number = self.numbers[row]
            if number in self._images:
                row += 1
                continue
            images = await self.darkroom.list_images(
                before=number + 1, limit=PAGE, search=self.search or None
            )
            self._keep(images)
            self._images.setdefault(number, None)
            await self._load_parents(images)
            has_read = True
        return has_read

    async def reload(self, first: int, last: int) -> bool:
        """Read these rows again. True when a record changed."""
        first, last = max(0, first), min(last, len(self) - 1)
        if last < first:
            return False
        before = {number: self._images.get(number) for number in self.numbers[first : last + 1]}
        images = await self.darkroom.list_images(
            before=self.numbers[first] + 1, limit=last - first + 1, search=self.search or None
        )
        self._keep(images)
        return any(before.get(image.number, image) != image for image in images)

    async def find_newer(self) -> int:
        """Look for images that came since; how many were put in front."""
        known = self.numbers[0] if self.numbers else 0
        newer: list[Image] = []
        before = None
        while True:
            images = await self.darkroom.list_images(
                before=before, limit=PAGE, search=self.search or None
            )
            fresh = [image for image in images if image.number > known]
            newer += fresh
            if len(fresh) < len(images) or len(images) < PAGE:
                break
            before = images[-1].number
        if newer and (not self.numbers or self.numbers[0] == known):
            self.numbers = array("q", [image.number for image in newer]) + self.numbers
            self._keep(newer)
            await self._load_parents(newer)
            return len(newer)
        return 0

    def _keep(self, images: list[Image]) -> None:
        for image in images:
            self._images[image.number] = image
            self._images.move_to_end(image.number)
        while len(self._images) > _KEPT:
            self._images.popitem(last=False)

    async def _load_parents(self, images: list[Image]) -> None:
        known = {image.id: image.request for image in images}
        missing = {
            image.parent_id
            for image in images
            if image.parent_id and image.parent_id not in self._parents
        }
        if len(self._parents) > _KEPT:
            self._parents.clear()
        self._parents |= {identity: known[identity] for identity in missing & known.keys()}
        found = await asyncio.gather(
            *(self.darkroom.get_image(identity) for identity in missing - known.keys()),
            return_exceptions=True,
        )
        for parent in found:
            if isinstance(parent, Image):
                self._parents[parent.id] = parent.request
            elif not isinstance(parent, NotFound):
                raise parent

    def describe(self, row: int, *, names_parent: bool = True, has_unicode: bool = True) -> str:
        """What changed from the parent, or from the image before where there is no parent.

        With `names_parent` the parent's id is said too.
        """
        image = self.get(row)
        if image is None:
            return ""
        if image.parent_id:
            change = self._describe_child(image, has_unicode)
            name = f"from {image.parent_id[:4]}"
            if change is None:
                return name
            return f"{change}, {name}" if names_parent else change
        older = self.get(row + 1) if row + 1 < len(self) and not self.search else None
        if older is None:
            return ""
        if not _has_common_prompt(older.request, image.request):
            return "new prompts"
        return describe_change(older.request, image.request, has_unicode=has_unicode)

    def _describe_child(self, image: Image, has_unicode: bool) -> str | None:
        """What differs from the parent, None when that is not known."""
        if image.purpose is Purpose.REGENERATE:
            return "made again"
        parent = self._parents.get(image.parent_id or "")
        if parent is None:
            return None
        return describe_change(parent, image.request, has_unicode=has_unicode)


def _has_common_prompt(one: Request, other: Request) -> bool:
    texts = {prompt.text for prompt in one.stack.prompts}
    return any(prompt.text in texts for prompt in other.stack.prompts)
