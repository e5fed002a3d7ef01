"""Which looks there are, and with which one begins."""

from __future__ import annotations

import pytest

from tui.terminal.detect import Surroundings
from tui.themes import ANSI, DARK, THEMES, choose_theme, name_following


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


def test_themes_follow_each_other_round() -> None:
    names = [theme.name for theme in THEMES]
    assert [name_following(name) for name in names] == [*names[1:], names[0]]
    assert name_following("no theme of ours") == names[0]


def test_every_theme_has_every_role() -> None:
    roles = [{name for name in theme.variables if name.startswith("role-")} for theme in THEMES]
    assert all(found == roles[0] for found in roles)
