"""Keys that come at one time: what is a text stays a text, and costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from store.records import Draft, DraftPrompt
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import make_key, read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.bursts import Burst, Input
from tui.dialogs import ChoiceScreen

START = with_place(
    Draft(
        prompts=(DraftPrompt(text="night"), DraftPrompt(text="sky"), DraftPrompt(text="fog")),
        seed=5,
        seed_locked=True,
    )
)
CONTROLS = {"\r": "enter", "\n": "ctrl+j", "\t": "tab", "\x1b": "escape", "\x11": "ctrl+q"}


def press(text: str) -> list[Input]:
    """The keys of `text`, as a terminal that marks no paste sends it."""
    return [
        events.Key(CONTROLS[sign], sign) if sign in CONTROLS else make_key(sign) for sign in text
    ]


async def send(app: SafelightApp, inputs: list[Input], *, is_whole: bool = True) -> None:
    count = app.key_queue.taken
    app.post_message(Burst(inputs, is_whole))
    await wait_for(lambda: app.key_queue.taken > count and app.key_queue.is_idle, "the burst")


def texts(darkroom: DeskDarkroom) -> list[str]:
    return [prompt.text for prompt in darkroom.draft.prompts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a harbour\rremove every V", "a harbour\nremove every V"),
        ("a harbour\r\nremove\r\n\r\nd", "a harbour\nremove\n\nd"),
        ("a harbour\nvery vivid", "a harbour\nvery vivid"),
        ("a harbour\n", "a harbour\n"),
        ("a harbour\rquiet\r", "a harbour\nquiet\n"),
        ("\rquiet", "\nquiet"),
        ("one\ttwo\x1b\x11three", "one\ttwothree"),
        ("last\x11", "last"),
        ("é夜🙂\r夜", "é夜🙂\n夜"),
    ],
)
@pytest.mark.samples(4)
async def test_what_comes_with_a_text_is_text(tmp_path: Path, text: str, expected: str) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        await send(app, press(text))
        assert texts(darkroom) == ["night", expected, "sky", "fog"]
        assert app.compose_screen.is_typing
        assert not darkroom.sent
        # It goes on as if it had been typed.
        await pilot.press("!")
        assert texts(darkroom)[1] == f"{expected}!"


@pytest.mark.parametrize("key", ["\r", "\x1b"])
@pytest.mark.samples(1)
async def test_a_key_at_the_end_of_one_line_was_pressed(tmp_path: Path, key: str) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        await send(app, press(f"a harbour{key}"))
        assert texts(darkroom)[1] == "a harbour"
        assert not app.compose_screen.is_typing


@pytest.mark.exhaustive
async def test_a_line_end_where_a_long_paste_was_cut_is_text(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        await send(app, press("first line\r"), is_whole=False)
        await send(app, press("delete every D\r"))
        assert texts(darkroom)[1] == "first line\ndelete every D"
        await pilot.press("escape")
        await pilot.press("a")
        await send(app, press("x" * 1200 + "\r"))
        assert app.compose_screen.is_typing


async def test_keys_that_edit_do_so_between_the_characters_of_a_burst(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        keys = [*press("harbuor"), *([make_key("backspace")] * 3), *press("our")]
        await send(app, [*keys, make_key("home"), *press("a "), events.Key("f5", None)])
        assert texts(darkroom)[1] == "a harbour"
        assert not darkroom.sent


async def test_a_value_takes_the_first_line_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("=")
        await send(app, press("-1.5\r"))
        assert darkroom.draft.prompts[0].weight == -1.5
        await pilot.press("=")
        await send(app, press("2\rdremove"))
        await pilot.press("enter")
        assert darkroom.draft.prompts[0].weight == 2
        assert texts(darkroom) == ["night", "sky", "fog"]


async def test_commands_in_a_burst_are_carried_out_until_one_begins_typing(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, _):
        await send(app, press("ddax\rxx"))
        assert texts(darkroom) == ["fog", "x\nxx"]


async def test_a_text_that_is_pasted_where_nothing_is_typed_does_nothing(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, _):
        for text in ("remove every V shape", "quiet water\rand a goat\n", "quit\rgo"):
            await send(app, press(text))
            assert darkroom.draft.prompts == START.prompts
            assert not darkroom.sent
            await wait_for(lambda: "pasted where nothing is typed" in read_message(app), "why")
        assert app.screen is app.compose_screen
        # A key that is held down is no text.
        await send(app, press("+" * 30 + "\n"))
        assert darkroom.draft.prompts[0].weight == 4
        assert not darkroom.sent


async def test_a_file_that_is_dropped_where_pastes_are_not_marked_is_offered(
    tmp_path: Path,
) -> None:
    path = tmp_path / "harbour.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await send(app, press(str(path)))
        assert isinstance(app.screen, ChoiceScreen)
        assert "dropped: harbour.png" in read_screen(app)
        await pilot.press("escape")
        assert not read_message(app)


@pytest.mark.exhaustive
async def test_what_comes_right_behind_a_marked_paste_is_no_command(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await send(app, [events.Paste("rest"), *press("\nd")])
        assert texts(darkroom) == ["night", "sky", "fog"]
        assert not darkroom.sent
        await pilot.press("a")
        await send(app, [events.Paste("a harbour"), *press("\nd")])
        assert texts(darkroom)[1] == "a harbour\nd"
        assert not darkroom.sent
