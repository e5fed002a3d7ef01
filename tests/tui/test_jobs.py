"""The jobs screen, as a person uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from store.records import Job, JobState
from tests.factories import make_request
from tests.screens import join_lines, read_screen, wait_in_app
from tests.tui.host import Host, press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.jobs import CancelQuestion, ChargeQuestion, JobsScreen


@asynccontextmanager
async def open_jobs(
    darkroom: MemoryDarkroom,
    size: tuple[int, int] = (80, 24),
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Pilot[None]]:
    app = Host(lambda: JobsScreen(darkroom), darkroom, environ)
    async with app.run_test(size=size) as pilot:
        await wait_in_app(pilot, lambda: isinstance(app.screen, JobsScreen), "the screen")
        if darkroom.jobs:
            state = darkroom.jobs[-1].state.value.replace("_", " ")
            await wait_in_app(pilot, lambda: state in read_screen(app), "the jobs")
        yield pilot


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_jobs_show_state_progress_seed_and_prompt(size: tuple[int, int]) -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.DONE, request=make_request("a fish", seed=11))
    darkroom.add_job(JobState.RUNNING, step=18, steps=50, seconds_left=0.4)
    async with open_jobs(darkroom, size) as pilot:
        text = read_screen(pilot.app)
        assert text.index("running") < text.index("done")
        assert "18/50" in text
        assert "11  a fish" in text
        assert "0.4 s left" in text


async def test_a_job_that_waits_for_other_settings_says_so() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.WAITING, is_for_others=True)
    async with open_jobs(darkroom) as pilot:
        await wait_in_app(
            pilot, lambda: "queued with other settings" in read_screen(pilot.app), "the reason"
        )
        assert "x stops it" in read_screen(pilot.app)


async def test_a_failed_job_tells_its_error_and_what_to_do() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.FAILED, error="Cannot reach the server. Check the network.")
    async with open_jobs(darkroom) as pilot:
        await wait_in_app(
            pilot, lambda: "Cannot reach the server." in read_screen(pilot.app), "the error"
        )
        assert "R tries it again" in read_screen(pilot.app)
        await press(pilot, "R")
        await wait_in_app(pilot, lambda: bool(darkroom.calls), "the retry")
        assert darkroom.calls == [("retry", darkroom.jobs[0].id)]
        await wait_in_app(pilot, lambda: "waiting" in read_screen(pilot.app), "the new state")


async def test_x_cancels_a_job_that_runs_and_says_why_not_for_one_that_ended() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.DONE)
    running = darkroom.add_job(JobState.RUNNING, step=1, steps=50)
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "x")
        await wait_in_app(pilot, lambda: "stopping" in read_screen(pilot.app), "the state")
        assert darkroom.calls == [("cancel", running.id)]
        await press(pilot, "down", "x")
        assert "Only a job that waits or runs" in read_screen(pilot.app)
        assert len(darkroom.calls) == 1


@pytest.mark.parametrize(("key", "is_sent"), [("y", True), ("n", False), ("escape", False)])
async def test_a_job_that_may_have_been_charged_is_asked_about_first(
    key: str, is_sent: bool
) -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.UNKNOWN)
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "R")
        await wait_in_app(pilot, lambda: isinstance(pilot.app.screen, ChargeQuestion), "a question")
        assert "charge" in read_screen(pilot.app)
        assert not darkroom.calls
        await press(pilot, key)
        await wait_in_app(pilot, lambda: isinstance(pilot.app.screen, JobsScreen), "the list")
        if is_sent:
            await wait_in_app(pilot, lambda: bool(darkroom.calls), "the retry")
        else:
            await wait_in_app(
                pilot, lambda: "Left as it is" in read_screen(pilot.app), "the answer"
            )
        assert bool(darkroom.calls) is is_sent


async def test_the_list_is_live_and_keeps_the_chosen_job() -> None:
    darkroom = MemoryDarkroom()
    first = darkroom.add_job(JobState.FAILED, error="The first one failed.")
    darkroom.add_job(JobState.WAITING)
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "j")
        await wait_in_app(
            pilot, lambda: "The first one failed." in read_screen(pilot.app), "its story"
        )
        darkroom.add_job(JobState.RUNNING, step=3, steps=9)
        await wait_in_app(pilot, lambda: "3/9" in read_screen(pilot.app), "the new job")
        assert "The first one failed." in read_screen(pilot.app)
        screen = pilot.app.screen
        assert isinstance(screen, JobsScreen)
        assert screen.chosen == first


async def test_letters_go_through_the_list_as_the_arrows_do() -> None:
    darkroom = MemoryDarkroom()
    for _ in range(5):
        darkroom.add_job(JobState.FAILED)
    async with open_jobs(darkroom) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, JobsScreen)
        await wait_in_app(pilot, lambda: len(screen.rows) == 5, "the jobs")
        places = []
        for key in ("G", "k", "g", "j", "end", "home"):
            await press(pilot, key)
            places.append(screen.options.highlighted)
        assert places == [4, 3, 0, 1, 4, 0]


async def test_no_job_says_what_to_do_and_an_error_is_never_markup() -> None:
    darkroom = MemoryDarkroom()
    async with open_jobs(darkroom) as pilot:
        await wait_in_app(pilot, lambda: "No job yet" in read_screen(pilot.app), "the advice")
        await press(pilot, "x", "R", "j", "k")
        darkroom.add_job(JobState.FAILED, error="[/x] [@click=app.quit]press")
        await wait_in_app(
            pilot, lambda: "[/x] [@click=app.quit]press" in read_screen(pilot.app), "the error"
        )
        darkroom.add_job(JobState.WAITING)
        await wait_in_app(pilot, lambda: "waiting" in read_screen(pilot.app), "the other job")
        await press(pilot, "up", "x")
        await wait_in_app(pilot, lambda: bool(darkroom.calls), "the keys to hold again")
        await press(pilot, "escape")
        await wait_in_app(
            pilot, lambda: not isinstance(pilot.app.screen, JobsScreen), "the end of the screen"
        )


async def test_every_key_of_the_jobs_stands_in_line_and_help_with_its_reason() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.DONE)
    async with open_jobs(darkroom, (100, 40)) as pilot:
        last = read_screen(pilot.app).splitlines()[-1]
        for said in ("x cancel", "R retry", "esc back", "? help"):
            assert said in last
        await press(pilot, "question_mark")
        text = read_screen(pilot.app)
        assert "in the list of jobs" in text
        assert "(Only a job that waits or runs can be cancelled.)" in join_lines(text)
        assert "↓ j" in text
        assert "Choose the job below" in text


async def test_a_history_that_can_only_be_read_says_so_of_its_jobs() -> None:
    class ReadOnly(MemoryDarkroom):
        @property
        def is_read_only(self) -> bool:
            return True

    darkroom = ReadOnly()
    darkroom.add_job(JobState.WAITING)
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "x")
        assert "This history can only be read." in read_screen(pilot.app)
        assert not darkroom.calls


async def test_a_terminal_without_unicode_gets_none_from_the_jobs() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.RUNNING, step=18, steps=50)
    environ = {"TERM": "xterm-256color", "LANG": "C"}
    async with open_jobs(darkroom, environ=environ) as pilot:
        text = read_screen(pilot.app)
        assert "> running" in text
        assert "####........ 18/50" in text


def read_names(pilot: Pilot[None]) -> list[str]:
    """The prompts of the listed jobs, from above."""
    screen = pilot.app.screen
    assert isinstance(screen, JobsScreen)
    return [row.request.stack.prompts[0].text for row in screen.rows if isinstance(row, Job)]


async def test_what_waits_stands_in_its_order_and_is_moved_by_keys() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.DONE, request=make_request("old"))
    darkroom.add_job(JobState.RUNNING, request=make_request("now"), step=1, steps=9)
    for name in "abc":
        darkroom.add_job(JobState.WAITING, request=make_request(name))
    async with open_jobs(darkroom, (120, 40)) as pilot:
        await wait_in_app(pilot, lambda: len(read_names(pilot)) == 5, "the jobs")
        assert read_names(pilot) == ["now", "a", "b", "c", "old"]
        text = read_screen(pilot.app)
        assert "4 in the queue" in text
        assert "2nd to come" in text
        await press(pilot, "t")
        assert "Only a job that waits has a place in the queue." in read_screen(pilot.app)
        await press(pilot, "j", "J")
        await wait_in_app(
            pilot, lambda: read_names(pilot) == ["now", "b", "a", "c", "old"], "the order"
        )
        # The cursor went with it.
        await press(pilot, "J", "J")
        await wait_in_app(
            pilot, lambda: read_names(pilot) == ["now", "b", "c", "a", "old"], "the order"
        )
        assert "It comes last already." in read_screen(pilot.app)
        await press(pilot, "K")
        await wait_in_app(
            pilot, lambda: read_names(pilot) == ["now", "b", "a", "c", "old"], "the order"
        )
        await press(pilot, "t")
        await wait_in_app(
            pilot, lambda: read_names(pilot) == ["now", "a", "b", "c", "old"], "the order"
        )


async def test_p_pauses_the_queue_and_goes_on_with_it() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.WAITING)
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "p")
        await wait_in_app(
            pilot, lambda: "jobs · queue paused: p goes on" in read_screen(pilot.app), "the pause"
        )
        text = join_lines(read_screen(pilot.app))
        assert "‖ waiting generate next" in text
        assert "what runs is ended, nothing else is begun until p" in text
        assert darkroom.is_paused
        await press(pilot, "p")
        await wait_in_app(
            pilot, lambda: "queue paused" not in read_screen(pilot.app), "the queue to go on"
        )
        assert not darkroom.is_paused


@pytest.mark.parametrize(("key", "is_done"), [("y", True), ("n", False), ("escape", False)])
async def test_all_are_cancelled_after_a_question(key: str, is_done: bool) -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.RUNNING, step=1, steps=9)
    darkroom.add_job(JobState.WAITING)
    darkroom.add_run()
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "X")
        await wait_in_app(pilot, lambda: isinstance(pilot.app.screen, CancelQuestion), "a question")
        asked = join_lines(read_screen(pilot.app))
        assert "Cancel 2 jobs and 1 run or series?" in asked
        assert not darkroom.calls
        await press(pilot, key)
        said = "2 jobs are stopped, and 1 run" if is_done else "Left as they are."
        await wait_in_app(pilot, lambda: said in read_screen(pilot.app), "the answer")
        assert bool(darkroom.calls) is is_done


async def test_a_single_job_is_cancelled_without_a_question_and_none_says_why() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.RUNNING, step=1, steps=9)
    async with open_jobs(darkroom) as pilot:
        await press(pilot, "X")
        await wait_in_app(pilot, lambda: "1 job is stopped." in read_screen(pilot.app), "the end")
        darkroom.replace_job(darkroom.jobs[0].id, state=JobState.CANCELLED)
        await wait_in_app(pilot, lambda: "cancelled" in read_screen(pilot.app), "the state")
        await press(pilot, "X")
        assert "No job waits or runs." in read_screen(pilot.app)


async def test_a_series_is_seen_paused_and_ended_by_keys() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_series(requests=2, taken=212, first=make_request("[b]sea"))
    async with open_jobs(darkroom) as pilot:
        await wait_in_app(pilot, lambda: "212 jobs  [b]sea" in read_screen(pilot.app), "the series")
        text = join_lines(read_screen(pilot.app))
        assert "212 jobs so far, 2 images a round" in text
        await press(pilot, "t")
        assert "only jobs are moved" in join_lines(read_screen(pilot.app))
        await press(pilot, "p")
        await wait_in_app(pilot, lambda: "‖ paused" in read_screen(pilot.app), "the pause")
        assert not darkroom.is_paused
        await press(pilot, "p")
        await wait_in_app(pilot, lambda: "▶ running" in read_screen(pilot.app), "the series")
        await press(pilot, "x")
        await wait_in_app(pilot, lambda: "– cancelled" in read_screen(pilot.app), "the end")
        await press(pilot, "p")
        assert "This series has ended" in join_lines(read_screen(pilot.app))
