"""The first line: program, session, and what will be made with what."""

from __future__ import annotations

from textual.content import Content

from tui.terminal.detect import get_display
from tui.text import shorten_middle, show_safely
from tui.widgets.cell import Cell

SESSION_LEAST = 8
"""So many signs of a session's name are shown in any line."""


class HeaderLine(Cell):
    """Session left, facts right; the facts give way where the line is short."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._session = ""
        self._facts: list[str] = []

    def show(self, session: str, facts: list[str]) -> None:
        """Show the session's name and some facts in words."""
        if (session, facts) != (self._session, self._facts):
            self._session, self._facts = session, facts
            self._refresh_line()

    def on_resize(self) -> None:
        """The right side moves."""
        self._refresh_line()

    def _refresh_line(self) -> None:
        dot = f" {get_display(self.app).glyphs.dot} "
        ellipsis = get_display(self.app).glyphs.ellipsis
        # The facts have half of the line, however long the name is.
        room = max(SESSION_LEAST, self.size.width // 2 - len(" safelight") - len(dot))
        name = shorten_middle(show_safely(self._session), room, ellipsis)
        left = " safelight" + (dot + name if name else "")
        facts = [show_safely(fact) for fact in self._facts]
        while facts and len(left) + len(dot.join(facts)) + 2 > self.size.width:
            facts = facts[1:]
        right = f"{dot.join(facts)} "
        gap = max(1, self.size.width - len(left) - len(right))
        self.put(Content.assemble((left, "bold"), " " * gap, (right, "$role-quiet")))
