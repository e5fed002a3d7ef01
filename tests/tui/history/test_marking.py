"""What is said of images in the history, by keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from textual.widgets import Input, TextArea

from store.errors import StoreError
from store.records import Image, Mark, Marked
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import NARROW, make_history, open_history, wait_for_record
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.history.mark_dialogs import EmptyingQuestion, NoteScreen, TagScreen


def list_ratings(darkroom: MemoryDarkroom) -> list[int | None]:
    return [image.rating for image in reversed(darkroom.images)]


async def test_a_digit_rates_and_the_same_once_more_takes_it_away() -> None:
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "4")
        assert list_ratings(darkroom) == [4, None, None]
        text = read_screen(pilot.app)
        assert "rated 4. u undoes it." in text
        assert "★4" in text
        await wait_in_app(pilot, lambda: "★★★★☆" in screen.record.text, "the record")
        await press(pilot, "4")
        assert list_ratings(darkroom) == [None, None, None]
        await press(pilot, "0", "down", "5", "u")
        assert list_ratings(darkroom) == [0, None, None]
        await press(pilot, "u", "u")
        assert list_ratings(darkroom) == [4, None, None]
        await press(pilot, "u", "u")
        assert "Nothing was said" in read_screen(pilot.app)
        assert list_ratings(darkroom) == [None, None, None]


async def test_culling_keeps_or_drops_and_goes_on() -> None:
    darkroom = make_history(4)
    newest, third, second, first = reversed(darkroom.images)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "p")
        await wait_for_record(pilot, screen, third.id)
        await press(pilot, "x")
        await wait_for_record(pilot, screen, second.id)
        await press(pilot, "d")
        await wait_for_record(pilot, screen, first.id)
        assert "in the trash. u undoes it" in read_screen(pilot.app)
        kept = {image.id: image for image in darkroom.images}
        assert kept[newest.id].is_favourite
        assert [image.is_trashed for image in darkroom.images] == [False, True, True, False]
        await wait_in_app(pilot, lambda: "2 images" in read_screen(pilot.app), "the count")
        await press(pilot, "u")
        await wait_in_app(pilot, lambda: "3 images" in read_screen(pilot.app), "the image again")
        assert second.id[:8] in read_screen(pilot.app)


async def test_the_only_image_is_dropped_and_comes_back() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "d")
        await wait_in_app(pilot, lambda: "No image yet" in read_screen(pilot.app), "the advice")
        await press(pilot, "u")
        await wait_for_record(pilot, screen, darkroom.images[0].id)
        await press(pilot, "f")
        assert darkroom.images[0].is_favourite


async def test_tags_are_typed_with_completion_and_a_wrong_one_is_explained() -> None:
    darkroom = make_history(3)
    await darkroom.mark_images([1, 2], Mark(add=("harbour", "hat")))
    await darkroom.mark_images([2], Mark(remove=("hat",)))
    async with open_history(darkroom, NARROW) as (pilot, _):
        await press(pilot, "t")
        assert isinstance(pilot.app.screen, TagScreen)
        await wait_in_app(pilot, lambda: "#harbour  2" in read_screen(pilot.app), "the offers")
        await press(pilot, *"ha")
        await wait_in_app(pilot, lambda: "#hat  1" in read_screen(pilot.app), "the offers")
        await press(pilot, "tab", ",", *" a", '"', "enter")
        assert "cannot be a tag" in read_screen(pilot.app)
        field = pilot.app.screen.query_one(Input)
        assert field.value == 'harbour, a"'
        await press(pilot, "backspace", *"rt", "enter")
        await wait_in_app(pilot, lambda: darkroom.images[2].tags == ("art", "harbour"), "the tags")
        await press(pilot, "t", *"-h", "tab", "enter")
        await wait_in_app(pilot, lambda: darkroom.images[2].tags == ("art",), "the tag taken")
        assert "#harbour removed" in read_screen(pilot.app)
        await press(pilot, "t", *"x", "escape")
        assert darkroom.images[2].tags == ("art",)


@pytest.mark.exhaustive
async def test_a_note_of_two_lines_is_written_and_changed() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "n", *"one", "ctrl+j", *"two", "enter")
        await wait_in_app(pilot, lambda: darkroom.images[0].note == "one\ntwo", "the note")
        await wait_in_app(pilot, lambda: "note      one" in screen.record.text, "the record")
        assert "¶" in read_screen(pilot.app)
        await press(pilot, "n")
        assert isinstance(pilot.app.screen, NoteScreen)
        assert pilot.app.screen.query_one(TextArea).text == "one\ntwo"
        await press(pilot, *"!", "enter")
        await wait_in_app(pilot, lambda: darkroom.images[0].note == "one\ntwo!", "the note")
        await press(pilot, "n", "x", "escape")
        assert darkroom.images[0].note == "one\ntwo!"


async def test_the_keys_act_on_all_marked_images() -> None:
    darkroom = make_history(6)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "space", "space", "down", "shift+down")
        assert screen.history_list.cursor == 4
        await wait_in_app(
            pilot, lambda: "4 marked, 6 images" in read_screen(pilot.app), "the count"
        )
        await press(pilot, "3")
        await wait_in_app(
            pilot, lambda: list_ratings(darkroom) == [3, 3, None, 3, 3, None], "the ratings"
        )
        await wait_in_app(pilot, lambda: "4 images: rated 3" in read_screen(pilot.app), "the words")
        await press(pilot, "escape")
        assert not screen.history_list.selection
        assert pilot.app.screen is screen
        await press(pilot, "u")
        await wait_in_app(pilot, lambda: list_ratings(darkroom) == [None] * 6, "the undoing")


async def test_all_found_but_one_go_to_the_trash_and_come_back_by_its_search() -> None:
    darkroom = make_history(5)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "a", "space")
        await wait_in_app(pilot, lambda: "4 marked" in read_screen(pilot.app), "the count")
        await press(pilot, "d")
        await wait_in_app(pilot, lambda: "1 image" in read_screen(pilot.app), "one image")
        assert [image.is_trashed for image in darkroom.images] == [True] * 4 + [False]
        assert not screen.history_list.selection
        await press(pilot, "slash", *"is:trashed", "enter")
        await wait_in_app(pilot, lambda: "4 images found" in read_screen(pilot.app), "the trash")
        await press(pilot, "d")
        assert "b puts it back" in read_screen(pilot.app)
        await press(pilot, "b")
        await wait_in_app(pilot, lambda: "3 images found" in read_screen(pilot.app), "the trash")
        assert not darkroom.images[3].is_trashed


async def test_the_trash_is_emptied_after_saying_what_that_frees() -> None:
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "E")
        assert "The trash is empty." in read_screen(pilot.app)
        await press(pilot, "d", "E")
        assert isinstance(pilot.app.screen, EmptyingQuestion)
        size = darkroom.images[2].file_bytes
        assert f"1 image would be removed; frees {size} bytes in 1 file." in read_screen(pilot.app)
        await press(pilot, "enter")
        assert darkroom.images[2].is_trashed
        await press(pilot, "E", "y")
        await wait_in_app(pilot, lambda: "1 image removed; freed" in read_screen(pilot.app), "it")
        assert darkroom.images[2].is_emptied


class SlowDarkroom(MemoryDarkroom):
    """Marks a part of many images only when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.parts: list[int] = []

    async def mark_images(self, numbers: Sequence[int], mark: Mark) -> Marked:
        self.parts.append(len(numbers))
        if len(self.parts) > 1:
            await self.gate.wait()
        return await super().mark_images(numbers, mark)


