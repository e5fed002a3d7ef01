"""The lineage of an image, walked by keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from store.records import Draft, DraftPrompt, Image, Imported, Purpose, Relation, Verdict
from tests.factories import make_request
from tests.repeats import mark
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.history.screen import HistoryScreen
from tui.lineage.screen import LineageScreen
from tui.lineage.tree import CHILDREN_READ

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5))
SIZES = [mark(((60, 40),)), (80, 24), mark(((120, 40),)), (200, 60)]


def make_family(tmp_path: Path) -> tuple[DeskDarkroom, list[Image]]:
    """A first image, one edited from it, two of that one, and one of the last."""
    darkroom = DeskDarkroom(tmp_path, START)

    def add(parent: Image | None, relation: Relation | None, **changes: Any) -> Image:
        request = make_request("night [bold]sky[/bold]", **changes)
        parent_id = None if parent is None else parent.id
        return darkroom.add_image(request, parent_id=parent_id, relation=relation)

    first = add(None, None, seed=1)
    edited = add(first, Relation.EDIT, seed=1, cfg_scale=9.0)
    varied = add(edited, Relation.VARIATION, seed=2)
    again = darkroom.add_image(varied.request, parent_id=edited.id, purpose=Purpose.REGENERATE)
    larger = add(again, Relation.UPSCALE, seed=2, width=256, height=256)
    darkroom.add_verification(edited, Verdict.IDENTICAL)
    return darkroom, [first, edited, varied, again, larger]


async def open_lineage(app: SafelightApp, pilot: Pilot[None], image: Image) -> LineageScreen:
    await wait_for(lambda: app.compose_screen.making.image, "the image")
    app.compose_screen.choose(image)
    await pilot.press("A")
    await wait_for(lambda: isinstance(app.screen, LineageScreen), "the screen")
    screen = app.screen
    assert isinstance(screen, LineageScreen)
    await wait_for(lambda: screen.image is not None and screen.image.id == image.id, "the tree")
    await pilot.pause()
    return screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_line_upwards_and_what_came_of_it_are_one_tree(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    darkroom, (first, edited, varied, again, larger) = make_family(tmp_path)
    async with running(darkroom, size) as (app, pilot):
        screen = await open_lineage(app, pilot, edited)
        text = read_screen(app)
        places = [text.index(image.id[:8], text.index("▼")) for image in (first, edited, varied)]
        assert places == sorted(places)
        assert f"{first.id[:8]} · the first of its line" in text
        assert f"{edited.id[:8]} ✓ edited: cfg 8→9" in text
        assert f"{varied.id[:8]} · varied:" in text
        assert f"{again.id[:8]} · made again" in text
        assert larger.id[:8] not in text
        await pilot.press("down", "down", "right")
        await wait_for(lambda: larger.id[:8] in read_screen(app), "its child")
        await pilot.press("right")
        assert screen.image == larger
        assert "made larger: 256 x 256" in read_screen(app)
        await pilot.press("left", "left")
        assert larger.id[:8] not in read_screen(app)
        await pilot.press("escape")
        assert app.screen is app.compose_screen


async def test_what_is_meant_is_the_image_under_the_cursor(tmp_path: Path) -> None:
    darkroom, (first, edited, *_) = make_family(tmp_path)
    async with running(darkroom) as (app, pilot):
        screen = await open_lineage(app, pilot, edited)
        await pilot.press("A")
        assert read_message(app) == "This is the lineage of that image."
        await pilot.press("up", "v")
        assert ("verify", first.id) in darkroom.calls
        await pilot.press("A")
        await wait_for(lambda: "lineage of " + first.id[:8] in read_screen(app), "the other tree")
        assert screen.image == first
        await pilot.press("L", "enter")
        await wait_for(lambda: app.screen is app.compose_screen, "the editor")
        await wait_for(lambda: darkroom.draft.parent_id == first.id, "the request")


async def test_enter_shows_the_image_in_the_history(tmp_path: Path) -> None:
    darkroom, (first, edited, *_) = make_family(tmp_path)
    async with running(darkroom) as (app, pilot):
        await open_lineage(app, pilot, edited)
        await pilot.press("up", "enter")
        await wait_for(lambda: isinstance(app.screen, HistoryScreen), "the history")
        history = app.screen
        assert isinstance(history, HistoryScreen)
        await wait_for(lambda: history.image is not None and history.image.id == first.id, "it")
        await pilot.press("A")
        await wait_for(lambda: isinstance(app.screen, LineageScreen), "the tree")
        await pilot.press("enter")
        await wait_for(lambda: app.screen is history, "the same history")


async def test_many_children_come_in_pages_and_new_ones_by_themselves(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    first = darkroom.add_image(make_request("night"))
    for seed in range(1, 2 * CHILDREN_READ + 8):
        darkroom.add_image(make_request("night", seed=seed), parent_id=first.id)
    async with running(darkroom, (120, 200)) as (app, pilot):
        screen = await open_lineage(app, pilot, first)
        assert len(screen.tree_view.list_images()) == CHILDREN_READ + 1
        assert f"and {CHILDREN_READ + 7} more" in read_screen(app)
        await pilot.press("end")
        assert screen.image is None
        await pilot.press("y")
        assert "There is no image" in read_message(app)
        await pilot.press("enter")
        await wait_for(lambda: "and 7 more" in read_screen(app), "the next page")
        next_one = darkroom.images[CHILDREN_READ + 1]
        await wait_for(lambda: screen.image == next_one, "the cursor on the next one")
        await pilot.press("end", "enter")
        await wait_for(lambda: len(screen.tree_view.list_images()) == len(darkroom.images), "all")
        darkroom.add_image(make_request("night", seed=900), parent_id=first.id)
        await wait_for(lambda: len(screen.tree_view.list_images()) == len(darkroom.images), "it")


async def test_an_origin_a_ring_and_a_parent_that_is_gone_are_said(tmp_path: Path) -> None:
    darkroom, (first, edited, *_) = make_family(tmp_path)
    came = Imported(dialect="a1111", grade="mapped", file_name="cat\x1b.png")
    darkroom.images[0] = msgspec.structs.replace(first, imported=came)
    async with running(darkroom) as (app, pilot):
        await open_lineage(app, pilot, edited)
        assert "imported from cat␛.png (a1111)" in read_screen(app)
        await pilot.press("escape")
        darkroom.images[0] = msgspec.structs.replace(first, parent_id="ab" * 16)
        await open_lineage(app, pilot, edited)
        assert "from abababab, which is not in the history" in read_screen(app)
        await pilot.press("escape")
        darkroom.images[0] = msgspec.structs.replace(first, parent_id=edited.id)
        await open_lineage(app, pilot, edited)
        assert "a record is damaged" in read_screen(app)
        assert "stands above already" in read_screen(app)


async def test_a_terminal_without_unicode_gets_none(tmp_path: Path) -> None:
    darkroom, (_, edited, *_) = make_family(tmp_path)
    async with running(darkroom, LANG="C", LC_ALL="C") as (app, pilot):
        await open_lineage(app, pilot, edited)
        tree = read_screen(app).split("lineage of")[1].splitlines()
        lines = [line[2:50].split("night")[0] for line in tree if edited.id[:8] in line][1:]
        assert all(line.isascii() for line in lines), lines
