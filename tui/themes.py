"""The themes of the darkroom. Every colour is a role, every role a theme variable.

`role-focus` is the one accent: what has the focus. `role-negative` is for negative weights
and danger only, `role-proven` for a proven identity only.
"""

from __future__ import annotations

import msgspec
from textual.theme import Theme

from tui.terminal.detect import Surroundings, explain_colours
from tui.theme_files import ANSI, AUTO, CONTRAST, DARK, LIGHT, ThemeFile
from tui.theme_files import ROLES as ROLE_NAMES


def _make_theme(name: str, roles: dict[str, str], *, dark: bool, ansi: bool = False) -> Theme:
    background, text, focus = roles["background"], roles["text"], roles["focus"]
    return Theme(
        name=name,
        primary=focus,
        secondary=roles["quiet"],
        warning=focus,
        error=roles["negative"],
        success=roles["proven"],
        accent=focus,
        foreground=text,
        background=background,
        surface=background,
        panel=roles["raised"],
        boost=roles["raised"],
        dark=dark,
        ansi=ansi,
        variables={
            **{f"role-{role}": colour for role, colour in roles.items()},
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "border": focus,
            "border-blurred": roles["line"],
            "input-cursor-background": focus,
            "input-cursor-foreground": roles["on-focus"],
            "input-cursor-text-style": "none",
            "input-selection-background": roles["selection"],
            "input-selection-foreground": roles["on-selection"],
            "block-cursor-background": focus,
            "block-cursor-foreground": roles["on-focus"],
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": roles["raised"],
            "block-cursor-blurred-foreground": text,
            "scrollbar": roles["line"],
            "scrollbar-hover": roles["quiet"],
            "scrollbar-active": focus,
            "scrollbar-background": background,
            "scrollbar-background-hover": background,
            "scrollbar-background-active": background,
            "scrollbar-corner-color": background,
        },
    )


THEMES = (
    _make_theme(
        DARK,
        {
            "background": "#14110f",
            "text": "#d9d0c5",
            "quiet": "#958a7e",
            "line": "#453b33",
            "focus": "#f0a83c",
            "on-focus": "#14110f",
            "negative": "#e8706a",
            "proven": "#86b86f",
            "raised": "#241d18",
            "selection": "#5c4521",
            "on-selection": "#f4ece0",
        },
        dark=True,
    ),
    _make_theme(
        LIGHT,
        {
            "background": "#f6f1e9",
            "text": "#2b2520",
            "quiet": "#6b6156",
            "line": "#c4b8a8",
            "focus": "#96530a",
            "on-focus": "#fffaf2",
            "negative": "#b3261e",
            "proven": "#2f6b35",
            "raised": "#eae1d3",
            "selection": "#e3c48d",
            "on-selection": "#2b2520",
        },
        dark=False,
    ),
    _make_theme(
        CONTRAST,
        {
            "background": "#000000",
            "text": "#ffffff",
            "quiet": "#d6d6d6",
            "line": "#b0b0b0",
            "focus": "#ffd21f",
            "on-focus": "#000000",
            "negative": "#ff8080",
            "proven": "#6cff6c",
            "raised": "#333333",
            "selection": "#ffd21f",
            "on-selection": "#000000",
        },
        dark=True,
    ),
    _make_theme(
        ANSI,
        {
            "background": "ansi_default",
            "text": "ansi_default",
            "quiet": "ansi_bright_black",
            "line": "ansi_bright_black",
            "focus": "ansi_yellow",
            "on-focus": "ansi_black",
            "negative": "ansi_red",
            "proven": "ansi_green",
            "raised": "ansi_default",
            "selection": "ansi_yellow",
            "on-selection": "ansi_black",
        },
        dark=True,
        ansi=True,
    ),
)

ROLES = {name: value for name, value in THEMES[0].variables.items() if name.startswith("role-")}
"""The roles and their colours in the dark theme, for themes that are not ours."""


def make_theme(name: str, written: ThemeFile) -> Theme:
    """The theme that the person has written."""
    base = THEMES[0 if written.dark else 1]
    roles = {role: base.variables[f"role-{role}"] for role in ROLE_NAMES} | written.roles
    is_ansi = any(colour.startswith("ansi_") for colour in written.roles.values())
    return _make_theme(name, roles, dark=written.dark, ansi=is_ansi)


def choose_theme(around: Surroundings, wanted: str = AUTO) -> str:
    """The theme to begin with: the one that is `wanted`, else what the terminal can show.

    Its own colours where it has no more than 16. NO_COLOR takes the colours out of any theme, and
    decides about none.
    """
    if wanted != AUTO:
        return wanted
    coloured = {name: value for name, value in around.environ.items() if name != "NO_COLOR"}
    around = msgspec.structs.replace(around, environ=coloured)
    return ANSI if explain_colours(around)[0] in ("16", "none") else DARK
