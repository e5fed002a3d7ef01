"""Files that are dropped on the terminal: it pastes their paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from store.records import Draft, DraftPrompt, Purpose
from tests.factories import make_png as make_image_file
from tests.screens import join_lines, read_screen
from tests.store.metadata.dialect_files import A1111, make_png
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.compose.dropped import AS_INITIAL_IMAGE, AS_TEXT, IMPORT, INTO_EDITOR
from tui.dialogs import ChoiceScreen

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5, seed_locked=True))
CHOICES = (IMPORT, INTO_EDITOR, AS_INITIAL_IMAGE, AS_TEXT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a cat.png"
    path.write_bytes(make_png([("parameters", A1111)], (512, 768)))
    return path


async def drop(app: SafelightApp, text: str) -> None:
    count = app.key_queue.taken
    app.post_message(events.Paste(text))
    await wait_for(lambda: app.key_queue.taken > count and app.key_queue.is_idle, "the paste")


async def test_a_dropped_file_can_be_imported_instead_of_typed(tmp_path: Path, file: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("enter")
        await drop(app, f"'{file}' ")
        assert isinstance(app.screen, ChoiceScreen)
        shown = join_lines(read_screen(app))
        assert "dropped: a cat.png" in shown
        assert all(choice in shown for choice in CHOICES)
        await pilot.press("enter")
        await wait_for(lambda: darkroom.images, "the image")
        (image,) = darkroom.images
        assert (image.purpose, image.session) == (Purpose.IMPORT, "main")
        assert f"Imported a cat.png as {image.id[:4]}: A1111, mapped" in read_message(app)
        assert darkroom.draft.prompts == START.prompts
        # Typing goes on where it was.
        await pilot.press("!")
        assert darkroom.draft.prompts[0].text == "night sky!"
        await drop(app, str(file))
        await pilot.press("enter")
        await wait_for(lambda: "in the history already" in read_message(app), "the answer")
        assert len(darkroom.images) == 1


async def test_a_dropped_file_can_be_loaded_for_the_engine_that_is_chosen(
    tmp_path: Path, file: Path
) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await drop(app, file.as_uri())
        assert AS_TEXT not in join_lines(read_screen(app))
        await pilot.press("down", "enter")
        await wait_for(lambda: len(darkroom.draft.prompts) == 5, "the prompts")
        draft = darkroom.draft
        assert [(row.text, row.weight) for row in draft.prompts[:2]] == [
            ("a cat", 1),
            ("clouds", 1.3),
        ]
        assert (draft.engine, draft.model, draft.parent_id) == ("builtin", None, None)
        assert (draft.seed, draft.steps, draft.sampler) == (1229080980, 20, "k_dpmpp_2m")
        assert (draft.width, draft.height) == (192, 256)
        assert "512x768 became 192x256" in read_message(app)
        await pilot.press("u")
        assert darkroom.draft.prompts == START.prompts
        assert darkroom.images == []


async def test_a_dropped_file_can_be_what_the_next_images_start_from(tmp_path: Path) -> None:
    (tmp_path / "plain.png").write_bytes(make_image_file(3, 128))
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await drop(app, str(tmp_path / "plain.png"))
        await pilot.press("down", "down", "enter")
        await wait_for(lambda: darkroom.draft.initial_image, "the initial image")
        await drop(app, str(tmp_path / "plain.png"))
        await pilot.press("enter")
        await wait_for(lambda: "no metadata" in read_message(app), "the reason")


async def test_a_path_can_be_a_prompt_all_the_same(tmp_path: Path, file: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("enter")
        await drop(app, str(file))
        await pilot.press("end", "enter")
        await wait_for(lambda: str(file) in darkroom.draft.prompts[0].text, "the path")
        assert darkroom.draft.prompts[0].text == f"night sky{file}"
        await drop(app, "/no/such/file.png")
        assert not isinstance(app.screen, ChoiceScreen)
        assert darkroom.draft.prompts[0].text.endswith("/no/such/file.png")


async def test_several_files_are_imported_at_once(tmp_path: Path, file: Path) -> None:
    (tmp_path / "plain.png").write_bytes(make_image_file(3, 128))
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await drop(app, f"'{file}' {tmp_path / 'plain.png'}")
        assert INTO_EDITOR not in join_lines(read_screen(app))
        await pilot.press("enter")
        await wait_for(lambda: darkroom.images, "the image")
        await wait_for(lambda: "1 image imported" in read_message(app), "the answer")
        assert "1 not" in read_message(app)


async def test_nothing_is_imported_into_a_history_that_can_only_be_read(
    tmp_path: Path, file: Path
) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.read_only = True
    async with running(darkroom) as (app, pilot):
        await drop(app, str(file))
        await pilot.press("enter")
        assert "only be read" in read_message(app)
        assert darkroom.images == []


async def test_an_imported_image_is_loaded_as_far_as_it_is_known(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    data = make_png([("Description", "a quiet harbour")])
    image = (await darkroom.import_image(data, "harbour.png")).image
    async with running(darkroom) as (app, pilot):
        app.compose_screen.load_image(image, "all")
        await pilot.pause()
        draft = darkroom.draft
        assert [row.text for row in draft.prompts] == ["a quiet harbour"]
        assert (draft.seed, draft.steps, draft.sampler) == (5, None, None)
        assert (draft.engine, draft.parent_id) == ("builtin", image.id)
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("r")
        assert "Another program made this image" in read_message(app)
