"""The list of past images, of any length."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import BindingType
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from store.errors import SafelightError
from store.records import Image
from tui.actions import make_bindings
from tui.darkroom import Darkroom
from tui.history.history_rows import THUMBNAIL, RowFacts, RowStyles, draw_flat, draw_tall
from tui.history.pages import HistoryPages
from tui.terminal.detect import has_unicode
from tui.widgets.picture import get_colours, get_image_protocol
from tui.widgets.text_lines import fit_text, mark_classes
from tui.widgets.thumbnails import Thumbnails
from tui.words import ROLES
from tui.work import start_work

_MARGIN = 8
"""Rows that are read beyond those in sight."""


class HistoryList(ScrollView, can_focus=True, inherit_bindings=False):
    """Past images, newest first: one line each, or four with a thumbnail.

    Only what is in sight is read and drawn, so that its length does not matter. Posts
    `CursorMoved` when another image is chosen, or the chosen one's record changed.
    """

    DEFAULT_CSS = """
    HistoryList {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .list--quiet { color: $secondary; }
        & > .list--cursor { background: $panel; text-style: bold; }
        & > .list--focused { color: $accent; }
        & > .verdict--success { color: $success; }
        & > .verdict--error { color: $error; }
        & > .verdict--warning { color: $foreground; }
        & > .verdict--muted { color: $secondary; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "list--quiet",
        "list--cursor",
        "list--focused",
        *mark_classes(),
    }

    BINDINGS: ClassVar[list[BindingType]] = make_bindings("history list")

    cursor = var(0)
    has_thumbnails = var(False)

    class CursorMoved(Message):
        """Another image is under the cursor; None when there is none."""

        def __init__(self, image: Image | None) -> None:
            super().__init__()
            self.image = image

        def can_replace(self, message: Message) -> bool:
            """Only the last one counts."""
            return isinstance(message, HistoryList.CursorMoved)

    class Opened(Message):
        """Chosen by a second click."""

    class Failed(Message):
        """The history could not be read."""

        def __init__(self, error: SafelightError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._has_unicode = has_unicode(os.environ)
        self.pages = HistoryPages(darkroom, has_unicode=self._has_unicode)
        self._thumbnails = Thumbnails(darkroom)
        self._is_loading = False
        self._told: Image | None = None

    # Content

    @property
    def chosen(self) -> Image | None:
        """The image under the cursor, None while it is not read or where there is none."""
        return self.pages.get(self.cursor) if self.cursor < len(self.pages) else None

    async def open_search(self, search: str) -> None:
        """List the images that match `search`, the cursor on the one it was on, if it can be."""
        before = self.chosen
        pages = HistoryPages(self.pages.darkroom, has_unicode=self._has_unicode)
        await pages.open(search)
        if not self.is_attached:
            return
        self.pages = pages
        row = self.pages.find_row(before.number) if before else None
        self._fit()
        self.set_reactive(HistoryList.cursor, row or 0)
        self._keep_in_sight()
        await self._load()

    async def refresh_images(self) -> None:
        """Show what others added or changed. The cursor stays on its image."""
        try:
            added = await self.pages.find_newer()
            if not self.is_attached:
                return
            if added:
                was_at_top = self.scroll_offset.y == 0
                self._fit()
                if len(self.pages) > added:
                    self.set_reactive(HistoryList.cursor, self.cursor + added)
                if was_at_top:
                    self._keep_in_sight()
                else:
                    self.scroll_to(y=self.scroll_offset.y + added * self.row_height, animate=False)
            first, last = self._rows_in_sight()
            changed = await self.pages.reload(first, last)
        except SafelightError as error:
            self.post_message(self.Failed(error))
            return
        if added or changed:
            self.refresh()
            await self._load()

    def _fit(self) -> None:
        self.virtual_size = Size(self.container_size.width, len(self.pages) * self.row_height)

    async def _load(self) -> None:
        """Read the rows in sight until none is missing, then their thumbnails."""
        if self._is_loading or not self.is_attached:
            return
        self._is_loading = True
        pages, rows = self.pages, self._rows_in_sight()
        try:
            while self.is_attached:
                pages, rows = self.pages, self._rows_in_sight()
                if await pages.load(rows[0] - _MARGIN, rows[1] + _MARGIN):
                    self.refresh()
                    self._tell()
                elif (pages, rows) == (self.pages, self._rows_in_sight()):
                    break
            self._tell()
            await self._draw_thumbnails(*rows)
        except SafelightError as error:
            self.post_message(self.Failed(error))
            return
        finally:
            self._is_loading = False
        if (pages, rows) != (self.pages, self._rows_in_sight()):
            self._start_loading()

    async def _draw_thumbnails(self, first: int, last: int) -> None:
        if not self.has_thumbnails or get_image_protocol(self.app) == "none":
            return
        numbers = [image.number for row in range(first, last + 1) if (image := self.pages.get(row))]
        colours = get_colours(self.app)
        if await self._thumbnails.draw(numbers, *THUMBNAIL, colours, self._has_unicode):
            self.refresh()

    def _start_loading(self) -> None:
        if not self._is_loading and self.is_mounted and len(self.pages):
            start_work(self, self._load, "pages")

    def _tell(self) -> None:
        image = self.chosen
        if image != self._told or image is None:
            self._told = image
            self.post_message(self.CursorMoved(image))

    # Geometry

    @property
    def row_height(self) -> int:
        """Lines of one image."""
        return THUMBNAIL[1] if self.has_thumbnails else 1

    def _rows_in_sight(self) -> tuple[int, int]:
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        last = (top + height - 1) // self.row_height
        return top // self.row_height, min(last, len(self.pages) - 1)

    @property
    def page_rows(self) -> int:
        """How many whole images are in sight."""
        return max(1, self.scrollable_content_region.height // self.row_height)

    def _keep_in_sight(self) -> None:
        width = self.scrollable_content_region.width
        region = Region(0, self.cursor * self.row_height, width, self.row_height)
        self.scroll_to_region(region, animate=False, force=True, immediate=True, x_axis=False)

    # Events

    def on_resize(self, event: events.Resize) -> None:
        """Other rows are in sight."""
        self._fit()
        self._start_loading()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read the rows that came into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._start_loading()

    def watch_has_thumbnails(self) -> None:
        """Rows have another height."""
        self._fit()
        self.refresh()
        self._keep_in_sight()
        self._start_loading()

    def validate_cursor(self, row: int) -> int:
        """Within the list."""
        return max(0, min(row, len(self.pages) - 1))

    def watch_cursor(self, old_row: int, row: int) -> None:
        """Keep it in sight and tell. Only the two rows are drawn again, unless it scrolls."""
        self._keep_in_sight()
        for changed in (old_row, row):
            self.refresh_lines(changed * self.row_height, self.row_height)
        self._tell()
        self._start_loading()

    def move(self, key: str) -> None:
        """Move the cursor as the key says, as far as the list goes."""
        page, all_rows = self.page_rows, len(self.pages)
        rows = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page}
        self.cursor += rows.get(key, -all_rows if key in ("home", "g") else all_rows)

    def on_click(self, event: events.Click) -> None:
        """Choose the row; a click on the chosen one opens it."""
        row = (event.get_content_offset_capture(self).y + self.scroll_offset.y) // self.row_height
        if row >= len(self.pages):
            return
        if row == self.cursor and event.chain > 1:
            self.post_message(self.Opened())
        self.cursor = row

    # Drawing

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the filter that turns palette colours into others: they are chosen here."""
        filters = super().get_line_filters()
        if not self.has_thumbnails or get_colours(self.app) == "truecolor":
            return filters
        return [kept for kept in filters if not isinstance(kept, ANSIToTruecolor)]

    def render_line(self, y: int) -> Strip:
        """One line of the list."""
        width = self.scrollable_content_region.width
        row, part = divmod(y + self.scroll_offset.y, self.row_height)
        style = self.rich_style
        if row >= len(self.pages):
            return Strip.blank(width, style)
        if row == self.cursor:
            style += self.get_component_rich_style("list--cursor", partial=True)
        quiet = style + self.get_component_rich_style("list--quiet", partial=True)
        image = self.pages.get(row)
        if image is None:
            text = f"  {self.pages.numbers[row]}" if part == 0 else ""
            return Strip([Segment(fit_text(text, width), quiet)], width)
        pointer = style
        if row == self.cursor and self.has_focus:
            pointer += self.get_component_rich_style("list--focused", partial=True)
        role = f"verdict--{ROLES[image.verdict]}"
        mark = style + self.get_component_rich_style(role, partial=True)
        styles = RowStyles(base=style, quiet=quiet, pointer=pointer, mark=mark)
        change = self.pages.describe(row, names_parent=self.has_thumbnails)
        facts = RowFacts(image, change, row == self.cursor, self._has_unicode)
        if self.has_thumbnails:
            drawn = self._thumbnails.get(image.number) or []
            segments = draw_tall(facts, styles, width, part, drawn)
        else:
            segments = draw_flat(facts, styles, width)
        return Strip(segments).adjust_cell_length(width, style)
