"""Jobs on the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engines.worker.process import WorkerLock
from engines.worker.program import read_serving
from store import queue
from store.database import Database
from tests.factories import make_request
from tests.store.helpers import execute
from tests.tui.cli.invoking import invoke
from tui.words import NO_WORKER


def test_a_job_that_waits_for_other_settings_says_so(home: Path) -> None:
    directory = home / "safelight" / "data"
    with Database.open(directory) as database:
        ours = read_serving(directory)
        theirs = msgspec.structs.replace(ours, settings={**ours.settings, "stability": "others"})
        queue.enqueue(database, [make_request(engine="stability")], wanted=theirs)
        queue.enqueue(database, [make_request()], wanted=ours)
    execute(directory, "UPDATE job SET created_at = created_at - 60")
    first, second = invoke(["jobs"]).stdout.splitlines()
    assert first.endswith(NO_WORKER)
    assert "waiting for the settings it was queued with" not in first
    assert second.endswith("waiting for the settings it was queued with")
    found = msgspec.json.decode(invoke(["jobs", "--json"]).stdout)["jobs"]
    assert [job["is_for_others"] for job in found] == [False, True]


def test_of_a_job_that_has_ended_there_is_nothing_left_to_stop(home: Path) -> None:
    directory = home / "safelight" / "data"
    with Database.open(directory) as database:
        (job,) = queue.enqueue(database, [make_request()])
    first, second = invoke(["cancel", job.id]), invoke(["cancel", job.id])
    assert (first.stdout, first.stderr) == (f"{job.id[:8]}  cancelled\n", "")
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert "nothing left to stop" in second.stderr


def test_a_job_that_was_left_running_waits_and_says_for_what(home: Path) -> None:
    """As after kill -9 of its worker, or the end of the machine."""
    directory = home / "safelight" / "data"
    with Database.open(directory) as database:
        (job,) = queue.enqueue(database, [make_request()], wanted=read_serving(directory))
        assert queue.claim(database, queue.recover(database, paid_engines=())) is not None
        database.progress.write(job.id, 7, 60)
    (line,) = invoke(["jobs"]).stdout.splitlines()
    assert line == f"{job.id[:8]}  waiting  generate  seed {job.request.parameters.seed}  " + (
        NO_WORKER
    )
    (found,) = msgspec.json.decode(invoke(["jobs", "--json"]).stdout)["jobs"]
    assert (found["state"], found["step"], found["has_no_worker"]) == ("waiting", 0, True)
    told = invoke(["doctor"])
    assert told.exit_code == 1
    assert "problem: 1 job waits and no worker runs." in told.stderr


def test_beside_a_worker_a_job_runs_and_what_the_worker_waits_for_is_told(home: Path) -> None:
    directory = home / "safelight" / "data"
    with Database.open(directory) as database:
        queue.enqueue(database, [make_request()])
        queue.claim(database, queue.recover(database, paid_engines=()))
        lock = WorkerLock(directory)
        assert lock.acquire(read_serving(directory))
        lock.note("The disk is full. Free some space.")
        told = invoke(["jobs"])
        assert "running" in told.stdout
        assert told.stderr == "the worker waits: The disk is full. Free some space.\n"
        assert "it waits: The disk is full." in invoke(["worker", "--status"]).stderr
        assert "The worker waits: The disk is full." in invoke(["doctor"]).stderr
        lock.release()
