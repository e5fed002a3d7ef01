"""Leaving the history while something is still on its way to it."""

from __future__ import annotations

import asyncio
from array import array

import pytest

from store.records import Image
from tests.factories import make_request
from tests.screens import wait_in_app
from tests.tui.history_screen import NARROW, make_history, open_history
from tests.tui.host import Host
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.screens.history import HistoryScreen


class GatedDarkroom(MemoryDarkroom):
    """Answers nothing about the history while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked: list[str] = []

    async def _wait(self, what: str) -> None:
        self.asked.append(what)
        await self.gate.wait()

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        await self._wait("numbers")
        return await super().list_image_numbers(search=search)

    async def list_images(
        self, *, before: int | None = None, limit: int = 50, search: str | None = None
    ) -> list[Image]:
        await self._wait("images")
        return await super().list_images(before=before, limit=limit, search=search)

    async def get_image(self, reference: str) -> Image:
        await self._wait("record")
        return await super().get_image(reference)


@pytest.mark.parametrize("what", ["numbers", "images", "record"])
async def test_leaving_while_the_history_is_still_being_read_does_no_harm(what: str) -> None:
    darkroom = GatedDarkroom()
    for seed in range(1, 4):
        darkroom.add_image(make_request("night", seed=seed))
    app = Host(lambda: HistoryScreen(darkroom))
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
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, screen):
        # A screen that is left loses its parts before its workers end.
        await screen.remove_children()
        darkroom.add_image()
        asked = len(darkroom.calls)
        await wait_in_app(pilot, lambda: len(darkroom.calls) > asked, "the question for news")
        await pilot.pause()
        assert pilot.app.is_running
