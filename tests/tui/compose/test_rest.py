"""An engine that takes less than a prompt stack says what is lost before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.capabilities import Capabilities
from engines.stability_rest.models import CAPABILITIES
from store.records import Draft, DraftPrompt
from tests.screens import join_lines, read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for

LOST = "The weight -0.5 of the prompt to"  # as far as the panel is wide
PROMPTS = (DraftPrompt(text="sky"), DraftPrompt(text="clouds", weight=-0.5))


class RestDarkroom(DeskDarkroom):
    """Has the REST engine beside the embedded one."""

    def list_engines(self) -> tuple[str, ...]:
        return ("builtin", "stability-rest")

    def get_capabilities(self, engine: str) -> Capabilities:
        return CAPABILITIES if engine == "stability-rest" else super().get_capabilities(engine)


def make_draft(field: str, **changes: object) -> Draft:
    values = {"prompts": PROMPTS, "seed": 5} | changes
    return with_place(Draft(**values), part="parameters", field=field)  # type: ignore[arg-type]


@pytest.mark.exhaustive
async def test_what_is_lost_stands_under_the_image_while_the_engine_is_chosen(
    tmp_path: Path,
) -> None:
    darkroom = RestDarkroom(tmp_path, make_draft("engine"))
    async with running(darkroom) as (app, pilot):
        assert LOST not in read_screen(app)
        await pilot.press("right")
        assert darkroom.draft.engine == "stability-rest"
        assert LOST in read_screen(app)
        await pilot.press("right")
        assert LOST not in read_screen(app)


async def test_it_goes_with_what_caused_it_and_stays_beside_a_job(tmp_path: Path) -> None:
    start = with_place(Draft(prompts=PROMPTS, seed=5, engine="stability-rest"), row=1)
    darkroom = RestDarkroom(tmp_path, start)
    async with running(darkroom) as (app, pilot):
        assert LOST in read_screen(app)
        await pilot.press("ctrl+j")
        await wait_for(lambda: "waiting for the worker" in read_screen(app), "the job")
        assert LOST in read_screen(app)
        await pilot.press("space")  # switches the prompt off
        assert LOST not in read_screen(app)


@pytest.mark.exhaustive
async def test_what_the_server_decides_stands_beside_the_fields(tmp_path: Path) -> None:
    darkroom = RestDarkroom(tmp_path, make_draft("model", engine="stability-rest"))
    async with running(darkroom) as (app, pilot):
        shown = join_lines(read_screen(app))
        assert "steps 1 the server decides" in shown
        assert "cfg 0.0 the server decides" in shown
        assert "sampler server the server decides" in shown
        assert "size 1536 × 1536 9 to choose from" in shown
        await pilot.press("left")
        assert darkroom.draft.model == "sd3.5-flash"
        shown = join_lines(read_screen(app))
        assert "cfg 1.0 1 to 10" in shown
        assert "size 1024 × 1024 9 to choose from" in shown


@pytest.mark.exhaustive
async def test_a_model_with_other_sizes_takes_its_default_and_says_so(tmp_path: Path) -> None:
    start = make_draft("model", engine="stability-rest", width=2304, height=960)
    async with running(RestDarkroom(tmp_path, start)) as (app, pilot):
        await pilot.press("right")
        assert "size 2304x960 is now 1024x1024" in read_message(app)
