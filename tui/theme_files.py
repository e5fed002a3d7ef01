"""The names of the themes, and those that the person has written: `themes/NAME.toml`.

Nothing here imports Textual: a mistake in a file is told before the screen is taken.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engines.config_file import read_config_file
from engines.keys import SettingsError
from store.limits import suggest

DARK, LIGHT, CONTRAST, ANSI = BUILT_IN = (
    "darkroom",
    "daylight",
    "high contrast",
    "terminal colours",
)
"""The themes that are always there."""

AUTO = "auto"
"""The setting for a theme that the terminal decides."""

ROLES: Mapping[str, str] = {
    "background": "behind everything",
    "text": "what is read",
    "quiet": "what explains, and is read second",
    "line": "frames, and scroll bars",
    "focus": "what has the focus; the one accent",
    "on-focus": "text on the accent",
    "negative": "negative weights, and danger",
    "proven": "a proven identity alone",
    "raised": "fields and dialogs",
    "selection": "behind selected text",
    "on-selection": "selected text",
}
"""What has a colour of its own in a theme, and what it is for."""

FILES_MAXIMUM = 50
NAME_LENGTH = 40
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_ANSI_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_ANSI = ["ansi_default"]
_ANSI += [f"ansi_{bright}{name}" for name in _ANSI_NAMES for bright in ("", "bright_")]


class ThemeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A theme as it is written: whether it is dark, and the colours of its roles.

    A role that is left out has that of `darkroom`, or of `daylight` where `dark` is false.
    """

    dark: bool = True
    roles: dict[str, str] = {}


class ThemeChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which theme to begin with, by its name or `auto`, and the person's own ones by name.

    `is_given`: it was said at this start, and goes before the one that a session has kept.
    """

    name: str = AUTO
    own: Mapping[str, ThemeFile] = {}
    is_given: bool = False


def read_theme_files(folder: Path) -> dict[str, ThemeFile]:
    """The themes in `folder` by the names of their files; none where it is not there.

    Raises `SettingsError` for the first one that is no theme.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError:
        return {}
    if len(paths) > FILES_MAXIMUM:
        raise SettingsError(
            f"{folder} holds {len(paths)} themes.", f"{FILES_MAXIMUM} are the most."
        )
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> ThemeFile:
    name = path.stem
    if name in (*BUILT_IN, AUTO) or not name.isprintable() or len(name) > NAME_LENGTH:
        raise SettingsError(
            f"{path} cannot be the name of a theme.",
            f"Names have up to {NAME_LENGTH} signs, and are not {', '.join((*BUILT_IN, AUTO))}.",
        )
    config = read_config_file(path, {})
    theme = config.convert(config.tables, ThemeFile)
    for role, colour in theme.roles.items():
        if role not in ROLES:
            raise SettingsError(f"{path}: there is no role {role!r}.", suggest(role, ROLES))
        if not _HEX.fullmatch(colour) and colour not in _ANSI:
            near = difflib.get_close_matches(colour, _ANSI, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"{path}: [roles] {role}: {colour!r} is no colour.",
                f"Write it like '#f0a83c', 'ansi_yellow', 'ansi_bright_black'.{meant}",
            )
    return theme


def check_theme(name: str, own: Mapping[str, ThemeFile]) -> None:
    """Raise `SettingsError` unless `name` is a theme, or `auto`."""
    known = (AUTO, *BUILT_IN, *own)
    if name not in known:
        raise SettingsError(f"There is no theme {name!r}.", suggest(name, known))
