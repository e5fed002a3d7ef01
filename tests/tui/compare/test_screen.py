"""The compare screen, as a person uses it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from PIL import Image as Pillow

from store.records import Draft, Image
from tests.factories import make_request
from tests.repeats import mark
from tests.screens import join_lines, read_screen, wait_in_app
from tests.tui.compare.opening import SIDE, add_image, open_comparison
from tests.tui.desk_darkroom import DeskDarkroom
from tests.tui.host import Host, press
from tests.tui.memory_darkroom import MemoryDarkroom
from tests.tui.pilot import make_key, read_message, running
from tui.compare.screen import CompareScreen
from tui.history.screen import HistoryScreen
from tui.image_screen import ImageScreen
from tui.terminal.detect import ImageProtocol
from tui.widgets.picture import Picture

ComparisonWanted = ImageScreen.ComparisonWanted


@pytest.fixture
def darkroom() -> MemoryDarkroom:
    darkroom = MemoryDarkroom()
    add_image(darkroom, "navy", make_request("night sky", "fog", seed=1))
    add_image(darkroom, "teal", make_request("night sky", "fog::0.5", seed=1))
    add_image(darkroom, "#0000a0", make_request("night sky", "fog::0.5", seed=3))
    return darkroom


def find_pixel(picture: Picture, x: int, y: int) -> object:
    """What was given to be shown at a place."""
    assert picture._data is not None
    return Pillow.open(io.BytesIO(picture._data)).getpixel((x, y))


async def test_only_what_differs_is_told(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        shown = join_lines(read_screen(pilot.app))
        assert "2 +1.0 → +0.5 fog" in shown
        assert "mean 42.67 of 255, largest 128" in shown
        assert "the same 1 prompt, engine builtin" in shown
        assert f"A {one.id[:8]} seed 1" in shown
        assert f"B {other.id[:8]} seed 1" in shown
        await wait_in_app(
            pilot, lambda: screen.one.has_image and screen.other.has_image, "both images"
        )


@pytest.mark.parametrize("size", [(60, 40), (80, 24), (101, 30)])
async def test_both_halves_have_the_same_size(
    darkroom: MemoryDarkroom, size: tuple[int, int]
) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other, size) as (_, screen):
        assert screen.one.region.size == screen.other.region.size
        assert screen.one.region.right < screen.other.region.x


@pytest.mark.exhaustive
async def test_flicker_shows_one_in_the_place_of_the_other(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "f")
        assert screen.one.region == screen.other.region
        await wait_in_app(pilot, lambda: _find_top(screen) is screen.one, "A")
        assert f"A {one.id[:8]}" in read_screen(pilot.app)
        await press(pilot, "space")
        await wait_in_app(pilot, lambda: _find_top(screen) is screen.other, "B")
        assert f"B {other.id[:8]}" in read_screen(pilot.app)
        await press(pilot, "s")
        assert screen.one.region.right < screen.other.region.x


def _find_top(screen: CompareScreen) -> object:
    """What is seen where the first image is."""
    return screen.get_widget_at(*screen.one.region.offset)[0]


async def test_it_flickers_by_itself_only_when_asked(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "t")
        assert "by itself; t stops" in read_screen(pilot.app)
        await wait_in_app(pilot, lambda: screen.shows_other, "the other image")
        await press(pilot, "t")
        assert "space shows the other" in read_screen(pilot.app)


@pytest.mark.exhaustive
async def test_the_line_of_the_wipe_moves(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "right")
        assert "In the wipe it moves the line" in read_message(pilot.app)
        await press(pilot, "w")
        await wait_in_app(pilot, lambda: screen.made.has_image, "the wipe")
        teal, navy = (0, 128, 128), (0, 0, 128)
        assert find_pixel(screen.made, SIDE // 2 - 3, 0) == navy
        assert find_pixel(screen.made, SIDE // 2 + 3, 0) == teal
        await press(pilot, *["left"] * 30)
        await wait_in_app(pilot, lambda: find_pixel(screen.made, 0, 0) == teal, "B alone")
        await press(pilot, "right", "right")
        await wait_in_app(pilot, lambda: find_pixel(screen.made, 0, 0) == navy, "a strip of A")
        assert "left of 10 %" in read_screen(pilot.app)


async def test_the_difference_tells_its_scale(darkroom: MemoryDarkroom) -> None:
    one, _, other = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "d")
        # 32 levels of blue, as much amplified as they can be
        await wait_in_app(pilot, lambda: screen.made.has_image, "the difference")
        assert "difference x4: black is equal, the largest 32 is shown as 128" in join_lines(
            read_screen(pilot.app)
        )
        assert find_pixel(screen.made, 0, 0) == (0, 0, 128)
        await press(pilot, "plus", "plus")
        await wait_in_app(
            pilot, lambda: find_pixel(screen.made, 0, 0) == (0, 0, 255), "the brighter one"
        )
        assert "difference x16" in read_screen(pilot.app)
        assert "the largest 32 is shown as 255, more is white" in read_screen(pilot.app)
        await press(pilot, *["minus"] * 9)
        assert "difference x1:" in read_screen(pilot.app)


async def test_other_sizes_are_not_laid_over_each_other(darkroom: MemoryDarkroom) -> None:
    wide = add_image(darkroom, "navy", side=64)
    async with open_comparison(darkroom, darkroom.images[0], wide, (80, 24)) as (pilot, screen):
        await press(pilot, "d")
        assert read_message(pilot.app) == (
            "No difference: A is 32 x 32, B 64 x 64, and neither is scaled."
        )
        assert screen.view == "side"
        await press(pilot, "f")
        assert screen.view == "flicker"


async def test_a_file_that_is_gone_is_told_in_its_place(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    del darkroom.files[one.id]
    async with open_comparison(darkroom, one, other) as (pilot, _):
        assert "the file of A cannot be read" in join_lines(read_screen(pilot.app))
        await press(pilot, "w")
        assert "is missing" in read_message(pilot.app)


async def test_keys_wait_until_the_images_are_read(darkroom: MemoryDarkroom) -> None:
    one, other, newest = darkroom.images
    async with open_comparison(darkroom, one, newest) as (pilot, screen):
        # In one burst: each partner is read before the next key asks for the one after it.
        for key in ("x", "n", "d"):
            pilot.app.post_message(make_key(key))
        await wait_in_app(pilot, lambda: screen.view == "difference", "the last key")
        assert screen.pair is not None
        assert (screen.pair.one.image, screen.pair.other.image) == (other, one)


async def test_swap_and_other_partners(darkroom: MemoryDarkroom) -> None:
    one, other, newest = darkroom.images
    async with open_comparison(darkroom, one, newest) as (pilot, screen):

        def is_shown(a: Image, b: Image) -> bool:
            pair = screen.pair
            return pair is not None and (pair.one.image, pair.other.image) == (a, b)

        await press(pilot, "x")
        await wait_in_app(pilot, lambda: is_shown(newest, one), "A and B swapped")
        await press(pilot, "n")
        await wait_in_app(pilot, lambda: is_shown(other, one), "the image before")
        await press(pilot, "n")
        assert "There is no older image to compare with." in read_message(pilot.app)
        await press(pilot, "p")
        await wait_in_app(pilot, lambda: is_shown(newest, one), "the image after")


async def test_room_for_images_or_for_words(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other, (80, 24)) as (pilot, screen):
        both = screen.one.region.height
        await press(pilot, "z")
        assert screen.one.region.height > both
        assert not screen.details.display
        await press(pilot, "z")
        assert screen.details.region.height > 18
        await press(pilot, "z")
        assert screen.one.region.height == both


TERMINALS: Mapping[str, Mapping[str, str]] = {
    "truecolor": {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
    "256": {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
    "16": {"TERM": "xterm-16color", "LANG": "C.UTF-8"},
    "ascii": {"TERM": "xterm", "LANG": "C"},
    "none": {"TERM": "xterm-256color", "LANG": "C.UTF-8", "NO_COLOR": "1"},
}


@pytest.mark.parametrize(
    ("terminal", "size"),
    [
        ("truecolor", (20, 5)),
        mark(("truecolor", (200, 60))),
        ("256", (60, 40)),
        mark(("16", (80, 24))),
        ("ascii", (80, 24)),
        mark(("none", (60, 40))),
    ],
)
@pytest.mark.samples(2)
async def test_every_view_in_every_terminal(
    darkroom: MemoryDarkroom, terminal: str, size: tuple[int, int]
) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other, size, TERMINALS[terminal]) as (pilot, screen):
        for key in ("f", "space", "w", "left", "d", "plus", "s", "z", "z", "z"):
            await press(pilot, key)
            lines = read_screen(pilot.app).splitlines()
            assert all(len(line) <= size[0] for line in lines)
        if terminal == "ascii":
            assert "+1.0 -> +0.5  fog" in screen.details.text


@pytest.mark.parametrize("protocol", ["kitty", "sixel"])
@pytest.mark.samples(1)
async def test_every_view_in_real_pixels(darkroom: MemoryDarkroom, protocol: ImageProtocol) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        app = pilot.app
        assert isinstance(app, Host)
        app.terminal_display = msgspec.structs.replace(
            app.terminal_display, image_protocol=protocol
        )
        for key in ("f", "space", "w", "left", "d", "plus", "s"):
            await press(pilot, key)
        await wait_in_app(
            pilot, lambda: screen.one.has_image and screen.other.has_image, "both images"
        )


async def test_without_images_the_words_are_left(darkroom: MemoryDarkroom) -> None:
    one, other, _ = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        app = pilot.app
        assert isinstance(app, Host)
        display = msgspec.structs.replace(app.terminal_display, image_protocol="none")
        app.terminal_display = display
        await press(pilot, "d", "s", "x")
        await wait_in_app(pilot, lambda: not screen.one.has_image, "words")
        assert "night sky" in read_screen(app)


# From the other screens


@pytest.mark.exhaustive
async def test_from_compose_and_history_and_back_into_the_editor(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, Draft())
    for number in (1, 2, 3):
        add_image(darkroom, "navy", make_request(f"picture {number}", seed=number))
    async with running(darkroom) as (app, hands):
        await hands.press("escape", "c")
        await wait_in_app(hands, lambda: isinstance(app.screen, CompareScreen), "the screen")
        shown = app.screen
        assert isinstance(shown, CompareScreen)
        screen = shown
        await wait_in_app(hands, lambda: screen.pair is not None, "the images")
        assert screen.pair is not None
        assert [screen.pair.one.image.number, screen.pair.other.image.number] == [2, 3]
        await hands.press("escape", "h")
        await wait_in_app(
            hands,
            lambda: isinstance(app.screen, HistoryScreen) and app.screen.image is not None,
            "the history",
        )
        await hands.press("down", "c")
        await wait_in_app(hands, lambda: isinstance(app.screen, CompareScreen), "the screen")
        again = app.screen
        assert isinstance(again, CompareScreen)
        await wait_in_app(hands, lambda: again.pair is not None, "the images")
        await hands.press("A")
        await wait_in_app(hands, lambda: app.screen is app.compose_screen, "the editor")
        assert app.compose_screen.draft.prompts[0].text == "picture 1"
        assert "Loaded all" in read_message(app)


async def test_the_first_partner_is_the_parent(darkroom: MemoryDarkroom) -> None:
    first = darkroom.images[0]
    child = darkroom.add_image(make_request("child"), parent_id=first.id)
    app = Host(lambda: HistoryScreen(darkroom, Draft()), darkroom)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_in_app(
            pilot,
            lambda: isinstance(app.screen, HistoryScreen) and app.screen.image == child,
            "the history",
        )
        await press(pilot, "c")
        await wait_in_app(pilot, lambda: app.messages, "the message")
        wanted = app.messages[0]
        assert isinstance(wanted, HistoryScreen.ComparisonWanted)
        assert (wanted.one, wanted.other) == (first.id, child.id)


async def test_marked_images_are_compared(darkroom: MemoryDarkroom) -> None:
    first, second, third = darkroom.images
    app = Host(lambda: HistoryScreen(darkroom, Draft()), darkroom)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_in_app(
            pilot,
            lambda: isinstance(app.screen, HistoryScreen) and app.screen.image == third,
            "the history",
        )

        def list_wanted() -> list[tuple[str, str]]:
            found = [each for each in app.messages if isinstance(each, ComparisonWanted)]
            return [(each.one, each.other) for each in found]

        # The mark goes on to the next image: one is marked, the cursor on another.
        await press(pilot, "space", "c")
        await wait_in_app(pilot, lambda: list_wanted() == [(third.id, second.id)], "a pair")
        await press(pilot, "down", "space", "c")
        await wait_in_app(pilot, lambda: len(list_wanted()) == 2, "both marked ones")
        assert list_wanted()[1] == (first.id, third.id)
        await press(pilot, "up", "space", "c")
        assert read_message(app) == "3 images are marked; two can be compared."
        assert len(list_wanted()) == 2
