"""The list of past images, of any length: one line an image, four beside a thumbnail, or a sheet.

What one image looks like is in `rows.py`, and in `sheet.py` for the contact sheet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from store.errors import SafelightError
from store.records import Image
from store.search import NEWEST_FIRST, Sort
from tui.darkroom import Darkroom
from tui.history.pages import HistoryPages
from tui.history.rows import THUMBNAIL, RowFacts, RowStyles, draw_flat, draw_tall
from tui.history.selection import Selection
from tui.history.sheet import SheetSize, TileFacts, TileStyles, draw_tile, fit_sheet
from tui.keys import bind_move
from tui.terminal.detect import get_display
from tui.widgets.text_lines import fit_text, mark_classes
from tui.widgets.thumbnails import Thumbnails
from tui.words import ROLES, find_certainty
from tui.work import start_work

_MARGIN = 8
"""Rows that are read beyond those in sight."""

_REST_SECONDS = 0.25
"""How long nothing more is typed before what is found is drawn with its thumbnails."""

_READING_REST_SECONDS = 0.5
"""How long a list stays open before the rest of its numbers is read: seconds where it is long."""

_TELL_SECONDS = 1.0
"""How often the length is shown while it grows: each time the whole screen is laid out."""


class HistoryList(ScrollView, can_focus=True, inherit_bindings=False):
    """Past images, newest first unless asked otherwise: in lines, or on a sheet of thumbnails.

    Only what is in sight is read and drawn, so that its length does not matter. `asked` is what
    was opened last, search and order. `image` is the one under the cursor, None while it is not
    read or where there is none; it changes with the cursor, at once, and when its record changed.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "list--quiet",
        "list--cursor",
        "list--focused",
        "list--chosen",
        *mark_classes(),
    }

    BINDING_GROUP_TITLE = "in the list of images"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind_move("up,k", "move_lines(-1)", "list.newer", "Choose the image above: made after"),
        bind_move("down,j", "move_lines(1)", "list.older", "Choose the image below: made before"),
        bind_move("left,h", "move_across(-1)", "list.left", "Choose the image to the left"),
        bind_move("right,l", "move_across(1)", "list.right", "Choose the image to the right"),
        bind_move("pageup", "turn_page(-1)", "list.page_up", "Choose the image a page above"),
        bind_move("pagedown", "turn_page(1)", "list.page_down", "Choose the image a page below"),
        bind_move("home", "go_to_newest", "list.newest", "Choose the first image: the newest"),
        bind_move("end,G", "go_to_oldest", "list.oldest", "Choose the last image: the oldest"),
        Binding(
            "space",
            "mark",
            "mark",
            tooltip="Mark the image, or take its mark away, and go to the next",
            id="list.mark",
        ),
        bind_move("shift+up,K", "mark_lines(-1)", "list.mark_up", "Mark up to the one above"),
        bind_move("shift+down,J", "mark_lines(1)", "list.mark_down", "Mark down to the one below"),
        bind_move("shift+left", "mark_across(-1)", "list.mark_left", "Mark to the left"),
        bind_move("shift+right", "mark_across(1)", "list.mark_right", "Mark to the right"),
        bind_move("shift+pageup", "mark_page(-1)", "list.mark_page_up", "Mark a page above"),
        bind_move("shift+pagedown", "mark_page(1)", "list.mark_page_down", "Mark a page below"),
        Binding(
            "a",
            "mark_all",
            "mark all",
            tooltip="Mark all images that are found; esc takes all marks away",
            id="list.mark_all",
        ),
    ]

    cursor = var(0)
    has_thumbnails = var(False)
    is_sheet = var(False)
    image: var[Image | None] = var(None)

    class Opened(Message):
        """Chosen by a second click."""

    class MarksChanged(Message):
        """Other images are marked."""

    class Counted(Message):
        """More of the list is known than before."""

    class Failed(Message):
        """The history could not be read."""

        def __init__(self, error: SafelightError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.pages = HistoryPages(darkroom)
        self.selection = Selection()
        self._sheet = SheetSize(1, 8, 4, 9)
        self._smaller = 0
        self._thumbnails = Thumbnails(darkroom)
        self._is_loading = False
        self._is_drawing = False
        self._sought: int | None = None
        self._resting_until = 0.0
        self.asked = ("", NEWEST_FIRST)

    # Content

    def _look(self) -> None:
        """Find the image under the cursor."""
        self.image = self.pages.get(self.cursor) if self.cursor < len(self.pages) else None

    async def open_search(
        self, search: str, sort: Sort = NEWEST_FIRST, *, is_typed: bool = False
    ) -> None:
        """List the images that fit `search`, the cursor on the one it was on, if it can be.

        While it `is_typed` the next one may follow at once: see `rest`. Raises `SearchError`;
        then the list stays as it is.
        """
        before = self.image
        pages = HistoryPages(self.pages.darkroom)
        self._begin_rest(is_typed)
        await pages.open(search, sort)
        # What comes into sight is there when the list is drawn; the rest comes after that.
        row = pages.find_row(before.number) if before else None
        first = (row or 0) - self.page_rows
        await pages.load(first, first + 2 * self.page_rows, ahead=0)
        if not self.is_attached:
            return
        self._begin_rest(is_typed)
        self.asked = (search, sort)
        if search != self.pages.search:
            self.clear_marks()
        self.pages = pages
        row = self.pages.find_row(before.number) if before else None
        self._fit()
        self.set_reactive(HistoryList.cursor, row or 0)
        self._sought = before.number if before and row is None else None
        self._keep_in_sight()
        self.refresh()
        self._look()
        start_work(self, self._load_more, "pages")
        start_work(self, self._read_numbers, "numbers")

    async def _load_more(self) -> None:
        await self.rest()
        await self._load()

    def _begin_rest(self, is_typed: bool) -> None:
        self._resting_until = time.monotonic() + _REST_SECONDS if is_typed else 0.0

    async def rest(self) -> None:
        """Return once nothing was typed for a moment: what was typed last is found first."""
        while True:
            seconds = self._resting_until - time.monotonic()
            if seconds <= 0:
                return
            await asyncio.sleep(seconds)

    async def _read_numbers(self) -> None:
        """Read the numbers that are still missing. The cursor stays on its image."""
        pages = self.pages
        await asyncio.sleep(_READING_REST_SECONDS)
        told_at = time.monotonic()
        try:
            while pages is self.pages and not pages.is_whole:
                await self.rest()
                boundary = len(pages.numbers)
                added = await pages.read_more()
                if not self.is_attached or pages is not self.pages:
                    return
                if self._sought is not None and (row := pages.find_row(self._sought)) is not None:
                    self._sought = None
                    self.cursor = row
                elif added and self.cursor >= boundary:
                    self._fit()
                    self.set_reactive(HistoryList.cursor, self.cursor + added)
                    self._scroll_by(added)
                if pages.is_whole or time.monotonic() - told_at >= _TELL_SECONDS:
                    self._tell_length()
                    told_at = time.monotonic()
        except SafelightError as error:
            self.post_message(self.Failed(error))

    def _tell_length(self) -> None:
        self._fit()
        if self.pages.total is not None:
            self.selection.settle(self.pages.total)
        self.post_message(self.Counted())

    async def open_again(self) -> None:
        """Read the list anew: images came back to it."""
        try:
            await self.open_search(*self.asked)
        except SafelightError as error:
            self.post_message(self.Failed(error))

    async def forget_marked(self) -> None:
        """The marked images left the list; what follows comes under the cursor."""
        selection = self.selection.copy()
        self.clear_marks()
        if selection.is_all:
            await self.open_again()
            return
        self.pages.remove(selection)
        self._fit()
        self._keep_in_sight()
        self.refresh()
        self._look()
        await self._load()
        self.post_message(self.Counted())

    def go_to(self, number: int) -> bool:
        """Put the cursor on the image with this number, once it is read; whether it can be there.

        Among what a search found it counts only when it was read already.
        """
        row = self.pages.find_row(number)
        if row is None:
            has_more = not self.pages.search and not self.pages.is_whole
            self._sought = number if has_more else None
            return has_more
        self.cursor = row
        self._keep_in_sight()
        return True

    async def refresh_images(self) -> None:
        """Show what others added or changed. The cursor stays on its image."""
        try:
            added = await self.pages.find_newer()
            if not self.is_attached:
                return
            if added is None:
                await self.open_search(*self.asked)
                return
            if added:
                was_at_top = self.scroll_offset.y == 0
                self._fit()
                if len(self.pages) > added:
                    self.set_reactive(HistoryList.cursor, self.cursor + added)
                if was_at_top:
                    self._keep_in_sight()
                else:
                    self._scroll_by(added)
            first, last = self._rows_in_sight()
            changed = await self.pages.reload(first, last)
        except SafelightError as error:
            self.post_message(self.Failed(error))
            return
        if added or changed:
            self._fit()
            self.refresh()
            await self._load()

    def _scroll_by(self, rows: int) -> None:
        """Keep in sight what is in sight, after `rows` came in above."""
        self.scroll_to(
            y=self.scroll_offset.y + rows // self.columns * self.row_height,
            animate=False,
            force=True,
            immediate=True,
        )

    def _fit(self) -> None:
        """Let the list be as long as it is, the cursor within it."""
        if self.cursor >= len(self.pages):
            self.set_reactive(HistoryList.cursor, max(0, len(self.pages) - 1))
        if self.is_sheet:
            # One column is the scroll bar's.
            width, height = self.container_size.width - 1, self.container_size.height
            self._sheet = fit_sheet(width, height, self._smaller)
        lines = -(-len(self.pages) // self.columns)
        self.virtual_size = Size(self.container_size.width, lines * self.row_height)

    async def _load(self) -> None:
        """Read the rows in sight until none is missing. Their thumbnails come after them."""
        if self._is_loading or not self.is_attached:
            return
        self._is_loading = True
        try:
            while self.is_attached:
                pages, rows = self.pages, self._rows_in_sight()
                if await pages.load(rows[0] - _MARGIN, rows[1] + _MARGIN):
                    self._fit()
                    self.refresh()
                    self._look()
                elif (pages, rows) == (self.pages, self._rows_in_sight()):
                    break
            self._look()
        except SafelightError as error:
            self.post_message(self.Failed(error))
            return
        finally:
            self._is_loading = False
        if self.is_attached and not self._is_drawing:
            start_work(self, self._draw_thumbnails, "thumbnails")

    async def _draw_thumbnails(self) -> None:
        """Draw the thumbnails in sight until none is missing."""
        display = get_display(self.app)
        if self._is_drawing or display.image_protocol == "none":
            return
        self._is_drawing = True
        try:
            await self.rest()
            while self.is_attached and (self.is_sheet or self.has_thumbnails):
                size = (self._sheet.width, self._sheet.height) if self.is_sheet else THUMBNAIL
                numbers = self._list_in_sight()
                has_drawn = await self._thumbnails.draw(
                    numbers, *size, display.colours, display.has_unicode
                )
                if has_drawn:
                    self.refresh()
                elif numbers == self._list_in_sight():
                    break
        except SafelightError as error:
            self.post_message(self.Failed(error))
        finally:
            self._is_drawing = False

    def _list_in_sight(self) -> list[int]:
        """The numbers of the images in sight whose records are read."""
        first, last = self._rows_in_sight()
        return [image.number for row in range(first, last + 1) if (image := self.pages.get(row))]

    def _start_loading(self) -> None:
        if not self._is_loading and self.is_mounted and len(self.pages):
            start_work(self, self._load, "pages")

    # Geometry

    @property
    def columns(self) -> int:
        """Images beside each other."""
        return self._sheet.columns if self.is_sheet else 1

    @property
    def row_height(self) -> int:
        """Lines of one image."""
        if self.is_sheet:
            return self._sheet.tile_height
        return THUMBNAIL[1] if self.has_thumbnails else 1

    def _rows_in_sight(self) -> tuple[int, int]:
        """The first and the last place in the list that are in sight."""
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        first, last = top // self.row_height, (top + height - 1) // self.row_height
        last = (last + 1) * self.columns - 1
        return first * self.columns, min(last, len(self.pages) - 1)

    @property
    def page_rows(self) -> int:
        """How many images are in sight as a whole."""
        lines = max(1, self.scrollable_content_region.height // self.row_height)
        return lines * self.columns

    def _find_line(self, row: int) -> int:
        """The first line of this place in the list."""
        return row // self.columns * self.row_height

    def _keep_in_sight(self) -> None:
        width = self.scrollable_content_region.width
        region = Region(0, self._find_line(self.cursor), width, self.row_height)
        self.scroll_to_region(region, animate=False, force=True, immediate=True, x_axis=False)

    # Events

    def on_resize(self, event: events.Resize) -> None:
        """Other rows are in sight."""
        self._lay_out()

    def _lay_out(self) -> None:
        """Rows have another height, or lie elsewhere."""
        self._fit()
        self.refresh()
        self._keep_in_sight()
        self._start_loading()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read the rows that came into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._start_loading()

    def watch_has_thumbnails(self) -> None:
        """Rows have another height."""
        self._lay_out()

    def watch_is_sheet(self) -> None:
        """A sheet of thumbnails, or lines."""
        self._lay_out()

    def turn_sheet_size(self) -> None:
        """Smaller thumbnails on the sheet; after the smallest the largest."""
        self._smaller += 1
        if fit_sheet(self.container_size.width - 1, self.container_size.height, self._smaller) == (
            self._sheet
        ):
            self._smaller = 0
        self._lay_out()

    def validate_cursor(self, row: int) -> int:
        """Within the list."""
        return max(0, min(row, len(self.pages) - 1))

    def watch_cursor(self, old_row: int, row: int) -> None:
        """Keep it in sight and tell. Only the two rows are drawn again, unless it scrolls."""
        self._sought = None
        self._fit()
        self._keep_in_sight()
        for changed in (old_row, row):
            self.refresh_lines(self._find_line(changed), self.row_height)
        self._look()
        self._start_loading()

    def action_move(self, rows: int) -> None:
        """Move the cursor, as far as the list goes."""
        self.cursor += rows

    def action_move_lines(self, lines: int) -> None:
        """Move the cursor by lines, which on a sheet hold several images."""
        row = self.cursor + lines * self.columns
        if 0 <= row < len(self.pages) or self.columns == 1:
            self.cursor = row
        elif row > 0 and row // self.columns == (len(self.pages) - 1) // self.columns:
            self.cursor = len(self.pages) - 1

    def action_move_across(self, images: int) -> None:
        """Move the cursor to the image beside it, where images stand beside each other."""
        if self.is_sheet:
            self.cursor += images

    def action_turn_page(self, pages: int) -> None:
        """Move the cursor by as many images as are in sight."""
        self.cursor += pages * self.page_rows

    def action_go_to_newest(self) -> None:
        """Move the cursor to the top."""
        self.cursor = 0

    async def action_go_to_oldest(self) -> None:
        """Move the cursor to the end, also while it is not known how long the list is."""
        try:
            await self.pages.read_end()
        except SafelightError as error:
            self.post_message(self.Failed(error))
            return
        self._fit()
        self.cursor = len(self.pages) - 1

    def on_click(self, event: events.Click) -> None:
        """Choose the row; a click on the chosen one opens it."""
        place = event.get_content_offset_capture(self)
        row = (place.y + self.scroll_offset.y) // self.row_height * self.columns
        if self.is_sheet:
            row += min(place.x // self._sheet.pitch, self.columns - 1)
        if row >= len(self.pages):
            return
        if row == self.cursor and event.chain > 1:
            self.post_message(self.Opened())
        self.cursor = row

    # Marks

    def count_marked(self) -> int:
        """How many images are marked."""
        return len(self.selection)

    def list_marked_in_sight(self) -> list[Image]:
        """Of the marked images those in sight; without marks the one under the cursor."""
        if not self.selection:
            return [self.image] if self.image is not None else []
        first, last = self._rows_in_sight()
        images = [self.pages.get(row) for row in range(first, last + 1)]
        return [image for image in images if image and image.number in self.selection]

    async def read_marked(self, size: int) -> AsyncIterator[list[int]]:
        """The numbers of the images that are marked now, up to `size` at a time.

        Raises `SafelightError`.
        """
        selection, pages = self.selection.copy(), self.pages
        if not selection.is_all:
            rest = iter(selection.numbers)
            while part := list(islice(rest, size)):
                yield part
            return
        async for numbers in pages.read_numbers(size):
            if part := [number for number in numbers if number in selection]:
                yield part

    def clear_marks(self) -> None:
        """Mark nothing."""
        if self.selection:
            self.selection.clear()
            self._tell_marks()

    def _tell_marks(self) -> None:
        self.refresh()
        self.post_message(self.MarksChanged())

    def _set_marks(self, first: int, last: int, *, is_marked: bool) -> None:
        """Mark these places of the list and all between, or take their marks away."""
        first, last = sorted((first, last))
        rows = range(max(0, first), min(last, len(self.pages) - 1) + 1)
        self.selection.set(map(self.pages.find_number, rows), is_marked=is_marked)
        self._tell_marks()

    def action_mark(self) -> None:
        """Mark the image, or take its mark away, and go to the next."""
        if self.cursor < len(self.pages):
            is_marked = self.pages.find_number(self.cursor) in self.selection
            self._set_marks(self.cursor, self.cursor, is_marked=not is_marked)
            self.cursor += 1

    def action_mark_range(self, images: int) -> None:
        """Mark the images up to the one to the right or left, which comes under the cursor."""
        before = self.cursor
        self.cursor += images
        self._set_marks(before, self.cursor, is_marked=True)

    def action_mark_across(self, images: int) -> None:
        """Mark the images up to the one beside it."""
        if self.is_sheet:
            self.action_mark_range(images)

    def action_mark_lines(self, lines: int) -> None:
        """Mark the images up to the one above or below."""
        self.action_mark_range(lines * self.columns)

    def action_mark_page(self, pages: int) -> None:
        """Mark the images of a page."""
        self.action_mark_range(pages * self.page_rows)

    async def action_mark_all(self) -> None:
        """Mark all that are found."""
        if len(self.pages):
            known = len(self.pages) if self.pages.total is None else self.pages.total
            self.selection.mark_all(known, self.pages.newest)
            self._tell_marks()

    # Drawing

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the filter that turns palette colours into others: they are chosen here."""
        filters = super().get_line_filters()
        has_pictures = self.is_sheet or self.has_thumbnails
        if not has_pictures or get_display(self.app).colours == "truecolor":
            return filters
        return [kept for kept in filters if not isinstance(kept, ANSIToTruecolor)]

    def render_line(self, y: int) -> Strip:
        """One line of the list."""
        width = self.scrollable_content_region.width
        line, part = divmod(y + self.scroll_offset.y, self.row_height)
        if self.is_sheet:
            return self._render_tiles(line * self.columns, part, width)
        style = self.rich_style
        if line >= len(self.pages):
            return Strip.blank(width, style)
        return Strip(self._draw_row(line, part, width)).adjust_cell_length(width, style)

    def _draw_row(self, row: int, part: int, width: int) -> list[Segment]:
        style = self.rich_style
        if row == self.cursor:
            style += self.get_component_rich_style("list--cursor", partial=True)
        quiet = style + self.get_component_rich_style("list--quiet", partial=True)
        image = self.pages.get(row)
        if image is None:
            text = f"  {self.pages.find_number(row)}" if part == 0 else ""
            return [Segment(fit_text(text, width), quiet)]
        pointer = style
        if row == self.cursor and self.has_focus:
            pointer += self.get_component_rich_style("list--focused", partial=True)
        styles = RowStyles(
            base=style, quiet=quiet, pointer=pointer, mark=style + self._find_mark_style(image)
        )
        has_unicode = get_display(self.app).has_unicode
        facts = RowFacts(
            image=image,
            change=self.pages.describe(
                row, names_parent=self.has_thumbnails, has_unicode=has_unicode
            ),
            is_chosen=row == self.cursor,
            is_marked=image.number in self.selection,
            has_unicode=has_unicode,
        )
        if not self.has_thumbnails:
            return draw_flat(facts, styles, width)
        return draw_tall(facts, styles, width, part, self._thumbnails.get(image.number) or [])

    def _find_mark_style(self, image: Image) -> Style:
        role = f"verdict--{ROLES[find_certainty(image).verdict]}"
        return self.get_component_rich_style(role, partial=True)

    def _render_tiles(self, first: int, part: int, width: int) -> Strip:
        """One line of the images that stand beside each other."""
        style = self.rich_style
        segments: list[Segment] = []
        for row in range(first, min(first + self.columns, len(self.pages))):
            gap = Segment(" " * (self._sheet.pitch - self._sheet.width), style)
            segments += [*self._draw_tile(row, part), gap]
        return Strip(segments).adjust_cell_length(width, style)

    def _draw_tile(self, row: int, part: int) -> list[Segment]:
        style = self.rich_style
        image = self.pages.get(row)
        if image is None:
            return [Segment(" " * self._sheet.width, style)]
        caption = style + self.get_component_rich_style("list--quiet", partial=True)
        mark = style + self.get_component_rich_style("list--focused", partial=True)
        if row == self.cursor:
            name = "list--chosen" if self.has_focus else "list--cursor"
            caption = mark = style + self.get_component_rich_style(name, partial=True)
        facts = TileFacts(
            image=image,
            thumbnail=self._thumbnails.get(image.number) or [],
            is_chosen=row == self.cursor,
            is_marked=image.number in self.selection,
            has_unicode=get_display(self.app).has_unicode,
        )
        verdict = caption if row == self.cursor else caption + self._find_mark_style(image)
        return draw_tile(facts, TileStyles(style, caption, mark, verdict), self._sheet, part)
