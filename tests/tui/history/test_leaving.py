"""Keys and news while something is still on its way to the history, and leaving it then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from store.errors import StoreError
from store.records import Draft, DraftPrompt, Image
from store.search import Search
from store.selection import Chunk
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.history.opening import NARROW, make_host, open_history
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.history.screen import HistoryScreen
from tui.image_screen import ImageScreen


class GatedDarkroom(MemoryDarkroom):
    """Answers nothing about the history while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked: list[str] = []

    async def _wait(self, what: str) -> None:
        self.asked.append(what)
        await self.gate.wait()

    async def read_numbers(self, **values: Any) -> Chunk:
        await self._wait("numbers")
        return await super().read_numbers(**values)

    async def load_images(
        self, numbers: Sequence[int], search: str | Search | None = None
    ) -> list[Image]:
        await self._wait("images")
        return await super().load_images(numbers, search)

    async def get_image(self, reference: str) -> Image:
        await self._wait("record")
        return await super().get_image(reference)


@pytest.mark.parametrize("what", ["numbers", "images", "record"])
async def test_leaving_while_the_history_is_still_being_read_does_no_harm(what: str) -> None:
    darkroom = GatedDarkroom()
    for seed in range(1, 4):
        darkroom.add_image(make_request("night", seed=seed))
    app = make_host(darkroom)
    async with app.run_test(size=NARROW) as pilot:
        while what not in darkroom.asked:
            darkroom.gate.set()
            await pilot.pause()
            darkroom.gate.clear()
        app.screen.dismiss()
        darkroom.gate.set()
        await wait_in_app(
            pilot, lambda: not isinstance(app.screen, HistoryScreen), "the end of the screen"
        )
        await pilot.pause()
        assert app.is_running


async def test_news_that_come_when_the_parts_of_the_screen_are_already_gone_do_no_harm() -> None:
    darkroom = GatedDarkroom()
    darkroom.gate.set()
    for seed in range(1, 4):
        darkroom.add_image(make_request("night", seed=seed))
    async with open_history(darkroom) as (pilot, screen):
        darkroom.gate.clear()
        darkroom.asked.clear()
        darkroom.add_image()
        await wait_in_app(pilot, lambda: "numbers" in darkroom.asked, "the question for news")
        # A screen that is left loses its parts before its workers end.
        await screen.remove_children()
        darkroom.gate.set()
        await pilot.pause()
        darkroom.add_image()
        await screen.update()
        assert pilot.app.is_running


async def test_keys_wait_until_the_history_is_read_and_none_is_lost() -> None:
    darkroom = GatedDarkroom()
    for seed in range(1, 6):
        darkroom.add_image(make_request("night", seed=seed))
    app = make_host(darkroom)
    async with app.run_test(size=NARROW) as pilot:
        await wait_in_app(pilot, lambda: "numbers" in darkroom.asked, "the first question")
        await pilot.press("down", "j", "j", "up", "v", "enter")
        for _ in range(5):
            await pilot.pause()
        assert not app.key_queue.is_idle
        assert not darkroom.jobs
        darkroom.gate.set()
        await wait_in_app(pilot, lambda: bool(app.messages), "what was loaded")
        (message,) = app.messages
        assert isinstance(message, ImageScreen.DraftLoaded)
        assert message.image.id == darkroom.images[-3].id
        assert ("verify", darkroom.images[-3].id) in darkroom.calls
        await wait_in_app(pilot, lambda: app.key_queue.is_idle, "all keys")
        assert not isinstance(app.screen, HistoryScreen)


async def test_a_history_that_is_not_read_yet_is_left_by_escape() -> None:
    darkroom = GatedDarkroom()
    darkroom.add_image()
    app = make_host(darkroom)
    async with app.run_test(size=NARROW) as pilot:
        await wait_in_app(pilot, lambda: "numbers" in darkroom.asked, "the first question")
        await press(pilot, "escape")
        await wait_in_app(
            pilot, lambda: not isinstance(app.screen, HistoryScreen), "the end of the screen"
        )
        darkroom.gate.set()
        await pilot.pause()
        assert app.is_running


async def test_keys_go_on_when_the_history_cannot_be_read_and_it_is_read_when_it_can() -> None:
    class Broken(MemoryDarkroom):
        error: StoreError | None = StoreError("The disk is gone.")

        async def read_numbers(self, **values: Any) -> Chunk:
            if self.error is not None:
                raise self.error
            return await super().read_numbers(**values)

    darkroom = Broken()
    image = darkroom.add_image()
    app = make_host(darkroom)
    async with app.run_test(size=NARROW) as pilot:
        await wait_in_app(pilot, lambda: "The disk is gone." in read_screen(app), "the reason")
        await press(pilot, "enter")
        assert "There is no image here." in read_screen(app)
        darkroom.error = None
        darkroom.change()
        await wait_in_app(pilot, lambda: image.id[:8] in read_screen(app), "the list")


@pytest.mark.parametrize("burst", [("down", "j", "v"), ("j", "j", "enter")])
@pytest.mark.samples(1)
async def test_keys_pressed_right_after_h_act_on_the_history(
    tmp_path: Path, burst: tuple[str, ...]
) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="castle"),)))
    darkroom = DeskDarkroom(tmp_path, draft)
    for seed in range(1, 8):
        darkroom.add_image(make_request("night", seed=seed))
    async with running(darkroom) as (app, pilot):
        await pilot.press("h", *burst)
        await wait_for(lambda: app.key_queue.is_idle, "all keys")
        if "v" in burst:
            assert ("verify", darkroom.images[-3].id) in darkroom.calls
            assert isinstance(app.screen, HistoryScreen)
        else:
            await wait_for(lambda: darkroom.draft.seed == 5, "the image in the editor")
            assert [prompt.text for prompt in darkroom.draft.prompts] == ["night"]
            assert app.screen is app.compose_screen


async def test_the_palette_has_what_the_history_and_the_jobs_do(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft(prompts=(DraftPrompt(text="castle"),))))
    darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        for key, wanted in (
            (
                "h",
                {
                    "Search as you type: words, seed:7, is:favourite, since:monday and more",
                    "Load the whole image into the editor",
                    "Put the image in the trash and go to the next",
                },
            ),
            ("j", {"Cancel the job: it stops within one step", "Go back"}),
        ):
            await pilot.press(key)
            await wait_for(lambda: app.screen is not app.compose_screen, "the screen")
            await wait_for(lambda: app.key_queue.is_idle, "all keys")
            commands = {command.words for command in app.list_commands()}
            assert wanted < commands
            assert "Show every key and what it does" in commands
            await pilot.press("escape")
            await wait_for(lambda: app.screen is app.compose_screen, "the editor")
