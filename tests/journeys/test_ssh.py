"""The darkroom behind an ssh login, with tmux and without, and what is left when the line drops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engines.worker.process import find_worker
from store import sessions
from store.database import Database
from store.records import Draft, DraftPrompt, JobState
from tests.journeys.program import Program
from tests.journeys.sshd import (
    Line,
    LoginServer,
    explain_absence,
    read_processor_seconds,
    serve_logins,
    write_command,
)
from tests.screens import Terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(bool(explain_absence()), reason=explain_absence() or "it is there")

ESCAPE, ENTER, GENERATE, PALETTE, QUIT = "\x1b", "\r", "\n", "\x10", "\x11"
TEXT = "a lighthouse in a storm"
STEPS = 30
"""A second of work and more."""

DARKROOM = "safelight"
IN_TMUX = "tmux -f /dev/null new-session -A -s dark safelight"
ALIVE_SECONDS = 1
IDLE_SPAN, IDLE_SHARE = 0.5, 0.1
"""What uses less than this share of a processor for so many seconds does nothing."""


@pytest.fixture
def server(program: Program, tmp_path: Path) -> Iterator[LoginServer]:
    with serve_logins(tmp_path / "sshd", list_variables(program), ALIVE_SECONDS) as running:
        yield running


def list_variables(program: Program) -> dict[str, str]:
    """What who logs in finds, so that `safelight` is a command on the home of `program`."""
    return {
        "HOME": str(program.home),
        "SAFELIGHT_HOME": program.environ["SAFELIGHT_HOME"],
        "PATH": f"{write_command(program.home)}{os.pathsep}{os.environ['PATH']}",
    }


def write_draft(program: Program) -> None:
    """Put a draft where the darkroom finds it: one prompt, in which nothing is being typed."""
    place: dict[str, str | int | bool | None] = {"part": "prompts", "row": 0}
    prompts = (DraftPrompt(text=TEXT),)
    draft = Draft(prompts=prompts, steps=STEPS, seed=5, seed_locked=True, place=place)
    with Database.open(program.directory) as database:
        sessions.save_draft(database, "main", draft)


def read_draft(program: Program) -> Draft:
    with Database.open(program.directory) as database:
        return sessions.load_session(database, "main").draft


def read_text(program: Program) -> str:
    return read_draft(program).prompts[0].text


# What somebody does when the line drops. Each returns what must be in the draft, and may be.


class Typed(NamedTuple):
    """What the first prompt holds at least, and at most, whatever is lost on the way there."""

    seen: str = TEXT
    sent: str = TEXT


def start(terminal: Terminal) -> Typed:
    """Nothing has been painted yet."""
    terminal.wait_until(lambda: terminal.raw, what="the first bytes")
    return Typed()


def type_slowly(terminal: Terminal) -> Typed:
    open_first_prompt(terminal)
    for sign in " nightly":
        terminal.send(sign)
        terminal.read(0.02)
    terminal.wait_for_text("nightly")
    return Typed(f"{TEXT} nightly", f"{TEXT} nightly")


def type_at_the_last_moment(terminal: Terminal) -> Typed:
    open_first_prompt(terminal)
    terminal.send(" nightly")
    terminal.wait_for_text("nightly")
    terminal.send(" blue")
    return Typed(f"{TEXT} nightly", f"{TEXT} nightly blue")


def open_a_weight(terminal: Terminal) -> Typed:
    wait_until_open(terminal)
    terminal.send("=")
    terminal.wait_for_text("typing")
    return Typed()


def generate(terminal: Terminal) -> Typed:
    wait_until_open(terminal)
    terminal.send(GENERATE)
    terminal.wait_for_text("the queue")
    return Typed()


def watch_it_being_made(terminal: Terminal) -> Typed:
    wait_until_open(terminal)
    terminal.send(GENERATE)
    terminal.send(GENERATE)
    terminal.wait_for_text("step ")
    return Typed()


def look_at_the_history(terminal: Terminal) -> Typed:
    wait_until_open(terminal)
    terminal.send(GENERATE)
    terminal.wait_for_text("the queue")
    terminal.send("h")
    terminal.wait_for_text("history")
    terminal.wait_for_text("search")
    return Typed()


def look_for_a_command(terminal: Terminal) -> Typed:
    wait_until_open(terminal)
    terminal.send(GENERATE)
    terminal.wait_for_text("the queue")
    terminal.send(PALETTE)
    terminal.wait_for_text("Search for commands")
    return Typed()


def wait_until_open(terminal: Terminal) -> None:
    terminal.wait_for_text("lighthouse")
    terminal.wait_for_text("worker")
    terminal.wait_for_text("moving")


def open_first_prompt(terminal: Terminal) -> None:
    wait_until_open(terminal)
    terminal.send(ENTER)
    terminal.wait_for_text("typing")


MOMENTS: list[Callable[[Terminal], Typed]] = [
    start,
    type_slowly,
    type_at_the_last_moment,
    open_a_weight,
    generate,
    watch_it_being_made,
    look_at_the_history,
    look_for_a_command,
]


# How the line drops.


class Login(NamedTuple):
    """Somebody who is logged in, over `line`."""

    server: LoginServer
    terminal: Terminal
    line: Line


def kill_client(login: Login) -> None:
    login.terminal.signal(signal.SIGKILL)


def close_terminal(login: Login) -> None:
    login.terminal.hang_up()


def stall_client(login: Login) -> None:
    """It hears nothing any more, and is given up."""
    login.terminal.signal(signal.SIGSTOP)


def silence_line(login: Login) -> None:
    """What is sent is lost, and nobody is told; so it is given up."""
    login.line.fall_silent()


def kill_tmux(login: Login) -> None:
    server = login.server.run_tmux("display-message", "-p", "#{pid}")
    os.kill(int(server), signal.SIGKILL)


class Way(NamedTuple):
    """How the line drops: `drop` does it to who has run `command`."""

    name: str
    drop: Callable[[Login], None]
    command: str = DARKROOM

    @property
    def goes_on(self) -> bool:
        """Whether the darkroom runs all the same."""
        return self.command == IN_TMUX and self.drop is not kill_tmux


WAYS = [
    Way("client killed", kill_client),
    Way("terminal closed", close_terminal),
    Way("client stalled", stall_client),
    Way("line silent", silence_line),
    Way("tmux killed", kill_tmux, IN_TMUX),
    Way("client of tmux killed", kill_client, IN_TMUX),
]
# In an order in which those that are taken evenly are of all kinds.
POINTS = [(way, MOMENTS[(turn + n) % 8]) for turn in range(8) for n, way in enumerate(WAYS)]


@pytest.mark.parametrize(
    ("way", "moment"), POINTS, ids=[f"{way.name}-{moment.__name__}" for way, moment in POINTS]
)
@pytest.mark.samples(3)
def test_a_line_that_drops_costs_nothing(
    program: Program, server: LoginServer, way: Way, moment: Callable[[Terminal], Typed]
) -> None:
    write_draft(program)
    line = Line(server.port)
    with server.log_in(way.command, columns=100, rows=30, port=line.port) as terminal:
        typed = moment(terminal)
        way.drop(Login(server, terminal, line))
        if way.goes_on:
            terminal.wait_for_end()
            wait_until(server.list_darkrooms, "the darkroom that goes on")
        else:
            wait_until(lambda: not server.list_darkrooms(), "the end of the darkroom")
            text = read_text(program)
            assert typed.sent.startswith(text)
            assert text.startswith(typed.seen)
    line.close()
    jobs = len(program.list_jobs())
    with server.log_in(way.command, columns=100, rows=30) as terminal:
        come_back(terminal)
        assert typed.sent.startswith(read_text(program))
        wait_until(lambda: program.count_images() == jobs, "the images of all jobs")
        if jobs:
            terminal.wait_for_text("unverified")
        quit_darkroom(terminal)
    check_what_is_left(program, server, jobs)


def come_back(terminal: Terminal) -> None:
    """Leave whatever is open, and see the draft."""
    terminal.wait_for_text("safelight")
    deadline = time.monotonic() + 60
    while "lighthouse" not in terminal.text or "moving" not in terminal.text:
        assert time.monotonic() < deadline, terminal.text
        terminal.send(ESCAPE)
        terminal.wait_for_silence()


def quit_darkroom(terminal: Terminal) -> None:
    terminal.send(QUIT)
    assert terminal.wait_for_end() == 0


def check_what_is_left(program: Program, server: LoginServer, jobs: int) -> None:
    """Each job was done once, nothing runs but an idle worker, and nothing is wrong."""
    found = program.list_jobs()
    assert [job.state for job in found] == [JobState.DONE] * jobs
    assert len({job.image_id for job in found}) == program.count_images() == jobs
    worker = find_worker(program.directory).process_id

    def is_left() -> bool:
        """Whether there is only a worker, which may have helpers."""
        return all(read_session(each) in (worker, None) for each in server.list_processes())

    wait_until(is_left, "the end of all but the worker")
    wait_until(lambda: is_idle(server), "a worker that does nothing")
    program.run("doctor")


def read_session(process_id: int) -> int | None:
    """The first process of its session, which nobody outside can join; None where it has ended."""
    try:
        return os.getsid(process_id)
    except ProcessLookupError:
        return None


def is_idle(server: LoginServer) -> bool:
    """Whether what was started behind a login hardly uses a processor for a while."""
    before = sum(map(read_processor_seconds, server.list_processes()))
    begin = time.monotonic()
    wait_until(lambda: time.monotonic() - begin > IDLE_SPAN)
    after = sum(map(read_processor_seconds, server.list_processes()))
    return after - before < IDLE_SPAN * IDLE_SHARE


LATENCY = 0.3
KEY_SECONDS = 0.06
"""So fast does somebody type."""

SLOW_KEYS = "the harbour of a small town in winter, gulls, lamps"


@pytest.mark.exhaustive
def test_over_a_slow_line_no_key_is_lost(program: Program, server: LoginServer) -> None:
    """A text that comes at once, and letters that come before the last ones are seen."""
    write_draft(program)
    line = Line(server.port, LATENCY / 2)
    with server.log_in(DARKROOM, columns=100, rows=30, port=line.port) as terminal:
        open_first_prompt(terminal)
        terminal.send(f", {SLOW_KEYS}")
        terminal.wait_for_text("gulls, lamps")
        # Another prompt, its text, its weight, and the parameters.
        for keys, mode in (
            ((ESCAPE,), "moving"),
            (("a",), "typing"),
            ((*SLOW_KEYS, ESCAPE), "moving"),
            (("=",), "typing"),
            ((*"0.5", ENTER), "moving"),
        ):
            for key in keys:
                terminal.send(key)
                let_pass(terminal, KEY_SECONDS)
            terminal.wait_for_text(mode)
        terminal.send("\t")
        wait_until(lambda: read_draft(program).place.get("part") == "parameters", "the last key")
        quit_darkroom(terminal)
    line.close()
    one, other = read_draft(program).prompts
    assert (one.text, one.weight) == (f"{TEXT}, {SLOW_KEYS}", 1.0)
    assert (other.text, other.weight) == (SLOW_KEYS, 0.5)


def let_pass(terminal: Terminal, seconds: float) -> None:
    """Do nothing but look at the screen."""
    until = time.monotonic() + seconds
    terminal.wait_until(lambda: time.monotonic() > until)


@pytest.mark.exhaustive
def test_another_login_sees_the_queue_live_and_overwrites_no_draft(
    program: Program, server: LoginServer
) -> None:
    write_draft(program)
    with (
        server.log_in(DARKROOM, columns=100, rows=30) as one,
        server.log_in(DARKROOM, columns=100, rows=30) as other,
    ):
        wait_until_open(one)
        wait_until_open(other)
        one.send(GENERATE)
        one.send(GENERATE)
        other.wait_for_text("the queue")
        other.wait_for_text("step ")
        open_first_prompt(one)
        one.send(" here")
        one.wait_for_text("storm here")
        wait_until(lambda: read_text(program) == f"{TEXT} here", "the draft of one")
        open_first_prompt(other)
        other.send(" there")
        other.wait_for_text("storm there")
        other.wait_for_text("main is open elsewhere: kept as main 2")
        for terminal in (one, other):
            terminal.send(ESCAPE)
            terminal.wait_for_text("unverified")
        # One stalls for good: what the other one does goes on.
        one.signal(signal.SIGSTOP)
        other.send(GENERATE)
        wait_until(lambda: program.count_images() == 3, "an image of the other one")
        one.signal(signal.SIGCONT)
        quit_darkroom(one)
        quit_darkroom(other)
    with Database.open(program.directory) as database:
        drafts = {
            each.name: each.draft.prompts[0].text for each in sessions.list_sessions(database)
        }
    assert drafts == {"main": f"{TEXT} here", "main 2": f"{TEXT} there"}
    check_what_is_left(program, server, jobs=3)


@pytest.mark.exhaustive
def test_a_session_of_tmux_goes_on_and_is_seen_from_another_login(
    program: Program, server: LoginServer
) -> None:
    write_draft(program)
    with server.log_in(IN_TMUX, columns=100, rows=30) as terminal:
        watch_it_being_made(terminal)
        terminal.hang_up()
        terminal.wait_for_end()
    (darkroom,) = server.list_darkrooms()
    with server.log_in("tmux attach -t dark", columns=80, rows=24) as terminal:
        terminal.wait_for_text("in the queue")
        terminal.wait_for_text("unverified")
        wait_until(lambda: program.count_images() == 2, "both images")
        assert server.list_darkrooms() == [darkroom]
        quit_darkroom(terminal)
    check_what_is_left(program, server, jobs=2)
