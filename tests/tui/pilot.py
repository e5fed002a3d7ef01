"""What the tests of screens share: a running app and what stands on its screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from tests.tui.desk_darkroom import DeskDarkroom, make_app
from tests.waiting import wait_for
from tui.app import SafelightApp


class Hands(Pilot[None]):
    """Presses keys and waits until each is handled."""

    def __init__(self, pilot: Pilot[None]) -> None:
        super().__init__(pilot.app)

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        app = self.app
        assert isinstance(app, SafelightApp)
        for key in keys:
            await super().press(key)
            await wait_for(lambda: app.key_queue.is_idle, f"the end of {key}")
        await super().pause()


@asynccontextmanager
async def running(
    darkroom: DeskDarkroom, size: tuple[int, int] = (120, 40), **environ: str
) -> AsyncIterator[tuple[SafelightApp, Pilot[None]]]:
    """The app on `darkroom`, its session restored."""
    app = make_app(darkroom, **environ)
    async with app.run_test(size=size) as pilot:
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        await pilot.pause()
        yield app, Hands(pilot)
