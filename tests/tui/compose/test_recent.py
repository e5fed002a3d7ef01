"""The strip of recent images."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from store.records import Image, Verdict
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.compose.recent import RecentStrip
from tui.themes import ROLES


class StripApp(App[None]):
    """Nothing but the strip, `height` rows high."""

    def __init__(self, darkroom: MemoryDarkroom, height: int) -> None:
        super().__init__()
        self._darkroom, self._height = darkroom, height
        self.chosen: list[Image] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(ROLES)

    def compose(self) -> ComposeResult:
        strip = RecentStrip(self._darkroom, id="strip")
        strip.styles.height = self._height
        yield strip

    @property
    def strip(self) -> RecentStrip:
        return self.query_one(RecentStrip)

    def on_recent_strip_image_chosen(self, message: RecentStrip.ImageChosen) -> None:
        self.chosen.append(message.image)
        self.strip.shown_id = message.image.id


def make_darkroom(count: int = 3) -> MemoryDarkroom:
    darkroom = MemoryDarkroom()
    for number in range(count):
        darkroom.add_image(make_request("night", seed=1000 + number, cfg_scale=7.0 + number))
    return darkroom


async def fill(pilot: Pilot[None], app: StripApp, darkroom: MemoryDarkroom) -> None:
    app.strip.images = tuple(darkroom.images[::-1])
    app.strip.focus()
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_newest_left_with_mark_seed_and_what_changed(size: tuple[int, int]) -> None:
    darkroom = make_darkroom()
    darkroom.add_verification(darkroom.images[1], Verdict.IDENTICAL)
    app = StripApp(darkroom, 8)
    async with app.run_test(size=size) as pilot:
        await fill(pilot, app, darkroom)
        text = read_screen(app)
        assert text.index("1002") < text.index("1001") < text.index("1000")
        assert "✓ 1001" in text
        assert "· 1002" in text
        assert "seed, cfg 8→9" in text


async def test_thumbnails_stand_above_and_one_row_leaves_the_seeds() -> None:
    darkroom = make_darkroom(5)
    app = StripApp(darkroom, 8)
    async with app.run_test(size=(80, 24)) as pilot:
        await fill(pilot, app, darkroom)
        blocks = "▁▂▃▄▅▆▇▉▊▋▌▍▎▏▘▝▖▗▚"
        await wait_in_app(
            pilot, lambda: any(sign in read_screen(app) for sign in blocks), "the thumbnails"
        )
        app.strip.styles.height = 1
        await wait_in_app(pilot, lambda: app.strip.size.height == 1, "the flat strip")
        await pilot.pause()
        line = read_screen(app).splitlines()[0].split()
        assert [word for word in line if word.isdigit()] == ["1004", "1003", "1002", "1001", "1000"]


async def test_keys_choose_and_enter_posts_the_image() -> None:
    darkroom = make_darkroom()
    app = StripApp(darkroom, 8)
    async with app.run_test(size=(80, 24)) as pilot:
        await fill(pilot, app, darkroom)
        await pilot.press("right", "right", "right", "left", "enter")
        assert app.chosen[-1].seed == 1001
        await pilot.press("home", "enter")
        assert app.chosen[-1].seed == 1002
        await pilot.press("end", "enter")
        assert app.chosen[-1].seed == 1000


async def test_a_click_chooses_the_frame_under_it() -> None:
    darkroom = make_darkroom()
    app = StripApp(darkroom, 8)
    async with app.run_test(size=(80, 24)) as pilot:
        await fill(pilot, app, darkroom)
        await pilot.click(RecentStrip, offset=(22, 2))
        assert [image.seed for image in app.chosen] == [1001]
        await pilot.click(RecentStrip, offset=(75, 2))
        assert len(app.chosen) == 1


async def test_the_cursor_scrolls_and_stays_on_its_image_when_new_ones_come() -> None:
    darkroom = make_darkroom(12)
    app = StripApp(darkroom, 8)
    async with app.run_test(size=(80, 24)) as pilot:
        await fill(pilot, app, darkroom)
        await pilot.press(*["right"] * 9)
        assert "1002" in read_screen(app)
        darkroom.add_image(make_request("night", seed=2000))
        await fill(pilot, app, darkroom)
        assert app.strip.chosen == darkroom.images[2]
        await pilot.press("home")
        assert "2000" in read_screen(app)


async def test_an_empty_strip_and_an_image_without_thumbnail_do_no_harm() -> None:
    darkroom = make_darkroom(2)
    darkroom.files.pop(darkroom.images[0].id)
    app = StripApp(darkroom, 8)
    async with app.run_test(size=(80, 24)) as pilot:
        app.strip.focus()
        await pilot.press("right", "enter", "home", "end")
        assert not read_screen(app).strip(), "nothing is said before the history was read"
        app.strip.is_read = True
        await pilot.pause()
        assert "No image yet" in read_screen(app)
        assert not app.chosen
        await fill(pilot, app, darkroom)
        assert "1000" in read_screen(app)
