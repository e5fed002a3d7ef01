"""The one door to engines and store: open, in trouble, closed, and what cannot be done."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.base import EngineError, Failure
from engines.capabilities import Capabilities
from engines.settings import BudgetSettings, Settings
from engines.stability.models import StabilitySettings
from engines.worker.program import SALT_NAME
from store import queue
from store.errors import StoreError
from store.records import Draft, DraftPrompt
from tests.factories import CAPABILITIES, HOSTED, make_hosted_request, make_image, make_request
from tests.store.helpers import execute, make_images
from tests.tui.memory_darkroom import MemoryDarkroom
from tui import abilities
from tui.darkroom import CLOSED, OPENING, Darkroom


async def test_it_says_why_the_history_is_not_open(tmp_path: Path) -> None:
    darkroom = Darkroom(tmp_path / "data", Settings())
    assert (darkroom.trouble, darkroom.is_open) == (OPENING, False)
    assert not darkroom.is_read_only
    assert darkroom.explain_writing() == OPENING
    opening = asyncio.create_task(darkroom.open())
    await asyncio.sleep(0)
    assert darkroom.is_opening
    await opening
    assert not darkroom.is_opening
    assert (darkroom.trouble, darkroom.is_open, darkroom.explain_writing()) == ("", True, "")
    await darkroom.close()
    assert (darkroom.trouble, darkroom.is_open) == (CLOSED, False)
    with pytest.raises(StoreError, match="not open"):
        await darkroom.list_images()


async def test_what_engines_accept_is_known_also_without_a_history(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    darkroom = Darkroom(tmp_path / "data", Settings())
    assert darkroom.capabilities == {}
    with pytest.raises(StoreError) as caught:
        await darkroom.open()
    assert darkroom.trouble == str(caught.value)
    assert not darkroom.is_opening
    assert tuple(darkroom.capabilities) == darkroom.list_engines()


class Broken(Darkroom):
    """One of whose engines cannot say what it accepts."""

    def get_capabilities(self, engine: str) -> Capabilities:
        if engine == "stability":
            raise EngineError(Failure.UNKNOWN_ENGINE, "damaged")
        return super().get_capabilities(engine)


async def test_an_engine_that_cannot_be_asked_is_left_out(tmp_path: Path) -> None:
    darkroom = Broken(tmp_path, Settings())
    await darkroom.open()
    await darkroom.close()
    assert "stability" not in darkroom.capabilities
    assert "builtin" in darkroom.capabilities


async def test_only_an_engine_that_may_lose_something_is_asked(tmp_path: Path) -> None:
    darkroom = Darkroom(tmp_path, Settings())
    await darkroom.open()
    await darkroom.close()
    assert not darkroom.has_losses("builtin")
    assert darkroom.has_losses("stability-rest")


async def test_a_history_that_can_only_be_read_lists_the_jobs_that_wait(tmp_path: Path) -> None:
    darkroom = Darkroom(tmp_path / "data", Settings())
    await darkroom.open()
    queue.enqueue(darkroom.database, [make_request()])
    execute(tmp_path / "data", "UPDATE job SET created_at = created_at - 60")
    darkroom.database.is_read_only = True
    [job] = await darkroom.list_jobs()
    assert not job.is_for_others
    # To compare settings a file would have to be made.
    assert not (tmp_path / "data" / SALT_NAME).exists()
    await darkroom.close()


def test_a_history_that_can_only_be_read_says_so() -> None:
    class Kept(MemoryDarkroom):
        is_read_only = True

    assert Kept().explain_writing() == "This history can only be read."


def test_what_an_engine_does_not_do_is_said_of_the_model_where_others_of_it_do() -> None:
    able = {"other": ("initial_image",)}
    known = {"stability": msgspec.structs.replace(HOSTED, models=("r1", "other"))}
    assert abilities.explain_start(known, "stability", None) == (
        "The engine stability starts from no image."
    )
    known["stability"] = msgspec.structs.replace(known["stability"], takes_by_model=able)
    said = "The model r1 starts from no image."
    assert abilities.explain_start(known, "stability", None) == said
    assert abilities.explain_start(known, "stability", "r1") == said
    assert abilities.explain_start(known, "stability", "other") == ""
    assert abilities.explain_mix(known, "stability", "r1") == (
        "The engine stability mixes no second seed in."
    )
    assert abilities.explain_mix(known, "not known yet", None) == ""


def test_an_image_is_varied_and_made_larger_where_that_can_be() -> None:
    known = {"builtin": CAPABILITIES}
    image = make_image(request=make_request(width=128, height=128))
    assert abilities.explain_vary(known, image) == ""
    assert abilities.explain_enlarge(known, image) == ""
    assert abilities.explain_enlarge({}, image) == "No engine here makes images larger."
    assert abilities.explain_enlarge({"stability": HOSTED}, None) != ""
    wide = msgspec.structs.replace(image, width=CAPABILITIES.upscale_side)
    assert "more than" in abilities.explain_enlarge(known, wide)
    for explain in (abilities.explain_vary, abilities.explain_enlarge):
        assert "damaged" in explain(known, msgspec.structs.replace(image, is_damaged=True))


def test_the_upscalers_of_an_images_engine_come_first() -> None:
    other = msgspec.structs.replace(CAPABILITIES, engine="other", is_paid=True)
    known = {"builtin": CAPABILITIES, "other": other}
    assert [row.engine for row in abilities.list_upscalers(known)] == ["builtin", "other"]
    assert [row.engine for row in abilities.list_upscalers(known, "other")] == ["other", "builtin"]
    assert [row.is_paid for row in abilities.list_upscalers(known)] == [False, True]


async def test_what_is_made_again_goes_to_the_host_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To another host would be another account, and another bill."""
    monkeypatch.setattr(Darkroom, "_engage_worker", lambda *_: nullcontext())
    hosts: dict[str | None, dict[str, Any]] = {
        name: {"stability": StabilitySettings(host=f"{name}:1")} for name in (None, "mine", "other")
    }
    settings = Settings(profiles=hosts)
    darkroom = Darkroom(tmp_path / "data", settings.for_profile("mine"))
    await darkroom.open()
    hosted, embedded = make_images(
        darkroom.database, [make_hosted_request("stable-diffusion-v1-6"), make_request()]
    )
    asked = [
        await darkroom.regenerate(hosted.id),
        await darkroom.verify(hosted.id),
        await darkroom.regenerate(embedded.id),
    ]
    draft = Draft(
        prompts=(DraftPrompt(text="sky"),), engine="stability", model="stable-diffusion-v1-6"
    )
    asked += await darkroom.generate(draft)
    assert [job.profile for job in asked if job is not None] == ["mine", "mine", None, "mine"]
    await darkroom.close()


async def test_what_is_made_again_is_within_the_budget_or_not_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Darkroom, "_engage_worker", lambda *_: nullcontext())
    budget = BudgetSettings(credits_per_day=0.1)
    host = StabilitySettings(host="mine:1", is_free=False)
    darkroom = Darkroom(tmp_path / "data", Settings(engines={"stability": host}, budget=budget))
    await darkroom.open()
    [image] = make_images(darkroom.database, [make_hosted_request("stable-diffusion-v1-6")])
    with pytest.raises(EngineError) as caught:
        await darkroom.regenerate(image.id)
    assert caught.value.kind is Failure.OVER_BUDGET
    assert len(queue.list_jobs(darkroom.database)) == 1
    await darkroom.close()
