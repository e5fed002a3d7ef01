"""The compare screen, opened for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from store.records import Image
from store.request import Request
from tests.factories import make_plain, make_request
from tests.screens import wait_in_app
from tests.tui.host import Host
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.compare.screen import CompareScreen

SIDE = 32


def add_image(
    darkroom: MemoryDarkroom, color: str, request: Request | None = None, side: int = SIDE
) -> Image:
    """An image of one colour."""
    return darkroom.add_image(
        request or make_request(seed=len(darkroom.images) + 1),
        data=make_plain(color, (side, side)),
        width=side,
        height=side,
    )


@asynccontextmanager
async def open_comparison(
    darkroom: MemoryDarkroom,
    one: Image,
    other: Image,
    size: tuple[int, int] = (120, 40),
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Pilot[None], CompareScreen]]:
    """The screen with both images read."""
    app = Host(lambda: CompareScreen(darkroom, one.id, other.id), darkroom, environ)
    async with app.run_test(size=size) as pilot:
        await wait_in_app(pilot, lambda: isinstance(app.screen, CompareScreen), "the screen")
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await wait_in_app(pilot, lambda: screen.pair is not None, "the images")
        await pilot.pause()
        yield pilot, screen
