"""Jump mode: a letter goes to each thing that is in sight."""

from __future__ import annotations

from pathlib import Path

from store.records import Draft, DraftPrompt
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.jump import LETTERS, JumpScreen, list_jumps

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"), DraftPrompt(text="fog"))))


async def test_a_letter_goes_to_a_prompt_a_parameter_or_a_part(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        compose = app.compose_screen
        await wait_for(lambda: compose.image, "the image")
        jumps = list_jumps(compose)
        assert len(jumps) == 2 + 9 + 2
        for number, (part, row, field) in {
            1: ("prompts", 1, "seed"),
            4: ("parameters", 1, "cfg"),
            0: ("prompts", 0, "cfg"),
            len(jumps) - 2: ("image", 0, "cfg"),
            len(jumps) - 1: ("recent", 0, "cfg"),
        }.items():
            await pilot.press("ctrl+o")
            await wait_for(lambda: isinstance(app.screen, JumpScreen), "the letters")
            assert f" {LETTERS[number]} " in read_screen(app)
            await pilot.press(LETTERS[number])
            assert (compose.get_part(), compose.row, compose.field.name) == (part, row, field)


async def test_another_key_stays_where_one_was(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, pilot):
        for key in ("escape", "9", "ctrl+o"):
            await pilot.press("ctrl+o")
            await wait_for(lambda: isinstance(app.screen, JumpScreen), "the letters")
            await pilot.press(key)
            assert app.screen is app.compose_screen
            assert app.compose_screen.get_part() == "prompts"


async def test_only_what_is_in_sight_gets_a_letter(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START), size=(60, 20)) as (app, pilot):
        assert len(list_jumps(app.compose_screen)) == 2
        await pilot.press("h", "ctrl+o")
        await wait_for(lambda: isinstance(app.screen, JumpScreen), "the letters")
