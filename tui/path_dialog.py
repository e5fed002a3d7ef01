"""Asks for the path of an image file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input

from store.errors import SafelightError
from tui.paths import complete_path, parse_path
from tui.text import show_safely
from tui.widgets.cell import Cell

Take = Callable[[Path], Awaitable[None]]
"""Takes the file; raises `SafelightError` with what is wrong with it."""


class PathSuggester(Suggester):
    """Continues a path with the first name that begins as typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The whole path, None without one."""
        return await asyncio.to_thread(complete_path, value) if value else None


class PathScreen(ModalScreen[None]):
    """Stays open until `take` accepts a file, and says beside the field why it does not."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, title: str, start: str, take: Take) -> None:
        super().__init__()
        self._title = title
        self._take = take
        self._is_taking = False
        self._field = Input(
            start, placeholder="~/pictures/harbour.png", suggester=PathSuggester(), compact=True
        )
        self._field.cursor_blink = False
        self._note = Cell(id="path-note")

    def compose(self) -> ComposeResult:
        """The field and what there is to say."""
        with Vertical(id="path") as panel:
            panel.border_title = Content(self._title)
            panel.border_subtitle = Content("enter takes it · tab completes · esc leaves")
            yield self._field
            yield self._note

    def on_mount(self) -> None:
        """Type at once."""
        self._say("A PNG, JPEG or WebP file.")
        self._field.focus()
        self._field.cursor_position = len(self._field.value)

    def _say(self, text: str, style: str = "$role-quiet") -> None:
        self._note.put(Content.styled(show_safely(text), style), resizes=True)

    async def on_key(self, event: events.Key) -> None:
        """Complete the path, as a shell does."""
        if event.key == "tab":
            event.stop()
            event.prevent_default()
            if (path := await asyncio.to_thread(complete_path, self._field.value)) is not None:
                self._field.value = path
                self._field.cursor_position = len(path)

    @on(Input.Changed)
    def _forget(self) -> None:
        self._say("A PNG, JPEG or WebP file.")

    @on(Input.Submitted)
    async def _enter(self, event: Input.Submitted) -> None:
        event.stop()
        if self._is_taking:
            return
        self._is_taking = True
        try:
            await self._take(parse_path(event.value))
        except SafelightError as error:
            self._say(f"! {error}", "bold $role-negative")
        else:
            self.dismiss(None)
        finally:
            self._is_taking = False

    def action_leave(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)
