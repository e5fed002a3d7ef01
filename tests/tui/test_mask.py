"""A mask while it is painted."""

from __future__ import annotations

from store.pixels import open_image
from tui.compose.mask_canvas import Brush, MaskCanvas


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