async def test_many_images_are_marked_beside_the_screen_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.history.marking._AT_ONCE", 2)
    darkroom = SlowDarkroom()
    source = make_history(7)
    darkroom.images, darkroom.files = source.images, source.files
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "a", "5")
        await wait_in_app(pilot, lambda: "2 of 7 images; esc stops" in read_screen(pilot.app), "it")
        await press(pilot, "j")
        assert screen.history_list.cursor == 1
        await press(pilot, "f")
        assert "esc stops that" in read_screen(pilot.app)
        await press(pilot, "escape")
        darkroom.gate.set()
        await wait_in_app(pilot, lambda: "Stopped: 4 images" in read_screen(pilot.app), "the end")
        assert list_ratings(darkroom) == [5] * 4 + [None] * 3
        assert len(screen.history_list.selection) == 7
        await press(pilot, "u")
        await wait_in_app(pilot, lambda: list_ratings(darkroom) == [None] * 7, "the undoing")


class FailingDarkroom(MemoryDarkroom):
    async def mark_images(self, numbers: Sequence[int], mark: Mark) -> Marked:
        raise StoreError("The disk is full.", "Free some space.")


@pytest.mark.parametrize("keys", [["3"], ["space", "3"]])
@pytest.mark.samples(1)
async def test_what_cannot_be_written_is_said(keys: list[str]) -> None:
    darkroom = FailingDarkroom()
    source = make_history(2)
    darkroom.images, darkroom.files = source.images, source.files
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, *keys)
        await wait_in_app(pilot, lambda: "The disk is full." in read_screen(pilot.app), "it")
        assert list_ratings(darkroom) == [None, None]


class ReadOnlyDarkroom(MemoryDarkroom):
    @property
    def is_read_only(self) -> bool:
        return True


async def test_nothing_is_said_of_images_that_can_only_be_read() -> None:
    darkroom = ReadOnlyDarkroom()
    darkroom.images = make_history(1).images
    async with open_history(darkroom) as (pilot, _):
        for key in "3ftndpuE":
            await press(pilot, key)
            assert "This history can only be read." in read_screen(pilot.app)
        assert pilot.app.screen.query("Input#history-search")


@pytest.mark.parametrize("environ", [None, {"TERM": "xterm", "LANG": "C"}])
async def test_text_from_outside_is_harmless_in_rows_and_record(
    environ: dict[str, str] | None,
) -> None:
    darkroom = make_history(1)
    darkroom.images[0] = evil(darkroom.images[0])
    async with open_history(darkroom, environ=environ) as (pilot, screen):
        await wait_in_app(pilot, lambda: "[b]" in screen.record.text, "the record")
        assert "\x1b" not in screen.record.text
        assert "[b]" in read_screen(pilot.app)
        if environ is not None:
            assert read_screen(pilot.app).isascii() or "─" in read_screen(pilot.app)
            assert "*3" in read_screen(pilot.app)


def evil(image: Image) -> Image:
    return msgspec.structs.replace(
        image, tags=("[b]\x1b[31m",), note="[b]\x1b]0;x\x07", rating=3, is_favourite=True
    )
