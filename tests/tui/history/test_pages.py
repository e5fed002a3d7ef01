"""A history of any length as a list: how much is read, and when."""

from __future__ import annotations

from array import array

import msgspec

from store.records import Image
from store.search import NEWEST_FIRST, Sort
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import make_host
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.history.pages import PAGE, HistoryPages

MANY = 100_000


class HugeDarkroom(MemoryDarkroom):
    """A hundred thousand images that are made when they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._model = self.add_image()
        self._data = self.files[self._model.id]
        self.images.clear()
        self.read: list[int] = []

    def make(self, number: int) -> Image:
        return msgspec.structs.replace(
            self._model,
            number=number,
            id=f"{number:032x}",
            seed=number,
            request=make_request("night", seed=number),
        )

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        return array("q", range(MANY, 0, -1))

    async def list_images(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        search: str | None = None,
        session: str | None = None,
        sort: Sort = NEWEST_FIRST,
    ) -> list[Image]:
        top = MANY if before is None else before - 1
        numbers = range(top, max(0, top - limit), -1)
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
        await wait_in_app(pilot, lambda: f"{1:032x}"[:8] + "  2" in read_screen(app), "the oldest")
        await press(pilot, "pageup", "pageup", "home")
        newest = f"{MANY:032x}"[:8]
        await wait_in_app(pilot, lambda: newest in read_screen(app), "the newest")
        assert len(set(darkroom.read)) < 10 * PAGE


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
