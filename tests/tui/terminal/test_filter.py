"""The last gate: what acts on a terminal does not pass, and nothing moves out of its place."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.segment import ControlType, Segment
from textual.color import Color

from tui.terminal.filter import ControlFilter, ShapeFilter

BLACK = Color(0, 0, 0)


def show(*texts: str, has_pictures: bool = True) -> str:
    segments = [Segment(text) for text in texts]
    return "".join(segment.text for segment in ControlFilter(has_pictures).apply(segments, BLACK))


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u061c", "\u2028", "\U000e0041", "\u200b"])
def test_what_acts_and_measures_nothing_is_left_out(sign: str) -> None:
    assert show(f"ab{sign}c", "|") == "abc|"


@pytest.mark.parametrize("sign", ["\u00ad", "\u0600", "\ud800"])
def test_what_has_a_cell_keeps_it(sign: str) -> None:
    shown = show(f"ab{sign}c|")
    assert shown.startswith("ab\ufffdc")
    assert cell_len(shown) == cell_len(f"ab{sign}c|")
    assert show(f"ab{sign}c|", has_pictures=False).startswith("ab?c")


def test_controls_become_pictures_and_the_line_keeps_its_length() -> None:
    assert show("ab\x1bcd", "|") == "ab␛cd"
    assert show("ab\x1bcd", "|", has_pictures=False) == "ab?cd"


@pytest.mark.parametrize(
    "text", ["می\u200cخو", "👨\u200d👩\u200d👧", "猫 é 👍", "\U0010eeee\u0305"]
)
def test_what_people_write_and_images_are_made_of_passes(text: str) -> None:
    assert show(text) == text


def test_the_programs_own_controls_pass() -> None:
    segments = [Segment("\x1b[2J", None, [(ControlType.CLEAR,)]), Segment("x\u202e")]
    assert [one.text for one in ControlFilter().apply(segments, BLACK)] == ["\x1b[2J", "x"]


def test_shapes_become_ascii_and_what_only_the_terminal_reads_stays() -> None:
    title = Segment("\x1b]0;─\x07", None, [(ControlType.SET_WINDOW_TITLE, "─")])
    shown = ShapeFilter().apply([title, Segment("│ a ─")], BLACK)
    assert shown[0] == title
    assert shown[1].text == "| a -"
