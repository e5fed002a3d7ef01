"""What is done with many images of a history on disk at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engines.settings import Settings
from store import history, integrity
from store.records import Draft
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.store.helpers import make_images
from tests.tui.host import Host, press
from tui.darkroom import Darkroom
from tui.history.screen import HistoryScreen

COUNT = 6


@asynccontextmanager
async def open_stored(
    directory: Path, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], HistoryScreen, Darkroom]]:
    """The history of some images on disk, on a screen."""
    darkroom = Darkroom(directory, Settings())
    await darkroom.open()
    try:
        make_images(darkroom.database, [make_request(f"lamp {place}") for place in range(COUNT)])
        app = Host(lambda: HistoryScreen(darkroom, Draft(), "main"), darkroom)
        async with app.run_test(size=size) as pilot:
            await wait_in_app(pilot, lambda: f"{COUNT} images" in read_screen(app), "the list")
            screen = app.screen
            assert isinstance(screen, HistoryScreen)
            yield pilot, screen, darkroom
    finally:
        await darkroom.close()


def count_found(darkroom: Darkroom, search: str = "") -> int:
    return len(history.list_image_numbers(darkroom.database, search=search))


@pytest.mark.exhaustive
async def test_all_that_a_search_finds_are_rated_and_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.history.marking._AT_ONCE", 2)
    async with open_stored(tmp_path) as (pilot, _, darkroom):
        await press(pilot, "slash", *"-1", "enter")
        await wait_in_app(pilot, lambda: "5 images found" in read_screen(pilot.app), "the search")
        await press(pilot, "a", "down", "space", "4")
        await wait_in_app(pilot, lambda: "4 images: rated 4" in read_screen(pilot.app), "the end")
        assert count_found(darkroom, "rating:4") == 4
        await press(pilot, "u")
        await wait_in_app(pilot, lambda: "Undone: 4 images" in read_screen(pilot.app), "the end")
        assert count_found(darkroom, "rating:4") == 0


async def test_the_trash_is_filled_shown_put_back_from_and_emptied(tmp_path: Path) -> None:
    async with open_stored(tmp_path) as (pilot, screen, darkroom):
        await press(pilot, "down", "shift+down", "down", "space", "d")
        await wait_in_app(pilot, lambda: "3 images " in read_screen(pilot.app), "what is left")
        await press(pilot, "slash", *"is:trashed", "enter")
        await wait_in_app(pilot, lambda: "3 images found" in read_screen(pilot.app), "the trash")
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: "2 images found" in read_screen(pilot.app), "one less")
        await press(pilot, "E")
        await wait_in_app(pilot, lambda: "2 images would be" in read_screen(pilot.app), "the plan")
        await press(pilot, "y")
        await wait_in_app(pilot, lambda: "2 images removed" in read_screen(pilot.app), "the end")
        assert count_found(darkroom) == 4
        assert count_found(darkroom, "is:trashed") == 0
        assert integrity.check_database(darkroom.database) == []
        await wait_in_app(pilot, lambda: not len(screen.history_list.pages), "an empty list")
        await press(pilot, "u")
        assert "Nothing was said" in read_screen(pilot.app)
