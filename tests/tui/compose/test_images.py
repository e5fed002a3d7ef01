"""Starting from an image, masks, variations and making larger, as a person does it."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input

from store.pixels import open_image
from store.records import Draft, DraftPrompt, JobState, Relation
from store.request import InitialImage, Mask, Variation
from tests.factories import HOSTED, make_plain, make_png, make_request
from tests.photographs import draw, encode, make_photograph
from tests.screens import join_lines, read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.abilities import explain_start
from tui.app import SafelightApp
from tui.compose.draft import start_from
from tui.compose.mask import MaskGrid, MaskScreen
from tui.compose.parameter_row import ParameterRow
from tui.dialogs import PathScreen


def is_shown(app: SafelightApp, said: str) -> bool:
    return said in join_lines(read_screen(app))


START = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5, seed_locked=True))


async def test_the_next_images_start_from_the_shown_one(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image(data=make_png(1, 128))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        assert "start" not in read_screen(app).split("parameters")[1].split("recent")[0]
        await pilot.press("i")
        shown = join_lines(read_screen(app))
        assert f"from {image.id[:8]}" in shown
        assert "start 0.60" in shown
        assert "mask none" in shown
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        (job,) = darkroom.jobs
        assert job.request.parameters.initial_image == InitialImage(
            sha256=image.file_sha256, start_schedule=0.6, end_schedule=0.0
        )
        assert (job.parent_id, job.relation) == (image.id, Relation.INITIAL_IMAGE)


async def test_the_image_under_the_cursor_of_the_strip_is_meant(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    older = darkroom.add_image(make_request(seed=1))
    darkroom.add_image(make_request(seed=2))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the images")
        await pilot.press("shift+tab", "right", "i")
        await wait_for(lambda: darkroom.draft.initial_image, "the initial image")
        assert darkroom.draft.parent_id == older.id


async def test_an_engine_that_starts_from_no_image_says_so(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, msgspec.structs.replace(START, engine="stability"))
    darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        for key in ("i", "I", "m"):
            await pilot.press(key)
            assert "stability starts from no image" in read_message(app)
        assert darkroom.draft.initial_image is None


def test_a_model_that_starts_from_no_image_says_so_where_others_of_its_engine_do() -> None:
    able = {"other": ("initial_image",)}
    known = msgspec.structs.replace(HOSTED, models=("r1", "other"), takes_by_model=able)
    for model, reason in (
        (None, "The model r1 starts from no image."),
        ("r1", "The model r1 starts from no image."),
        ("other", ""),
    ):
        assert explain_start({"stability": known}, "stability", model) == reason


@pytest.mark.exhaustive
async def test_schedules_step_and_stay_in_order(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("i", "tab", "end", "up", "right", "right")
        initial = darkroom.draft.initial_image
        assert initial is not None
        assert (initial.start_schedule, initial.end_schedule) == (0.6, 0.1)
        await pilot.press("up", *"0.05", "enter")
        initial = darkroom.draft.initial_image
        assert initial is not None
        assert (initial.start_schedule, initial.end_schedule) == (0.05, 0.05)
        await pilot.press("down", *"0.2", "enter")
        row = app.compose_screen.query_one("#field-end", ParameterRow)
        await wait_for(lambda: "Give 0 to 0.05" in row.note.plain, "the range")


async def test_an_initial_image_is_taken_out_and_brought_back(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("i", "tab", "end", "up", "up", "up", "d")
        assert darkroom.draft.initial_image is None
        assert darkroom.draft.parent_id is None
        assert "u brings it back" in read_message(app)
        await pilot.press("u")
        assert darkroom.draft.initial_image is not None
        assert darkroom.draft.parent_id == image.id
        assert image.id[:8] in read_screen(app)


@pytest.mark.exhaustive
async def test_a_file_is_asked_for_until_it_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "harbour.png").write_bytes(make_png(3, 128))
    (tmp_path / "notes.png").write_text("no image")
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("I")
        await wait_for(lambda: isinstance(app.screen, PathScreen), "the question")
        field = app.screen.query_one(Input)
        for wrong, said in (
            ("", "No path was given"),
            (f"{tmp_path}/none.png", "There is no file 'none.png'"),
            (str(tmp_path), "is a folder"),
            (f"{tmp_path}/notes.png", "not a readable PNG"),
        ):
            field.value = wrong
            await pilot.press("enter")
            await wait_for(functools.partial(is_shown, app, said), said)
        field.value = f"{tmp_path}/har"
        await pilot.press("tab")
        await wait_for(lambda: field.value.endswith("/harbour.png"), "the completed path")
        await pilot.press("enter")
        await wait_for(lambda: darkroom.draft.initial_image, "the initial image")
        await wait_for(lambda: "128x128" in read_screen(app), "its size")
        assert "from harbour.png" in join_lines(read_screen(app))
        assert darkroom.draft.parent_id is None


@pytest.mark.exhaustive
async def test_a_mask_must_have_the_size_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(make_png(3, 32))
    (tmp_path / "right.png").write_bytes(make_png(4, 128))
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image(data=make_png(1, 128))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("m")
        assert "no initial image yet" in read_message(app)
        await pilot.press("i", "m", "end", "enter")
        await wait_for(lambda: isinstance(app.screen, PathScreen), "the question")
        field = app.screen.query_one(Input)
        field.value = f"{tmp_path}/small.png"
        await pilot.press("enter")
        await wait_for(lambda: "32 x 32" in join_lines(read_screen(app)), "the explanation")
        field.value = f"{tmp_path}/right.png"
        await pilot.press("enter")
        await wait_for(lambda: darkroom.draft.mask, "the mask")
        shown = join_lines(read_screen(app))
        assert "mask right.png" in shown
        assert "replaces black" in shown
        assert "area original" in shown
        await pilot.press("tab", "end", "right")
        mask = darkroom.draft.mask
        assert isinstance(mask, Mask)
        assert mask.area_init == "random"


async def test_a_photograph_is_taken_as_it_looks(tmp_path: Path) -> None:
    """Its size, what was done to it, its mask and the mask's editor."""
    size = (128, 192)
    (tmp_path / "phone.jpg").write_bytes(make_photograph(6, size=size))
    (tmp_path / "stored.png").write_bytes(make_plain("white", size[::-1]))
    (tmp_path / "upright.png").write_bytes(make_plain("white", size))
    holes = draw(size).convert("RGBA")
    holes.paste((0, 0, 0, 0), (0, 0, 128, 96))
    (tmp_path / "holes.png").write_bytes(encode(holes))
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):

        async def take(name: str) -> None:
            await wait_for(lambda: isinstance(app.screen, PathScreen), "the question")
            app.screen.query_one(Input).value = f"{tmp_path}/{name}"
            await pilot.press("enter")

        await pilot.press("I")
        await take("phone.jpg")
        await wait_for(lambda: darkroom.draft.initial_image, "the initial image")
        await wait_for(lambda: is_shown(app, "128x192"), "its size")
        draft = darkroom.draft
        assert (draft.width, draft.height) == size
        assert is_shown(app, "from phone.jpg")
        await wait_for(lambda: is_shown(app, "turned upright (EXIF"), "the note")
        initial = draft.initial_image
        assert initial is not None
        assert open_image(darkroom.inputs[initial.sha256]).size == size

        await pilot.press("m", "enter")
        await wait_for(lambda: isinstance(app.screen, MaskScreen), "the editor")
        grid = app.screen.query_one(MaskGrid)
        assert grid.canvas.size == size
        await wait_for(lambda: grid.canvas.rows > 1, "the grid")
        assert grid.canvas.rows > grid.canvas.columns / 2  # a cell is twice as high as wide
        await pilot.press("escape", "m", "end", "enter")
        await take("stored.png")
        await wait_for(lambda: is_shown(app, "192 x 128"), "the refusal")
        await take("upright.png")
        await wait_for(lambda: darkroom.draft.mask, "the mask")

        await pilot.press("m", "down", "enter")
        await take("holes.png")
        await wait_for(lambda: is_shown(app, "The mask is transparent in places"), "the note")
        mask = darkroom.draft.mask
        assert mask is not None
        values = open_image(darkroom.inputs[mask.sha256])
        assert (values.getpixel((5, 5)), values.getpixel((5, 190))) == (0, 255)
        await pilot.press("m", "enter")
        await wait_for(lambda: isinstance(app.screen, MaskScreen), "the editor")
        await wait_for(lambda: "50% is made anew" in read_screen(app), "the share")


