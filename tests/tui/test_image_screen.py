"""Keys of screens on which one image is meant: saving it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from tests.screens import join_lines, read_screen, wait_in_app
from tests.tui.history.opening import NARROW, make_history, open_history
from tests.tui.host import press
from tui.dialogs import PathScreen


async def test_saving_asks_for_a_folder_once_and_says_the_path(tmp_path: Path) -> None:
    darkroom = make_history(2)
    folder = tmp_path / "new"
    async with open_history(darkroom) as (pilot, screen):
        app = pilot.app
        await press(pilot, "s")
        await wait_in_app(pilot, lambda: isinstance(app.screen, PathScreen), "the question")
        assert "A folder; it is made where there is none." in join_lines(read_screen(app))
        app.screen.query_one(Input).value = str(folder)
        await press(pilot, "enter")
        await wait_in_app(pilot, lambda: app.screen is screen, "the end of the question")
        assert (folder / "2.png").read_bytes() == darkroom.files[darkroom.images[1].id]
        await wait_in_app(pilot, lambda: "Saved as" in read_screen(app), "the path")
        await press(pilot, "s")
        await wait_in_app(pilot, lambda: (folder / "2-2.png").exists(), "another file")
        await wait_in_app(pilot, lambda: "2-2.png" in join_lines(read_screen(app)), "its path")
        assert app.screen is screen


async def test_another_folder_is_asked_for_by_its_own_key(tmp_path: Path) -> None:
    darkroom = make_history(1)
    darkroom.export_folder = str(tmp_path / "old")
    async with open_history(darkroom, NARROW) as (pilot, screen):
        app = pilot.app
        await press(pilot, "W")
        await wait_in_app(pilot, lambda: isinstance(app.screen, PathScreen), "the question")
        assert app.screen.query_one(Input).value == f"{tmp_path / 'old'}/"
        app.screen.query_one(Input).value = str(tmp_path / "other")
        await press(pilot, "enter")
        await wait_in_app(pilot, lambda: app.screen is screen, "the end of the question")
        assert (tmp_path / "other" / "1.png").exists()
        assert darkroom.export_folder == str(tmp_path / "other")


async def test_all_marked_images_are_saved(tmp_path: Path) -> None:
    darkroom = make_history(4)
    darkroom.export_folder = str(tmp_path)
    async with open_history(darkroom) as (pilot, screen):
        app = pilot.app
        await press(pilot, "space", "space")
        await wait_in_app(pilot, lambda: screen.history_list.count_marked() == 2, "two marks")
        await press(pilot, "s")
        said = f"Saved 2 images in {tmp_path}"[:60]
        await wait_in_app(pilot, lambda: said in join_lines(read_screen(app)), "the end")
        assert sorted(each.name for each in tmp_path.iterdir()) == ["3.png", "4.png"], (
            "space marks and goes on"
        )


@pytest.mark.parametrize("is_asked", [True, False])
async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, is_asked: bool) -> None:
    darkroom = make_history(1)
    (tmp_path / "file").write_text("x")
    if not is_asked:
        darkroom.export_folder = str(tmp_path / "file")
    async with open_history(darkroom) as (pilot, screen):
        app = pilot.app
        await press(pilot, "s")
        if is_asked:
            await wait_in_app(pilot, lambda: isinstance(app.screen, PathScreen), "the question")
            app.screen.query_one(Input).value = str(tmp_path / "file")
            await press(pilot, "enter")
        await wait_in_app(pilot, lambda: "is no folder" in join_lines(read_screen(app)), "why")
        assert (app.screen is screen) is not is_asked
        assert darkroom.export_folder != str(tmp_path / "other")
