"""What the tests of screens share: a running app, and keys that are pressed in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from textual import events
from textual.app import App
from textual.pilot import Pilot

from tests.tui.desk_darkroom import DeskDarkroom, make_app
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.keys import SIGNS, KeyQueue
from tui.widgets.key_line import KeyLine


class Keyed(Protocol):
    """An app that handles one key after the other."""

    key_queue: KeyQueue

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        ...

    def post_message(self, message: events.Key) -> bool:
        """Press a key."""
        ...


CHARACTERS = {name: sign for name, sign in SIGNS.items() if len(sign) == 1} | {"space": " "}
NAMES = {sign: name for name, sign in CHARACTERS.items()}


def make_key(name: str) -> events.Key:
    """The key of this name as a terminal sends it; a sign stands for itself."""
    character = name if len(name) == 1 else CHARACTERS.get(name)
    return events.Key(NAMES.get(name, name), character)


async def press_key(app: Keyed, key: events.Key) -> None:
    """Press `key` and wait until it is handled, or the app has ended by it."""
    count = app.key_queue.taken
    app.post_message(key)
    await wait_for(lambda: app.key_queue.taken > count or not app.is_running, f"{key}")
    await wait_for(lambda: app.key_queue.is_idle or not app.is_running, f"the end of {key}")


def read_message(app: App[None]) -> str:
    """What the last line of the screen says."""
    return app.screen.query_one(KeyLine).message


class Hands(Pilot[None]):
    """Presses keys and waits until each is handled."""

    def __init__(self, pilot: Pilot[None]) -> None:
        super().__init__(pilot.app)

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        app = self.app
        assert isinstance(app, SafelightApp)
        for key in keys:
            await press_key(app, make_key(key))
        await self.pause()


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
