"""The history screen, opened for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from store.records import Draft
from tests.factories import make_request
from tests.screens import wait_in_app
from tests.tui.host import Host
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.history.screen import HistoryScreen

WIDE, NARROW = (120, 40), (80, 24)


def make_host(darkroom: MemoryDarkroom, environ: Mapping[str, str] | None = None) -> Host:
    """An app that opens the history of `darkroom`, in the terminal of `environ` if given."""
    return Host(lambda: HistoryScreen(darkroom, Draft(), "main"), darkroom, environ)


@asynccontextmanager
async def open_history(
    darkroom: MemoryDarkroom,
    size: tuple[int, int] = WIDE,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Pilot[None], HistoryScreen]]:
    """The screen with its list read and its first record shown."""
    app = make_host(darkroom, environ)
    async with app.run_test(size=size) as pilot:
        await wait_in_app(pilot, lambda: isinstance(app.screen, HistoryScreen), "the screen")
        screen = app.screen
        assert isinstance(screen, HistoryScreen)
        if darkroom.images:
            await wait_for_record(pilot, screen, darkroom.images[-1].id)
        yield pilot, screen


async def wait_for_record(pilot: Pilot[None], screen: HistoryScreen, image_id: str) -> None:
    await wait_in_app(pilot, lambda: image_id in screen.record.text, f"the record of {image_id}")


def make_history(count: int) -> MemoryDarkroom:
    darkroom = MemoryDarkroom()
    for number in range(1, count + 1):
        darkroom.add_image(make_request("night sky", "clouds::-1", seed=number, cfg_scale=7.0))
    return darkroom
