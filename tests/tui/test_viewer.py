"""One image on the whole screen."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image as Pillow
from textual.pilot import Pilot

from store.errors import StoreError
from store.records import Draft, DraftPrompt
from tests.factories import make_plain, make_request
from tests.repeats import mark
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.history.screen import HistoryScreen
from tui.viewer import ZOOMS, ViewerScreen, cut_part

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5))
SIZES = [(80, 24), mark(((60, 40),)), mark(((20, 5),)), mark(((200, 60),))]


@contextlib.asynccontextmanager
async def viewing(
    tmp_path: Path, *before: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], ViewerScreen]]:
    """The viewer over the compose screen, or over where `before` leads; three images are there."""
    darkroom = DeskDarkroom(tmp_path, START)
    for seed in (1, 2, 3):
        darkroom.add_image(make_request("a [b]castle[/b]", seed=seed))
    async with running(darkroom, size) as (app, pilot):
        await wait_for(lambda: app.compose_screen.image, "the image")
        for key in before:
            await pilot.press(key)
            await pilot.pause()
        if before:
            await wait_for(lambda: getattr(app.screen, "image", None), "the image there")
        await pilot.press("z")
        await wait_for(lambda: isinstance(app.screen, ViewerScreen), "the viewer")
        screen = app.screen
        assert isinstance(screen, ViewerScreen)
        await wait_for(lambda: screen.query_one("Picture").has_image, "the picture")  # type: ignore[attr-defined]
        yield pilot, screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_image_has_the_whole_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with viewing(tmp_path, size=size) as (pilot, screen):
        picture = screen.query_one("#viewer-picture")
        assert picture.size.width == size[0]
        assert picture.size.height == size[1] - 2
        shown = read_screen(pilot.app)
        assert "seed 3" in shown
        if size[0] >= 60:
            assert "a [b]castle[/b]" in shown
            assert "back" in shown
        await pilot.press("z")
        await wait_for(lambda: pilot.app.screen is not screen, "the screen below")


async def test_the_next_and_the_one_before_are_those_of_the_strip(tmp_path: Path) -> None:
    async with viewing(tmp_path) as (pilot, _):
        for key, seed in (("n", 2), ("n", 1), ("n", 1), ("p", 2), ("p", 3), ("p", 3)):
            await pilot.press(key)
            await wait_for(lambda: f"seed {seed}" in read_screen(pilot.app), f"seed {seed}")  # noqa: B023
        assert "There is no other one that way." in read_screen(pilot.app)
        await pilot.press("n", "escape")
        compose = pilot.app.screen
        await wait_for(lambda: compose.making.image.seed == 2, "what was looked at last")  # type: ignore[attr-defined]


async def test_in_the_history_they_are_those_of_the_list(tmp_path: Path) -> None:
    async with viewing(tmp_path, "h") as (pilot, _):
        await pilot.press("n")
        await wait_for(lambda: "seed 2" in read_screen(pilot.app), "the next")
        await pilot.press("escape")
        history = pilot.app.screen
        assert isinstance(history, HistoryScreen)
        assert history.history_list.cursor == 1


async def test_a_part_is_shown_larger_and_looked_around_in(tmp_path: Path) -> None:
    async with viewing(tmp_path) as (pilot, screen):
        await pilot.press("right")
        assert "+ makes it larger" in read_screen(pilot.app)
        await pilot.press("plus", "plus")
        assert ZOOMS[screen.zoom] == 2
        await wait_for(lambda: "2 times as large" in read_screen(pilot.app), "the words")
        for _ in range(9):
            await pilot.press("right", "down")
        assert screen.centre == (0.75, 0.75), "not beyond the edge"
        await pilot.press("h", "k")
        assert screen.centre == (0.625, 0.625)
        for _ in ZOOMS:
            await pilot.press("minus")
        assert screen.zoom == 0
        await pilot.press("plus", "n")
        assert (screen.zoom, screen.centre) == (0, (0.5, 0.5)), "the next one is seen as a whole"


@pytest.mark.parametrize(
    ("zoom", "centre", "size", "colours"),
    [
        (2.0, (0.25, 0.25), (50, 50), {"red"}),
        (2.0, (0.75, 0.75), (50, 50), {"blue"}),
        (2.0, (0.5, 0.5), (50, 50), {"red", "blue"}),
        (16.0, (0.1, 0.1), (6, 6), {"red"}),
        (1.0, (0.9, 0.9), (100, 100), {"red", "blue"}),
    ],
)
def test_what_is_cut_out_is_where_one_looks(
    zoom: float, centre: tuple[float, float], size: tuple[int, int], colours: set[str]
) -> None:
    image = Pillow.new("RGB", (100, 100), "red")
    image.paste("blue", (50, 50, 100, 100))
    file = io.BytesIO()
    image.save(file, "PNG")
    part = cut_part(file.getvalue(), zoom, centre, (40, 20))
    with Pillow.open(io.BytesIO(part)) as cut:
        assert cut.size == size
        names = {(255, 0, 0): "red", (0, 0, 255): "blue"}
        assert {names[colour] for _, colour in cut.getcolors() or []} == colours  # type: ignore[index]


def test_a_wide_screen_shows_more_of_the_width_of_a_part() -> None:
    part = cut_part(make_plain(size=(100, 100)), 4.0, (0.5, 0.5), (80, 20))
    with Pillow.open(io.BytesIO(part)) as cut:
        assert cut.size == (50, 25)


def test_what_is_no_image_is_told() -> None:
    with pytest.raises(StoreError):
        cut_part(b"no image", 2.0, (0.5, 0.5), (80, 20))
