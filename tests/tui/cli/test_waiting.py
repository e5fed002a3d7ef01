"""A command whose jobs cannot go on: it says why once, and what was queued is always printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engines.worker.keeper import Keeper
from store import queue
from store.database import Database
from store.errors import HistoryUnavailable, StoreError
from store.records import Job, JobState
from store.turns import resume_queue
from tests.factories import make_result
from tests.tui.cli.invoking import invoke
from tui.cli import run
from tui.darkroom import NO_WORKER_YET, Darkroom

FULL = "The disk is full. Free some space."


def list_jobs(home: Path) -> list[Job]:
    with Database.open(home / "safelight" / "data") as database:
        return queue.list_jobs(database)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker waits for a full disk, and no command waits for long."""
    monkeypatch.setattr(Keeper, "look", lambda keeper: setattr(keeper, "trouble", FULL))
    monkeypatch.setattr(run, "PATIENCE_SECONDS", 0.5)


@pytest.mark.usefixtures("trouble")
def test_a_command_that_cannot_go_on_says_so_once_and_what_it_queued(home: Path) -> None:
    done = invoke(["generate", "a cat", "-n", "2", "-S", "7"])
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        f"waiting: {FULL}",
        f"safelight: Nothing goes on: {FULL}",
        f"  {run.STAYS_QUEUED}",
    ]
    second, first = list_jobs(home)
    assert done.stdout.splitlines() == [
        f"queued {first.id[:8]}  seed 7  waiting",
        f"queued {second.id[:8]}  seed 8  waiting",
    ]


@pytest.mark.usefixtures("trouble")
def test_it_says_so_in_json_too(home: Path) -> None:
    done = invoke(["generate", "a cat", "-S", "7", "--json"])
    (job,) = list_jobs(home)
    document = json.loads(done.stdout)
    assert (done.exit_code, document["error"]["hint"]) == (2, run.STAYS_QUEUED)
    assert document["jobs"] == [
        {
            "id": job.id,
            "request_id": job.request_digest,
            "seed": 7,
            "state": "waiting",
            "image_id": None,
        }
    ]


def test_a_history_that_cannot_be_read_for_a_while_ends_no_wait(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made meanwhile; to look after it is refused at first."""
    follow, refused = Darkroom.follow, [True, True]
    monkeypatch.setattr(run, "LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(Keeper, "look", make)

    async def stumble(darkroom: Darkroom, jobs: Sequence[Job]) -> list[Job]:
        if refused:
            refused.pop()
            raise HistoryUnavailable("The history is busy.", "Try again.")
        return await follow(darkroom, jobs)

    monkeypatch.setattr(Darkroom, "follow", stumble)
    done = invoke(["generate", "a cat", "-S", "7"])
    assert done.exit_code == 0
    assert done.stderr.splitlines() == ["waiting: The history is busy. Try again."]
    (job,) = list_jobs(home)
    assert job.image_id is not None
    assert done.stdout.startswith(job.image_id[:8])


def make(keeper: Any) -> None:
    """Be the worker."""
    token = queue.recover(keeper._database, paid_engines=())
    while (job := queue.claim(keeper._database, token)) is not None:
        queue.finish(keeper._database, job, token, make_result(seed=7))


def test_images_that_cannot_be_written_to_a_folder_are_told_with_their_jobs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keeper, "look", make)

    async def refuse(*_: Any) -> Path:
        raise StoreError("The folder is full.")

    monkeypatch.setattr("tui.cli.output.Output.write", refuse)
    done = invoke(["generate", "a cat", "-S", "7", "-o", str(tmp_path / "out")])
    (job,) = list_jobs(home)
    assert job.image_id is not None
    assert done.exit_code == 2
    assert "The folder is full." in done.stderr
    assert done.stdout == f"queued {job.id[:8]}  seed 7  done  {job.image_id[:8]}\n"


def test_a_worker_that_does_not_come_up_is_a_note_where_nobody_waits(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = Darkroom.generate

    async def queue_alone(darkroom: Darkroom, *arguments: Any) -> list[Job]:
        jobs = await generate(darkroom, *arguments)
        darkroom._note_no_worker("The worker did not start.")
        return jobs

    monkeypatch.setattr(Darkroom, "generate", queue_alone)
    done = invoke(["generate", "a cat", "-S", "7", "--no-wait", "--json"])
    (job,) = list_jobs(home)
    assert (done.exit_code, job.state) == (0, JobState.WAITING)
    assert [row["id"] for row in json.loads(done.stdout)["jobs"]] == [job.id]
    assert done.stderr == f"{NO_WORKER_YET} The worker did not start.\n"


def test_a_command_says_that_it_waits_for_a_paused_queue(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes it is no error; it ends when somebody goes on with the queue."""
    monkeypatch.setattr(run, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(Keeper, "look", lambda keeper: None)
    is_paused, looks = Darkroom.is_queue_paused, []

    async def look_and_go_on(darkroom: Darkroom) -> bool:
        looks.append(await is_paused(darkroom))
        resume_queue(darkroom.database)
        make(Keeper(darkroom.directory, darkroom.database))
        return looks[-1]

    invoke(["pause"])
    monkeypatch.setattr(Darkroom, "is_queue_paused", look_and_go_on)
    done = invoke(["generate", "a cat", "-S", "7"])
    assert (done.exit_code, looks) == (0, [True])
    assert done.stderr.splitlines() == [f"waiting: {run.HELD}"]
    assert done.stdout.count("seed 7") == 1
