"""What is done with many images of a history on disk at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engines.settings import Settings
from store import history, integrity
from store.annotations import apply_mark
from store.records import Draft, Mark
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.store.helpers import make_images
from tests.tui.host import Host, press
from tests.tui.pilot import read_message
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


async def test_marked_images_are_saved_with_their_seeds_as_names(tmp_path: Path) -> None:
    async with open_stored(tmp_path / "data") as (pilot, _, darkroom):
        await press(pilot, "space", "space", "s")
        await wait_in_app(pilot, lambda: "save 2 marked" in read_screen(pilot.app), "the question")
        await press(pilot, *["backspace"] * 4, *str(tmp_path / "out"), "enter")
        await wait_in_app(pilot, lambda: "Saved 2 images in" in read_screen(pilot.app), "the end")
        assert len(list((tmp_path / "out").iterdir())) == 2
        # All of them have the same file.
        history.get_image(darkroom.database, "@1").path.unlink()
        await press(pilot, "s")
        await wait_in_app(pilot, lambda: "Saved 0 images in" in read_message(pilot.app), "the end")
        assert "Without their files were" in read_message(pilot.app)
        assert len(list((tmp_path / "out").iterdir())) == 2


async def test_marked_images_are_verified_as_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.worker.process.ensure_worker", lambda _: None)
    async with open_stored(tmp_path) as (pilot, _, darkroom):
        await press(pilot, "space", "space", "B")
        await wait_in_app(pilot, lambda: "Verifying 2 images" in read_screen(pilot.app), "the run")
        (run,) = await darkroom.list_runs()
        assert run.total == 2


async def test_thinning_says_what_keeps_its_pixels(tmp_path: Path) -> None:
    async with open_stored(tmp_path, (120, 40)) as (pilot, _, darkroom):
        apply_mark(darkroom.database, [1], Mark(is_favourite=True))
        await press(pilot, "a", "D")
        await wait_in_app(pilot, lambda: "5 never verified" in read_screen(pilot.app), "why not")
        assert "1 a favourite" in read_screen(pilot.app)
        await press(pilot, "R")
        await wait_in_app(pilot, lambda: "None of them was thinned" in read_screen(pilot.app), "it")
