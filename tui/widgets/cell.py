"""A piece of text that is drawn again only when it changed."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Cell(Static):
    """Shows text that is never markup.

    A key that is typed touches one or two cells; all others must not be drawn or laid out
    again, or typing gets slow.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, markup=False)
        self._shown = Content("")

    @property
    def shown(self) -> Content:
        """What is shown."""
        return self._shown

    def put(self, content: Content, *, resizes: bool = False) -> None:
        """Show `content`; with `resizes` the cell's size may change with it."""
        if content.plain == self._shown.plain and content.spans == self._shown.spans:
            return
        self._shown = content
        self.update(content, layout=resizes)
