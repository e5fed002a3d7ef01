"""The list of sessions: open, begin, copy, rename, archive."""

from __future__ import annotations

from pathlib import Path

from store.records import Draft, DraftPrompt
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.sessions import SessionsScreen

SKY = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5))
SEA = with_place(Draft(prompts=(DraftPrompt(text="[/x] harbour"),), seed=6))


def make_darkroom(tmp_path: Path) -> DeskDarkroom:
    darkroom = DeskDarkroom(tmp_path, SKY)
    darkroom.sessions["sea"] = SEA
    return darkroom


async def wait_for_list(app: SafelightApp) -> SessionsScreen:
    await wait_for(lambda: isinstance(app.screen, SessionsScreen), "the sessions")
    screen = app.screen
    assert isinstance(screen, SessionsScreen)
    await wait_for(lambda: screen.rows, "the rows")
    return screen


async def test_another_session_goes_on_where_it_was_left_and_nothing_is_mixed(
    tmp_path: Path,
) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press("right", "O")
        await wait_for_list(app)
        assert "● main" in read_screen(app)
        assert "[/x] harbour" in read_screen(app)
        await pilot.press("down", "enter")
        await wait_for(lambda: app.compose_screen.session == "sea", "the other session")
        assert app.screen is app.compose_screen
        assert "[/x] harbour" in read_screen(app)
        await pilot.press("u")
        assert read_message(app) == "There is nothing to undo."
        await pilot.press("right")
        assert darkroom.sessions["sea"].prompts[0].weight == 1.1
        assert darkroom.sessions["main"].prompts == (DraftPrompt(text="night sky", weight=1.1),)


async def test_a_new_session_begins_empty_and_a_copy_with_the_stack(tmp_path: Path) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press("O")
        await wait_for_list(app)
        await pilot.press("n", *"sea", "enter")
        await wait_for(lambda: "There is a session 'sea' already" in read_screen(app), "why not")
        await pilot.press("2", "enter")
        await wait_for(lambda: app.compose_screen.session == "sea2", "the new session")
        assert darkroom.sessions["sea2"].prompts == (DraftPrompt(),)
        await pilot.press("escape", "O")
        await wait_for_list(app)
        await pilot.press("end", "D", *"copy", "enter")
        await wait_for(lambda: app.compose_screen.session == "copy", "the copy")
        assert darkroom.sessions["copy"].prompts


async def test_a_session_is_renamed_and_archived_but_not_the_one_that_is_open(
    tmp_path: Path,
) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press("O")
        screen = await wait_for_list(app)
        await pilot.press("r")
        assert read_message(app) == "It is open in the editor: open another one first."
        await pilot.press("j", "r", *["backspace"] * 3, *"port", "enter")
        await wait_for(lambda: [row.name for row in screen.rows] == ["main", "port"], "the name")
        assert read_message(app) == "It is port now; its images keep sea in their records."
        await pilot.press("a")
        await wait_for(lambda: screen.rows[1].is_archived, "the archive")
        assert read_message(app) == "port is archived; a brings it back."
        await pilot.press("a")
        await wait_for(lambda: not screen.rows[1].is_archived, "the way back")
        await pilot.press("escape")
        await wait_for(lambda: app.screen is app.compose_screen, "the editor")


async def test_a_session_that_got_another_name_meanwhile_is_not_begun_anew(tmp_path: Path) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press("O")
        screen = await wait_for_list(app)
        darkroom.sessions["port"] = darkroom.sessions.pop("sea")
        await pilot.press("down", "enter")
        await wait_for(lambda: [row.name for row in screen.rows] == ["main", "port"], "the names")
        assert "There is no session 'sea'" in read_message(app)
        assert "sea" not in darkroom.sessions
