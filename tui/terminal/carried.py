"""Styles carried from one text to the next, so that only what changes is sent.

Textual writes each run of one style with all of it before and a reset behind. Here the same text is
written with what is different from the run before: a screen looks the same, in fewer bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

RESET = "\x1b[0m"

_STYLE = re.compile(r"\x1b\[([0-9;:]*)m")
_MOVES = re.compile(r"(?:\r\n|\x1b\[[0-9;]*H)+")
"""What only moves the cursor looks the same in any style."""

_PLAIN = ("", "0")

_ATTRIBUTES = (*range(1, 10), 21, 51, 52, 53)
"""What sets an attribute that is no colour."""


class Style(NamedTuple):
    """How text is shown: two colours as parameters ("" is the terminal's own), and the rest."""

    ink: str = ""
    paper: str = ""
    rest: tuple[str, ...] = ()


PLAIN = Style()


def carry_styles(text: str) -> str:
    """What shows the same as `text` does, in as few bytes as may be.

    `text` begins and ends with no style, as all that Textual writes does; so does what is given.
    What cannot be read as a style is passed on as it is, with the style before it as it was.
    """
    if RESET not in text:
        return text
    parts: list[str] = []
    shown = wanted = PLAIN
    end = 0
    for found in _STYLE.finditer(text):
        if found.start() > end:
            between = text[end : found.start()]
            if _MOVES.fullmatch(between) is None:
                parts.append(_change(shown, wanted))
                shown = wanted
            parts.append(between)
        end = found.end()
        style = _apply(wanted, found[1])
        if style is None:
            parts += (_change(shown, wanted), found[0])
            # From here on nothing is known but by a reset.
            shown = wanted = PLAIN
            return "".join(parts) + text[end:]
        wanted = style
    if end < len(text):
        parts.append(_change(shown, wanted))
        parts.append(text[end:])
        shown = wanted
    if shown != PLAIN and wanted == PLAIN:
        parts.append(RESET)
    elif wanted != shown:
        parts.append(_change(shown, wanted))
    return "".join(parts)


def _change(shown: Style, wanted: Style) -> str:
    """What turns one style into another."""
    if shown == wanted:
        return ""
    if wanted == PLAIN:
        return RESET
    changes: list[str] = []
    if shown.rest != wanted.rest:
        if set(shown.rest) <= set(wanted.rest):
            changes += [each for each in wanted.rest if each not in shown.rest]
        else:
            return f"\x1b[{';'.join(['0', *wanted.rest, *filter(None, wanted[:2])])}m"
    if shown.ink != wanted.ink:
        changes.append(wanted.ink or "39")
    if shown.paper != wanted.paper:
        changes.append(wanted.paper or "49")
    return f"\x1b[{';'.join(changes)}m"


def _apply(style: Style, parameters: str) -> Style | None:
    """`style` after a sequence with these parameters; None for what is not known here."""
    if parameters in _PLAIN:
        return PLAIN
    if ":" in parameters:
        return None
    ink, paper, rest = style
    numbers = _read(parameters.split(";"))
    for kind, text in numbers:
        if kind == "reset":
            ink, paper, rest = PLAIN
        elif kind == "ink":
            ink = text
        elif kind == "paper":
            paper = text
        elif kind == "rest":
            rest = rest if text in rest else (*rest, text)
        else:
            return None
    return Style(ink, paper, rest)


def _read(parameters: Sequence[str]) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(parameters):
        text = parameters[place]
        number = int(text) if text and len(text) < 4 else 0 if not text else -1
        place += 1
        if number == 0:
            yield "reset", ""
        elif number in (38, 48):
            kind = "ink" if number == 38 else "paper"
            count = {"5": 2, "2": 4}.get(parameters[place] if place < len(parameters) else "", 0)
            if not count or place + count > len(parameters):
                yield "unknown", ""
                return
            yield kind, ";".join((text, *parameters[place : place + count]))
            place += count
        elif 30 <= number <= 37 or 90 <= number <= 97:
            yield "ink", text
        elif 40 <= number <= 47 or 100 <= number <= 107:
            yield "paper", text
        elif number in (39, 49):
            yield ("ink" if number == 39 else "paper"), ""
        elif number in _ATTRIBUTES:
            yield "rest", text
        else:
            yield "unknown", ""
            return
