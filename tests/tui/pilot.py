"""What the tests of screens share: a running app and what stands on its screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from tests.tui.desk_darkroom import DeskDarkroom, make_app, wait_for
from tui.app import SafelightApp


@asynccontextmanager
async def running(
    darkroom: DeskDarkroom, size: tuple[int, int] = (120, 40), **environ: str
) -> AsyncIterator[tuple[SafelightApp, Pilot[None]]]:
    """The app on `darkroom`, its session restored."""
    app = make_app(darkroom, **environ)
    async with app.run_test(size=size) as pilot:
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        await pilot.pause()
        yield app, pilot


def show_screen(app: App[Any]) -> str:
    """What stands on the screen, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text[:width] for strip in strips[:height])


def join_lines(shown: str) -> str:
    """What stands on the screen without its frames, so that a sentence may be wrapped."""
    return " ".join(shown.replace("│", " ").split())
