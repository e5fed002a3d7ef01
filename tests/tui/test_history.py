"""The history screen, as a person uses it."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from store.parameters import FineTune, Guidance, InitialImage, Mask, Upscale, Variation
from store.records import Image, JobState, Purpose, Relation, Verdict
from store.request import PromptStack
from tests.tui.host import Host, read_screen, wait_until
from tests.tui.memory_darkroom import MemoryDarkroom, make_request
from tui.commands import make_command
from tui.screens.history import HistoryScreen
from tui.widgets.picture import Picture

WIDE, NARROW = (120, 40), (80, 24)


@asynccontextmanager
async def open_history(
    darkroom: MemoryDarkroom, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[Pilot[None], HistoryScreen]]:
    """The screen with its list read and its first record shown."""
    app = Host(lambda: HistoryScreen(darkroom))
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, HistoryScreen), "the screen")
        screen = app.screen
        assert isinstance(screen, HistoryScreen)
        if darkroom.images:
            await wait_for_record(pilot, screen, darkroom.images[-1].id)
        yield pilot, screen


async def wait_for_record(pilot: Pilot[None], screen: HistoryScreen, image_id: str) -> None:
    await wait_until(pilot, lambda: image_id in screen.record.text, f"the record of {image_id}")


def make_history(count: int) -> MemoryDarkroom:
    darkroom = MemoryDarkroom()
    for number in range(1, count + 1):
        darkroom.add_image(make_request("night sky", "clouds::-1", seed=number, cfg_scale=7.0))
    return darkroom


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_images_are_listed_newest_first_with_seed_mark_and_change(
    size: tuple[int, int],
) -> None:
    darkroom = MemoryDarkroom()
    first = darkroom.add_image(make_request("night sky", seed=11, cfg_scale=7.0))
    darkroom.add_image(make_request("night sky", seed=12, cfg_scale=8.0), parent_id=first.id)
    darkroom.add_verification(first, Verdict.IDENTICAL)
    async with open_history(darkroom, size) as (pilot, _):
        text = read_screen(pilot.app)
        newer, older = darkroom.images[1], darkroom.images[0]
        assert text.index(newer.id[:8]) < text.index(older.id[:8])
        assert f"✓ {older.id[:8]}" in text
        assert f"· {newer.id[:8]}" in text
        assert "seed, cfg 7→8" in text
        assert "night sky" in text


async def test_the_record_holds_everything_that_made_the_image() -> None:
    darkroom = MemoryDarkroom()
    parent = darkroom.add_image()
    image = darkroom.add_image(
        make_request("castle", "fog::0.6", "people::-1.5", seed=77, style_preset="anime"),
        parent_id=parent.id,
    )
    darkroom.add_verification(image, Verdict.IDENTICAL)
    darkroom.add_verification(image, Verdict.DIFFERENT, "step 7", "The latent differs there.")
    async with open_history(darkroom) as (pilot, screen):
        await wait_until(pilot, lambda: "differs at step 7" in screen.record.text, "the verdict")
        text = screen.record.text
        lines = text.replace("\n          ", "")
        for part in (
            "castle",
            "+0.6  fog",
            "−1.5  people",
            "77",
            "k_dpmpp_2m",
            "128 x 128",
            "anime",
            "builtin, model r1",
            "The latent differs there.",
            "engine revision: r1",
            "noise",
        ):
            assert part in text
        for digest in (
            image.id,
            parent.id,
            image.request_digest,
            image.pixels_sha256,
            image.file_sha256,
            image.environment_digest,
        ):
            assert digest in lines
        assert text.count("✓ identical") == 1


async def test_a_damaged_record_says_that_it_may_not_be_what_was_run() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_image(is_damaged=True, meta={"answer id": "a1"}, relation=Relation.VARIATION)
    async with open_history(darkroom) as (pilot, screen):
        await wait_until(pilot, lambda: "no longer fits" in screen.record.text, "the warning")
        assert "answer id: a1" in screen.record.text


@pytest.mark.parametrize("size", [WIDE, NARROW, (61, 20)])
async def test_no_end_of_a_long_line_of_the_record_is_lost(size: tuple[int, int]) -> None:
    darkroom = MemoryDarkroom()
    word = "".join(f"{number:03}" for number in range(200))
    darkroom.add_image(make_request(word))
    async with open_history(darkroom, size) as (pilot, screen):
        await pilot.press("tab")
        view = screen.record
        await wait_until(pilot, lambda: view.size.area > 0, "the record")
        await wait_until(
            pilot,
            lambda: (
                max(map(cell_len, view.text.splitlines())) <= view.scrollable_content_region.width
            ),
            "lines that fit",
        )
        lines = [line.rstrip() for line in view.text.splitlines()]
        pieces = [line.split()[-1] for line in lines if line]
        assert word in "".join(pieces)
        shown = read_screen(pilot.app)
        assert all(line in shown for line in lines[: view.size.height])


async def test_moving_shows_another_picture_and_record() -> None:
    darkroom = make_history(5)
    async with open_history(darkroom) as (pilot, screen):
        picture = screen.query_one(Picture)
        await wait_until(pilot, lambda: picture.has_image, "the picture")
        before = picture.render_line(5)
        await pilot.press("down", "j")
        await wait_for_record(pilot, screen, darkroom.images[2].id)
        await wait_until(pilot, lambda: picture.render_line(5) != before, "the other picture")
        await pilot.press("k")
        await wait_for_record(pilot, screen, darkroom.images[3].id)
        await pilot.press("end")
        await wait_for_record(pilot, screen, darkroom.images[0].id)


async def test_a_key_right_after_moving_means_the_image_moved_to() -> None:
    darkroom = make_history(20)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.pause()
        screen.history_list.cursor += 7
        await screen.action_perform("history.verify")
        assert ("verify", darkroom.images[-8].id) in darkroom.calls


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("enter", "all"),
        ("1", "all"),
        ("2", "all but seed"),
        ("3", "prompts"),
        ("4", "parameters"),
        ("5", "seed"),
    ],
)
async def test_a_key_loads_the_image_or_a_part_of_it_and_goes_back(key: str, parts: str) -> None:
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.press("down")
        await wait_for_record(pilot, screen, darkroom.images[1].id)
        await pilot.press(key)
        app: Any = pilot.app
        await wait_until(pilot, lambda: bool(app.messages), "the message")
        assert app.messages[0].image.id == darkroom.images[1].id
        assert app.messages[0].parts == parts
        assert app.screen is not screen


async def test_a_verification_shows_its_progress_and_then_its_verdict() -> None:
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.press("v")
        await wait_until(pilot, lambda: bool(darkroom.jobs), "the job")
        job = darkroom.jobs[0]
        assert (job.purpose, job.parent_id) == (Purpose.VERIFY, darkroom.images[-1].id)
        darkroom.replace_job(job.id, state=JobState.RUNNING, step=18, steps=50)
        await wait_until(
            pilot, lambda: "verifying: step 18 of 50" in screen.record.text, "the progress"
        )
        darkroom.replace_job(job.id, state=JobState.DONE, verification_number=1)
        darkroom.add_verification(darkroom.images[-1], Verdict.IDENTICAL)
        await wait_until(pilot, lambda: "✓ identical" in screen.record.text, "the verdict")
        assert "verifying" not in screen.record.text
        await wait_until(
            pilot, lambda: f"✓ {darkroom.images[-1].id[:8]}" in read_screen(pilot.app), "the mark"
        )


async def test_a_verification_that_failed_says_why() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.press("v")
        await wait_until(pilot, lambda: bool(darkroom.jobs), "the job")
        darkroom.replace_job(darkroom.jobs[0].id, state=JobState.FAILED, error="No such model.")
        await wait_until(pilot, lambda: "No such model." in screen.record.text, "the reason")


async def test_regenerate_queues_a_child_which_appears_without_losing_the_place() -> None:
    darkroom = make_history(40)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.press("down", "down", "down")
        chosen = darkroom.images[-4]
        await wait_for_record(pilot, screen, chosen.id)
        await pilot.press("r")
        await wait_until(pilot, lambda: bool(darkroom.jobs), "the job")
        assert ("regenerate", chosen.id) in darkroom.calls
        child = darkroom.add_image(chosen.request, purpose=Purpose.REGENERATE, parent_id=chosen.id)
        await wait_until(
            pilot, lambda: child.id[:8] in read_screen(pilot.app), "the child in the list"
        )
        assert screen.history_list.chosen == chosen
        assert chosen.id in screen.record.text
        assert "made again" in read_screen(pilot.app)


async def test_search_as_one_types_and_back_to_all() -> None:
    darkroom = make_history(3)
    fish = darkroom.add_image(make_request("a blue fish", seed=5))
    darkroom.add_image(make_request("night sky", seed=6))
    async with open_history(darkroom) as (pilot, screen):
        await pilot.press("slash", *"fish")
        await wait_for_record(pilot, screen, fish.id)
        await wait_until(pilot, lambda: len(screen.history_list.pages) == 1, "one image")
        assert "1 image found" in read_screen(pilot.app)
        await pilot.press("enter")
        assert screen.focused is screen.history_list
        await pilot.press("escape")
        await wait_until(pilot, lambda: len(screen.history_list.pages) == 5, "all images")
        assert screen.history_list.chosen == fish
        assert pilot.app.screen is screen


async def test_keys_are_text_while_searching_and_nothing_found_is_said() -> None:
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.press("slash", *"rv5")
        await wait_until(pilot, lambda: not len(screen.history_list.pages), "an empty list")
        assert screen.query_one(Input).value == "rv5"
        await wait_until(
            pilot, lambda: "No prompt has words" in read_screen(pilot.app), "the reason"
        )
        assert not darkroom.jobs


async def test_the_command_goes_to_the_clipboard() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, _):
        await pilot.press("y")
        assert pilot.app.clipboard == make_command(darkroom.images[0].request)


async def test_an_empty_history_says_what_to_do_and_no_key_fails() -> None:
    darkroom = MemoryDarkroom()
    async with open_history(darkroom) as (pilot, screen):
        await wait_until(pilot, lambda: "No image yet" in read_screen(pilot.app), "the advice")
        assert "ctrl+j" in read_screen(pilot.app)
        await pilot.press("enter", "v", "r", "y", "down", "end", "z", "1", "tab", "tab")
        assert pilot.app.screen is screen
        assert not darkroom.jobs
        first, image = darkroom.add_image(), darkroom.add_image()
        await wait_for_record(pilot, screen, image.id)
        await pilot.press("down")
        await wait_for_record(pilot, screen, first.id)
        assert "No image yet" not in read_screen(pilot.app)


async def test_in_a_narrow_terminal_a_key_turns_from_list_to_record_and_back() -> None:
    darkroom = make_history(3)
    async with open_history(darkroom, NARROW) as (pilot, screen):
        assert not screen.query_one(Picture).region.area
        await pilot.press("tab")
        await wait_until(pilot, lambda: screen.query_one(Picture).has_image, "the picture")
        text = read_screen(pilot.app)
        assert "k_dpmpp_2m" in text
        assert "▄" in text or "▌" in text or "▘" in text or "▁" in text
        await pilot.press("escape")
        await wait_until(
            pilot, lambda: darkroom.images[0].id[:8] in read_screen(pilot.app), "the list"
        )
        await pilot.press("escape")
        await wait_until(pilot, lambda: pilot.app.screen is not screen, "the end of the screen")


async def test_a_missing_file_is_said_where_the_picture_would_be() -> None:
    darkroom = make_history(1)
    darkroom.files.clear()
    async with open_history(darkroom) as (pilot, _):
        await wait_until(pilot, lambda: "is missing" in read_screen(pilot.app), "the reason")


async def test_prompts_are_never_markup() -> None:
    darkroom = MemoryDarkroom()
    for text in ("[/x]", "[@click=app.quit]boo", "[bold]loud[/bold]"):
        darkroom.add_image(make_request(text))
    async with open_history(darkroom) as (pilot, screen):
        for text in ("[/x]", "[@click=app.quit]boo", "[bold]loud[/bold]"):
            assert text in read_screen(pilot.app)
        await pilot.press("end")
        await wait_until(pilot, lambda: "[/x]" in screen.record.text, "the record")


async def test_help_lists_the_keys_that_hold_here() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, _):
        await pilot.press("question_mark")
        await wait_until(
            pilot, lambda: "Load prompts of the image" in read_screen(pilot.app), "the help"
        )


class GatedDarkroom(MemoryDarkroom):
    """Answers nothing about the history while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked: list[str] = []

    async def _wait(self, what: str) -> None:
        self.asked.append(what)
        await self.gate.wait()

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        await self._wait("numbers")
        return await super().list_image_numbers(search=search)

    async def list_images(
        self, *, before: int | None = None, limit: int = 50, search: str | None = None
    ) -> list[Image]:
        await self._wait("images")
        return await super().list_images(before=before, limit=limit, search=search)

    async def get_image(self, reference: str) -> Image:
        await self._wait("record")
        return await super().get_image(reference)


