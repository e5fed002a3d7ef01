"""The strip of recent images, newest left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.filter import ANSIToTruecolor, LineFilter
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from store.errors import SafelightError
from store.records import Image
from tui.darkroom import Darkroom
from tui.diff import describe_change
from tui.terminal.detect import has_unicode
from tui.widgets.picture import get_colours, get_image_protocol
from tui.widgets.text_lines import fit_text, mark_classes
from tui.widgets.thumbnails import Thumbnails
from tui.words import ROLES, mark_verdict
from tui.work import start_work

_LABEL_ROWS = 2
_FRAME_LEAST = 16
_SEED_WIDTH = 13
_GAP = 2


class FilmStrip(Widget, can_focus=True):
    """Recent images side by side: thumbnail, verdict mark and seed, what changed.

    With fewer than 4 rows the thumbnails are left out, with one row also the changes.
    `left`, `right`, `home`, `end` choose, `enter` or a click posts `ImageChosen`.
    """

    DEFAULT_CSS = """
    FilmStrip {
        height: 1fr;
        & > .strip--quiet { color: $secondary; }
        & > .strip--cursor { color: $accent; text-style: bold; }
        & > .verdict--success { color: $success; }
        & > .verdict--error { color: $error; }
        & > .verdict--warning { color: $foreground; }
        & > .verdict--muted { color: $secondary; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"strip--quiet", "strip--cursor", *mark_classes()}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "newer", id="strip.newer"),
        Binding("right", "move(1)", "older", id="strip.older"),
        Binding("home", "move(-1000000)", "newest", id="strip.newest", show=False),
        Binding("end", "move(1000000)", "oldest", id="strip.oldest", show=False),
        Binding("enter", "choose", "show", id="strip.choose"),
    ]

    cursor = reactive(0)

    class ImageChosen(Message):
        """The person wants to look at this image."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    def __init__(
        self,
        darkroom: Darkroom,
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._thumbnails = Thumbnails(darkroom)
        self._images: list[Image] = []
        self._labels: list[str] = []
        self._first = 0
        self._has_unicode = has_unicode(os.environ)

    @property
    def chosen(self) -> Image | None:
        """The image under the cursor, None when there is none."""
        return self._images[self.cursor] if self._images else None

    async def refresh_images(self, images: list[Image]) -> None:
        """Show `images`, newest first. The cursor stays on its image, or on the newest."""
        before = self.chosen
        self._images = list(images)
        self._labels = [
            self._describe(image, older)
            for image, older in zip(images, [*images[1:], None], strict=True)
        ]
        place = 0
        if before is not None and (self.has_focus or self.cursor > 0):
            numbers = [image.number for image in images]
            place = numbers.index(before.number) if before.number in numbers else 0
        self.cursor = place
        self._keep_in_sight()
        self.refresh()
        await self._draw_thumbnails()

    def _describe(self, image: Image, older: Image | None) -> str:
        if older is None:
            return ""
        return describe_change(older.request, image.request, has_unicode=self._has_unicode)

    # Geometry

    @property
    def _thumbnail_rows(self) -> int:
        rows = self.content_size.height - _LABEL_ROWS
        return rows if rows >= 2 and get_image_protocol(self.app) != "none" else 0

    @property
    def _frame_width(self) -> int:
        if self.content_size.height < _LABEL_ROWS:
            return _SEED_WIDTH + _GAP
        return max(_FRAME_LEAST, 2 * self._thumbnail_rows) + _GAP

    @property
    def _frames(self) -> int:
        return max(1, (self.content_size.width + _GAP) // self._frame_width)

    def _keep_in_sight(self) -> None:
        first = min(self._first, self.cursor)
        self._first = max(0, first, self.cursor - self._frames + 1)

    def on_resize(self, event: events.Resize) -> None:
        """Other frames are in sight, in another size."""
        self._keep_in_sight()
        self._start_drawing()

    def _start_drawing(self) -> None:
        if self._images:
            start_work(self, self._draw_thumbnails, "thumbnails", is_exclusive=True)

    async def _draw_thumbnails(self) -> None:
        rows = self._thumbnail_rows
        seen = self._images[self._first : self._first + self._frames]
        numbers = [image.number for image in seen]
        size = (self._frame_width - _GAP, rows)
        # Without thumbnails seeds and changes still stand there.
        with contextlib.suppress(SafelightError):
            if rows and await self._thumbnails.draw(
                numbers, *size, get_colours(self.app), self._has_unicode
            ):
                self.refresh()

    # Keys and mouse

    def action_move(self, places: int) -> None:
        """Move the cursor, as far as the strip goes."""
        self.cursor = max(0, min(len(self._images) - 1, self.cursor + places))

    def watch_cursor(self) -> None:
        """Keep the cursor in sight."""
        self._keep_in_sight()
        self._start_drawing()

    def action_choose(self) -> None:
        """Post the image under the cursor."""
        if (image := self.chosen) is not None:
            self.post_message(self.ImageChosen(image))

    def on_click(self, event: events.Click) -> None:
        """Choose the frame that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = self._first + offset.x // self._frame_width
        if place < len(self._images):
            self.cursor = place
            self.action_choose()

    # Drawing

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the filter that turns palette colours into others: they are chosen here."""
        filters = super().get_line_filters()
        if get_colours(self.app) == "truecolor":
            return filters
        return [kept for kept in filters if not isinstance(kept, ANSIToTruecolor)]

    def render_line(self, y: int) -> Strip:
        """One line through all frames in sight."""
        width, style = self.content_size.width, self.rich_style
        if not self._images:
            text = "No image yet." if y == 0 else ""
            quiet = self.get_component_rich_style("strip--quiet")
            return Strip([Segment(text, quiet)]).extend_cell_length(width).apply_style(style)
        parts: list[Segment] = []
        for place in range(self._first, min(self._first + self._frames, len(self._images))):
            parts += self._render_frame(place, y, style)
        return Strip(parts).adjust_cell_length(width, style)

    def _render_frame(self, place: int, y: int, style: Style) -> list[Segment]:
        width, rows = self._frame_width, self._thumbnail_rows
        if y < rows:
            drawn = self._thumbnails.get(self._images[place].number) or []
            line = drawn[y] if y < len(drawn) else []
            cells = [Segment(text, own or style) for text, own, _ in line]
            used = sum(len(segment.text) for segment in cells)
            return [*cells, Segment(" " * (width - used), style)]
        if y == rows:
            return self._render_seed(place, width, style)
        if y == rows + 1:
            quiet = style + self.get_component_rich_style("strip--quiet", partial=True)
            return [
                Segment(fit_text(self._labels[place], width - _GAP), quiet),
                Segment(" " * _GAP, style),
            ]
        return [Segment(" " * width, style)]

    def _render_seed(self, place: int, width: int, style: Style) -> list[Segment]:
        image, is_cursor = self._images[place], place == self.cursor and self.has_focus
        sign = mark_verdict(image.verdict, has_unicode=self._has_unicode)
        role = f"verdict--{ROLES[image.verdict]}"
        seed_style = style
        if is_cursor:
            seed_style = style + self.get_component_rich_style("strip--cursor", partial=True)
        pointer = ("›" if self._has_unicode else ">") if is_cursor else " "
        return [
            Segment(pointer, seed_style),
            Segment(sign, style + self.get_component_rich_style(role, partial=True)),
            Segment(fit_text(f" {image.seed}", width - 2), seed_style),
        ]
