"""The names of the parts, where there is room for one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message

from tui.widgets.cell import Cell

_GAP = 2


class PartTabs(Cell):
    """One line: the part that is shown stands out, `tab` goes to the next, a click to any."""

    class PartChosen(Message):
        """A part was clicked."""

        def __init__(self, part: str) -> None:
            super().__init__()
            self.part = part

    def __init__(self, parts: Sequence[str], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._parts = parts
        self._part = parts[0]

    def show(self, part: str) -> None:
        """Let `part` stand out."""
        self._part = part
        self._refresh_line()

    def on_mount(self) -> None:
        """Show the names."""
        self._refresh_line()

    def on_resize(self) -> None:
        """Other names fit now."""
        self._refresh_line()

    def _list_names(self) -> list[str]:
        """All of them, or the one that is shown where they do not fit."""
        names = list(self._parts)
        room = sum(len(name) + _GAP for name in names)
        return names if room <= self.size.width or not self.size.width else [self._part]

    def _refresh_line(self) -> None:
        parts: list[str | tuple[str, str]] = []
        for name in self._list_names():
            is_shown = name == self._part
            parts.append((f" {name} ", "bold $role-on-focus on $role-focus" if is_shown else ""))
        self.put(Content.assemble(*parts))

    def on_click(self, event: events.Click) -> None:
        """Go to the part that was clicked."""
        end = 0
        for name in self._list_names():
            end += len(name) + _GAP
            if event.x < end:
                self.post_message(self.PartChosen(name))
                return
