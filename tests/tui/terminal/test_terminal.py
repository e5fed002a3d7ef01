"""What the app does to a terminal, seen in a real one."""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from store.draft_json import decode_draft
from store.records import Draft
from tests.repeats import draw
from tests.screens import Terminal, open_terminal
from tests.tui.terminal.hostile_input import make_input
from tests.tui.terminal_program import PAYLOADS
from tests.waiting import wait_until
from tui.compose.screen import PARTS
from tui.terminal.writer import BEHIND_CHARACTERS

ROOT = Path(__file__).parents[3]
INPUTS_EACH = 100


def run_program(
    name: str,
    folder: Path,
    *,
    columns: int = 80,
    rows: int = 24,
    environ: Mapping[str, str] | None = None,
) -> AbstractContextManager[Terminal]:
    """One of the programs of `terminal_program` in a terminal."""
    argv = [sys.executable, "-m", "tests.tui.terminal_program", name, str(folder)]
    paths = {"PYTHONPATH": str(ROOT)}
    return open_terminal(
        argv, columns=columns, rows=rows, environ={**paths, **(environ or {})}, cwd=ROOT
    )


def is_running(process_id: int) -> bool:
    """Whether the process exists and is not merely waiting to be buried."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_closing_the_terminal_ends_the_app_cleanly(tmp_path: Path) -> None:
    with run_program("ticking", tmp_path) as terminal:
        terminal.wait_for_text("line 15")
        terminal.hang_up()
        # 120 is Python's own word for a standard output that is gone at the very end.
        assert terminal.wait_for_end() in (128 + signal.SIGHUP, 120)
    assert (tmp_path / "unmounted").exists()


def test_a_terminal_that_stalls_and_is_then_closed_leaves_no_process(tmp_path: Path) -> None:
    with run_program("stuck", tmp_path) as terminal:
        terminal.wait_for_text("line 15")
        _wait_until_stuck(tmp_path / "ticks")
        terminal.hang_up()
        status = terminal.wait_for_end()
        assert status == 128 + signal.SIGHUP


def _wait_until_stuck(ticks: Path) -> None:
    """Nobody reads from the terminal: wait until the app stands still, writing to it."""
    seen, since = "", time.monotonic()
    deadline = since + 60
    while time.monotonic() - since < 1.0:
        assert time.monotonic() < deadline, "the app never stood still"
        if (now := ticks.read_text()) != seen:
            seen, since = now, time.monotonic()
        os.sched_yield()


def test_sigterm_ends_the_app_and_restores_the_terminal(tmp_path: Path) -> None:
    with run_program("ticking", tmp_path) as terminal:
        terminal.wait_for_text("line 15")
        assert not terminal.is_echoing()
        terminal.signal(signal.SIGTERM)
        assert terminal.wait_for_end() == 128 + signal.SIGTERM
        assert terminal.is_echoing()
        assert b"\x1b[?1049l" in terminal.raw
        assert terminal.raw.rindex(b"\x1b[?1000l") > terminal.raw.rindex(b"\x1b[?1000h")
    assert (tmp_path / "unmounted").exists()


@pytest.mark.parametrize("way", ["hang-up", "SIGTERM"])
@pytest.mark.samples(1)
def test_the_program_itself_ends_and_keeps_what_was_typed(tmp_path: Path, way: str) -> None:
    environ = {"PYTHONPATH": str(ROOT), "SAFELIGHT_HOME": str(tmp_path)}
    argv = [sys.executable, "-m", "tui"]
    with open_terminal(argv, columns=100, rows=30, environ=environ, cwd=ROOT) as terminal:
        terminal.wait_for_text("typing")
        terminal.wait_for_text("worker")
        terminal.send("a fish")
        terminal.wait_for_text("a fish")
        terminal.wait_for_silence()
        if way == "hang-up":
            terminal.hang_up()
        else:
            terminal.signal(signal.SIGTERM)
        status = terminal.wait_for_end()
        assert status in (128 + signal.SIGHUP, 128 + signal.SIGTERM, 120)
        assert way == "hang-up" or terminal.is_echoing()
    with open_terminal(argv, columns=100, rows=30, environ=environ, cwd=ROOT) as terminal:
        terminal.wait_for_text("a fish")


BLIND = "so that nobody sees what is typed here while nothing is read from this terminal; " * 7
PIECE = 12
TURNS = 81


@pytest.mark.exhaustive
def test_what_is_done_while_the_line_stands_still_is_kept_and_then_seen(tmp_path: Path) -> None:
    environ = {"SAFELIGHT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    # Where there are so few columns, another part is another screen.
    with run_program("guarded", tmp_path, columns=60, rows=40, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        terminal.send("a fish")
        terminal.wait_for_text("a fish")
        terminal.send("\x1b")
        terminal.wait_for_text("moving")
        sent = len(terminal.raw)
        for turn in range(1, TURNS + 1):
            terminal.send("\t")
            part = PARTS[turn % len(PARTS)]
            wait_until(functools.partial(is_at, tmp_path / "data", part), f"turn {turn}")
        terminal.wait_for_text("k_dpmpp_2m")
        terminal.wait_for_silence()
        # What was left out is drawn once, and not each of the screens.
        assert len(terminal.raw) - sent < 2 * BEHIND_CHARACTERS
        # The screen is what it is when all is drawn again.
        go_on(terminal, terminal.text)


def is_at(directory: Path, part: str) -> bool:
    return read_draft(directory).place.get("part") == part


def test_a_terminal_that_is_closed_while_it_stands_still_keeps_what_was_typed(
    tmp_path: Path,
) -> None:
    environ = {"SAFELIGHT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with run_program("guarded", tmp_path, columns=100, rows=30, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        type_blindly(terminal, tmp_path / "data")
        terminal.hang_up()
        assert terminal.wait_for_end() in (128 + signal.SIGHUP, 120)
    assert read_text(tmp_path / "data") == BLIND


def type_blindly(terminal: Terminal, directory: Path) -> None:
    """Type so that much is painted, of which nothing is read, until all is in the draft on disk."""
    for end in range(PIECE, len(BLIND) + PIECE, PIECE):
        terminal.send(BLIND[end - PIECE : end])
        wait_until(functools.partial(has_text, directory, BLIND[:end]), f"{end} letters")


def has_text(directory: Path, text: str) -> bool:
    return read_text(directory) == text


def read_text(directory: Path) -> str:
    return read_draft(directory).prompts[0].text


def read_draft(directory: Path) -> Draft:
    """The draft on disk."""
    # The history is opened hundreds of times for it.
    with contextlib.closing(sqlite3.connect(directory / "history.sqlite3")) as connection:
        (stored,) = connection.execute("SELECT draft FROM session").fetchone()
    return decode_draft(stored)


@pytest.mark.parametrize("seed", draw(40, exhaustive=2))
def test_no_bytes_end_the_program_or_make_it_deaf(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    environ = {"SAFELIGHT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with run_program("guarded", tmp_path, columns=100, rows=30, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        for _ in range(INPUTS_EACH):
            for piece in make_input(chance):
                terminal.send(piece)
                terminal.read(0)
        (tmp_path / "end").touch()
        while terminal.status is None:
            terminal.send("\x11")
            with contextlib.suppress(AssertionError):
                terminal.wait_for_end(3)
        assert terminal.status == 0
        assert b"Traceback" not in terminal.raw
        assert terminal.is_echoing()


def is_stopped(process_id: int) -> bool:
    """Whether the process stands still until it is told to go on."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def count_threads(process_id: int) -> int:
    return len(list(Path(f"/proc/{process_id}/task").iterdir()))


