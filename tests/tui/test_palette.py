"""The palette: what people call a thing finds it, and where one is decides the order."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.records import Draft, DraftPrompt
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.keymap import list_all
from tui.palette import EVERYDAY, Command, score

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"), DraftPrompt(text="fog"))))


def rank(commands: list[Command], words: str) -> list[str]:
    """What is found by `words`, the best first."""
    wanted = words.split()
    found = sorted(commands, key=lambda command: -score(command, wanted))
    return [command.words for command in found if score(command, wanted) > 0]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("theme", "Choose the theme"),
        ("colours", "Choose the theme"),
        ("save", "Save this image as a file"),
        ("export", "Save this image"),
        ("delete", "Remove the prompt"),
        ("copy", "Copy the"),
        ("clipboard", "Copy the"),
        ("negative", "Type the prompt's weight"),
        ("size", "Set size"),
        ("settings", "Settings: edit config.toml"),
        ("preferences", "Settings: edit config.toml"),
        ("upscale", "Make this image larger"),
        ("img2img", "Start from"),
        ("inpaint", "Mask: paint"),
        ("queue", "Open the list of jobs"),
        ("gallery", "Open the history"),
        ("exit", "Quit"),
        ("sampler", "Set sampler"),
        ("steps", "Set steps"),
        ("random seed", "Draw a new seed"),
    ],
)
@pytest.mark.samples(5)
async def test_everyday_words_find_what_is_meant(words: str, first: str, tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image()
    async with running(darkroom) as (app, _):
        await wait_for(lambda: app.compose_screen.image, "the image")
        found = rank(list(app.list_commands()), words)
        assert found
        assert any(each.startswith(first) for each in found[:2]), found[:3]


def test_every_everyday_word_belongs_to_an_action() -> None:
    ids = {binding.id for binding in list_all()} | {"sessions", "images.protocol", "mark.trash"}
    assert not EVERYDAY.keys() - ids


async def test_a_command_is_one_line_with_its_key_at_the_right_and_runs(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom, size=(80, 24)) as (app, pilot):
        await pilot.press("ctrl+p")
        await wait_for(lambda: "Add a prompt below" in read_screen(app), "the palette")
        lines = read_screen(app).splitlines()
        (line,) = [line for line in lines if "Add a prompt below" in line]
        assert line.split()[-1] == "a"
        await pilot.press(*"delete")
        await wait_for(lambda: "Remove the prompt" in read_screen(app), "what was found")
        await wait_for(lambda: "Add a prompt below" not in read_screen(app), "it alone")
        await pilot.press("enter")
        await wait_for(lambda: len(darkroom.draft.prompts) == 1, "the prompt to be gone")


async def test_what_cannot_be_done_now_says_why_and_stands_last(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, _):
        commands = list(app.list_commands())
        verify = next(each for each in commands if each.words.startswith("Verify this image"))
        assert verify.reason == "There is no image yet: generate one first."
        reasons = {command.words: command.reason for command in commands}
        disabled = [bool(reasons[words]) for words in rank(commands, "image")]
        assert disabled == sorted(disabled)
        assert any(disabled)
