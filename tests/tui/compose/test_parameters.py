"""Parameters and seeds as a person changes them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from store.records import Draft, DraftPrompt
from tests.repeats import keep
from tests.screens import join_lines, read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.compose.parameter_row import ParameterRow

START = with_place(
    Draft(prompts=(DraftPrompt(text="night sky"),), seed=5), part="parameters", field="steps"
)


def on(field: str, **changes: object) -> Draft:
    """The draft with the cursor on `field`."""
    draft = msgspec.structs.replace(START, place={"part": "parameters", "field": field})
    return msgspec.structs.replace(draft, **changes)


async def test_ranges_of_the_engine_stand_beside_the_fields(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, _):
        shown = join_lines(read_screen(app))
        assert "steps 50 10 to 150" in shown
        assert "cfg 8.0 0 to 35" in shown
        assert "images 1 1 to 10" in shown


async def test_numbers_step_by_key_and_stop_at_their_ends(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, on("cfg", cfg_scale=34.5))
    async with running(darkroom) as (_, pilot):
        await pilot.press("right", "plus", "plus")
        assert darkroom.draft.cfg_scale == 35
        await pilot.press("left", "minus")
        assert darkroom.draft.cfg_scale == 34
        await pilot.press("d")
        assert darkroom.draft.cfg_scale is None
        await pilot.press("u")
        assert darkroom.draft.cfg_scale == 34.5


async def test_digits_replace_and_enter_accepts(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press(*"75")
        assert app.compose_screen.is_typing
        assert darkroom.draft.steps is None
        assert darkroom.draft.pending == {"parameters.steps": "75"}
        await pilot.press("enter")
        assert darkroom.draft.steps == 75
        assert darkroom.draft.pending == {}


@pytest.mark.parametrize(
    ("field", "wrong", "explained"),
    keep(
        [
            ("steps", "9", "Give 10 to 150"),
            ("steps", "1x", "not a whole number"),
            ("cfg", "36", "Give 0 to 35"),
            ("size", "200x128", "steps of 64"),
            ("size", "640x128", "Sides are 128 to 256"),
            ("size", "3", "Write it like 192x128"),
            ("images", "11", "Give 1 to 10"),
            ("seed", "0", "out of range"),
            ("seed", "4294967295", "out of range"),
        ],
        lambda row: row[1] in ("9", "36", "3", "11", "0"),
    ),
)
@pytest.mark.samples(2)
async def test_a_wrong_value_is_explained_beside_the_field_and_never_sent(
    tmp_path: Path, field: str, wrong: str, explained: str
) -> None:
    start = on(field)
    darkroom = DeskDarkroom(tmp_path, start)
    async with running(darkroom) as (app, pilot):
        await pilot.press(*wrong, "enter")
        await pilot.pause()
        row = app.compose_screen.query_one(f"#field-{field}", ParameterRow)
        assert explained in row.note.plain
        assert explained.split()[0] in read_screen(app)
        await pilot.press("ctrl+j")
        assert app.compose_screen.is_typing
        await pilot.press("escape")
        assert darkroom.sent == []
        assert msgspec.structs.replace(darkroom.draft, place={}) == msgspec.structs.replace(
            start, place={}
        )


async def test_a_size_can_be_typed_or_turned(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, on("size"))
    async with running(darkroom) as (_, pilot):
        await pilot.press("right")
        assert (darkroom.draft.width, darkroom.draft.height) == (192, 128)
        await pilot.press(*"256x192", "enter")
        assert (darkroom.draft.width, darkroom.draft.height) == (256, 192)


async def test_choices_turn_by_key_and_open_as_a_list(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, on("sampler"))
    async with running(darkroom) as (app, pilot):
        await pilot.press("left")
        assert darkroom.draft.sampler == "ddim"
        await pilot.press("enter")
        assert "k_euler" in read_screen(app)
        await pilot.press("up", "enter")
        await wait_for(lambda: darkroom.draft.sampler == "k_euler", "the choice")
        await pilot.press("down", "down", "down", "right")
        assert darkroom.draft.style_preset == "anime"


async def test_another_engine_keeps_what_it_accepts_and_says_what_it_does_not(
    tmp_path: Path,
) -> None:
    start = on("engine", steps=120, cfg_scale=7.0, width=192, height=128, model="r0")
    darkroom = DeskDarkroom(tmp_path, start)
    async with running(darkroom) as (app, pilot):
        await pilot.press("right")
        assert darkroom.draft.engine == "stability"
        assert darkroom.draft.cfg_scale == 7.0
        assert darkroom.draft.steps is None
        assert "steps 120 is now 30" in read_message(app)
        assert "1024" in read_screen(app)
        await pilot.press("u")
        assert msgspec.structs.replace(darkroom.draft, place={}) == msgspec.structs.replace(
            start, place={}
        )


async def test_the_seed_is_shown_before_the_run_and_used(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft(prompts=(DraftPrompt(text="night sky"),))))
    async with running(darkroom) as (app, pilot):
        seed = darkroom.draft.seed
        assert seed
        assert str(seed) in read_screen(app)
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        assert darkroom.jobs[0].request.parameters.seed == seed
        assert darkroom.draft.seed != seed
        assert darkroom.draft.previous_seeds == (seed,)
        assert str(darkroom.draft.seed) in read_screen(app)


async def test_lock_new_and_previous(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("p")
        assert "no previous seed" in read_message(app)
        await pilot.press("l", "ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        assert darkroom.draft.seed == 5
        assert "locked" in read_screen(app)
        await pilot.press("n", "l")
        drawn = darkroom.draft.seed
        assert drawn != 5
        await pilot.press("p")
        assert darkroom.draft.seed == 5
        await pilot.press("p")
        assert darkroom.draft.seed == drawn


async def test_two_quick_presses_never_send_the_same_seed(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (_, pilot):
        await pilot.press("ctrl+j", "f5", "ctrl+j")
        await wait_for(lambda: len(darkroom.jobs) == 3, "three jobs")
        assert len({job.request.parameters.seed for job in darkroom.jobs}) == 3


async def test_several_images_take_the_seeds_that_follow(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, on("images"))
    async with running(darkroom) as (_, pilot):
        await pilot.press("right", "right", "ctrl+j")
        await wait_for(lambda: len(darkroom.jobs) == 3, "three jobs")
        assert [job.request.parameters.seed for job in darkroom.jobs] == [5, 6, 7]


@pytest.mark.exhaustive
async def test_a_long_model_keeps_its_revision_where_there_is_little_room(tmp_path: Path) -> None:
    model = "safelight-128-v1@3"
    darkroom = DeskDarkroom(tmp_path, msgspec.structs.replace(START, model=model))
    async with running(darkroom, (80, 24)) as (app, _):
        await wait_for(lambda: "model safel…8-v1@3" in join_lines(read_screen(app)), "the model")
    async with running(darkroom) as (app, _):
        assert f"model {model}" in join_lines(read_screen(app))
