"""What the terminal is told of jobs: its title, and a notice at their end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines.settings import InterfaceSettings
from store.records import Job, JobState
from tests.factories import make_job
from tests.tui.desk_darkroom import DeskDarkroom
from tui.announcer import Announcer
from tui.terminal.detect import Surroundings

XTERM = Surroundings(environ={"TERM": "xterm-256color"})


def make_announcer(darkroom: DeskDarkroom, **settings: object) -> Announcer:
    interface = InterfaceSettings(**{"notify": "osc9", "notify_after": 0.0, **settings})  # type: ignore[arg-type]
    return Announcer(darkroom, XTERM, interface)


def read_titles(said: str) -> list[str]:
    return re.findall("\x1b]2;(.*?)\x07", said)


def add_jobs(darkroom: DeskDarkroom, count: int) -> list[Job]:
    return [darkroom.add_job(state=JobState.RUNNING, steps=50) for _ in range(count)]


async def test_the_title_says_how_far_the_first_job_is_and_is_sent_once(tmp_path: Path) -> None:
    announcer = make_announcer(DeskDarkroom(tmp_path))
    said = [
        await announcer.follow(jobs, "night", is_seen=False)
        for jobs in (
            [],
            [],
            [make_job(state=JobState.WAITING)],
            [make_job(state=JobState.RUNNING, step=6, steps=50), make_job(state=JobState.WAITING)],
            [make_job(state=JobState.RUNNING, step=9, steps=50), make_job(state=JobState.WAITING)],
        )
    ]
    assert [read_titles(each) for each in said] == [
        ["safelight: night"],
        [],
        ["safelight: waiting"],
        ["safelight: 10%, 2 in the queue"],
        [],
    ]


async def test_a_notice_comes_once_when_the_last_job_has_ended(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path)
    jobs = add_jobs(darkroom, 3)
    announcer = make_announcer(darkroom)
    await announcer.follow(jobs, "", is_seen=False)
    for job, state in zip(jobs, (JobState.DONE, JobState.DONE, JobState.FAILED), strict=True):
        darkroom.replace_job(job.id, state=state)
    assert "\x1b]9;" not in await announcer.follow(jobs[2:], "", is_seen=False)
    assert "\x1b]9;2 images done, 1 failed\x07" in await announcer.follow([], "", is_seen=False)
    assert await announcer.follow([], "", is_seen=False) == ""


async def test_a_notice_waits_for_the_end_of_a_series(tmp_path: Path) -> None:
    """There is no job between two of its images, all night."""
    darkroom = DeskDarkroom(tmp_path)
    series = darkroom.add_series()
    announcer = make_announcer(darkroom)
    for job in add_jobs(darkroom, 3):
        await announcer.follow([job], "", is_seen=False)
        darkroom.replace_job(job.id, state=JobState.DONE)
        assert "\x1b]9;" not in await announcer.follow([], "", is_seen=False)
    await darkroom.cancel_series(series.id)
    assert "\x1b]9;3 images done\x07" in await announcer.follow([], "", is_seen=False)


@pytest.mark.parametrize(
    ("settings", "is_seen"),
    [({"notify": "none"}, False), ({"notify_after": 3600.0}, False), ({}, True)],
)
async def test_nobody_is_notified_of_what_is_quick_seen_or_not_wanted(
    settings: dict[str, object], is_seen: bool, tmp_path: Path
) -> None:
    darkroom = DeskDarkroom(tmp_path)
    announcer = make_announcer(darkroom, **settings)
    await announcer.follow(add_jobs(darkroom, 1), "", is_seen=is_seen)
    assert "\x1b]9;" not in await announcer.follow([], "", is_seen=is_seen)


async def test_a_title_that_is_not_wanted_is_not_written(tmp_path: Path) -> None:
    announcer = make_announcer(DeskDarkroom(tmp_path), title=False)
    assert await announcer.follow([make_job()], "night", is_seen=False) == ""
