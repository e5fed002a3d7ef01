"""The history screen, as a person uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from store.records import Verdict
from store.request import InitialImage
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import NARROW, WIDE, make_history, open_history, wait_for_record
from tests.tui.host import Host, press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.compose.draft import Parts
from tui.image_screen import ImageScreen
from tui.keys import list_active, list_places
from tui.shell_command import make_command, show_prompt
from tui.widgets.picture import Picture


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
        assert text.index(newer.id[:8]) < text.index("seed, cfg 7→8") < text.index("night sky")


async def test_moving_shows_another_picture_and_record() -> None:
    darkroom = make_history(5)
    async with open_history(darkroom) as (pilot, screen):
        picture = screen.query_one(Picture)
        await wait_in_app(pilot, lambda: picture.has_image, "the picture")
        before = picture.render_line(5)
        await press(pilot, "down", "j")
        await wait_for_record(pilot, screen, darkroom.images[2].id)
        await wait_in_app(pilot, lambda: picture.render_line(5) != before, "the other picture")
        await press(pilot, "k")
        await wait_for_record(pilot, screen, darkroom.images[3].id)
        await press(pilot, "end")
        await wait_for_record(pilot, screen, darkroom.images[0].id)


async def test_a_key_right_after_moving_means_the_image_moved_to() -> None:
    darkroom = make_history(20)
    async with open_history(darkroom) as (pilot, screen):
        await pilot.pause()
        screen.history_list.cursor += 7
        await screen.action_verify()
        assert ("verify", darkroom.images[-8].id) in darkroom.calls


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        (("enter",), "all"),
        (("L", "enter"), "all"),
        *((("L", *["down"] * place, "enter"), parts) for place, parts in enumerate(Parts)),
    ],
)
@pytest.mark.samples(2)
async def test_a_key_loads_the_image_or_a_part_of_it_and_goes_back(
    keys: tuple[str, ...], parts: str
) -> None:
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "down")
        await wait_for_record(pilot, screen, darkroom.images[1].id)
        await press(pilot, *keys)
        app: Any = pilot.app
        await wait_in_app(pilot, lambda: bool(app.messages), "the message")
        assert app.messages[0].image.id == darkroom.images[1].id
        assert app.messages[0].parts == parts
        assert app.screen is not screen


async def test_search_as_one_types_and_back_to_all() -> None:
    darkroom = make_history(3)
    fish = darkroom.add_image(make_request("a blue fish", seed=5))
    darkroom.add_image(make_request("night sky", seed=6))
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "slash", *"fish")
        await wait_for_record(pilot, screen, fish.id)
        await wait_in_app(pilot, lambda: len(screen.history_list.pages) == 1, "one image")
        assert "1 image found" in read_screen(pilot.app)
        await press(pilot, "enter")
        assert screen.focused is screen.history_list
        await press(pilot, "escape")
        await wait_in_app(pilot, lambda: len(screen.history_list.pages) == 5, "all images")
        assert screen.image == fish
        assert pilot.app.screen is screen


async def test_keys_are_text_while_searching_and_nothing_found_is_said() -> None:
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "slash", *"rv5")
        await wait_in_app(pilot, lambda: not len(screen.history_list.pages), "an empty list")
        assert screen.query_one(Input).value == "rv5"
        await wait_in_app(
            pilot, lambda: "No image fits this search" in read_screen(pilot.app), "the reason"
        )
        assert not darkroom.jobs


async def test_the_command_goes_to_the_clipboard() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "y")
        assert pilot.app.clipboard == make_command(darkroom.images[0].request)


@pytest.mark.parametrize(
    ("letters", "what"), [("seed", "seed"), ("path", "path"), ("line", "prompts")]
)
async def test_parts_of_an_image_are_copied_by_choice(
    letters: str, what: str, tmp_path: Path
) -> None:
    darkroom = make_history(1)
    darkroom.directory = tmp_path
    image = darkroom.images[0]
    texts = {
        "seed": str(image.seed),
        "path": str(image.path),
        "prompts": "\n".join(show_prompt(prompt) for prompt in image.request.stack.active),
    }
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "Y", *letters, "enter")
        await wait_in_app(pilot, lambda: "Sent the" in read_screen(pilot.app), "the message")
        assert pilot.app.clipboard == texts[what]
        assert (tmp_path / "copied.txt").read_text() == texts[what] + "\n"


async def test_the_copied_command_names_files_and_holds_no_control_character() -> None:
    darkroom = make_history(1)
    start = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0)
    darkroom.inputs[start.sha256] = b"image"
    darkroom.add_image(make_request("two\nlines \u202e", initial_image=start))
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "y")
        assert f"--init-image=/nowhere/inputs/{start.sha256}" in pilot.app.clipboard
        assert pilot.app.clipboard.isprintable()


async def test_an_empty_history_says_what_to_do_and_no_key_fails() -> None:
    darkroom = MemoryDarkroom()
    async with open_history(darkroom) as (pilot, screen):
        await wait_in_app(pilot, lambda: "No image yet" in read_screen(pilot.app), "the advice")
        assert "ctrl+j" in read_screen(pilot.app)
        await press(pilot, "enter", "v", "r", "y", "down", "end", "Z", "1", "tab", "tab")
        assert pilot.app.screen is screen
        assert not darkroom.jobs
        first, image = darkroom.add_image(), darkroom.add_image()
        await wait_for_record(pilot, screen, image.id)
        await press(pilot, "down")
        await wait_for_record(pilot, screen, first.id)
        assert "No image yet" not in read_screen(pilot.app)


async def test_in_a_narrow_terminal_a_key_turns_from_list_to_record_and_back() -> None:
    darkroom = make_history(3)
    async with open_history(darkroom, NARROW) as (pilot, screen):
        assert not screen.query_one(Picture).region.area
        await press(pilot, "tab")
        await wait_in_app(pilot, lambda: screen.query_one(Picture).has_image, "the picture")
        text = read_screen(pilot.app)
        assert "k_dpmpp_2m" in text
        assert "▄" in text or "▌" in text or "▘" in text or "▁" in text
        await press(pilot, "escape")
        await wait_in_app(
            pilot, lambda: darkroom.images[0].id[:8] in read_screen(pilot.app), "the list"
        )
        await press(pilot, "escape")
        await wait_in_app(pilot, lambda: pilot.app.screen is not screen, "the end of the screen")


async def test_help_lists_the_keys_that_hold_here() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "question_mark")
        await wait_in_app(
            pilot, lambda: "Rate the image 0 to 5" in read_screen(pilot.app), "the help"
        )
        assert "0-5" in read_screen(pilot.app)


async def test_the_editor_is_asked_to_start_from_the_image_under_the_cursor() -> None:
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, _):
        await press(pilot, "j", "i")
        app = pilot.app
        assert isinstance(app, Host)
        await wait_in_app(pilot, lambda: bool(app.messages), "the message")
        (message,) = app.messages
        assert isinstance(message, ImageScreen.StartChosen)
        assert message.image.id == darkroom.images[0].id


@pytest.mark.parametrize("width", [60, 66, 71, 72, 99])
async def test_below_a_hundred_columns_there_is_one_column_with_prompts(width: int) -> None:
    darkroom = make_history(3)
    async with open_history(darkroom, (width, 20)) as (pilot, screen):
        assert screen.history_list.region.width == width - 2
        assert not screen.record.region.area
        assert read_screen(pilot.app).count("night sky") == 3
        await press(pilot, "tab")
        assert not screen.history_list.region.area
        assert screen.record.region.width > width // 3
        await pilot.resize_terminal(100, 20)
        await wait_in_app(pilot, lambda: screen.history_list.region.area > 0, "two columns")
        assert screen.record.region.area


async def test_a_terminal_without_unicode_gets_none_from_the_history() -> None:
    darkroom = MemoryDarkroom()
    first = darkroom.add_image(make_request("night sky", "fog::-1", cfg_scale=7.0))
    image = darkroom.add_image(make_request("night sky", "fog::-1"), parent_id=first.id)
    darkroom.add_verification(image, Verdict.IDENTICAL)
    environ = {"TERM": "xterm-256color", "LANG": "C"}
    async with open_history(darkroom, environ=environ) as (pilot, screen):
        assert f">= {image.id[:8]}" in read_screen(pilot.app)
        assert "cfg 7->8" in read_screen(pilot.app)
        assert screen.record.text.isascii()
        assert "-1.0  fog" in screen.record.text


async def test_every_key_of_the_history_has_a_name_and_a_sentence_in_its_place() -> None:
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, screen):
        places = dict(list_places(screen, {}))
        assert list(places)[:4] == [
            "in the list of images",
            "what is said of images",
            "in the history",
            "everywhere",
        ]
        assert {"on the record of an image", "while typing"} < places.keys()
        hints = [hint for each in places.values() for hint in each]
        assert all(hint.binding.id and hint.words and hint.written for hint in hints)
        names = [hint.binding.id for hint in hints]
        assert len(set(names)) == len(names)
        for name in ("history.load", "history.search", "image.verify", "list.newer", "record.up"):
            assert name in names
        await press(pilot, "slash")
        active = {hint.binding.id: hint.keys for hint in list_active(screen, {})}
        assert active["search.enter"] == ("enter",)
        assert active["history.leave"] == ("escape",)
        assert "image.verify" not in active
        assert "history.load" not in active


async def test_what_cannot_be_done_says_why_in_line_and_help() -> None:
    darkroom = MemoryDarkroom()
    async with open_history(darkroom) as (pilot, _):
        await wait_in_app(pilot, lambda: "No image yet" in read_screen(pilot.app), "the advice")
        await press(pilot, "enter")
        assert "There is no image here." in read_screen(pilot.app)
        await press(pilot, "question_mark")
        assert "Write a note  (There is no image here.)" in read_screen(pilot.app)
        wanted = "Load the whole image into the editor  (There is no image here.)"
        for _ in range(9):
            if wanted in read_screen(pilot.app):
                break
            await press(pilot, "pagedown")
        assert wanted in read_screen(pilot.app)
