"""The end of the program when its terminal goes away or somebody asks, whatever it does then."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.resolve import make_initial_image
from store import inputs, sessions
from store.database import Database
from store.records import Draft, DraftPrompt
from tests.benchmarks.history_rows import make_history
from tests.factories import make_png
from tests.repeats import keep
from tests.screens import Terminal, open_terminal
from tests.waiting import wait_until

END_SECONDS = 5.0
"""A second, and what a busy machine adds to it."""

TEXT = "a fish in a bowl"
LEAVES = (128 + signal.SIGHUP, 128 + signal.SIGTERM, 120)
"""120 is Python's own word for a standard output that is gone at the very end."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data folder whose draft starts from an image."""
    directory = tmp_path / "safelight" / "data"
    with Database.open(directory) as database:
        start = inputs.store_input(database, make_png(5))
        draft = Draft(
            prompts=(DraftPrompt(text=TEXT),),
            initial_image=make_initial_image(start.sha256),
            place={"part": "prompts"},
        )
        sessions.save_draft(database, "main", draft)
    return directory


@contextlib.contextmanager
def open_darkroom(directory: Path) -> Iterator[Terminal]:
    environ = {"SAFELIGHT_HOME": str(directory.parent), "HOME": str(directory.parent.parent)}
    argv = [sys.executable, "-m", "tui"]
    with open_terminal(argv, columns=100, rows=30, environ=environ) as terminal:
        yield terminal


@contextlib.contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Let nobody else write to the history."""
    with contextlib.closing(sqlite3.connect(directory / "history.sqlite3")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


def press(keys: str, shown: str) -> Callable[[Terminal], None]:
    """Pressing `keys` until `shown` is on the screen."""

    def bring(terminal: Terminal) -> None:
        terminal.wait_for_text("moving")
        terminal.wait_for_text("worker")
        for key in keys:
            terminal.send(key)
            terminal.wait_for_silence()
        terminal.wait_for_text(shown)

    return bring


def start(terminal: Terminal) -> None:
    terminal.wait_until(lambda: b"\x1b[?1049h" in terminal.raw, what="the screen")


def paint_for_nobody(terminal: Terminal) -> None:
    """The whole screen again and again, of which nothing is read."""
    press("", "moving")(terminal)
    for _ in range(40):
        terminal.send("?")
        terminal.send("\x1b[27u")


STATES: dict[str, Callable[[Terminal], None]] = {
    "it starts": start,
    "help": press("?", "keys and words"),
    "palette": press("\x10", "Search for commands"),
    "mask": press("m\r", "brush"),
    "history": press("h", "history"),
    "search": press("h/fish", "fish"),
    "paint": paint_for_nobody,
}
WAYS = ("hang-up", "SIGTERM")
MANY = 100_000


@pytest.mark.parametrize(
    ("state", "way"),
    keep(
        [(state, way) for state in STATES for way in WAYS],
        lambda each: each in (("mask", "hang-up"), ("paint", "SIGTERM")),
    ),
)
def test_whatever_it_does_it_ends(directory: Path, state: str, way: str) -> None:
    with open_darkroom(directory) as terminal:
        STATES[state](terminal)
        end(terminal, way)
    assert read_text(directory) == TEXT


@pytest.mark.parametrize("way", keep(WAYS, lambda way: way == "hang-up"))
def test_a_history_that_cannot_be_opened_yet_does_not_hold_it(directory: Path, way: str) -> None:
    with hold(directory), open_darkroom(directory) as terminal:
        terminal.wait_for_text("opening")
        end(terminal, way)
    assert read_text(directory) == TEXT


@pytest.mark.exhaustive
def test_a_search_among_many_images_does_not_hold_it(tmp_path: Path) -> None:
    directory = tmp_path / "safelight" / "data"
    make_history(directory, MANY)
    with open_darkroom(directory) as terminal:
        terminal.wait_for_text("worker")
        terminal.send("\x1b")
        press("h/", "images")(terminal)
        terminal.send("night sea -moon weight:clouds>0 sort:prompt")
        end(terminal, "hang-up")


def end(terminal: Terminal, way: str) -> None:
    """Close the terminal or ask for the end, which comes."""
    if way == "hang-up":
        terminal.hang_up()
    else:
        terminal.signal(signal.SIGTERM)
    # Nobody reads what it says meanwhile.
    wait_until(terminal.has_ended, "the end", END_SECONDS)
    assert terminal.status in LEAVES


def read_text(directory: Path) -> str:
    with Database.open(directory) as database:
        return sessions.load_session(database, "main").draft.prompts[0].text
