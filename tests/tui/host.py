"""A small app that shows one screen, as the real one would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import App
from textual.filter import LineFilter
from textual.screen import Screen

from tui.terminal import ControlFilter
from tui.themes import DARK, ROLES, THEMES


class Host(App[None]):
    """Shows the screen that `make_screen` makes, above an empty one."""

    image_protocol = "cells"

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
