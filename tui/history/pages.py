"""A history of any length as a list: numbers in the background, the records by pages.

The first numbers are there at once, the rest comes bit by bit, and the end of the list is read
from its other side when it is wanted before. A number is eight bytes. Records are read when they
come into sight and forgotten when many others were read since.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from store.records import Image, Purpose
from store.request import Request
from store.search import NEWEST_FIRST, Search, Sort, parse_search
from tui.darkroom import Darkroom
from tui.diff import describe_change
from tui.history.selection import Selection

if TYPE_CHECKING:
    from store.selection import Place

PAGE = 100
FIRST = 200
"""Numbers that are read before the list is shown."""

CHUNK = 5_000
"""Numbers that are read at a time after that: few milliseconds, after which a search may begin."""

_LAST = 2000
"""Numbers that are read from the end of a list that is not read to it yet."""

_KEPT = 2000


class HistoryPages:
    """The images that fit one search, in one order, as far as they were looked at.

    `numbers` are those from the beginning of the list on, without a gap. `total`: how many images
    the whole list has, None while that is not known.
    """

    def __init__(self, darkroom: Darkroom) -> None:
        self.darkroom = darkroom
        self.search = ""
        self.sort = NEWEST_FIRST
        self._wanted: Search | None = None
        self.numbers: array[int] = array("q")
        self.total: int | None = 0
        self._end: Place | None = None
        self._newest = 0
        # From the last one up; empty once the numbers reach that far.
        self._last: array[int] = array("q")
        self._images: OrderedDict[int, Image | None] = OrderedDict()
        self._parents: dict[str, Request] = {}

    def __len__(self) -> int:
        return len(self.numbers) + len(self._last)

    @property
    def is_whole(self) -> bool:
        """Whether all numbers are read."""
        return self._end is None

    @property
    def is_newest_first(self) -> bool:
        """Whether the images are in the order in which they were made, the newest first."""
        return self.sort == NEWEST_FIRST

    @property
    def newest(self) -> int:
        """The highest number of an image in the list, 0 for none."""
        if self.is_newest_first:
            return self.numbers[0] if self.numbers else 0
        return self._newest

    async def open(self, search: str = "", sort: Sort = NEWEST_FIRST) -> None:
        """Begin with the images that fit `search` (all of them when it is empty).

        An order that the search names goes before `sort`. Raises `SearchError`.
        """
        parsed = parse_search(search)
        sort = parsed.sort or sort
        wanted = msgspec.structs.replace(parsed, sort=None) if parsed.terms else None
        chunk = await self.darkroom.read_numbers(search=wanted, sort=sort, limit=FIRST)
        total: int | None = len(chunk.numbers)
        if chunk.end is not None:
            total = None if wanted else await self.darkroom.count_images()
        self.search, self.sort, self._wanted = search, sort, wanted
        self.numbers, self._end, self.total = chunk.numbers, chunk.end, total
        self._last = array("q")
        self._newest = await self._find_newest()
        self._images.clear()

    async def read_more(self) -> int:
        """Read the next numbers. How many rows came in before those of the end of the list."""
        begin = self._end
        if begin is None:
            return 0
        chunk = await self.darkroom.read_numbers(
            search=self._wanted, sort=self.sort, after=begin, limit=CHUNK
        )
        if self._end != begin:
            return 0
        numbers, self._end = chunk.numbers, chunk.end
        if known := set(self._last):
            place = next((place for place, number in enumerate(numbers) if number in known), None)
            if place is not None:
                numbers, self._end = numbers[:place], None
        added = len(numbers)
        self.numbers.extend(numbers)
        if self._end is None:
            self.numbers.extend(reversed(self._last))
            self._last = array("q")
            self.total = len(self)
        return added

    async def read_all(self) -> None:
        """Read all numbers that are still missing. Raises `StoreError`."""
        while not self.is_whole:
            await self.read_more()

    async def read_end(self) -> None:
        """Read the end of the list, so that it can be gone to before all numbers are read."""
        if self._end is None or self._last:
            return
        before = self._end
        chunk = await self.darkroom.read_numbers(
            search=self._wanted, sort=self.sort, limit=_LAST, from_end=True
        )
        if self._end != before:
            return
        known = set(self.numbers[-_LAST:])
        self._last = array("q", [number for number in chunk.numbers if number not in known])
        if len(self._last) < len(chunk.numbers):
            self.numbers.extend(reversed(self._last))
            self._last, self._end, self.total = array("q"), None, len(self.numbers)

    async def read_numbers(self, size: int) -> AsyncIterator[array[int]]:
        """The numbers of all that fit now, the newest first, up to `size` at a time.

        Raises `StoreError`.
        """
        place = None
        while True:
            chunk = await self.darkroom.read_numbers(search=self._wanted, after=place, limit=size)
            if chunk.numbers:
                yield chunk.numbers
            if (place := chunk.end) is None:
                return

    def remove(self, gone: Selection) -> None:
        """Take these images out of the list."""
        before = len(self)
        self.numbers = array("q", [number for number in self.numbers if number not in gone])
        self._last = array("q", [number for number in self._last if number not in gone])
        if self.total is not None:
            self.total -= before - len(self)

    def find_number(self, row: int) -> int:
        """The number of the image in this row."""
        if row < len(self.numbers):
            return self.numbers[row]
        return self._last[len(self) - 1 - row]

    def get(self, row: int) -> Image | None:
        """The image in this row, None while it is not read."""
        image = self._images.get(self.find_number(row))
        if image is not None:
            self._images.move_to_end(image.number)
        return image

    def find_row(self, number: int) -> int | None:
        """The row of the image with this number, None when it is not among them."""
        if self.is_newest_first:
            row = bisect_left(self.numbers, -number, key=lambda found: -found)
            if row < len(self.numbers) and self.numbers[row] == number:
                return row
        elif number in self.numbers:
            return self.numbers.index(number)
        if number in self._last:
            return len(self) - 1 - self._last.index(number)
        return None

    async def load(self, first: int, last: int, *, ahead: int = PAGE) -> bool:
        """Read the records that are missing in these rows. True when something was read.

        What follows them is read too, up to `ahead` from the first that is missing. Images that
        are gone or fit no more lose their rows.
        """
        rows = range(max(0, first), min(last, len(self) - 1) + 1)
        missing = next((row for row in rows if self.find_number(row) not in self._images), None)
        if missing is None:
            return False
        page = range(missing, min(max(missing + ahead, rows.stop), len(self)))
        numbers = [self.find_number(row) for row in page]
        await self._read(numbers)
        return True

    async def _read(self, numbers: list[int]) -> None:
        images = await self.darkroom.load_images(numbers, self._wanted)
        self._keep(images)
        await self._load_parents(images)
        for number in {*numbers} - {image.number for image in images}:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self._images.pop(number, None)
        for numbers in (self.numbers, self._last):
            if number in numbers:
                numbers.remove(number)
                if self.total is not None:
                    self.total -= 1

    async def reload(self, first: int, last: int) -> bool:
        """Read these rows again. True when a record changed or is gone."""
        rows = range(max(0, first), min(last, len(self) - 1) + 1)
        numbers = [self.find_number(row) for row in rows]
        before = {number: self._images.get(number) for number in numbers}
        if not numbers:
            return False
        await self._read(numbers)
        return any(self._images.get(number) != image for number, image in before.items() if image)

    async def find_newer(self) -> int | None:
        """Look for images that came since; how many were put in front.

        None when some came and belong in between: the list is to be opened again.
        """
        if not self.is_newest_first:
            return None if await self._find_newest() > self._newest else 0
        known = self.numbers[0] if self.numbers else 0
        newer: array[int] = array("q")
        place = None
        while True:
            chunk = await self.darkroom.read_numbers(search=self._wanted, after=place, limit=PAGE)
            fresh = [number for number in chunk.numbers if number > known]
            newer.extend(fresh)
            place = chunk.end
            if place is None or len(fresh) < len(chunk.numbers):
                break
        if newer and (not self.numbers or self.numbers[0] == known):
            self.numbers = newer + self.numbers
            if self.total is not None:
                self.total += len(newer)
            return len(newer)
        return 0

    async def _find_newest(self) -> int:
        """The number of the newest image in the list, 0 for none; only where its order hides it."""
        if self.is_newest_first:
            return 0
        chunk = await self.darkroom.read_numbers(search=self._wanted, limit=1)
        return chunk.numbers[0] if chunk.numbers else 0

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
        if rest := missing - known.keys():
            self._parents |= await self.darkroom.load_parents(rest)

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
        is_before = self.is_newest_first and not self.search and row + 1 < len(self)
        older = self.get(row + 1) if is_before else None
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
