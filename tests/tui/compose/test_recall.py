"""What made an image, brought back into the stack: whole, in parts, its seed, and undone again."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip

from store.records import Draft, DraftPrompt, Image
from store.request import Upscale
from tests.factories import make_request
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.compose.draft import Parts
from tui.compose.image import ImagePanel
from tui.compose.mismatch import Mismatch
from tui.dialogs import ChoiceScreen
from tui.widgets.picture import Picture

START = with_place(
    Draft(prompts=(DraftPrompt(text="night sky", weight=1.2),), seed=5, seed_locked=True, steps=20)
)


def make_darkroom(tmp_path: Path) -> tuple[DeskDarkroom, Image, Image]:
    """Two images, neither made by the stack in the editor."""
    darkroom = DeskDarkroom(tmp_path, START)
    older = darkroom.add_image(make_request("harbour", "fog::-1", seed=71, steps=30))
    newer = darkroom.add_image(make_request("night sky", seed=72, steps=50))
    return darkroom, older, newer


async def wait_for_image(app: SafelightApp) -> None:
    await wait_for(lambda: app.compose_screen.making.image, "the image")


@pytest.mark.parametrize("parts", list(Parts))
@pytest.mark.samples(2)
async def test_parts_of_the_shown_image_are_chosen_from_a_list(tmp_path: Path, parts: str) -> None:
    darkroom, _, newer = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        await pilot.press("L")
        await wait_for(lambda: isinstance(app.screen, ChoiceScreen), "the list")
        await pilot.press(*["down"] * list(Parts).index(Parts(parts)), "enter")
        await wait_for(lambda: app.screen is app.compose_screen, "the editor")
        await wait_for(lambda: "Loaded" in read_message(app), "the message")
        assert read_message(app) == f"Loaded {parts} of {newer.id[:4]}; u takes it back."
        draft = darkroom.draft
        has_prompts = parts in (Parts.ALL, Parts.ALL_BUT_SEED, Parts.PROMPTS)
        assert draft.prompts[0].weight == (1.0 if has_prompts else 1.2)
        assert draft.seed == (72 if parts in (Parts.ALL, Parts.SEED) else 5)
        has_steps = parts in (Parts.ALL, Parts.ALL_BUT_SEED, Parts.PARAMETERS)
        assert draft.steps == (50 if has_steps else 20)


async def test_one_key_goes_back_to_the_image_under_the_cursor_of_the_strip(
    tmp_path: Path,
) -> None:
    darkroom, older, _ = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        app.compose_screen.focus_part("recent")
        await pilot.press("right", "b")
        assert [prompt.text for prompt in darkroom.draft.prompts] == ["harbour", "fog"]
        assert (darkroom.draft.seed, darkroom.draft.parent_id) == (71, older.id)
        await pilot.press("u")
        assert darkroom.draft.prompts == START.prompts


async def test_again_takes_the_seed_of_the_image_and_the_stack_as_it_is(tmp_path: Path) -> None:
    darkroom, _, newer = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        await pilot.press("S")
        await wait_for(lambda: darkroom.jobs, "the job")
        (job,) = darkroom.jobs
        assert (job.request.parameters.seed, job.request.parameters.steps) == (72, 20)
        assert [prompt.weight for prompt in job.request.stack.prompts] == [1.2]
        assert f"Again with the seed 72 of {newer.id[:4]}; u takes it back." in read_message(app)
        assert darkroom.draft.previous_seeds == (5,)


async def test_without_an_image_the_reason_is_said(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        for key in ("L", "b", "S"):
            await pilot.press(key)
            assert "There is no image yet" in read_message(app), key
        assert darkroom.draft.seed == 5
        assert not darkroom.jobs


@pytest.mark.parametrize("key", ["ctrl+y", "ctrl+shift+z", "U"])
@pytest.mark.samples(1)
async def test_what_was_undone_is_made_again_until_something_else_is_changed(
    tmp_path: Path, key: str
) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press(key)
        assert "There is nothing to redo" in read_message(app)
        await pilot.press("D", "space", "u", "u")
        assert darkroom.draft.prompts == START.prompts
        await pilot.press(key)
        assert read_message(app) == "Redone: duplicating prompt 1."
        await pilot.press(key)
        assert [prompt.enabled for prompt in darkroom.draft.prompts] == [True, False]
        await pilot.press("u", "u", key, "n", key)
        assert [prompt.enabled for prompt in darkroom.draft.prompts] == [True, False]
        await pilot.press("u", "plus", key)
        assert "There is nothing to redo" in read_message(app)
        assert len(darkroom.draft.prompts) == 2


@pytest.mark.exhaustive
async def test_the_seed_field_takes_the_seed_of_an_image_before(tmp_path: Path) -> None:
    darkroom, _, _ = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        app.compose_screen.focus_part("parameters")
        for typed, seed in (("@-2", 71), ("@1", 72)):
            await pilot.press("enter", *typed, "enter")
            assert darkroom.draft.seed == seed
        await pilot.press("enter", *"@-3", "enter")
        assert "There is no image @-3" in read_screen(app)
        assert app.compose_screen.is_typing
        await pilot.press("escape")
        assert darkroom.draft.seed == 72


def read_title(app: SafelightApp) -> str:
    title = app.compose_screen.query_one(ImagePanel).border_title
    return Content.from_markup(str(title)).plain


async def test_a_letter_that_changes_the_title_does_not_draw_the_picture_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    darkroom, _, _ = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        picture = app.compose_screen.query_one("#picture", Picture)
        await wait_for(lambda: picture.has_image, "the picture")
        await pilot.press("b", "l", "enter", "x")
        assert "skyx" in read_title(app)
        drawn: list[Region] = []
        render = Picture.render_lines

        def note(self: Picture, crop: Region) -> list[Strip]:
            drawn.append(crop)
            return render(self, crop)

        monkeypatch.setattr(Picture, "render_lines", note)
        await pilot.press("y")
        assert "skyxy" in read_title(app)
        await pilot.pause()
        assert drawn == []


async def test_the_title_says_what_differs_between_image_and_stack(tmp_path: Path) -> None:
    darkroom, _, newer = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        await wait_for(lambda: "differs" in read_title(app), "the mark")
        changes = "weight 1→1.2, seed, steps 50→20"
        assert app.compose_screen.mismatch.change == changes
        await pilot.press("b")
        assert read_title(app) == "image"
        await pilot.press("l")
        assert not darkroom.draft.seed_locked
        await pilot.press("n")
        assert read_title(app) == "image · the same but for the seed"
        await pilot.press("l")
        assert read_title(app) == "image · stack differs: seed"
        await pilot.press("l", "enter", *" deep")
        assert read_title(app) == "image · stack differs: night sky→night sky deep"
        await pilot.press(*["backspace"] * 5, "escape", "plus", "plus")
        assert read_title(app) == "image · stack differs: weight 1→1.2"
        await pilot.press("a", "escape", "u")
        assert read_title(app) == "image · the same but for the seed"
        assert newer.id == app.compose_screen.making.image.id  # type: ignore[union-attr]


@pytest.mark.exhaustive
async def test_what_is_made_of_the_stack_has_no_mark_and_another_image_has(tmp_path: Path) -> None:
    darkroom, older, _ = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        made = darkroom.finish(darkroom.jobs[0])
        await wait_for(lambda: app.compose_screen.image == made, "the image")
        await wait_for(lambda: read_title(app) == "image", "no mark")
        app.compose_screen.choose(older)
        assert "stack differs: + night sky" in read_title(app)
        await pilot.press("b")
        assert read_title(app) == "image"


async def test_a_narrow_panel_says_it_shorter(tmp_path: Path) -> None:
    darkroom, _, _ = make_darkroom(tmp_path)
    async with running(darkroom, (80, 24)) as (app, _):
        await wait_for_image(app)
        await wait_for(lambda: "differs: weight 1→1" in read_screen(app), "the mark")


@pytest.mark.parametrize(
    ("mismatch", "width", "said"),
    [
        (Mismatch(), 5, "image"),
        (Mismatch("seed"), 40, "image · stack differs: seed"),
        (Mismatch("seed"), 20, "stack differs: seed"),
        (Mismatch("seed"), 12, "differs: seed"),
        (
            Mismatch("steps 50→20, size 128x128→192x128"),
            40,
            "stack differs: steps 50→20, size 128x128→192x128",
        ),
        (Mismatch(is_next_seed=True), 40, "image · the same but for the seed"),
        (Mismatch(is_next_seed=True), 20, "image · other seed"),
    ],
)
def test_the_longest_words_that_fit_are_taken(mismatch: Mismatch, width: int, said: str) -> None:
    assert mismatch.describe(width, "·") == said


async def test_an_image_that_was_made_larger_is_compared_by_what_it_came_from(
    tmp_path: Path,
) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    upscale = Upscale(sha256="ab" * 32, upscaler="rgb")
    darkroom.add_image(
        make_request("night sky", model="larger-x2", upscale=upscale, width=512, height=512)
    )
    async with running(darkroom) as (app, pilot):
        await wait_for_image(app)
        await pilot.press("b")
        assert read_title(app) == "image"