def go_on(terminal: Terminal, expected: str) -> None:
    """Let the program go on, and wait until `expected` stands on what was an empty screen."""
    terminal.screen.reset()
    sent = len(terminal.raw)
    terminal.signal(signal.SIGCONT)
    terminal.wait_until(
        lambda: len(terminal.raw) > sent and terminal.text == expected, what="the screen again"
    )


def test_after_a_stop_the_screen_is_drawn_again_and_nothing_starts_twice(tmp_path: Path) -> None:
    environ = {"SAFELIGHT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with run_program("guarded", tmp_path, columns=100, rows=30, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        terminal.send("a fish")
        terminal.wait_for_text("a fish")
        # The tokens are counted once the rest is there.
        terminal.wait_for_text("4/77")
        terminal.wait_for_silence()
        expected, threads = terminal.text, count_threads(terminal.process_id)
        for way in (signal.SIGTSTP, signal.SIGSTOP, signal.SIGTSTP):
            terminal.signal(way)
            terminal.wait_until(lambda: is_stopped(terminal.process_id), what="the stop")
            terminal.wait_for_silence()
            if way == signal.SIGTSTP:
                assert terminal.is_echoing()
                assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
            # A shell leaves it like this.
            terminal.restore_modes()
            go_on(terminal, expected)
            assert not terminal.is_echoing()
        for _ in range(3):
            go_on(terminal, expected)
        assert count_threads(terminal.process_id) == threads
        terminal.send("es")
        terminal.wait_for_text("a fishes")
        (tmp_path / "end").touch()
        terminal.send("\x11")
        assert terminal.wait_for_end() == 0
        # The keyboard modes that were laid over those of the shell.
        assert terminal.raw.count(b"\x1b[>25u") == terminal.raw.count(b"\x1b[<u") == 3


def test_ctrl_z_goes_to_the_shell_and_comes_back_whole(tmp_path: Path) -> None:
    environ = {"SAFELIGHT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with run_program("guarded", tmp_path, columns=100, rows=30, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        terminal.send("a fish")
        terminal.wait_for_text("a fish")
        terminal.send("\x1b")
        terminal.wait_for_text("moving")
        terminal.wait_for_silence()
        expected = terminal.text
        terminal.send("\x1a")
        terminal.wait_until(lambda: is_stopped(terminal.process_id), what="the stop")
        terminal.wait_for_silence()
        assert terminal.is_echoing()
        go_on(terminal, expected)
        (tmp_path / "end").touch()
        terminal.send("\x11")
        assert terminal.wait_for_end() == 0


EDITOR = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
sys.stdout.write("in the editor")
sys.stdout.flush()
sys.stdin.readline()
path.write_text(path.read_text() + "[-1]\\nclouds\\n")
"""


def test_the_stack_goes_to_the_persons_editor_and_comes_back(tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(EDITOR)
    environ = {
        "SAFELIGHT_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "VISUAL": f"{sys.executable} {editor}",
    }
    with run_program("guarded", tmp_path, columns=100, rows=30, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        terminal.send("a fish")
        terminal.wait_for_text("a fish")
        terminal.send("\x1b")
        terminal.wait_for_text("moving")
        terminal.send("E")
        terminal.wait_for_text("in the editor")
        terminal.wait_until(terminal.is_echoing, what="the terminal as a shell has it")
        terminal.send("\n")
        terminal.wait_for_text("clouds")
        assert "a fish" in terminal.text
        (tmp_path / "end").touch()
        terminal.send("\x11")
        assert terminal.wait_for_end() == 0
    assert not list(tmp_path.glob("safelight-*"))


def test_a_child_process_can_be_ended_by_the_signals_that_the_app_blocks(tmp_path: Path) -> None:
    with run_program("parent", tmp_path) as terminal:
        terminal.wait_for_text("child started")
        child = int((tmp_path / "child").read_text())
        try:
            os.kill(child, signal.SIGTERM)
            terminal.wait_until(lambda: not is_running(child), what="the end of the child")
        finally:
            if is_running(child):
                os.kill(child, signal.SIGKILL)


def test_no_widget_lets_a_control_character_through(tmp_path: Path) -> None:
    with run_program("widgets", tmp_path, columns=120, rows=40) as terminal:
        terminal.wait_until(lambda: (tmp_path / "ready").exists(), what="the widgets")
        terminal.wait_for_text("]0;owned")
        terminal.wait_for_silence()
        _assert_harmless(terminal)
        assert "␛]52;c;cGF5bG9hZA==" in terminal.text
        assert terminal.screen.title != "owned"


def test_the_history_lets_no_control_character_through_and_runs_no_markup(tmp_path: Path) -> None:
    with run_program("history", tmp_path, columns=120, rows=40) as terminal:
        terminal.wait_for_text("[@click=app.quit]boo")
        terminal.wait_for_text("[/x]")
        terminal.wait_for_text("␛]0;owned")
        terminal.wait_for_text("is missing")
        _assert_harmless(terminal)


def _assert_harmless(terminal: Terminal) -> None:
    for payload in PAYLOADS[:5]:
        assert payload.encode() not in terminal.raw
    assert b"\x1b]52" not in terminal.raw
    assert b"\xc2\x9b" not in terminal.raw
    assert b"\xc2\x9d" not in terminal.raw
    assert b"\x7f" not in terminal.raw


def test_copying_sends_the_command_to_the_terminals_clipboard(tmp_path: Path) -> None:
    with run_program("history", tmp_path, columns=120, rows=40) as terminal:
        terminal.wait_for_text("[/x]")
        terminal.send("jjy")
        terminal.wait_until(lambda: b"\x1b]52;c;" in terminal.raw, what="the clipboard")
        terminal.wait_for_text("Sent the command to the terminal's clipboard")
        copied = terminal.raw.split(b"\x1b]52;c;")[1].split(b"\x07")[0].split(b"\x1b")[0]
        command = base64.b64decode(copied).decode()
        assert command.startswith("safelight generate ")
        assert command.isprintable()
        assert " -S " in command


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, b"38;2;"),
        ({"COLORTERM": ""}, b"38;5;"),
        ({"TERM": "xterm-kitty", "COLORTERM": ""}, b"\x1b_Ga=p"),
        ({"TERM": "foot", "COLORTERM": ""}, b"\x1bP"),
    ],
)
@pytest.mark.samples(2)
def test_a_picture_is_drawn_with_what_the_terminal_has(
    tmp_path: Path, environ: dict[str, str], expected: bytes
) -> None:
    with run_program("shows", tmp_path, environ=environ) as terminal:
        terminal.wait_until(lambda: expected in terminal.raw, what=f"{expected!r}")
        terminal.wait_for_silence()


def test_nothing_is_asked_of_the_terminal_for_pictures(tmp_path: Path) -> None:
    with run_program("shows", tmp_path, environ={"TERM": "foot", "COLORTERM": ""}) as terminal:
        terminal.wait_until(lambda: b"\x1bP" in terminal.raw, what="the picture")
        assert b"\x1b[c" not in terminal.raw
        assert b"\x1b[16t" not in terminal.raw


def test_without_colours_a_picture_is_made_of_signs_alone(tmp_path: Path) -> None:
    with run_program("shows", tmp_path, environ={"NO_COLOR": "1"}) as terminal:
        terminal.wait_until(
            lambda: any(sign in terminal.text for sign in "▀▄▌▐█▘▝▖▗"), what="the picture"
        )


def test_where_no_picture_can_be_shown_its_words_are(tmp_path: Path) -> None:
    with run_program("shows", tmp_path, environ={"TERM": "dumb"}) as terminal:
        terminal.wait_for_text("a picture in words")
