"""Bisecting two images: on the screen, and what becomes of the images in between."""

from __future__ import annotations

import msgspec
import pytest

from engines.bisection import Trial
from store.errors import SafelightError
from store.records import Image, JobState, Purpose, Relation, Verdict
from tests.factories import make_request
from tests.screens import join_lines, read_screen, wait_in_app
from tests.tui.compare.opening import open_comparison
from tests.tui.compare.working_darkroom import WorkingDarkroom
from tests.tui.host import press
from tests.tui.pilot import read_message
from tui.compare.bisection import BisectRun, Explained
from tui.compare.pair import load_pair
from tui.dialogs import ChoiceScreen

ONE = make_request("night", "fog", seed=10, steps=20)
OTHER = make_request("night", "fog::2", seed=200, steps=24)
"""The seed decides: 190 levels of red against 4 of green and 10 of blue."""


@pytest.fixture
def darkroom() -> WorkingDarkroom:
    darkroom = WorkingDarkroom()
    darkroom.paint(ONE)
    darkroom.paint(OTHER)
    return darkroom


async def search(
    darkroom: WorkingDarkroom, one: Image, other: Image
) -> tuple[list[Trial], Explained]:
    run = BisectRun(darkroom, await load_pair(darkroom, one.id, other.id))
    trials: list[Trial] = []
    async for found in run.search():
        if isinstance(found, Explained):
            return trials, found
        trials.append(found)
    raise AssertionError("nothing was found")


async def test_what_was_made_on_the_way_lies_in_the_trash(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    trials, found = await search(darkroom, one, other)
    assert [change.field for change in found.explanation.decisive] == ["seed"]
    assert found.explanation.explained == pytest.approx(190 / 204)
    made = darkroom.images[2:]
    assert len(made) == len(trials) > 1
    assert darkroom.trashed == {image.number for image in made} - {found.image.number}
    jobs = darkroom.jobs
    assert {(job.parent_id, job.relation, job.purpose) for job in jobs} == {
        (one.id, Relation.EDIT, Purpose.GENERATE)
    }


async def test_it_goes_on_from_what_was_made(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    _, first = await search(darkroom, one, other)
    count = len(darkroom.jobs)
    _, again = await search(darkroom, one, other)
    assert len(darkroom.jobs) == count
    assert again.image == first.image
    # An image whose file is gone, or that was found to be another one, is made again.
    del darkroom.files[darkroom.images[2].id]
    changed = msgspec.structs.replace(darkroom.images[3], verdict=Verdict.DIFFERENT)
    darkroom.images[3] = changed
    await search(darkroom, one, other)
    assert len(darkroom.jobs) == count + 2


async def test_a_job_that_fails_ends_it_with_its_reason(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images

    def fail(job: object) -> object:
        return darkroom.replace_job(
            darkroom.jobs[-1].id, state=JobState.FAILED, error="The model is gone."
        )

    darkroom.finish = fail  # type: ignore[assignment]
    with pytest.raises(SafelightError, match="The model is gone"):
        await search(darkroom, one, other)


async def test_what_would_prove_nothing_is_refused(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    darkroom.facts_of_engine = {"is_deterministic": False, "why_not": "the seed is ignored"}
    with pytest.raises(SafelightError, match=r"does not repeat itself.*the seed is ignored"):
        await search(darkroom, one, other)
    darkroom.facts_of_engine = {}
    with pytest.raises(SafelightError, match="Every pixel"):
        await search(darkroom, one, darkroom.paint(ONE))
    changed = darkroom.add_image(make_request("dusk"), changes=("seed",))
    with pytest.raises(SafelightError, match=r"record of B was changed .*\(seed\)"):
        await search(darkroom, one, changed)
    del darkroom.files[one.id]
    with pytest.raises(SafelightError, match="is missing"):
        await search(darkroom, one, other)
    assert not darkroom.jobs


async def test_the_change_is_named_on_the_screen(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: "decides" in screen.details.text, "the change")
        said = "one change alone explains"
        await wait_in_app(pilot, lambda: said in join_lines(read_screen(pilot.app)), "its share")
        shown = join_lines(read_screen(pilot.app))
        assert "one change alone explains 93.1 % of the difference" in shown
        assert "decides seed 10 → 200" in shown
        (kept,) = [each for each in darkroom.images[2:] if each.number not in darkroom.trashed]
        assert f"{kept.id[:8]}, in the history" in shown
        assert "trial 1" in screen.details.text


@pytest.mark.exhaustive
async def test_progress_and_the_end_of_it(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    darkroom.is_working = False
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: darkroom.jobs, "a job")
        job = darkroom.jobs[0]
        darkroom.replace_job(job.id, state=JobState.RUNNING, step=3, steps=20)
        await wait_in_app(pilot, lambda: "step 3 of 20" in screen.details.text, "the progress")
        darkroom.finish(job)
        await wait_in_app(pilot, lambda: len(darkroom.jobs) == 2, "the next job")
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: ("cancel", darkroom.jobs[1].id) in darkroom.calls, "end")
        assert "b goes on from there" in read_message(pilot.app)
        assert "b ends it" not in screen.details.text
        # and again: the first image is there already
        darkroom.is_working = True
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: "decides" in screen.details.text, "the change")
        assert [each.request for each in darkroom.jobs].count(job.request) == 1


async def test_leaving_ends_it(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    darkroom.is_working = False
    async with open_comparison(darkroom, one, other) as (pilot, _):
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: darkroom.jobs, "a job")
        await press(pilot, "escape")
        await wait_in_app(pilot, lambda: ("cancel", darkroom.jobs[0].id) in darkroom.calls, "end")


@pytest.mark.exhaustive
async def test_credits_are_asked_for_first(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    darkroom.price = 2.5
    async with open_comparison(darkroom, one, other) as (pilot, screen):
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: isinstance(pilot.app.screen, ChoiceScreen), "the price")
        assert "about 2.5 credits an image, at most 64 images" in join_lines(read_screen(pilot.app))
        await press(pilot, "enter")
        assert not darkroom.jobs
        await press(pilot, "b", "down", "enter")
        await wait_in_app(pilot, lambda: "decides" in screen.details.text, "the change")


async def test_why_not_is_said_on_the_screen(darkroom: WorkingDarkroom) -> None:
    one, other = darkroom.images
    darkroom.facts_of_engine = {"is_deterministic": False, "why_not": "the seed is ignored"}
    async with open_comparison(darkroom, one, other) as (pilot, _):
        await press(pilot, "b")
        assert "builtin does not repeat itself" in read_message(pilot.app)
