"""The screen as a whole: sizes, help, palette, keys, looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.records import Draft, DraftPrompt
from tests.factories import make_request
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.actions import ACTIONS, BY_ID
from tui.screens.compose import ComposeScreen
from tui.screens.help import HelpScreen
from tui.themes import ROLES, THEMES

START = with_place(
    Draft(prompts=(DraftPrompt(text="night sky"), DraftPrompt(text="fog", weight=-1.0)), seed=5)
)
FORBIDDEN = {
    *("ctrl+m", "ctrl+i", "ctrl+h", "ctrl+left_square_bracket", "ctrl+enter", "alt+enter"),
    *("shift+enter", "ctrl+s", "ctrl+z", "ctrl+a", "ctrl+b"),
}


def test_no_key_is_bound_that_terminals_send_as_another_one() -> None:
    used = {key for action in ACTIONS for key in action.keys}
    assert not used & FORBIDDEN


def test_each_action_is_there_once_and_no_key_twice_in_one_place() -> None:
    assert len(BY_ID) == len(ACTIONS)
    everywhere = [key for a in ACTIONS if a.context == "compose" for key in a.keys]
    for context in ("prompts", "parameters"):
        here = [key for a in ACTIONS if a.context == context for key in a.keys]
        assert len(here) == len(set(here))
        assert not set(here) & set(everywhere)


async def test_every_action_has_something_behind_it(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, _):
        acted = {a.id for a in ACTIONS if a.context in ("compose", "prompts", "parameters")}
        assert acted == set(app.compose_screen.handled_actions)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (100, 24), (60, 24), (80, 16), (200, 60)])
async def test_everything_is_in_reach_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image(make_request(seed=77))
    async with running(darkroom, size) as (app, pilot):
        seen = ""
        for _ in range(4):
            await pilot.pause()
            seen += read_screen(app)
            if app.compose_screen.get_part() == "parameters":
                await pilot.press("down")
                seen += read_screen(app)
            await pilot.press("tab")
        for wanted in ("night sky", "−1.0", "steps", "150", "128 × 128", "k_dpmpp_2m", "77"):
            assert wanted in seen, wanted
        last = read_screen(app).splitlines()[-1]
        assert "? help" in last
        assert "ctrl+j generate" in last


async def test_turning_the_terminal_keeps_an_open_editor(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("enter", *" deep")
        await pilot.resize_terminal(60, 20)
        await pilot.press(*"er")
        await pilot.resize_terminal(120, 40)
        await pilot.press("escape")
        assert darkroom.draft.prompts[0].text == "night sky deeper"
        assert "typing" not in read_screen(app).splitlines()[-1]


async def test_help_lists_every_action_and_why_one_cannot_be_done(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START), (120, 80)) as (app, pilot):
        await pilot.press("question_mark")
        await wait_for(lambda: isinstance(app.screen, HelpScreen), "the help")
        await pilot.pause()
        shown = " ".join(read_screen(app).split())
        for action in (a for a in ACTIONS if a.context in ComposeScreen.ACTION_CONTEXTS):
            assert action.description.split(":")[0][:40] in shown, action.id
        assert "There is no image yet" in shown
        await pilot.press("escape")
        await wait_for(lambda: app.screen is app.compose_screen, "the way back")


async def test_help_is_reached_while_typing(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, pilot):
        await pilot.press("enter", "f1")
        await wait_for(lambda: isinstance(app.screen, HelpScreen), "the help")
        await pilot.press("escape")
        await wait_for(lambda: app.screen is app.compose_screen, "the way back")
        assert app.compose_screen.is_typing


async def test_the_palette_runs_the_same_actions(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+p")
        await wait_for(lambda: app.screen is not app.compose_screen, "the palette")
        await pilot.press(*"generate the images")
        await wait_for(lambda: "Generate the images" in read_screen(app), "the command")
        await pilot.press("enter")
        await wait_for(lambda: darkroom.sent, "the job")


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
async def test_every_look_defines_every_role_and_is_kept(tmp_path: Path, theme: str) -> None:
    definition = next(each for each in THEMES if each.name == theme)
    assert {name for name in definition.variables if name.startswith("role-")} == set(ROLES)
    darkroom = DeskDarkroom(tmp_path, with_place(START, theme=theme))
    async with running(darkroom) as (app, pilot):
        assert app.theme == theme
        assert "−1.0" in read_screen(app)
        await pilot.press("T")
        assert darkroom.draft.place["theme"] == app.theme != theme


async def test_a_sixteen_colour_terminal_gets_its_own_colours(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START), TERM="linux", COLORTERM="") as (app, _):
        assert app.theme == "terminal colours"


async def test_nothing_is_drawn_while_nothing_happens(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, pilot):
        await pilot.press("enter", "x")
        await pilot.pause()
        drawn: list[object] = []

        def note(*args: object) -> None:
            drawn.append(args)

        app._display = note  # type: ignore[method-assign, assignment]
        await pilot.pause(1.2)
        assert drawn == []
