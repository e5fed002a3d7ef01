"""A small app that shows one screen, as the real one would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from textual.app import App
from textual.filter import LineFilter
from textual.pilot import Pilot
from textual.screen import Screen

from tui.terminal.filter import ControlFilter
from tui.themes import DARK, ROLES, THEMES


class Host(App[None]):
    """Shows the screen that `make_screen` makes, above an empty one."""

    def __init__(self, make_screen: Callable[[], Screen[None]]) -> None:
        super().__init__()
        self._make_screen = make_screen
        self.messages: list[object] = []
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(ROLES)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), ControlFilter()]

    async def on_mount(self) -> None:
        await self.push_screen(self._make_screen())

    def on_history_screen_draft_loaded(self, message: object) -> None:
        self.messages.append(message)

    def on_history_screen_origin_chosen(self, message: object) -> None:
        self.messages.append(message)


async def wait_until(
    pilot: Pilot[None], condition: Callable[[], bool], what: str, seconds: float = 10.0
) -> None:
    """Let the app work until `condition` holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"waited {seconds} s for {what}\n{read_screen(pilot.app)}"
        await pilot.pause()
        await asyncio.sleep(0.01)


def read_screen(app: App[None]) -> str:
    """What stands on the screen, as lines of text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.crop(0, width).text.rstrip() for strip in lines[:height])