@pytest.mark.parametrize("what", ["numbers", "images", "record"])
async def test_leaving_while_the_history_is_still_being_read_does_no_harm(what: str) -> None:
    darkroom = GatedDarkroom()
    for seed in range(1, 4):
        darkroom.add_image(make_request("night", seed=seed))
    app = Host(lambda: HistoryScreen(darkroom))
    async with app.run_test(size=NARROW) as pilot:
        while what not in darkroom.asked:
            darkroom.gate.set()
            await pilot.pause()
            darkroom.gate.clear()
        app.screen.dismiss()
        darkroom.gate.set()
        await wait_until(
            pilot, lambda: not isinstance(app.screen, HistoryScreen), "the end of the screen"
        )
        await pilot.pause()
        assert app.is_running


async def test_news_that_come_when_the_parts_of_the_screen_are_already_gone_do_no_harm() -> None:
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, screen):
        # A screen that is left loses its parts before its workers end.
        await screen.remove_children()
        darkroom.add_image()
        asked = len(darkroom.calls)
        await wait_until(pilot, lambda: len(darkroom.calls) > asked, "the question for news")
        await pilot.pause()
        assert pilot.app.is_running


async def test_the_editor_is_asked_to_start_from_the_image_under_the_cursor() -> None:
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, _):
        await pilot.press("j", "i")
        app = pilot.app
        assert isinstance(app, Host)
        await wait_until(pilot, lambda: bool(app.messages), "the message")
        (message,) = app.messages
        assert isinstance(message, HistoryScreen.OriginChosen)
        assert message.image.id == darkroom.images[0].id


