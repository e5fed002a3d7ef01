"""The screen as a whole: sizes, help, palette, keys, looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.dom import DOMNode

from store.records import Draft, DraftPrompt
from tests.factories import make_request
from tests.repeats import keep
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.compose.parameters import ParameterList
from tui.compose.prompts import PromptStack
from tui.compose.recent import RecentStrip
from tui.compose.screen import ComposeScreen
from tui.dialogs import HelpScreen
from tui.keymap import list_families
from tui.keys import list_bindings, split_keys
from tui.themes import ROLES, THEMES

START = with_place(
    Draft(prompts=(DraftPrompt(text="night sky"), DraftPrompt(text="fog", weight=-1.0)), seed=5)
)
FORBIDDEN = {
    *("ctrl+m", "ctrl+i", "ctrl+h", "ctrl+left_square_bracket", "ctrl+enter", "alt+enter"),
    *("shift+enter", "ctrl+s", "ctrl+a", "ctrl+b"),
}


FAMILIES: list[list[type[DOMNode]]] = list_families()


def test_no_key_is_bound_that_terminals_send_as_another_one() -> None:
    used = {
        key
        for family in FAMILIES
        for node in family
        for binding in list_bindings(node)
        for key in split_keys(binding.key)
    }
    assert not used & FORBIDDEN


def test_ctrl_z_does_what_it_does_everywhere() -> None:
    acts = {
        binding.action
        for family in FAMILIES
        for node in family
        for binding in list_bindings(node)
        if "ctrl+z" in split_keys(binding.key)
    }
    assert acts == {"suspend_process"}


def test_each_binding_has_words_and_an_id_of_its_own() -> None:
    found: dict[str, tuple[str, str]] = {}
    for node in dict.fromkeys(node for family in FAMILIES for node in family):
        for binding in list_bindings(node):
            assert binding.tooltip, binding.id
            facts = (binding.action, binding.tooltip)
            assert found.setdefault(binding.id or "", facts) == facts


def test_no_key_is_bound_twice_where_both_hold() -> None:
    for family in FAMILIES:
        bindings = [binding for node in family for binding in list_bindings(node)]
        keys = [key for binding in bindings for key in split_keys(binding.key)]
        assert {key for key in keys if keys.count(key) > 1} == set(), family


def test_every_binding_has_an_action_behind_it() -> None:
    for node in dict.fromkeys(node for family in FAMILIES for node in family):
        for binding in list_bindings(node):
            name = binding.action.partition("(")[0]
            target = SafelightApp if name.startswith("app.") else node
            assert callable(getattr(target, f"action_{name.removeprefix('app.')}")), binding.id


@pytest.mark.parametrize(
    ("columns", "rows"),
    keep(
        [(120, 40), (80, 24), (100, 24), (60, 24), (80, 16), (200, 60)],
        lambda size: size in ((120, 40), (60, 24), (80, 16)),
    ),
)
@pytest.mark.samples(2)
async def test_everything_is_in_reach_at_every_size(
    tmp_path: Path, columns: int, rows: int
) -> None:
    size = (columns, rows)
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


@pytest.mark.exhaustive
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
    async with running(DeskDarkroom(tmp_path, START), (120, 160)) as (app, pilot):
        await pilot.press("question_mark")
        await wait_for(lambda: isinstance(app.screen, HelpScreen), "the help")
        await pilot.pause()
        shown = " ".join(read_screen(app).split())
        for node in (SafelightApp, ComposeScreen, PromptStack, ParameterList, RecentStrip):
            for binding in list_bindings(node):
                assert binding.tooltip.split(":")[0][:40] in shown, binding.id
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
@pytest.mark.samples(1)
async def test_every_theme_defines_every_role_and_is_kept(tmp_path: Path, theme: str) -> None:
    definition = next(each for each in THEMES if each.name == theme)
    assert {name for name in definition.variables if name.startswith("role-")} == set(ROLES)
    darkroom = DeskDarkroom(tmp_path, with_place(START, theme=theme))
    async with running(darkroom) as (app, pilot):
        assert app.theme == theme
        assert "−1.0" in read_screen(app)
        await pilot.press("T", "down", "enter")
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
