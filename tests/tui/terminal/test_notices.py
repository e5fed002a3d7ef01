"""Bells, notifications and titles, as each terminal takes them."""

from __future__ import annotations

import pytest

from tui.terminal.answers import Answers
from tui.terminal.detect import Surroundings, Tmux
from tui.terminal.notices import choose_notification, write_notice, write_title

XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("around", "how"),
    [
        (Surroundings(environ=XTERM, answers=Answers(name="kitty(0.42.0)")), "osc99"),
        (Surroundings(environ=XTERM, answers=Answers(name="WezTerm 20240203")), "osc9"),
        (Surroundings(environ=XTERM, answers=Answers(name="foot(1.16.2)")), "osc777"),
        (Surroundings(environ={"TERM": "xterm-ghostty"}), "osc9"),
        (Surroundings(environ={**XTERM, "TERM_PROGRAM": "iTerm.app"}), "osc9"),
        (
            Surroundings(
                environ={"TERM": "tmux-256color", "TMUX": "x"}, tmux=Tmux(term="xterm-kitty")
            ),
            "osc99",
        ),
        (Surroundings(environ=XTERM, answers=Answers(name="XTerm(379)")), "bell"),
        (Surroundings(environ=XTERM), "bell"),
    ],
)
def test_the_terminal_decides_how_it_is_notified(around: Surroundings, how: str) -> None:
    assert choose_notification(around) == how


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        ("bell", "\x07"),
        ("none", ""),
        ("osc9", "\x1b]9;3 images done\x07"),
        ("osc777", "\x1b]777;notify;safelight;3 images done\x07"),
        ("osc99", "\x1b]99;;3 images done\x1b\\"),
    ],
)
def test_what_the_configuration_says_is_sent(how: str, sent: str) -> None:
    assert write_notice("3 images done", how, Surroundings(environ=XTERM)) == sent


def test_tmux_passes_a_notice_on_and_gets_a_bell_of_its_own() -> None:
    around = Surroundings(environ={"TERM": "tmux-256color", "TMUX": "x"})
    assert write_notice("done", "osc9", around) == "\x1bPtmux;\x1b\x1b]9;done\x07\x1b\\\x07"


def test_nothing_in_a_text_ends_the_sequence_that_it_stands_in() -> None:
    around = Surroundings(environ=XTERM)
    sent = write_notice("a\x07b\x1b\\c;d\x9c", "osc777", around)
    assert sent == "\x1b]777;notify;safelight;a b \\c,d \x07"
    assert write_title("x\x07\x1b]2;y", XTERM) == "\x1b]2;x  ]2;y\x07"


@pytest.mark.parametrize("term", ["linux", "dumb", "vt100", ""])
def test_a_terminal_that_would_show_them_gets_none(term: str) -> None:
    assert write_title("x", {"TERM": term}) == ""
    assert write_notice("x", "osc9", Surroundings(environ={"TERM": term})) == "\x07"
