"""The main job in a real terminal, and what survives when parts of it are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from engines.worker.process import find_worker
from store import sessions
from store.database import Database
from store.records import Draft, DraftPrompt
from tests.journeys.program import Program
from tests.repeats import keep
from tests.screens import Terminal, open_terminal
from tests.waiting import wait_until

ESCAPE, GENERATE = "\x1b", "\n"
SLOW_STEPS = 50
"""Two seconds of work and more: far from done when what shows the first step is killed."""


@contextlib.contextmanager
def open_darkroom(program: Program, columns: int = 120, rows: int = 40) -> Iterator[Terminal]:
    environ = {"SAFELIGHT_HOME": program.environ["SAFELIGHT_HOME"], "HOME": str(program.home)}
    argv = [sys.executable, "-m", "tui"]
    with open_terminal(argv, columns=columns, rows=rows, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        yield terminal


def list_images(program: Program) -> Any:
    return program.run_json("history")["images"]


def count_colours(terminal: Terminal) -> int:
    """How many background colours the screen shows: a picture has many."""
    cells = (cell for line in terminal.screen.buffer.values() for cell in line.values())
    return len({cell.bg for cell in cells})


def write_draft(program: Program, **fields: Any) -> None:
    """Put a draft where the darkroom finds it, as an earlier session would have left it."""
    draft = Draft(prompts=(DraftPrompt(text="a lighthouse in a storm"),), **fields)
    with Database.open(program.directory) as database:
        sessions.save_draft(database, "main", draft)


@pytest.mark.parametrize(
    ("columns", "rows"), keep([(120, 40), (80, 24)], lambda size: size == (120, 40))
)
def test_type_generate_see_verify_quit_and_reopen(
    program: Program, columns: int, rows: int
) -> None:
    with open_darkroom(program, columns, rows) as terminal:
        terminal.wait_for_text("typing")
        terminal.send("beautiful night sky")
        terminal.wait_for_text("beautiful night sky")
        terminal.send(ESCAPE)
        terminal.wait_for_text("moving")
        terminal.send("a")
        terminal.wait_for_text("typing")
        terminal.send("clouds")
        terminal.wait_for_text("clouds")
        terminal.send(ESCAPE)
        terminal.wait_for_text("moving")
        terminal.send("=")
        terminal.wait_for_text("typing")
        terminal.send("-1\r")
        terminal.wait_for_text("−1.0")
        plain = count_colours(terminal)
        terminal.send(GENERATE)
        terminal.wait_for_text("unverified")
        terminal.wait_until(lambda: count_colours(terminal) > plain + 10, what="a picture")
        terminal.send("v")
        terminal.wait_for_text("identical")
        terminal.send("q")
        assert terminal.wait_for_end() == 0
        assert terminal.is_echoing()
    (image,) = list_images(program)
    prompts = image["request"]["stack"]["prompts"]
    assert [(row["text"], row["weight"]) for row in prompts] == [
        ("beautiful night sky", 1.0),
        ("clouds", -1.0),
    ]
    assert image["verdict"] == "identical"
    with open_darkroom(program, columns, rows) as terminal:
        terminal.wait_for_text("clouds")
        terminal.wait_for_text("−1.0")
        terminal.wait_for_text("beautiful night sky")
        terminal.wait_for_text("identical")


@pytest.mark.exhaustive
def test_a_killed_darkroom_loses_neither_job_nor_draft(program: Program) -> None:
    write_draft(program, steps=SLOW_STEPS, seed=5, seed_locked=True)
    with open_darkroom(program) as terminal:
        terminal.wait_for_text("lighthouse")
        terminal.send(GENERATE)
        terminal.wait_for_text("step ")
        terminal.send("\r")
        terminal.wait_for_text("typing")
        terminal.send(" tonight")
        terminal.wait_for_text("tonight")
        wait_until(lambda: "tonight" in read_draft(program), "the draft on disk")
        terminal.signal(signal.SIGKILL)
        assert terminal.wait_for_end() == -signal.SIGKILL
    wait_until(lambda: program.count_images(), "the image")
    with open_darkroom(program) as terminal:
        terminal.wait_for_text("lighthouse in a storm")
        terminal.wait_for_text("tonight")
        terminal.wait_for_text("unverified")


def read_draft(program: Program) -> str:
    with Database.open(program.directory) as database:
        return sessions.load_session(database, "main").draft.prompts[0].text


@pytest.mark.exhaustive
def test_a_killed_worker_is_replaced_and_the_pixels_are_the_same(program: Program) -> None:
    write_draft(program, steps=SLOW_STEPS, seed=5, seed_locked=True)
    with open_darkroom(program) as terminal:
        terminal.wait_for_text("lighthouse")
        terminal.send(GENERATE)
        terminal.wait_for_text("step ")
        killed = find_worker(program.directory).process_id
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        terminal.wait_for_text("unverified", seconds=60)
        assert find_worker(program.directory).process_id != killed
    program.run("generate", "a lighthouse in a storm", "-S", "5", "-s", str(SLOW_STEPS))
    again, image = list_images(program)
    assert again["request_id"] == image["request_id"]
    assert again["pixels_sha256"] == image["pixels_sha256"]


@pytest.mark.exhaustive
def test_a_hang_up_leaves_nothing_behind_but_the_job(program: Program) -> None:
    write_draft(program, steps=SLOW_STEPS, seed=5, seed_locked=True)
    with open_darkroom(program) as terminal:
        terminal.wait_for_text("lighthouse")
        terminal.send(GENERATE)
        terminal.wait_for_text("step ")
        terminal.hang_up()
        terminal.wait_for_end()
    wait_until(lambda: program.count_images(), "the image")
    with open_darkroom(program) as terminal:
        terminal.wait_for_text("lighthouse in a storm")
        terminal.wait_for_text("unverified")


@pytest.mark.exhaustive
def test_two_darkrooms_show_each_others_images(program: Program) -> None:
    write_draft(program, steps=4, seed=5, seed_locked=True)
    with open_darkroom(program) as one, open_darkroom(program) as other:
        one.wait_for_text("lighthouse")
        other.wait_for_text("lighthouse")
        one.send(GENERATE)
        one.wait_for_text("unverified")
        other.wait_until(lambda: "No image yet" not in other.text, what="the other's image")
        other.send(GENERATE)
        wait_until(lambda: program.count_images() == 2, "the second image")
