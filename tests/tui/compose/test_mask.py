"""A mask while it is painted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from store.errors import StoreError
from store.pixels import open_image
from tests.factories import make_png
from tests.screens import read_screen, wait_in_app
from tests.tui.host import Host, press
from tui.compose.mask import MaskGrid, MaskScreen
from tui.compose.mask_canvas import Brush, MaskCanvas
from tui.keys import list_active, list_places


def draw(canvas: MaskCanvas) -> list[str]:
    return [
        "".join("#" if canvas.is_painted(column, row) else "." for column in range(canvas.columns))
        for row in range(canvas.rows)
    ]


def test_strokes_are_painted_erased_inverted_and_taken_back() -> None:
    canvas = MaskCanvas(80, 40)
    canvas.set_grid(8, 4)
    canvas.paint((2, 1, 6, 3))
    assert draw(canvas) == ["........", "..####..", "..####..", "........"]
    canvas.paint((2, 1, 4, 2), is_erasing=True)
    canvas.invert()
    assert draw(canvas) == ["########", "####..##", "##....##", "########"]
    canvas.undo()
    canvas.undo()
    assert draw(canvas) == ["........", "..####..", "..####..", "........"]
    assert canvas.share == 0.25
    canvas.paint((2, 1, 6, 3))
    canvas.undo()
    assert canvas.share == 0
    assert not canvas.has_undo


def test_another_grid_shows_the_same_mask() -> None:
    canvas = MaskCanvas(80, 40)
    canvas.set_grid(8, 4)
    canvas.paint((0, 0, 4, 4))
    canvas.set_grid(4, 2)
    assert draw(canvas) == ["##..", "##.."]
    canvas.set_grid(400, 300)
    assert (canvas.columns, canvas.rows) == (80, 40)


def test_what_was_painted_is_black_in_a_file_of_the_image_s_size_and_read_again() -> None:
    canvas = MaskCanvas(80, 40)
    canvas.set_grid(8, 4)
    canvas.paint((0, 0, 1, 1))
    data = canvas.to_png()
    image = open_image(data)
    assert (image.format, image.size) == ("PNG", (80, 40))
    assert (image.getpixel((9, 9)), image.getpixel((10, 10))) == (0, 255)
    again = MaskCanvas(80, 40, data)
    again.set_grid(8, 4)
    assert draw(again) == draw(canvas)


def test_the_brush_stays_inside() -> None:
    brush = Brush()
    for _ in range(30):
        brush.move(-1, -1, 20, 10)
    assert brush.find_cells(20, 10) == (0, 0, 4, 2)
    brush.grow(100)
    assert brush.find_cells(20, 10) == (0, 0, 20, 10)
    brush.grow(-100)
    brush.put(19.5, 9.5, 20, 10)
    assert brush.find_cells(20, 10) == (18, 9, 20, 10)


class Editor:
    """The mask editor over an image of 128 x 128 pixels, and what it gave."""

    def __init__(self, canvas: MaskCanvas | None = None, **environ: str) -> None:
        self.canvas = canvas or MaskCanvas(128, 128)
        self.taken: list[bytes] = []
        self.error: StoreError | None = None
        data = make_png(1, 128)
        self.app = Host(lambda: MaskScreen(data, self.canvas, self._take), environ=environ or None)

    async def _take(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append(data)

    @asynccontextmanager
    async def open(self, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Pilot[None]]:
        async with self.app.run_test(size=size) as pilot:
            await wait_in_app(pilot, lambda: "is made anew" in read_screen(self.app), "the editor")
            await pilot.pause()
            yield pilot

    @property
    def shown(self) -> str:
        return read_screen(self.app)


async def test_nothing_painted_cannot_be_taken_and_what_is_painted_can() -> None:
    editor = Editor()
    async with editor.open() as pilot:
        await press(pilot, "enter")
        assert "Nothing is painted" in editor.shown
        assert not editor.taken
        await press(pilot, "plus", "space", "k", "space")
        assert "░░░░" in editor.shown
        assert "brush 3 · " in editor.shown
        assert editor.canvas.share > 0
        await press(pilot, "enter")
        assert editor.app.answers == [None]
        (data,) = editor.taken
        assert MaskCanvas(128, 128, data).share == editor.canvas.share


async def test_a_brush_held_down_paints_as_it_moves_and_lifted_it_does_not() -> None:
    editor = Editor()
    async with editor.open() as pilot:
        await press(pilot, "minus", "p", "right", "right", "right")
        assert "the brush paints as it moves" in editor.shown
        assert draw(editor.canvas)[editor.canvas.rows // 2].count("#") == 5
        await press(pilot, "p", "right")
        assert "as it moves" not in editor.shown
        assert draw(editor.canvas)[editor.canvas.rows // 2].count("#") == 5
        await press(pilot, "left", "p", "left")
        assert "the brush erases as it moves" in editor.shown
        assert draw(editor.canvas)[editor.canvas.rows // 2].count("#") == 2


async def test_strokes_are_taken_back_until_there_is_none_and_that_is_said() -> None:
    editor = Editor()
    async with editor.open() as pilot:
        await press(pilot, "u")
        assert "There is nothing to undo." in editor.shown
        await press(pilot, "space", "i")
        assert editor.canvas.share > 0.5
        await press(pilot, "u", "u")
        assert editor.canvas.share == 0
        await press(pilot, "u")
        assert "There is nothing to undo." in editor.shown


async def test_a_mask_that_is_refused_says_why_and_stays_open() -> None:
    editor = Editor()
    editor.error = StoreError("The disk is full.")
    async with editor.open() as pilot:
        await press(pilot, "space", "enter")
        assert "The disk is full." in editor.shown
        assert not editor.app.answers
        editor.error = None
        await press(pilot, "enter")
        assert editor.taken


async def test_leaving_gives_nothing() -> None:
    editor = Editor()
    async with editor.open() as pilot:
        await press(pilot, "space", "escape")
        assert editor.app.answers == [None]
        assert not editor.taken


async def test_the_mouse_paints_a_stroke_and_erases_from_what_is_painted() -> None:
    editor = Editor()
    async with editor.open() as pilot:
        grid = editor.app.screen.query_one(MaskGrid)
        assert await pilot.mouse_down(grid, (50, 10))
        assert await pilot.mouse_up(grid, (50, 10))
        painted = editor.canvas.share
        assert painted > 0
        await pilot.click(grid, (50, 10))
        assert editor.canvas.share < painted


async def test_every_key_of_the_editor_stands_in_line_and_help() -> None:
    editor = Editor()
    async with editor.open((160, 30)) as pilot:
        assert "← ↓ ↑ → move" in editor.shown
        assert "+ - brush" in editor.shown
        places = dict(list_places(editor.app.screen, {}))
        names = {hint.binding.id for hint in places["while painting a mask"]}
        active = {hint.binding.id for hint in list_active(editor.app.screen, {})}
        for name in ("left", "far_up", "paint", "hold", "larger", "invert", "undo", "accept"):
            assert f"mask.{name}" in names & active
        assert "mask.leave" in names & active
        await press(pilot, "question_mark")
        assert "Hold the brush down" in editor.shown
        assert "(Nothing is painted" in editor.shown


async def test_a_terminal_without_unicode_gets_none_from_the_editor() -> None:
    editor = Editor(TERM="xterm-256color", LANG="C")
    async with editor.open() as pilot:
        await press(pilot, "space")
        assert "####" in editor.shown
        assert "brush 2 - " in editor.shown
        inner = [line[1:-1] for line in editor.shown.splitlines()[1:-2]]
        assert "".join(inner).isascii()
