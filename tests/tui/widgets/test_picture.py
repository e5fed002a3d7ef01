"""The widget that shows one image."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.factories import make_plain, make_png
from tests.screens import read_screen, wait_in_app
from tui.terminal.detect import Display, Surroundings, read_display
from tui.widgets.picture import Picture


class Shower(App[None]):
    """Nothing but a picture."""

    terminal_display: Display | None = None

    def compose(self) -> ComposeResult:
        yield Picture(id="picture")


def read_pixels(app: App[None]) -> dict[tuple[int, int], str]:
    """The background colour of each cell that the picture covers."""
    picture = app.query_one(Picture)
    cells: dict[tuple[int, int], str] = {}
    for y in range(picture.size.height):
        x = 0
        for segment in picture.render_line(y):
            for _ in segment.text:
                if segment.style and segment.style.bgcolor and segment.style.color:
                    cells[x, y] = str(segment.style.bgcolor.name)
                x += 1
    return cells


async def show(pilot: Pilot[None], data: bytes | None, caption: str = "") -> Picture:
    picture = pilot.app.query_one(Picture)
    picture.show_image(data, caption=caption)
    return picture


def make_flat(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    return make_plain(colour, (width, height))


def measure_cover(app: App[None], colour: str) -> tuple[int, int, int, int]:
    """First and last column and row that show `colour`."""
    found = [place for place, name in read_pixels(app).items() if name == colour]
    columns, rows = [x for x, _ in found], [y for _, y in found]
    return min(columns), max(columns), min(rows), max(rows)


async def test_a_picture_is_as_large_as_fits_and_in_the_middle_and_follows_the_size() -> None:
    app = Shower()
    async with app.run_test(size=(80, 24)) as pilot:
        picture = await show(pilot, make_flat(128, 128, (200, 10, 10)))
        await wait_in_app(pilot, lambda: picture.has_image, "the picture")
        assert measure_cover(app, "#c80a0a") == (16, 63, 0, 23)
        await pilot.resize_terminal(40, 24)
        await wait_in_app(
            pilot, lambda: measure_cover(app, "#c80a0a") == (0, 39, 2, 21), "the smaller picture"
        )


async def test_another_image_takes_its_place_and_none_leaves_the_caption() -> None:
    app = Shower()
    async with app.run_test(size=(80, 24)) as pilot:
        picture = await show(pilot, make_png(1))
        await wait_in_app(pilot, lambda: picture.has_image, "the picture")
        before = read_pixels(app)
        await show(pilot, make_png(2))
        await wait_in_app(pilot, lambda: read_pixels(app) != before, "the other picture")
        await show(pilot, None, "[/x] no image [@click=app.quit]yet")
        await wait_in_app(
            pilot, lambda: "[/x] no image [@click=app.quit]yet" in read_screen(app), "the caption"
        )
        assert not picture.has_image


async def test_a_damaged_image_is_explained_in_its_place() -> None:
    app = Shower()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, make_png(1)[:60])
        await wait_in_app(pilot, lambda: "not a readable" in read_screen(app), "the reason")
        await show(pilot, b"%!PS-Adobe-3.0")
        await wait_in_app(pilot, lambda: "not a readable" in read_screen(app), "the reason")
        picture = await show(pilot, make_png(1))
        await wait_in_app(pilot, lambda: picture.has_image, "the picture")
        assert "not a readable" not in read_screen(app)


async def test_where_pictures_are_off_the_words_stand_there() -> None:
    app = Shower()
    app.terminal_display = read_display(Surroundings(environ={"TERM": "dumb"}))
    async with app.run_test(size=(80, 24)) as pilot:
        picture = await show(pilot, make_png(1), "a fish\nin a pond")
        await wait_in_app(pilot, lambda: "in a pond" in read_screen(app), "the words")
        assert not picture.has_image


async def test_a_picture_is_drawn_once_however_often_it_is_painted() -> None:
    app = Shower()
    async with app.run_test(size=(80, 24)) as pilot:
        picture = await show(pilot, make_png(1))
        await wait_in_app(pilot, lambda: picture.has_image, "the picture")
        line = picture.render_line(3)
        picture.refresh()
        await pilot.pause()
        assert picture.render_line(3) is line
