"""Runs of verifications, dropped pixels and what is other now, as a person sees them."""

from __future__ import annotations

import msgspec
import pytest

from engines.base import Weight
from engines.outlook import Change, Outlook, Preflight
from store.records import JobState, RunState, Verdict
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import make_history, open_history
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tests.tui.test_jobs import open_jobs

SIZES = [(80, 24), (120, 40)]


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_stands_above_the_jobs_and_is_paused_resumed_and_ended(
    size: tuple[int, int],
) -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_job(JobState.DONE)
    darkroom.verdicts = {"identical": 119, "different": 1}
    darkroom.add_run(search="sample 200 of all")
    async with open_jobs(darkroom, size) as pilot:
        screen = pilot.app

        async def see(text: str) -> None:
            await wait_in_app(pilot, lambda: text in read_screen(screen), text)

        await see("120 of 200 images: 119 identical, 1 different")
        text = read_screen(screen)
        assert text.index("120/200") < text.index("done")
        assert "sample 200 of all" in text
        assert "p pause" in text.splitlines()[-1]
        await press(pilot, "R")
        await see("Only a job that ended without an image")
        await press(pilot, "p")
        await see("p goes on with it")
        assert darkroom.runs[0].state == RunState.PAUSED.value
        await press(pilot, "p")
        await see("p pauses it")
        await press(pilot, "x")
        await see("prints its verdicts")
        assert darkroom.runs[0].state == RunState.CANCELLED.value
        await press(pilot, "p")
        await see("Only a run of verifications that goes on")
        await press(pilot, "down", "p")
        await see("queue paused: p goes on")
        assert darkroom.is_paused


async def test_all_that_is_found_is_verified_in_the_background() -> None:
    darkroom = make_history(4)
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "slash", "n", "i", "g", "h", "t", "enter")
        await press(pilot, "B")
        await wait_in_app(
            pilot, lambda: "Verifying 4 images" in read_screen(pilot.app), "what is said"
        )
        assert "go back with esc, there j shows" in read_screen(pilot.app)
        assert ("begin_run", "search night: 4") in darkroom.calls


async def test_what_is_marked_is_verified_thinned_and_restored_at_once() -> None:
    darkroom = make_history(4)
    async with open_history(darkroom) as (pilot, _):

        async def see(text: str) -> None:
            await wait_in_app(pilot, lambda: text in read_screen(pilot.app), text)

        await press(pilot, "X")
        await see("1 kept: never verified")
        darkroom.add_verification(darkroom.images[-1], Verdict.IDENTICAL)
        await press(pilot, "space", "space", "v")
        await see("Verifying 2 images")
        assert ("begin_run", "marked: 2") in darkroom.calls
        await press(pilot, "r")
        await see("None of the marked images is without its pixels")
        await press(pilot, "X")
        await see("drop the pixels of 1 image: frees 2.0 MB")
        await press(pilot, "escape")
        assert ("thin", "2 False") not in darkroom.calls
        await press(pilot, "X")
        await see("drop the pixels of 1 image")
        await press(pilot, "enter")
        await see("1 image thinned: 2.0 MB freed. 1 kept: never verified.")
        await press(pilot, "r")
        await see("Restoring 1 image")
        assert ("restore", darkroom.images[-1].id) in darkroom.calls


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_other_now_stands_in_the_record_before_it_is_made_again(
    size: tuple[int, int],
) -> None:
    darkroom = make_history(2)
    image = darkroom.images[-1]
    decides = Change(
        name="engine revision", weight=Weight.DECIDES, reason="it is another", then="2", now="3"
    )
    darkroom.outlooks[image.id] = Preflight(
        image_id=image.id, outlook=Outlook.DIFFERENT, changes=(decides,), cost=0.2
    )
    nothing = Preflight(
        image_id=darkroom.images[0].id, outlook=Outlook.IDENTICAL, changes=(), cost=0
    )
    darkroom.outlooks[nothing.image_id] = nothing
    async with open_history(darkroom, size) as (pilot, screen):
        await wait_in_app(pilot, lambda: "since" in screen.record.text, "what is other")
        joined = " ".join(screen.record.text.split())
        assert "since something that decides pixels" in joined
        assert "engine revision 2 → 3: decides (it is another)" in joined
        assert "making it again takes about 0.2 credits" in joined
        await press(pilot, "down")
        await wait_in_app(
            pilot, lambda: "nothing that decides pixels" in screen.record.text, "the other image"
        )
        assert "engine revision 2" not in screen.record.text


async def test_an_image_without_pixels_shows_its_thumbnail_and_r_restores_it() -> None:
    darkroom = make_history(1)
    [image] = darkroom.images
    darkroom.images[0] = msgspec.structs.replace(image, is_thinned=True)
    async with open_history(darkroom) as (pilot, screen):
        await wait_in_app(pilot, lambda: "pixels dropped" in screen.record.text, "the record")
        assert "pixels dropped to save space; r restores them" in " ".join(
            screen.record.text.split()
        )
        await press(pilot, "r")
        await wait_in_app(pilot, lambda: "Restoring" in read_screen(pilot.app), "what is said")
        assert ("restore", image.id) in darkroom.calls
