"""Long lines go on below, indented, and nothing of them is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from tui.widgets.text_lines import hang

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=8), max_size=20).map(" ".join)


def test_what_is_too_long_goes_on_below_its_own_beginning() -> None:
    text = Content("  keys      Move the prompt down or up in the stack")
    assert [line.plain.rstrip() for line in hang(text, 34, 12)] == [
        "  keys      Move the prompt down",
        "            or up in the stack",
    ]


@given(WORDS)
def test_nothing_is_lost_and_no_line_is_too_wide(words: str) -> None:
    lines = [line.plain for line in hang(Content(f"key   {words}"), 30, 6)]
    assert all(len(line.rstrip()) <= 30 for line in lines)
    assert all(line.startswith(" " * 6) for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == " ".join(f"key {words}".split())
