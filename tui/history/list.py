"""The list of past images, of any length: one line an image, or four beside a thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

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
from tui.darkroom import Darkroom
from tui.history.pages import HistoryPages
from tui.terminal.cells import Row
from tui.terminal.detect import get_display
from tui.text import show_first_prompt, show_safely
from tui.widgets.text_lines import fit_text, mark_classes
from tui.widgets.thumbnails import Thumbnails
from tui.words import ROLES, find_certainty, mark_verdict, show_moment
from tui.work import start_work

THUMBNAIL = (8, 4)
"""Columns and rows of a thumbnail."""

_SEED_FROM = 64
_YEAR_FROM = 76
_ENGINE_FROM = 96
_LEAST_PROMPT = 12
_MARGIN = 8
"""Rows that are read beyond those in sight."""


def _make_move(keys: str, action: str, name: str, sentence: str) -> Binding:
    """A mere move of the cursor: in help, but neither in the key line nor in the palette."""
    return Binding(keys, action, tooltip=sentence, id=name, show=False, system=True)


class HistoryList(ScrollView, can_focus=True, inherit_bindings=False):
    """Past images, newest first: one line each, or four with a thumbnail.

    Only what is in sight is read and drawn, so that its length does not matter. `image` is the
    one under the cursor, None while it is not read or where there is none; it changes with the
    cursor, at once, and when its record changed.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "list--quiet",
        "list--cursor",
        "list--focused",
        *mark_classes(),
    }

    BINDING_GROUP_TITLE = "in the list of images"
    BINDINGS: ClassVar[list[BindingType]] = [
        _make_move("up,k", "move(-1)", "list.newer", "Choose the image above: the one made after"),
        _make_move("down,j", "move(1)", "list.older", "Choose the image below: made before"),
        _make_move("pageup", "turn_page(-1)", "list.page_up", "Choose the image a page above"),
        _make_move("pagedown", "turn_page(1)", "list.page_down", "Choose the image a page below"),
        _make_move("home,g", "go_to_newest", "list.newest", "Choose the newest image"),
        _make_move("end,G", "go_to_oldest", "list.oldest", "Choose the oldest image"),
    ]

    cursor = var(0)
    has_thumbnails = var(False)
    image: var[Image | None] = var(None)

    class Opened(Message):
        """Chosen by a second click."""

    class Failed(Message):
        """The history could not be read."""

        def __init__(self, error: SafelightError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.pages = HistoryPages(darkroom)
        self._thumbnails = Thumbnails(darkroom)
        self._is_loading = False

    # Content

    def _look(self) -> None:
        """Find the image under the cursor."""
        self.image = self.pages.get(self.cursor) if self.cursor < len(self.pages) else None

    async def open_search(self, search: str) -> None:
        """List the images that match `search`, the cursor on the one it was on, if it can be."""
        before = self.image
        pages = HistoryPages(self.pages.darkroom)
        await pages.open(search)
        if not self.is_attached:
            return
        self.pages = pages
        row = self.pages.find_row(before.number) if before else None
        self._fit()
        self.set_reactive(HistoryList.cursor, row or 0)
        self._keep_in_sight()
        await self._load()

    def go_to(self, number: int) -> bool:
        """Put the cursor on the image with this number; whether it is in the list."""
        row = self.pages.find_row(number)
        if row is None:
            return False
        self.cursor = row
        self._keep_in_sight()
        return True

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
                    self._look()
                elif (pages, rows) == (self.pages, self._rows_in_sight()):
                    break
            self._look()
            await self._draw_thumbnails(*rows)
        except SafelightError as error:
            self.post_message(self.Failed(error))
            return
        finally:
            self._is_loading = False
        if (pages, rows) != (self.pages, self._rows_in_sight()):
            self._start_loading()

    async def _draw_thumbnails(self, first: int, last: int) -> None:
        display = get_display(self.app)
        if not self.has_thumbnails or display.image_protocol == "none":
            return
        numbers = [image.number for row in range(first, last + 1) if (image := self.pages.get(row))]
        if await self._thumbnails.draw(numbers, *THUMBNAIL, display.colours, display.has_unicode):
            self.refresh()

    def _start_loading(self) -> None:
        if not self._is_loading and self.is_mounted and len(self.pages):
            start_work(self, self._load, "pages")

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
        self._look()
        self._start_loading()

    def action_move(self, rows: int) -> None:
        """Move the cursor, as far as the list goes."""
        self.cursor += rows

    def action_turn_page(self, pages: int) -> None:
        """Move the cursor by as many images as are in sight."""
        self.cursor += pages * self.page_rows

    def action_go_to_newest(self) -> None:
        """Move the cursor to the top."""
        self.cursor = 0

    def action_go_to_oldest(self) -> None:
        """Move the cursor to the end."""
        self.cursor = len(self.pages) - 1

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
        if not self.has_thumbnails or get_display(self.app).colours == "truecolor":
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
        role = f"verdict--{ROLES[find_certainty(image).verdict]}"
        mark = style + self.get_component_rich_style(role, partial=True)
        styles = RowStyles(base=style, quiet=quiet, pointer=pointer, mark=mark)
        has_unicode = get_display(self.app).has_unicode
        change = self.pages.describe(row, names_parent=self.has_thumbnails, has_unicode=has_unicode)
        facts = RowFacts(image, change, row == self.cursor, has_unicode)
        if self.has_thumbnails:
            drawn = self._thumbnails.get(image.number) or []
            segments = draw_tall(facts, styles, width, part, drawn)
        else:
            segments = draw_flat(facts, styles, width)
        return Strip(segments).adjust_cell_length(width, style)


# One image, in lines


class RowStyles(NamedTuple):
    """The styles of one row: its text, quiet text, pointer and id, verdict mark."""

    base: Style
    quiet: Style
    pointer: Style
    mark: Style


class RowFacts(NamedTuple):
    """What one row shows. `change` is what was changed to come to this image."""

    image: Image
    change: str
    is_chosen: bool
    has_unicode: bool


def draw_flat(facts: RowFacts, styles: RowStyles, width: int) -> list[Segment]:
    """One line; columns are left out from the right of the id where there is little room.

    What changed comes before the words, which are quiet then.
    """
    image = facts.image
    segments = [*_draw_head(facts, styles)]
    segments.append(
        Segment(f" {show_moment(image.created_at, width >= _YEAR_FROM)} ", styles.quiet)
    )
    if width >= _SEED_FROM:
        segments.append(Segment(f" {image.seed:>10} ", styles.base))
    if width >= _ENGINE_FROM:
        segments.append(Segment(fit_text(f" {image.request.engine}", 11), styles.quiet))
    rest = width - sum(segment.cell_length for segment in segments)
    change = show_safely(facts.change)
    change_width = min(len(change), max(rest // 2, rest - _LEAST_PROMPT * 2)) if change else 0
    if change_width > 0:
        segments.append(Segment(f" {fit_text(change, change_width)} ", styles.base))
        rest -= change_width + 2
    style = styles.quiet if change_width > 0 else styles.base
    segments.append(Segment(fit_text(f" {show_first_prompt(image.request)}", rest), style))
    return segments


def draw_tall(
    facts: RowFacts, styles: RowStyles, width: int, part: int, thumbnail: list[Row]
) -> list[Segment]:
    """Line `part` of four: a row of the thumbnail, and id, what changed, the words, the seed."""
    image = facts.image
    line = thumbnail[part] if part < len(thumbnail) else []
    cells = [Segment(text, own or styles.base) for text, own, _ in line]
    used = sum(len(segment.text) for segment in cells)
    cells.append(Segment(" " * (THUMBNAIL[0] + 1 - used), styles.base))
    if part == 0:
        moment = Segment(show_moment(image.created_at), styles.quiet)
        return [*cells, *_draw_head(facts, styles), moment]
    seed = f"seed {image.seed}  {image.request.engine}"
    change, words = show_safely(facts.change), show_first_prompt(image.request)
    texts = [change, words, seed] if change else [words, seed, ""]
    text = fit_text(f"  {texts[part - 1]}", width - THUMBNAIL[0] - 1)
    return [*cells, Segment(text, styles.base if part == 1 else styles.quiet)]


def _draw_head(facts: RowFacts, styles: RowStyles) -> list[Segment]:
    pointer = "›" if facts.has_unicode else ">"
    verdict = find_certainty(facts.image).verdict
    mark = mark_verdict(verdict, has_unicode=facts.has_unicode)
    return [
        Segment(pointer if facts.is_chosen else " ", styles.pointer),
        Segment(mark, styles.mark),
        Segment(f" {facts.image.id[:8]} ", styles.pointer),
    ]
