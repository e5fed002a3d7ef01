"""A small app that shows one screen, and is to it what the real one is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import events, on
from textual.actions import parse
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen

import tui
from tests.tui.pilot import make_key, press_key
from tui.app import HEIGHTS, WIDTHS, Follower
from tui.darkroom import Darkroom
from tui.dialogs import HelpScreen
from tui.image_screen import ImageScreen
from tui.keys import KeyQueue, Reasoned, Released, Said, list_places
from tui.terminal.detect import Surroundings, read_display
from tui.terminal.filter import ControlFilter
from tui.theme_files import DARK
from tui.themes import ROLES, THEMES
from tui.widgets.key_line import KeyLine
from tui.work import start_work


class Host(App[None]):
    """Shows the screen that `make_screen` makes, above an empty one, and tells it of changes."""

    CSS_PATH = Path(tui.__file__).parent / "app.tcss"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "question_mark,f1",
            "help",
            "help",
            tooltip="Show every key and what it does",
            id="help",
        ),
    ]
    BINDING_GROUP_TITLE = "everywhere"

    def __init__(
        self,
        make_screen: Callable[[], Screen[Any]],
        darkroom: Darkroom | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.terminal_display = read_display(
            Surroundings(environ=os.environ if environ is None else environ, images="cells")
        )
        self.key_queue = KeyQueue(self)
        self._make_screen = make_screen
        self._darkroom = darkroom
        self.messages: list[Message] = []
        self.answers: list[object] = []
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(ROLES)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), ControlFilter()]

    async def on_mount(self) -> None:
        start_work(self, self.key_queue.run, "keys")
        if self._darkroom is not None:
            await self._darkroom.open()
            self.run_worker(self._follow(self._darkroom))
        await self.push_screen(self._make_screen(), self.answers.append)

    async def _follow(self, darkroom: Darkroom) -> None:
        async for _ in darkroom.watch():
            for screen in self.screen_stack:
                if isinstance(screen, Follower):
                    await screen.update()

    # Keys

    async def on_event(self, event: events.Event) -> None:
        if not self.key_queue.take(event):
            if isinstance(event, events.Key) and not event.is_forwarded:
                self._say("")
            await super().on_event(event)

    async def run_action(
        self,
        action: str | tuple[str, str, tuple[object, ...]],
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        name = parse(action)[1] if isinstance(action, str) else action[1]
        if isinstance(default_namespace, Reasoned) and (reason := default_namespace.why_not(name)):
            self._say(reason)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    @on(Released)
    def _look_again(self) -> None:
        self.key_queue.look_again()

    @on(Said)
    def _show_said(self, message: Said) -> None:
        self._say(message.text)

    def _say(self, text: str) -> None:
        for line in self.screen.query(KeyLine):
            line.say(text)

    async def action_help(self) -> None:
        places = list_places(self.screen, {})
        await self.push_screen(HelpScreen(places, self.terminal_display.glyphs))

    # What the editor would do

    @on(ImageScreen.DraftLoaded)
    @on(ImageScreen.StartChosen)
    @on(ImageScreen.ComparisonWanted)
    def _keep(self, message: Message) -> None:
        self.messages.append(message)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press `keys` and wait until they are handled."""
    app = pilot.app
    assert isinstance(app, Host)
    for key in keys:
        await press_key(app, make_key(key))
    await pilot.pause()
