"""What the history has made from an image, and what it says of the jobs."""

from __future__ import annotations

import pytest

from store.records import JobState, Purpose, Relation, Verdict
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import make_history, open_history, wait_for_record
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom


async def test_a_verification_shows_its_progress_and_then_its_verdict() -> None:
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "v")
        await wait_in_app(pilot, lambda: bool(darkroom.jobs), "the job")
        job = darkroom.jobs[0]
        assert (job.purpose, job.parent_id) == (Purpose.VERIFY, darkroom.images[-1].id)
        darkroom.replace_job(job.id, state=JobState.RUNNING, step=18, steps=50)
        await wait_in_app(
            pilot, lambda: "verifying: step 18 of 50" in screen.record.text, "the progress"
        )
        darkroom.replace_job(job.id, state=JobState.DONE, verification_number=1)
        darkroom.add_verification(darkroom.images[-1], Verdict.IDENTICAL)
        await wait_in_app(pilot, lambda: "✓ identical" in screen.record.text, "the verdict")
        assert "verifying" not in screen.record.text
        await wait_in_app(
            pilot, lambda: f"✓ {darkroom.images[-1].id[:8]}" in read_screen(pilot.app), "the mark"
        )


async def test_a_verification_that_failed_says_why() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "v")
        await wait_in_app(pilot, lambda: bool(darkroom.jobs), "the job")
        darkroom.replace_job(darkroom.jobs[0].id, state=JobState.FAILED, error="No such model.")
        await wait_in_app(pilot, lambda: "No such model." in screen.record.text, "the reason")


async def test_regenerate_queues_a_child_which_appears_without_losing_the_place() -> None:
    darkroom = make_history(40)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "down", "down", "down")
        chosen = darkroom.images[-4]
        await wait_for_record(pilot, screen, chosen.id)
        await press(pilot, "r")
        await wait_in_app(pilot, lambda: bool(darkroom.jobs), "the job")
        assert ("regenerate", chosen.id) in darkroom.calls
        child = darkroom.add_image(chosen.request, purpose=Purpose.REGENERATE, parent_id=chosen.id)
        await wait_in_app(
            pilot, lambda: child.id[:8] in read_screen(pilot.app), "the child in the list"
        )
        assert screen.image == chosen
        assert chosen.id in screen.record.text
        assert "made again" in read_screen(pilot.app)


@pytest.mark.exhaustive
async def test_an_image_is_varied_and_made_larger_and_that_is_said_until_it_is_done() -> None:
    darkroom = make_history(1)
    (image,) = darkroom.images
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "V")
        await wait_in_app(pilot, lambda: len(darkroom.jobs) == 1, "the job")
        (job,) = darkroom.jobs
        assert job.request.parameters.variation is not None
        assert (job.parent_id, job.relation) == (image.id, Relation.VARIATION)
        assert "Varying" in read_screen(pilot.app)
        darkroom.add_image(job.request, parent_id=image.id, relation=Relation.VARIATION)
        darkroom.replace_job(job.id, state=JobState.DONE)
        await wait_in_app(pilot, lambda: "Varying" not in read_screen(pilot.app), "its end")
        await press(pilot, "e")
        await wait_in_app(pilot, lambda: "larger-x2" in read_screen(pilot.app), "the models")
        await press(pilot, "enter")
        await wait_in_app(pilot, lambda: len(darkroom.jobs) == 2, "the second job")
        assert darkroom.jobs[1].relation is Relation.UPSCALE


async def test_an_engine_without_variations_says_so() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_image(make_request("castle", engine="stability"))
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "V")
        await wait_in_app(
            pilot, lambda: "stability varies no image" in read_screen(pilot.app), "the reason"
        )
        assert darkroom.jobs == []
