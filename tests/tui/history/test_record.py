"""What the record beside the list says of an image."""

from __future__ import annotations

import msgspec
import pytest
from rich.cells import cell_len

from store.records import Relation, Verdict
from store.request import FineTune, Guidance, InitialImage, Mask, PromptStack, Upscale, Variation
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import NARROW, WIDE, make_history, open_history
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom


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
        await wait_in_app(pilot, lambda: "differs at step 7" in screen.record.text, "the verdict")
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
        await wait_in_app(pilot, lambda: "no longer fits" in screen.record.text, "the warning")
        assert "answer id: a1" in screen.record.text


async def test_what_was_changed_in_a_record_is_named_and_nothing_is_proven() -> None:
    darkroom = MemoryDarkroom()
    image = darkroom.add_image(changes=("width", "meta"))
    darkroom.add_verification(image, Verdict.IDENTICAL)
    async with open_history(darkroom) as (pilot, screen):
        await wait_in_app(pilot, lambda: "changed after it" in screen.record.text, "the warning")
        assert "changed after it was written: width, meta" in screen.record.text
        assert "differs at width, meta" in screen.record.text.splitlines()[0]


@pytest.mark.parametrize("size", [WIDE, NARROW, (61, 20)])
async def test_no_end_of_a_long_line_of_the_record_is_lost(size: tuple[int, int]) -> None:
    darkroom = MemoryDarkroom()
    word = "".join(f"{number:03}" for number in range(200))
    darkroom.add_image(make_request(word))
    async with open_history(darkroom, size) as (pilot, screen):
        await press(pilot, "tab")
        view = screen.record
        await wait_in_app(pilot, lambda: view.size.area > 0, "the record")
        await wait_in_app(
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


async def test_a_missing_file_is_said_where_the_picture_would_be() -> None:
    darkroom = make_history(1)
    darkroom.files.clear()
    async with open_history(darkroom) as (pilot, _):
        await wait_in_app(pilot, lambda: "is missing" in read_screen(pilot.app), "the reason")


async def test_prompts_are_never_markup() -> None:
    darkroom = MemoryDarkroom()
    for text in ("[/x]", "[@click=app.quit]boo", "[bold]loud[/bold]"):
        darkroom.add_image(make_request(text))
    async with open_history(darkroom) as (pilot, screen):
        for text in ("[/x]", "[@click=app.quit]boo", "[bold]loud[/bold]"):
            assert text in read_screen(pilot.app)
        await press(pilot, "end")
        await wait_in_app(pilot, lambda: "[/x]" in screen.record.text, "the record")


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
        await press(pilot, "V")
        await wait_in_app(pilot, lambda: "only made larger" in read_screen(pilot.app), "the reason")
