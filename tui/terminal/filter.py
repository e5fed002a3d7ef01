"""The gate between the app and the terminal: nothing goes out that it cannot bear or show."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.terminal.glyphs import ASCII_SHAPES
from tui.text import CONTROL_PICTURES

_QUESTION_MARKS = dict.fromkeys(CONTROL_PICTURES, "?")


class ControlFilter(LineFilter):
    """The last gate before the terminal: control characters leave as visible pictures.

    C0, DEL and C1 in text become one visible character each (`?` without `has_pictures`).
    Control characters measure no cell, their pictures one, so a line is cut back to the
    length that it had and never runs into what stands beside it.
    """

    def __init__(self, has_pictures: bool = True) -> None:
        super().__init__()
        self._pictures = CONTROL_PICTURES if has_pictures else _QUESTION_MARKS

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` without control characters; the same list where there are none."""
        if "".join([text for text, _, control in segments if not control]).isprintable():
            return segments
        length = sum(cell_len(text) for text, _, control in segments if not control)
        made = [
            Segment(segment.text.translate(self._pictures), segment.style)
            if _is_unsafe(segment)
            else segment
            for segment in segments
        ]
        return Segment.adjust_line_length(made, length, pad=False)


def _is_unsafe(segment: Segment) -> bool:
    text = segment.text
    if segment.control or text.isprintable():
        return False
    return any(code < 0x20 or 0x7F <= code < 0xA0 for code in map(ord, text))


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