async def test_an_image_is_varied_and_made_larger_and_that_is_said_until_it_is_done() -> None:
    darkroom = make_history(1)
    (image,) = darkroom.images
    async with open_history(darkroom) as (pilot, _):
        await pilot.press("V")
        await wait_until(pilot, lambda: len(darkroom.jobs) == 1, "the job")
        (job,) = darkroom.jobs
        assert job.request.parameters.variation is not None
        assert (job.parent_id, job.relation) == (image.id, Relation.VARIATION)
        assert "Varying" in read_screen(pilot.app)
        darkroom.add_image(job.request, parent_id=image.id, relation=Relation.VARIATION)
        darkroom.replace_job(job.id, state=JobState.DONE)
        await wait_until(pilot, lambda: "Varying" not in read_screen(pilot.app), "its end")
        await pilot.press("e")
        await wait_until(pilot, lambda: "larger-x2" in read_screen(pilot.app), "the models")
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(darkroom.jobs) == 2, "the second job")
        assert darkroom.jobs[1].relation is Relation.UPSCALE


async def test_an_engine_without_variations_says_so() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_image(make_request("castle", engine="stability"))
    async with open_history(darkroom) as (pilot, _):
        await pilot.press("V")
        await wait_until(
            pilot, lambda: "stability varies no image" in read_screen(pilot.app), "the reason"
        )
        assert darkroom.jobs == []


