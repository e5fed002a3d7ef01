"""Styles carried from run to run: the same screen in fewer bytes."""

from __future__ import annotations

from typing import Any

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.terminal.carried import RESET, carry_styles

COLOURS = st.one_of(
    st.just(""),
    st.sampled_from(["31", "97"]),
    st.integers(0, 255).map("38;5;{}".format),
    st.tuples(*[st.integers(0, 255)] * 3).map(lambda rgb: "38;2;{};{};{}".format(*rgb)),
)
PAPERS = COLOURS.map(lambda text: ("4" if text[0] == "3" else "10") + text[1:] if text else "")
STYLES = st.tuples(
    st.lists(st.sampled_from(["1", "3", "4", "7", "9"]), max_size=2, unique=True), COLOURS, PAPERS
).map(lambda style: ";".join([*style[0], *filter(None, style[1:])]))
RUNS = st.tuples(STYLES, st.text("ab\u2580\u2591 ", min_size=1, max_size=6)).map(
    lambda run: f"\x1b[{run[0]}m{run[1]}{RESET}" if run[0] else run[1]
)
MOVES = st.one_of(
    st.just("\r\n"),
    st.tuples(st.integers(1, 8), st.integers(1, 30)).map(lambda at: "\x1b[{};{}H".format(*at)),
    st.sampled_from(["\x1b[2J", "\x1b[K", "\x1b[?25l", "\x1b]8;id=1;x\x1b\\\\"]),
)


def show(text: str) -> list[list[Any]]:
    screen = pyte.Screen(40, 10)
    pyte.Stream(screen).feed(text)
    cells = [[screen.buffer[y][x] for x in range(40)] for y in range(10)]
    # What is written next, too.
    return [*cells, [screen.cursor.attrs]]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(RUNS, MOVES, st.text("xy", max_size=3)), max_size=20))
def test_the_screen_is_the_same_in_no_more_bytes(parts: list[str]) -> None:
    text = "".join(parts)
    carried = carry_styles(text)
    assert show(carried) == show(text)
    assert len(carried) <= len(text)


def test_only_what_changes_is_sent() -> None:
    first = f"\x1b[38;2;1;2;3;48;2;4;5;6ma{RESET}"
    second = f"\x1b[38;2;1;2;3;48;2;7;8;9mb{RESET}"
    third = f"\x1b[1;38;2;1;2;3;48;2;7;8;9mc{RESET}"
    assert carry_styles(first + "\r\n" + second + third + "d") == (
        "\x1b[38;2;1;2;3;48;2;4;5;6ma\r\n\x1b[48;2;7;8;9mb\x1b[1mc\x1b[0md"
    )
    assert carry_styles(first * 2) == "\x1b[38;2;1;2;3;48;2;4;5;6maa\x1b[0m"


def test_a_style_that_is_not_known_is_passed_on() -> None:
    for odd in ("\x1b[4:3m", "\x1b[38;9;1m", "\x1b[38;2;1m", "\x1b[12345m", "\x1b[27m"):
        text = f"\x1b[31ma{RESET}\x1b[32mb{odd}c{RESET}\x1b[31md{RESET}"
        assert carry_styles(text).endswith(f"{odd}c{RESET}\x1b[31md{RESET}")


@given(st.text("\x1b[;:m0123456789ab\r\n", max_size=60))
def test_nothing_that_is_no_style_is_lost(text: str) -> None:
    def keep(part: str) -> str:
        return "".join(sign for sign in part if sign in "ab\r\n")

    assert keep(carry_styles(text + RESET)) == keep(text + RESET)
