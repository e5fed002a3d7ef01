"""The few signs that are not ASCII, and what stands for them where a terminal lacks them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Glyphs(msgspec.Struct, frozen=True, kw_only=True):
    """One set of signs; each is one cell wide, but those in `keys`."""

    minus: str = "\u2212"
    dot: str = "·"
    cursor: str = "▌"
    full: str = "█"
    left_half: str = "▌"
    right_half: str = "▐"
    middle: str = "│"
    open: str = "▕"
    close: str = "▏"
    beyond_left: str = "◂"
    beyond_right: str = "▸"
    ellipsis: str = "…"
    warning: str = "!"
    proven: str = "✓"
    unequal: str = "≠"
    times: str = "×"
    keys: Mapping[str, str] = {"left": "←", "right": "→", "up": "↑", "down": "↓"}


UNICODE = Glyphs()
ASCII = Glyphs(
    minus="-",
    dot="-",
    cursor=">",
    full="#",
    left_half="#",
    right_half="#",
    middle="|",
    open="[",
    close="]",
    beyond_left="<",
    beyond_right=">",
    ellipsis="~",
    proven="=",
    unequal="#",
    times="x",
    keys={},
)


def has_unicode(environ: Mapping[str, str]) -> bool:
    """Whether the locale says that the terminal shows UTF-8.

    `LC_ALL`, `LC_CTYPE`, `LANG` in this order, as the C library reads them. The Linux
    console's fonts lack most of the signs.
    """
    if environ.get("TERM") in ("linux", "vt100", "vt220", "dumb"):
        return False
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := environ.get(name):
            return "utf-8" in value.lower() or "utf8" in value.lower()
    return False


def choose_glyphs(environ: Mapping[str, str]) -> Glyphs:
    """The set that the terminal can show."""
    return UNICODE if has_unicode(environ) else ASCII