async def test_the_record_says_in_words_what_an_image_started_from() -> None:
    darkroom = MemoryDarkroom()
    parent = darkroom.add_image()
    start = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0.1)
    darkroom.add_image(
        make_request(
            "castle",
            initial_image=start,
            mask=Mask(sha256="cd" * 32, replaces="white", area_init="random"),
            variation=Variation(seed=77, strength=0.2),
            guidance=Guidance(preset="fast_blue", strength=0.3, prompt="[red]fog"),
            fine_tunes=(FineTune(model="mine", weight=0.5),),
        ),
        parent_id=parent.id,
        relation=Relation.INITIAL_IMAGE,
    )
    async with open_history(darkroom, (160, 60)) as (_, screen):
        text = " ".join(screen.record.text.split())
        for said in (
            "the image file abababab",
            "start 0.6 (0 keeps it, 1 ignores it), end 0.1",
            "cdcdcdcd: white is made anew, from noise",
            "77, 0.2 of it mixed in",
            "fast blue, strength 0.3",
            "prompt: [red]fog",
            "mine, weight 0.5",
            f"started from {parent.id}",
        ):
            assert said in text


async def test_an_image_without_a_prompt_is_listed_and_shown() -> None:
    darkroom = MemoryDarkroom()
    request = make_request(width=300, height=200, upscale=Upscale(sha256="ab" * 32, upscaler="rgb"))
    bare = msgspec.structs.replace(request, stack=PromptStack(prompts=()))
    darkroom.add_image(bare)
    async with open_history(darkroom) as (pilot, screen):
        assert "(no prompt)" in read_screen(pilot.app)
        assert "the image abababab made 300 x 200" in " ".join(screen.record.text.split())
        await pilot.press("V")
        await wait_until(pilot, lambda: "only made larger" in read_screen(pilot.app), "the reason")
