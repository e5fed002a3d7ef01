"""The gate between the app and the terminal: nothing goes out that it cannot bear or show."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from store.invisible import ACTING
from tui.terminal.glyphs import ASCII_SHAPES
from tui.text import CONTROL_PICTURES


class ControlFilter(LineFilter):
    """The last gate before the terminal: what `store.invisible` calls acting does not pass.

    C0, DEL and C1 in text become one visible character each (`?` without `has_pictures`).
    Control characters measure no cell, their pictures one, so a line is cut back to the
    length that it had and never runs into what stands beside it. What else acts (directions, tags,
    separators) and measures no cell is left out, so that what stands in a field keeps its place.
    """

    def __init__(self, has_pictures: bool = True) -> None:
        super().__init__()
        self._pictures = CONTROL_PICTURES if has_pictures else {}
        self._unknown = "\ufffd" if has_pictures else "?"

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` without acting characters; the same list where there are none."""
        text = "".join([text for text, _, control in segments if not control])
        if text.isprintable() or ACTING.search(text) is None:
            return segments
        length = sum(cell_len(text) for text, _, control in segments if not control)
        made = [
            segment
            if segment.control
            else Segment(ACTING.sub(self._replace, segment.text), segment.style)
            for segment in segments
        ]
        return Segment.adjust_line_length(made, length, pad=False)

    def _replace(self, found: re.Match[str]) -> str:
        sign = found[0]
        if sign < "\xa0":
            return self._pictures.get(ord(sign), self._unknown)
        return self._unknown if "\ud800" <= sign <= "\udfff" or cell_len(sign) else ""


class ShapeFilter(LineFilter):
    """Frames, bars and arrows in ASCII, for a terminal that has no other signs.

    Most of them are drawn by Textual's own widgets, which know nothing of the terminal.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` with plain shapes; the same list where there are no others."""
        if all(segment.text.isascii() for segment in segments):
            return segments
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(segment.text.translate(ASCII_SHAPES), segment.style)
            for segment in segments
        ]
