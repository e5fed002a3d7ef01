"""Which themes there are, with which one begins, and those of a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.keys import SettingsError
from store.records import Draft
from tests.tui.desk_darkroom import UTF8, DeskDarkroom, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.dialogs import ThemeScreen
from tui.terminal.detect import Surroundings
from tui.theme_files import (
    ANSI,
    BUILT_IN,
    DARK,
    ROLES,
    ThemeChoice,
    check_theme,
    read_theme_files,
)
from tui.themes import THEMES, choose_theme, make_theme


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "xterm-256color"}, DARK),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, DARK),
        ({"TERM": "xterm-kitty"}, DARK),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, DARK),
        ({"TERM": "xterm"}, ANSI),
        ({"TERM": "linux"}, ANSI),
        ({"TERM": "vt220"}, ANSI),
        ({"TERM": "screen", "STY": "1"}, ANSI),
        ({"TERM": "konsole"}, ANSI),
    ],
)
def test_a_terminal_with_few_colours_begins_with_its_own(
    environ: dict[str, str], theme: str
) -> None:
    assert choose_theme(Surroundings(environ=environ)) == theme


def test_a_theme_that_is_wanted_goes_before_what_the_terminal_decides() -> None:
    assert choose_theme(Surroundings(environ={"TERM": "xterm"}), "daylight") == "daylight"


def test_the_names_that_can_be_chosen_are_those_that_are_there() -> None:
    assert tuple(theme.name for theme in THEMES) == BUILT_IN
    assert {f"role-{name}" for name in ROLES} == {
        name for name in THEMES[0].variables if name.startswith("role-")
    }


async def test_a_theme_that_is_given_at_the_start_goes_before_the_kept_one(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft(), theme="high contrast"))
    for is_given, theme in ((False, "high contrast"), (True, "daylight")):
        choice = ThemeChoice(name="daylight", is_given=is_given)
        app = SafelightApp(darkroom, around=Surroundings(environ=UTF8), themes=choice)
        async with app.run_test():
            await wait_for(lambda: app.compose_screen.is_ready, "the session")  # noqa: B023
            assert app.theme == theme


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text)
    return folder


def test_a_theme_of_ones_own_has_its_colours_and_takes_the_others_from_ours(tmp_path: Path) -> None:
    folder = write(tmp_path / "themes", "paper", 'dark = false\n[roles]\nfocus = "#336699"\n')
    (name, written) = next(iter(read_theme_files(folder).items()))
    theme = make_theme(name, written)
    assert (theme.name, theme.dark, theme.primary) == ("paper", False, "#336699")
    assert theme.variables["role-text"] == THEMES[1].variables["role-text"]
    check_theme("paper", {name: written})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("paper", "[roles]\nfocs = '#336699'", "Did you mean 'focus'?"),
        ("paper", "[roles]\nfocus = 'amber'", "focus: 'amber' is no colour"),
        ("paper", "[roles]\nfocus = 'ansi_yelow'", "Did you mean 'ansi_yellow'?"),
        ("paper", "[roles]\nfocus = 3", "expected a text, got a number"),
        ("paper", "colour = 1", "there is no such setting. Known: dark, roles"),
        ("darkroom", "", "cannot be the name of a theme"),
        ("paper", "[", "is not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_theme_is_told_with_its_place(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as raised:
        read_theme_files(write(tmp_path / "themes", name, text))
    assert said in str(raised.value)
    assert f"{name}.toml" in str(raised.value)


def test_an_unknown_theme_is_told_with_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'daylight'"):
        check_theme("dayligt", {})


def test_every_theme_has_every_role() -> None:
    roles = [{name for name in theme.variables if name.startswith("role-")} for theme in THEMES]
    assert all(found == roles[0] for found in roles)


async def test_a_theme_is_seen_before_it_is_chosen_and_kept_with_the_session(
    tmp_path: Path,
) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft()))
    async with running(darkroom) as (app, pilot):
        assert app.theme == DARK
        await pilot.press("T")
        await wait_for(lambda: isinstance(app.screen, ThemeScreen), "the themes")
        await pilot.press("down")
        assert app.theme == "daylight"
        await pilot.press("escape")
        await wait_for(lambda: app.theme == DARK, "the theme before")
        await pilot.press("T", "h", "i", "g", "enter")
        await wait_for(lambda: darkroom.draft.place.get("theme") == "high contrast", "the choice")
        assert app.theme == "high contrast"
