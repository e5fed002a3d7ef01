"""A history of any length as a list: how much is read, and when."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence

import msgspec

from store.records import Image
from store.search import NEWEST_FIRST, Search, Sort
from store.selection import Chunk, Place
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import make_host
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.history.pages import PAGE, HistoryPages
from tui.history.screen import HistoryScreen

MANY = 100_000


class HugeDarkroom(MemoryDarkroom):
    """A hundred thousand images that are made when they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._model = self.add_image()
        self._data = self.files[self._model.id]
        self.images.clear()
        self.read: list[int] = []
        self.gate = asyncio.Event()
        self.holds_back = False

    def make(self, number: int) -> Image:
        return msgspec.structs.replace(
            self._model,
            number=number,
            id=f"{number:032x}",
            seed=number,
            request=make_request("night", seed=number),
        )

    async def read_numbers(
        self,
        *,
        search: str | Search | None = None,
        sort: Sort = NEWEST_FIRST,
        after: Place | None = None,
        limit: int,
        from_end: bool = False,
    ) -> Chunk:
        if after is not None and self.holds_back:
            await self.gate.wait()
        if from_end:
            numbers = range(1, limit + 1)
        else:
            top = after.number - 1 if after else MANY
            numbers = range(top, max(0, top - limit), -1)
        return Chunk(array("q", numbers), Place(numbers[-1]) if len(numbers) == limit else None)

    async def count_images(self) -> int:
        return MANY

    async def load_images(
        self, numbers: Sequence[int], search: str | Search | None = None
    ) -> list[Image]:
        self.read += numbers
        return [self.make(number) for number in numbers]

    async def get_image(self, reference: str) -> Image:
        return self.make(int(reference, 16))

    async def read_image(self, image: Image) -> bytes:
        return self._data

    async def get_thumbnails(self, numbers: object) -> dict[int, bytes]:
        return {}


async def test_a_hundred_thousand_images_are_walked_by_reading_only_what_is_seen() -> None:
    darkroom = HugeDarkroom()
    app = make_host(darkroom)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_in_app(pilot, lambda: "100,000 images" in read_screen(app), "the list")
        await press(pilot, "end")
        await wait_in_app(pilot, lambda: f"{1:>10}  night" in read_screen(app), "the oldest")
        await press(pilot, "pageup", "pageup", "home")
        newest = f"{MANY:032x}"[:8]
        await wait_in_app(pilot, lambda: newest in read_screen(app), "the newest")
        assert len(set(darkroom.read)) < 10 * PAGE


async def test_the_end_is_there_before_all_numbers_are_and_stays_in_sight() -> None:
    darkroom = HugeDarkroom()
    darkroom.holds_back = True
    app = make_host(darkroom)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_in_app(pilot, lambda: "100,000 images" in read_screen(app), "the count")
        screen = app.screen
        assert isinstance(screen, HistoryScreen)
        assert not screen.history_list.pages.is_whole
        await press(pilot, "end")
        await wait_in_app(pilot, lambda: screen.image is not None and screen.image.number == 1, "1")
        await press(pilot, "up", "up")
        darkroom.gate.set()
        pages = screen.history_list.pages
        await wait_in_app(pilot, lambda: pages.is_whole, "all numbers")
        assert list(pages.numbers) == list(range(MANY, 0, -1))
        assert screen.image is not None
        assert screen.image.number == 3
        assert screen.history_list.cursor == MANY - 3
        assert f"{3:032x}"[:8] in read_screen(app)


async def test_numbers_that_are_missing_in_between_leave_no_hole() -> None:
    darkroom = MemoryDarkroom()
    for number in range(1, 8):
        darkroom.add_image(make_request("night", seed=number))
    pages = HistoryPages(darkroom)
    await pages.open()
    pages.numbers = array("q", [7, 6, 3, 1])
    await pages.load(0, 3)
    assert [image.number if (image := pages.get(row)) else 0 for row in range(4)] == [7, 6, 3, 1]
    assert [pages.find_row(number) for number in (7, 6, 5, 3, 1)] == [0, 1, None, 2, 3]


async def test_newer_images_are_put_in_front_once() -> None:
    darkroom = MemoryDarkroom()
    for number in range(1, 4):
        darkroom.add_image(make_request("night", seed=number))
    pages = HistoryPages(darkroom)
    await pages.open()
    assert await pages.find_newer() == 0
    for number in range(4, 4 + 2 * PAGE):
        darkroom.add_image(make_request("night", seed=number), data=b"x")
    assert await pages.find_newer() == 2 * PAGE
    assert await pages.find_newer() == 0
    assert list(pages.numbers) == list(range(3 + 2 * PAGE, 0, -1))


async def test_a_child_names_its_parent_even_when_that_is_far_away() -> None:
    darkroom = MemoryDarkroom()
    parent = darkroom.add_image(make_request("night", cfg_scale=7.0))
    for number in range(5):
        darkroom.add_image(make_request("day", seed=number + 1))
    darkroom.add_image(make_request("night", cfg_scale=9.0), parent_id=parent.id)
    pages = HistoryPages(darkroom)
    await pages.open()
    await pages.load(0, 0)
    assert pages.describe(0) == f"cfg 7→9, from {parent.id[:4]}"
    assert pages.describe(0, names_parent=False) == "cfg 7→9"
    assert pages.describe(1) == "seed"
    assert pages.describe(5) == "new prompts"
