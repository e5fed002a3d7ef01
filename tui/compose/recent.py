"""The strip of recent images, newest left."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.filter import ANSIToTruecolor, LineFilter
from textual.message import Message
from textual.reactive import reactive, var
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from store.errors import SafelightError
from store.records import Image
from tui.compose.image import Making
from tui.darkroom import Darkroom
from tui.diff import describe_change
from tui.terminal.detect import get_display
from tui.widgets.text_lines import fit_text, mark_classes
from tui.widgets.thumbnails import Thumbnails
from tui.words import ROLES, find_certainty, mark_verdict, write_seed
from tui.work import start_work

_LABEL_ROWS = 2
_THUMBNAIL_LEAST = 2
_REST_SECONDS = 0.15
"""How long the cursor rests on an image before it is shown: a held key sends none in between."""

_FRAME_LEAST = 16
_SEED_WIDTH = 13
_GAP = 2
_FAR = 1_000_000


class RecentStrip(Widget, can_focus=True):
    """Recent images side by side: thumbnail, verdict mark and seed, what changed.

    With fewer than 3 rows the thumbnails are left out, with fewer than 5 the changes.
    `left`, `right`, `home`, `end` choose, and what the cursor rests on posts `ImageChosen`, at once
    by `enter` or a click. The image of `making` is marked: it is the one that is shown.
    `is_read`: the history was read, so that without images there is none.
    """

    DEFAULT_CSS = """
    RecentStrip {
        height: 1fr;
        & > .strip--quiet { color: $role-quiet; }
        & > .strip--cursor { color: $role-focus; text-style: bold; }
        & > .verdict--success { color: $role-proven; }
        & > .verdict--error { color: $role-negative; }
        & > .verdict--warning { color: $role-text; }
        & > .verdict--muted { color: $role-quiet; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"strip--quiet", "strip--cursor", *mark_classes()}
    BINDING_GROUP_TITLE = "on the recent images"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "show", tooltip="Show this image", id="recent.choose"),
        *(
            Binding(
                key,
                f"move({places})",
                what,
                tooltip=f"Go to the {what} image",
                group=Binding.Group("choose") if places in (-1, 1) else None,
                show=places in (-1, 1),
                system=True,
                id=f"recent.{what}",
            )
            for key, places, what in (
                ("left", -1, "newer"),
                ("right", 1, "older"),
                ("home", -_FAR, "newest"),
                ("end", _FAR, "oldest"),
            )
        ),
    ]
    LEADING: ClassVar[tuple[str, ...]] = (
        "recent.choose",
        "image.verify",
        "image.start",
        "help",
        "image.vary",
        "image.enlarge",
        "image.regenerate",
    )

    images: var[tuple[Image, ...]] = var(())
    making: var[Making] = var(Making)
    is_read = reactive(False)
    cursor = reactive(0)
    shown_id = reactive("")

    class ImageChosen(Message):
        """The person wants to look at this image."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    class CursorMoved(Message):
        """Another image is under the cursor."""

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._thumbnails = Thumbnails(darkroom)
        self._labels: list[str] = []
        self._first = 0
        self._rest: Timer | None = None

    @property
    def chosen(self) -> Image | None:
        """The image under the cursor, None when there is none."""
        return self.images[self.cursor] if self.images else None

    def watch_images(self, before: tuple[Image, ...], images: tuple[Image, ...]) -> None:
        """Show other images, newest first. The cursor stays on its image, or on the newest."""
        chosen = before[self.cursor] if self.cursor < len(before) else None
        self._labels = [
            self._describe(image, older)
            for image, older in zip(images, [*images[1:], None], strict=False)
        ]
        place = 0
        if chosen is not None and (self.has_focus or self.cursor > 0):
            numbers = [image.number for image in images]
            place = numbers.index(chosen.number) if chosen.number in numbers else 0
        self.set_reactive(RecentStrip.cursor, place)
        self._keep_in_sight()
        self.refresh()
        self._start_drawing()

    def _describe(self, image: Image, older: Image | None) -> str:
        if older is None:
            return ""
        return describe_change(older.request, image.request, has_unicode=self._has_unicode)

    @property
    def _has_unicode(self) -> bool:
        return get_display(self.app).has_unicode

    # Geometry

    @property
    def _label_rows(self) -> int:
        """Two lines below each thumbnail, one where there is little room."""
        height = self.content_size.height
        return min(height, _LABEL_ROWS if height not in (3, 4) else 1)

    @property
    def _thumbnail_rows(self) -> int:
        rows = self.content_size.height - self._label_rows
        has_images = get_display(self.app).image_protocol != "none"
        return rows if rows >= _THUMBNAIL_LEAST and has_images else 0

    @property
    def _frame_width(self) -> int:
        if self._label_rows < _LABEL_ROWS:
            return max(_SEED_WIDTH, 2 * self._thumbnail_rows) + _GAP
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
        if self.images and self.is_mounted:
            start_work(self, self._draw_thumbnails, "thumbnails", is_exclusive=True)

    async def _draw_thumbnails(self) -> None:
        rows = self._thumbnail_rows
        seen = self.images[self._first : self._first + self._frames]
        numbers = [image.number for image in seen]
        size = (self._frame_width - _GAP, rows)
        # Without thumbnails seeds and changes still stand there.
        with contextlib.suppress(SafelightError):
            if rows and await self._thumbnails.draw(
                numbers, *size, get_display(self.app).colours, self._has_unicode
            ):
                self.refresh()

    # Keys and mouse

    def action_move(self, places: int) -> None:
        """Move the cursor, as far as the strip goes."""
        self.cursor = max(0, min(len(self.images) - 1, self.cursor + places))

    def watch_making(self) -> None:
        """Mark the image that is shown."""
        self.shown_id = "" if self.making.image is None else self.making.image.id

    def on_focus(self) -> None:
        """Begin at the image that is shown."""
        ids = [image.id for image in self.images]
        if self.shown_id in ids:
            self.cursor = ids.index(self.shown_id)

    def watch_cursor(self) -> None:
        """Keep the cursor in sight, and show its image when it rests."""
        self._keep_in_sight()
        self._start_drawing()
        self.post_message(self.CursorMoved())
        if self.is_mounted and self.has_focus:
            if self._rest is not None:
                self._rest.stop()
            self._rest = self.set_timer(_REST_SECONDS, self._show_rested)

    def _show_rested(self) -> None:
        if self.has_focus and self.chosen is not None and self.chosen.id != self.shown_id:
            self.action_choose()

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
        if place < len(self.images):
            self.cursor = place
            self.action_choose()

    # Drawing

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the filter that turns palette colours into others: they are chosen here."""
        filters = super().get_line_filters()
        if get_display(self.app).colours == "truecolor":
            return filters
        return [kept for kept in filters if not isinstance(kept, ANSIToTruecolor)]

    def render_line(self, y: int) -> Strip:
        """One line through all frames in sight."""
        width, style = self.content_size.width, self.rich_style
        if not self.images:
            text = "No image yet." if y == 0 and self.is_read else ""
            quiet = self.get_component_rich_style("strip--quiet")
            return Strip([Segment(text, quiet)]).extend_cell_length(width).apply_style(style)
        parts: list[Segment] = []
        for place in range(self._first, min(self._first + self._frames, len(self.images))):
            parts += self._render_frame(place, y, style)
        return Strip(parts).adjust_cell_length(width, style)

    def _render_frame(self, place: int, y: int, style: Style) -> list[Segment]:
        width, rows = self._frame_width, self._thumbnail_rows
        if y < rows:
            drawn = self._thumbnails.get(self.images[place].number) or []
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
        image, is_cursor = self.images[place], place == self.cursor and self.has_focus
        verdict = find_certainty(image).verdict
        sign = mark_verdict(verdict, has_unicode=self._has_unicode)
        role = f"verdict--{ROLES[verdict]}"
        seed_style = style
        if is_cursor:
            seed_style = style + self.get_component_rich_style("strip--cursor", partial=True)
        glyphs = get_display(self.app).glyphs
        pointer = glyphs.chosen if image.id == self.shown_id else " "
        if is_cursor:
            pointer = "›" if self._has_unicode else ">"
        return [
            Segment(pointer, seed_style),
            Segment(sign, style + self.get_component_rich_style(role, partial=True)),
            Segment(fit_text(f" {write_seed(image)}", width - 2), seed_style),
        ]
