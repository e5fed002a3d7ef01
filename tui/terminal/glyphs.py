"""The few signs that are not ASCII, and what stands for them where a terminal lacks them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Glyphs(msgspec.Struct, frozen=True, kw_only=True):
    """One set of signs; each is one cell wide, but those in `keys`."""

    has_unicode: bool = True
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
    times: str = "×"
    chosen: str = "●"
    keys: Mapping[str, str] = msgspec.field(
        default_factory=lambda: {"left": "←", "right": "→", "up": "↑", "down": "↓"}
    )


UNICODE = Glyphs()
ASCII = Glyphs(
    has_unicode=False,
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
    times="x",
    chosen="*",
    keys={},
)


def _list_shapes() -> dict[int, str]:
    shapes = dict.fromkeys(range(0x2500, 0x2580), "+")
    for across in "─━┄┅┈┉╌╍═╴╶╸╺╼╾":
        shapes[ord(across)] = "-"
    for upright in "│┃┆┇┊┋╎╏║╵╷╹╻╽╿":
        shapes[ord(upright)] = "|"
    shapes |= dict.fromkeys(range(0x2580, 0x25A0), "#")
    shapes |= {ord(sign): plain for sign, plain in zip("▁▔▏▕░", "_-||.", strict=True)}
    return shapes | {
        ord(sign): plain
        for sign, plain in zip("▶▸▼▾▲▴◀◂●○■□✓✔✗✕…‹›←→↑↓", ">>vv^^<<*o#-vvxx~<><>^v", strict=True)
    }


ASCII_SHAPES: Mapping[int, str] = _list_shapes()
"""What stands for the lines, blocks and arrows of frames and bars, each one cell wide."""
