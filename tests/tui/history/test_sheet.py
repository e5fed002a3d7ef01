"""The contact sheet of the history."""

from __future__ import annotations

import pytest

from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import make_history, open_history, wait_for_record
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.history.list import HistoryList
from tui.history.sheet import fit_sheet


@pytest.mark.parametrize("width", range(1, 220, 7))
@pytest.mark.parametrize("height", [1, 2, 3, 5, 10, 22, 38, 58])
def test_a_sheet_fits_into_its_room(width: int, height: int) -> None:
    for smaller in range(4):
        size = fit_sheet(width, height, smaller)
        assert 1 <= size.width <= width
        assert size.columns * size.pitch <= width + 1
        assert size.width < size.pitch or size.columns == 1
        assert size.tile_height <= max(2, height)


async def test_arrows_move_in_two_dimensions_and_the_cursor_stays_on_its_image() -> None:
    darkroom = make_history(14)
    ids = [image.id for image in reversed(darkroom.images)]
    async with open_history(darkroom, (80, 24)) as (pilot, screen):
        view = screen.history_list
        await press(pilot, "down", "g")
        columns = view.columns
        assert columns > 2
        assert view.cursor == 1
        await press(pilot, "down")
        assert view.cursor == 1 + columns
        await press(pilot, "left", "left")
        assert view.cursor == columns - 1
        await press(pilot, "up")
        assert view.cursor == columns - 1
        await press(pilot, "end", "up", "down", "right")
        assert view.cursor == 13
        assert ids[13][:4] in read_screen(pilot.app)
        await press(pilot, "home", "g")
        assert view.columns == 1
        await press(pilot, "right")
        assert view.cursor == 0
        await wait_for_record(pilot, screen, ids[0])


async def test_marks_ratings_and_verdicts_stand_under_the_thumbnails() -> None:
    darkroom = make_history(5)
    async with open_history(darkroom, (80, 24)) as (pilot, screen):
        await press(pilot, "g", "f", "space", "4", "escape", "right", "5")
        await wait_in_app(pilot, lambda: "★5" in read_screen(pilot.app), "the rating")
        text = read_screen(pilot.app)
        assert "♥★4" in text
        await press(pilot, "shift+right")
        assert read_screen(pilot.app).count("●") == 2
        await press(pilot, "d")
        await wait_in_app(pilot, lambda: "3 images" in read_screen(pilot.app), "what is left")
        assert screen.history_list.is_sheet


async def test_a_thumbnail_is_chosen_with_the_mouse_and_opened_by_a_second_click() -> None:
    darkroom = make_history(5)
    async with open_history(darkroom, (80, 24)) as (pilot, screen):
        await press(pilot, "g")
        view = screen.history_list
        size = view.region.width // view.columns
        await pilot.click(HistoryList, offset=(size + 2, 2))
        await wait_in_app(pilot, lambda: view.cursor == 1, "the second image")


async def test_its_thumbnails_get_smaller_and_then_as_large_as_they_can_be() -> None:
    darkroom = make_history(9)
    async with open_history(darkroom, (120, 40)) as (pilot, screen):
        await press(pilot, "g")
        view = screen.history_list
        found = [view.columns]
        while len(found) < 2 or view.columns > found[0]:
            await press(pilot, "Z")
            found.append(view.columns)
            assert len(found) < 9
        assert found[:-1] == sorted(found[:-1])
        assert found[-1] == found[0]


@pytest.mark.parametrize("size", [(20, 5), (60, 40), (200, 60)])
async def test_a_sheet_without_pictures_shows_words_at_any_size(size: tuple[int, int]) -> None:
    darkroom = MemoryDarkroom()
    for seed in range(1, 30):
        darkroom.add_image(make_request("lamp", seed=seed))
    environ = {"TERM": "dumb", "LANG": "C", "NO_COLOR": "1"}
    async with open_history(darkroom, size, environ) as (pilot, screen):
        await press(pilot, "g", "space")
        text = read_screen(pilot.app)
        assert "x." in text
        assert "●" not in text
        await press(pilot, "end")
        await wait_in_app(pilot, lambda: screen.history_list.cursor == 28, "the oldest")
        await wait_in_app(pilot, lambda: ">" in read_screen(pilot.app), "the cursor")
        if size[0] > 20:
            assert darkroom.images[0].id[:4] in read_screen(pilot.app)
