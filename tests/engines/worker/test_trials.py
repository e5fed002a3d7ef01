"""A job whose process is killed, or whose disk fails: it ends, once, and nothing is lost.

The default run draws a few kills and faults; `--trials 2000` makes so many of each, of a stream of
numbers that `--trials-seed` begins.
"""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.worker import system_calls
from tests.engines.worker.system_calls import LOCKED, Call, Plan
from tests.engines.worker.trials import PRICE, Experimenter, Outcome, Trial

AT_ONCE = 20
"""How many trials are one test."""

FEW = 10
LASTING_SECONDS = 0.3
MEMORY = Path("/dev/shm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        trials = metafunc.config.getoption("trials") or FEW
        begin = metafunc.config.getoption("trials_seed")
        parts = [
            range(begin + first, begin + min(first + AT_ONCE, trials))
            for first in range(0, trials, AT_ONCE)
        ]
        metafunc.parametrize("numbers", parts, ids=[f"{part[0]}-{part[-1]}" for part in parts])


@pytest.fixture(scope="module")
def experimenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Experimenter]:
    folder = tmp_path_factory.mktemp("trials")
    if os.access(MEMORY, os.W_OK):
        folder = MEMORY / f"{folder.parent.name}-{os.getpid()}"
        folder.mkdir(mode=0o700)
    running = Experimenter(folder)
    yield running
    running.close()


@pytest.fixture(scope="module")
def refuser(experimenter: Experimenter) -> Experimenter:
    """One that can refuse system calls."""
    if reason := system_calls.explain_absence():
        pytest.skip(f"no system call can be refused here: {reason}")
    return experimenter


@pytest.fixture(scope="module")
def calls(refuser: Experimenter) -> dict[tuple[bool, bool], list[Call]]:
    """The system calls of a job on the data folder, by whether it is the first and whether paid."""
    kinds = [(is_first, is_paid) for is_first in (False, True) for is_paid in (False, True)]
    return {
        (is_first, is_paid): refuser.run(
            Trial(is_first=is_first, is_paid=is_paid, is_listing=True)
        ).calls
        for is_first, is_paid in kinds
    }


def draw_fault(number: int, calls: dict[tuple[bool, bool], list[Call]]) -> Trial:
    """A fault for a trial: each error as often as any other, at a call that can give it."""
    draw = random.Random(number)
    is_first, is_paid = draw.random() < 0.3, draw.random() < 0.4
    made = calls[is_first, is_paid]
    errors = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE, errno.EACCES, LOCKED)
    error = draw.choice(errors)
    places = [place for place, call in enumerate(made) if error in call.list_errors()]
    # As often at each kind of call, of which some are made a hundred times.
    name = draw.choice(sorted({made[place].name for place in places}))
    first = draw.choice([place for place in places if made[place].name == name])
    seconds = draw.choice((0.0, LASTING_SECONDS))
    return Trial(is_first=is_first, is_paid=is_paid, plan=Plan(first, error, seconds))


def check(trial: Trial, outcome: Outcome) -> None:
    """What holds however a process ended: nothing is lost, nothing twice, every job has an end."""
    assert outcome.fault is None
    assert outcome.findings == []
    assert "Traceback" not in outcome.log
    if trial.is_paid:
        assert outcome.sent <= 1, "it was sent twice"
        # What it may cost is noted before it is sent, and never twice.
        assert PRICE * outcome.sent <= outcome.spent <= PRICE
    if outcome.queued is None:
        return
    assert outcome.jobs == 1
    assert outcome.state in ("done", "unknown" if trial.is_paid else "done")
    assert outcome.images == (outcome.state == "done")


def judge(trial: Trial, outcome: Outcome) -> None:
    """What holds after a fault that passed: the process went on, or ended by itself."""
    check(trial, outcome)
    # Who asked was told one of both.
    assert (outcome.queued is None) != (outcome.refused is None)
    assert outcome.jobs == outcome.images == (outcome.queued is not None)
    assert outcome.state in (None, "done")
    assert outcome.spent == PRICE * outcome.sent * trial.is_paid
    # Without a worker the job waits for the next one; with one it has had its end.
    assert outcome.status in (0, 2)
    assert outcome.first_state in (None, "done", *(["waiting"] if outcome.status else []))
    told = Counter(line for line in outcome.log.splitlines() if "waiting, and" in line)
    spells = 1 + outcome.log.count("going on")
    assert all(count <= spells for count in told.values()), "it was told again and again"


def test_a_fault_loses_nothing_and_every_job_ends(
    refuser: Experimenter, calls: dict[tuple[bool, bool], list[Call]], numbers: range
) -> None:
    for number in numbers:
        trial = draw_fault(number, calls)
        outcome = refuser.run(trial)
        print(number, trial, outcome)  # shown where it fails
        judge(trial, outcome)


LONG_SECONDS = 20.0
SHARE = 0.01


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("error", "file"),
    [
        (errno.ENOSPC, "images"),
        (errno.EIO, "images"),
        (LOCKED, "history.sqlite3"),
    ],
    ids=["full", "failing", "locked"],
)
def test_a_worker_that_waits_takes_no_processor(
    refuser: Experimenter,
    calls: dict[tuple[bool, bool], list[Call]],
    error: int,
    file: str,
) -> None:
    """From the first call at the end of a job that can give the error, as a real worker waits."""
    made = calls[False, False]
    end = next(place for place, call in enumerate(made) if call.file.startswith("images/"))
    first = next(
        place
        for place, call in enumerate(made)
        if place >= end and call.file.startswith(file) and error in call.list_errors()
    )
    trial = Trial(plan=Plan(first, error, LONG_SECONDS), is_slow=True)
    outcome = refuser.run(trial)
    judge(trial, outcome)
    assert "waiting, and trying" in outcome.log
    assert outcome.seconds > LONG_SECONDS
    assert outcome.processor < SHARE


def draw_kill(number: int, seconds: float) -> Trial:
    """A kill at any instant of a process that lives for about so many seconds."""
    draw = random.Random(number)
    is_first, is_paid = draw.random() < 0.3, draw.random() < 0.4
    return Trial(is_first=is_first, is_paid=is_paid, kill_after=draw.uniform(0.001, 1.1 * seconds))


def judge_kill(trial: Trial, outcome: Outcome) -> None:
    """What holds after a kill: what was queued and not acknowledged may be there, or not."""
    check(trial, outcome)
    assert outcome.jobs <= 1
    assert outcome.refused is None


def test_a_kill_loses_nothing_and_every_job_ends(
    experimenter: Experimenter, numbers: range
) -> None:
    seconds = experimenter.run(Trial()).seconds
    for number in numbers:
        trial = draw_kill(number, seconds)
        outcome = experimenter.run(trial)
        print(number, trial, outcome)
        judge_kill(trial, outcome)