@pytest.mark.exhaustive
async def test_what_was_lost_of_an_image_is_told_again_in_the_next_session(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    found = await darkroom.add_input(make_photograph(6, size=(128, 192)))
    darkroom.sessions["main"] = start_from(START, found.sha256, "phone.jpg")
    async with running(darkroom) as (app, _):
        await wait_for(lambda: is_shown(app, "turned upright (EXIF"), "the note")
        assert is_shown(app, "from phone.jpg")


async def test_varying_makes_as_many_children_as_images_says(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, msgspec.structs.replace(START, images=2))
    image = darkroom.add_image(make_request("castle", seed=9))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("V")
        await wait_for(lambda: len(darkroom.jobs) == 2, "the jobs")
        assert f"Varying {image.id[:4]}, 2 times; u takes it back." in read_message(app)
        variations = [job.request.parameters.variation for job in darkroom.jobs]
        assert all(isinstance(each, Variation) and each.strength == 0.2 for each in variations)
        assert variations[0] != variations[1]
        for job in darkroom.jobs:
            assert (job.parent_id, job.relation) == (image.id, Relation.VARIATION)
            assert job.request.parameters.seed == 9
        for job in darkroom.jobs:
            darkroom.finish(job)
        await wait_for(lambda: read_message(app) == "", "the end of the message")


@pytest.mark.exhaustive
async def test_an_image_is_made_larger_by_the_chosen_model(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image(data=make_png(1, 128))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("e")
        await wait_for(lambda: "builtin: larger-x2" in read_screen(app), "the models")
        assert "256 x 256" in read_screen(app)
        await pilot.press("enter")
        await wait_for(lambda: darkroom.jobs, "the job")
        (job,) = darkroom.jobs
        assert job.request.parameters.upscale is not None
        assert job.request.parameters.width == 2 * image.width
        assert (job.parent_id, job.relation) == (image.id, Relation.UPSCALE)
        larger = darkroom.finish(job)
        await wait_for(lambda: app.compose_screen.making.image == larger, "the larger image")
        await pilot.press("V")
        assert "only made larger" in read_message(app)


async def test_a_second_seed_is_mixed_in_and_taken_out(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("w")
        variation = darkroom.draft.variation
        assert variation is not None
        shown = join_lines(read_screen(app))
        assert f"vary seed {variation.seed}" in shown
        assert "strength 0.20" in shown
        await pilot.press("tab", "end", "right")
        assert darkroom.draft.variation == msgspec.structs.replace(variation, strength=0.25)
        await pilot.press("up", "d")
        assert darkroom.draft.variation is None


async def test_another_engine_leaves_out_what_it_does_not_take(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(START, part="parameters", field="engine"))
    darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("i", "right")
        assert darkroom.draft.engine == "stability"
        assert darkroom.draft.initial_image is None
        assert "initial image is left out" in read_message(app)
        await pilot.press("u")
        assert darkroom.draft.initial_image is not None


async def test_what_was_said_of_a_verification_ends_with_it(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("v")
        await wait_for(lambda: "Verifying" in read_message(app), "the message")
        darkroom.replace_job(darkroom.jobs[-1].id, state=JobState.RUNNING)
        await pilot.pause()
        assert "Verifying" in read_message(app)
        darkroom.replace_job(darkroom.jobs[-1].id, state=JobState.DONE)
        await wait_for(lambda: read_message(app) == "", "its end")
        assert image.id


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 18)])
@pytest.mark.samples(1)
async def test_every_row_is_whole_at_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    draft = with_place(START, part="parameters")
    darkroom = DeskDarkroom(tmp_path, draft)
    darkroom.add_image(data=make_png(1, 128))
    async with running(darkroom, size) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("i", "w", "end")
        for said in ("start", "0.60", "vary seed", "strength", "0.20", "none"):
            assert said in read_screen(app)


async def test_a_mask_is_painted_over_the_image(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image(data=make_png(1, 128))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("i", "m", "enter")
        await wait_for(lambda: isinstance(app.screen, MaskScreen), "the editor")
        await pilot.pause()
        await pilot.press("enter")
        assert "Nothing is painted" in read_screen(app)
        await pilot.press("plus", "space", "k", "space")
        assert "░░░░" in read_screen(app)
        await pilot.press("space")
        await pilot.press("enter")
        await wait_for(lambda: darkroom.draft.mask, "the mask")
        mask = darkroom.draft.mask
        assert mask is not None
        painted = open_image(darkroom.inputs[mask.sha256])
        assert painted.size == (128, 128)
        assert (painted.getpixel((64, 64)), painted.getpixel((2, 2))) == (0, 255)
        assert "mask painted" in join_lines(read_screen(app))
        await pilot.press("m", "enter")
        await wait_for(lambda: isinstance(app.screen, MaskScreen), "the editor again")
        await pilot.pause()
        assert "░" in read_screen(app)
        await pilot.press("i", "escape")
        assert darkroom.draft.mask == mask
