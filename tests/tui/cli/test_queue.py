"""Jobs on the command line."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import pytest

from engines.worker.process import WorkerLock
from engines.worker.program import read_serving
from store import queue
from store.batches import divide
from store.database import Database
from store.records import RunState
from store.verification_runs import begin_run, list_runs
from tests.factories import make_request
from tests.store.helpers import execute, make_images
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


def put(home: Path, *names: str) -> list[str]:
    """The ids of new jobs that wait, one a name."""
    with Database.open(home / "safelight" / "data") as database:
        return [job.id for job in queue.enqueue(database, [make_request(name) for name in names])]


def read_order(home: Path) -> list[str]:
    """The ids of what waits, what comes next first."""
    with Database.open(home / "safelight" / "data") as database:
        return [job.id for job in queue.list_queue(database)]


def test_all_jobs_and_runs_are_cancelled_at_once(home: Path) -> None:
    directory = home / "safelight" / "data"
    with Database.open(directory) as database:
        images = make_images(database, [make_request("done")])
        begin_run(database, "all", [image.number for image in images])
    put(home, "a", "b")
    done = invoke(["cancel", "--all"])
    assert done.stdout == "2 jobs are stopped, and 1 run or series\n"
    assert read_order(home) == []
    assert invoke(["cancel", "--all"]).stdout == "nothing waits or runs\n"
    with Database.open(directory) as database:
        assert [run.state for run in list_runs(database)] == [RunState.CANCELLED]


def test_cancel_wants_to_know_what(home: Path) -> None:
    (job,) = put(home, "a")
    for arguments in ([], [job, "--all"]):
        done = invoke(["cancel", *arguments])
        assert done.exit_code == 2
        assert "its id, or --all." in done.stderr
    assert read_order(home) == [job]


def test_the_queue_is_paused_and_says_so_until_it_is_resumed(home: Path) -> None:
    (job,) = put(home, "a")
    done = invoke(["pause"])
    assert done.stdout == "the queue is paused, 1 job in it\n"
    assert "'safelight resume' goes on" in done.stderr
    assert "paused already" in invoke(["pause"]).stderr
    listed = invoke(["jobs"])
    assert "The queue is paused: 'safelight resume' goes on with it." in listed.stderr
    assert listed.stdout.endswith("the queue is paused\n")
    # Nothing is wrong with it: no worker is needed for what waits.
    examined = invoke(["doctor"])
    assert "paused; 'safelight resume' goes on" in examined.stdout
    assert "no worker runs" not in examined.stderr
    document = msgspec.json.decode(invoke(["jobs", "--json"]).stdout)
    assert document["is_paused"]
    assert [(each["is_paused"], each["has_no_worker"]) for each in document["jobs"]] == [
        (True, False)
    ]
    invoke(["cancel", job])
    # Nothing waits, so no worker is needed.
    assert invoke(["resume"]).stdout == "the queue goes on, 0 jobs in it\n"
    assert "was not paused" in invoke(["resume"]).stderr
    assert not msgspec.json.decode(invoke(["jobs", "--json"]).stdout)["is_paused"]


def test_jobs_are_moved(home: Path) -> None:
    a, b, c = put(home, "a", "b", "c")
    done = invoke(["move", c[:8], "--first"])
    assert done.stdout == f"{c[:8]}  1st in the queue\n"
    assert invoke(["move", c, a, "--last"]).exit_code == 0
    assert read_order(home) == [b, c, a]
    assert invoke(["move", a, "--before", c]).exit_code == 0
    assert read_order(home) == [b, a, c]
    for arguments in (["move", a], ["move", a, "--first", "--last"]):
        refused = invoke(arguments)
        assert refused.exit_code == 2
        assert "--first, --last or --before JOB" in refused.stderr


def test_new_jobs_come_where_they_are_wanted(home: Path) -> None:
    (usual,) = put(home, "a")
    for arguments in (["--priority", "-2"], ["--priority", "3"], ["--next"]):
        assert invoke(["generate", "a cat", "--no-wait", *arguments]).exit_code == 0
    with Database.open(home / "safelight" / "data") as database:
        late, urgent, first = [job.id for job in queue.list_jobs(database)[::-1]][1:]
    assert read_order(home) == [first, urgent, usual, late]
    refused = invoke(["generate", "a cat", "--no-wait", "--priority", "101"])
    assert refused.exit_code == 2
    assert "-100 to 100" in refused.stderr


def test_a_list_comes_next_in_its_own_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "a")
    monkeypatch.setattr("tui.darkroom.divide", functools.partial(divide, size=2))
    invoke(["generate", "--from", "-", "--next", "--no-wait"], b"1\n2\n3\n4\n5\n")
    with Database.open(home / "safelight" / "data") as database:
        waiting = queue.list_queue(database)
    names = [job.request.stack.prompts[0].text for job in waiting]
    assert names == ["1", "2", "3", "4", "5", "a"]
