"""What a terminal is asked at the start, and what becomes of its answers."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.screens import Terminal, open_terminal
from tui.terminal import remembered
from tui.terminal.answers import LARGEST_CELL, NAME_LENGTH, QUESTIONS, Answers, read_answers
from tui.terminal.detect import Tmux
from tui.terminal.probe import Opening, Probe, find_tmux, list_questions
from tui.terminal.remembered import recall_answers, remember_answers

NAME = b"\x1bP>|XTerm(390)\x1b\\"
KEEPS = b"\x1bP1$r48:2::1:2:3m\x1b\\"
KITTY = b"\x1b_Gi=31;OK\x1b\\"
CELL = b"\x1b[6;18;9t"
END = b"\x1b[?64;1;4;22c"
ANSWERS = NAME + KEEPS + KITTY + CELL + END
XTERM = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


class Line:
    """Both ends of a terminal: `far` is where a person and the terminal itself are."""

    def __init__(self) -> None:
        self.far, self.near = os.openpty()
        self.before = termios.tcgetattr(self.near)

    def read_questions(self) -> bytes:
        """What was asked; all of it is there as soon as it was written."""
        os.set_blocking(self.far, False)
        try:
            return os.read(self.far, 65536)
        except BlockingIOError:
            return b""


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    for descriptor in (made.far, made.near):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_what_the_terminal_answers_is_understood(line: Line) -> None:
    probe = Probe(line.near, XTERM)
    asked = line.read_questions()
    assert all(question in asked for question in QUESTIONS.values())
    os.write(line.far, ANSWERS)
    answers, opening = probe.finish()
    assert answers == Answers(
        asked=tuple(QUESTIONS),
        name="XTerm(390)",
        has_truecolor=True,
        has_kitty=True,
        has_sixel=True,
        cell=(9, 18),
        is_whole=True,
    )
    assert opening.typed == b""
    assert termios.tcgetattr(line.near) == line.before


def test_what_is_typed_meanwhile_is_kept_and_not_shown(line: Line) -> None:
    probe = Probe(line.near, XTERM)
    line.read_questions()
    os.write(line.far, b"a " + NAME + "caf\xe9".encode() + KEEPS + b"\x1b[A" + END + b"later")
    answers, opening = probe.finish()
    assert answers.is_whole
    assert opening.typed == b"a caf\xc3\xa9\x1b[Alater"
    assert line.read_questions() == b"", "nothing was echoed"


def test_a_terminal_that_says_nothing_is_given_up(line: Line) -> None:
    probe = Probe(line.near, XTERM)
    os.write(line.far, b"night" + NAME[:7])
    answers, opening = probe.finish(0.01)
    assert answers == Answers(asked=tuple(QUESTIONS))
    assert opening.typed == b"night" + NAME[:7]
    assert termios.tcgetattr(line.near) == line.before
    # The rest of it comes when the screen is there.
    assert opening.listen(NAME[7:] + KEEPS) is None
    late = opening.listen(END)
    assert late is not None
    assert (late.name, late.has_truecolor, late.is_whole) == ("XTerm(390)", True, True)
    assert opening.listen(END) is None


def test_what_comes_without_an_end_is_not_held(line: Line) -> None:
    opening = Opening(asked=("attributes",))
    for _ in range(100):
        assert opening.listen(b"x" * 4096) is None
    assert opening.listen(END) is None


def test_the_terminal_is_left_as_it_was_when_the_start_fails(line: Line) -> None:
    with contextlib.suppress(ZeroDivisionError), Probe(line.near, XTERM):
        assert termios.tcgetattr(line.near) != line.before
        raise ZeroDivisionError
    assert termios.tcgetattr(line.near) == line.before


@pytest.mark.parametrize("term", ["dumb", "linux", "vt100", "vt220", ""])
def test_a_terminal_that_might_show_the_questions_is_asked_nothing(line: Line, term: str) -> None:
    with Probe(line.near, XTERM | {"TERM": term}) as probe:
        assert line.read_questions() == b""
        assert termios.tcgetattr(line.near) == line.before
        assert probe.finish()[0] == Answers()


def test_nothing_is_asked_where_the_person_wants_that(line: Line, tmp_path: Path) -> None:
    program = tmp_path / "tmux"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    program.chmod(0o700)
    environ = XTERM | {"TMUX": "x", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    with Probe(line.near, environ, is_wanted=False):
        assert line.read_questions() == b""
    assert not (tmp_path / "asked").exists()


def test_tmux_and_screen_are_not_asked_what_their_terminal_has() -> None:
    for environ in ({"TERM": "tmux-256color", "TMUX": "x"}, {"TERM": "screen", "STY": "x"}):
        assert set(list_questions(environ)) == {"name", "cell size", "attributes"}
    apple = XTERM | {"TERM_PROGRAM": "Apple_Terminal"}
    assert "kitty graphics" not in list_questions(apple)
    assert list(list_questions(XTERM))[-1] == "attributes", "it ends the answers"


def test_a_tmux_that_cannot_be_asked_is_none(tmp_path: Path) -> None:
    program = tmp_path / "tmux"
    environ = {"PATH": str(tmp_path), "TMUX": "/tmp/x,1,0", "TMUX_PANE": "%1"}
    assert find_tmux(environ) is None
    for script in ("exit 1", "echo nonsense", "kill -9 $$"):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        assert find_tmux(environ) is None
    program.write_text("#!/bin/sh\nprintf 'all\\tclipboard,RGB\\txterm-kitty\\n'\n")
    assert find_tmux(environ) == Tmux(
        has_passthrough=True, features=("clipboard", "RGB"), term="xterm-kitty"
    )


@pytest.mark.parametrize(
    ("style", "keeps"),
    [
        (b"48:2:1:2:3", True),
        (b"48:2::1:2:3", True),
        (b"0;48;2;1;2;3", True),
        (b"48:2:0:1:2:3", True),
        (b"0;48:5:16", False),
        (b"48:2:1:2:4", False),
        (b"0", False),
        (b"", False),
    ],
)
def test_a_colour_that_comes_back_was_kept(style: bytes, keeps: bool) -> None:
    answers, rest = read_answers(b"\x1bP1$r" + style + b"m\x1b\\")
    assert (answers.has_truecolor, rest) == (keeps, b"")
    assert read_answers(b"\x1bP0$r\x1b\\")[0].has_truecolor is None


@given(
    st.lists(
        st.one_of(
            st.sampled_from([NAME, KEEPS, KITTY, CELL, END, b"\x1b", b"\x1bP", b"\x1b["]),
            st.binary(max_size=40),
        ),
        max_size=12,
    ),
    st.integers(0, 400),
)
def test_any_bytes_are_answers_or_stay(parts: list[bytes], cut: int) -> None:
    data = b"".join(parts)[: cut + 40]
    answers, rest = read_answers(data)
    assert len(answers.name) <= NAME_LENGTH
    assert answers.name.isprintable()
    assert answers.cell is None or max(answers.cell) <= LARGEST_CELL
    assert len(rest) <= len(data)
    text = bytes(sign for sign in data if sign > 0x7F)
    assert set(text) >= {sign for sign in rest if sign > 0x7F}


def test_a_terminal_is_known_again_and_others_are_not(tmp_path: Path) -> None:
    answers = read_answers(ANSWERS, ("name",))[0]
    assert recall_answers(tmp_path, XTERM) is None
    remember_answers(tmp_path, XTERM, answers)
    known = recall_answers(tmp_path, XTERM)
    assert known is not None
    assert (known.name, known.is_remembered) == ("XTerm(390)", True)
    assert recall_answers(tmp_path, XTERM | {"SSH_CONNECTION": "10.0.0.9 5 10.0.0.1 22"}) is None
    path = tmp_path / remembered.FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    for place in range(remembered.MOST_TERMINALS + 5):
        remember_answers(tmp_path, {"TERM": str(place)}, answers)
    assert recall_answers(tmp_path, XTERM) is None, "the oldest goes"
    assert path.stat().st_size < remembered.FILE_BYTES


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"[" * 50_000, b'{"a": {"cell": [1]}}', b'{"x": {"name": 3}}']
)
def test_a_damaged_memory_of_terminals_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / remembered.FILE_NAME).write_bytes(data)
    assert recall_answers(tmp_path, XTERM) is None
    remember_answers(tmp_path, XTERM, read_answers(ANSWERS)[0])
    assert recall_answers(tmp_path, XTERM) is not None


def test_nothing_is_remembered_where_there_is_no_folder(tmp_path: Path) -> None:
    remember_answers(tmp_path / "none", XTERM, read_answers(ANSWERS)[0])
    assert list(tmp_path.iterdir()) == []


# The whole program, in a terminal that answers


@contextlib.contextmanager
def open_darkroom(home: Path, *arguments: str, **environ: str) -> Iterator[Terminal]:
    paths = {name: str(home) for name in ("HOME", "SAFELIGHT_HOME", "XDG_CONFIG_HOME")}
    argv = [sys.executable, "-m", "tui", *arguments]
    with open_terminal(
        argv, columns=100, rows=30, environ=paths | {"COLORTERM": ""} | environ
    ) as terminal:
        yield terminal


def leave(terminal: Terminal) -> None:
    terminal.send("\x11")
    assert terminal.wait_for_end() == 0


def test_a_terminal_that_keeps_any_colour_gets_any_and_no_stray_character(tmp_path: Path) -> None:
    with open_darkroom(tmp_path) as terminal:
        terminal.wait_until(lambda: QUESTIONS["attributes"] in terminal.raw)
        terminal.send(b"sky" + ANSWERS + b" above")
        terminal.wait_for_text("sky above")
        assert b"48;2;" in terminal.raw
        assert b"48;5;" not in terminal.raw
        leave(terminal)


def test_answers_that_come_late_are_no_keys_and_are_known_the_next_time(tmp_path: Path) -> None:
    with open_darkroom(tmp_path) as terminal:
        terminal.wait_for_text("prompts")
        # What is typed and what is answered may come so soon after one another that it is one read.
        terminal.send("sky ")
        terminal.send("above")
        terminal.send(ANSWERS)
        terminal.wait_for_text("sky above")
        terminal.wait_for_text("The next start uses all that it can show.")
        assert "XTerm" not in terminal.text
        assert b"48;2;" not in terminal.raw[terminal.raw.index(b"?1049h") :]
        leave(terminal)
    with open_darkroom(tmp_path) as terminal:
        terminal.wait_for_text("sky above")
        assert b"48;2;" in terminal.raw[terminal.raw.index(b"?1049h") :]
        leave(terminal)


@pytest.mark.exhaustive
def test_the_flags_go_before_what_the_terminal_answers(tmp_path: Path) -> None:
    with open_darkroom(tmp_path, "--colours", "256", "--images", "cells") as terminal:
        terminal.wait_until(lambda: QUESTIONS["attributes"] in terminal.raw)
        terminal.send(ANSWERS)
        terminal.wait_for_text("prompts")
        assert b"48;2;" not in terminal.raw[terminal.raw.index(b"?1049h") :]
        leave(terminal)
    with open_darkroom(tmp_path, "--images", "holograms") as terminal:
        terminal.wait_for_text("--images holograms is not known.")
        terminal.wait_for_text("kitty")
        assert terminal.wait_for_end() == 2
    with open_darkroom(tmp_path, "--colours", "16", "history") as terminal:
        terminal.wait_for_text("--colours is of the darkroom")
        assert terminal.wait_for_end() == 2


def test_the_doctor_says_what_was_asked_answered_and_chosen(tmp_path: Path) -> None:
    with open_darkroom(tmp_path, "doctor") as terminal:
        terminal.wait_until(lambda: QUESTIONS["attributes"] in terminal.raw)
        terminal.send(ANSWERS)
        terminal.wait_for_text("XTerm(390), any colour, kitty graphics, sixel graphics")
        terminal.wait_for_text("sixel: XTerm(390) answers that it has sixel graphics")
        terminal.wait_for_end()
