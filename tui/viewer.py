"""One image on the whole screen: zoomed, panned, and the next one.

The image is that of the screen below, which also knows what is next: it is followed, not copied.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import var
from textual.screen import Screen

from store.errors import SafelightError
from store.records import Image
from tui.darkroom import Darkroom
from tui.keys import Reasoned
from tui.terminal.detect import get_display
from tui.text import show_first_prompt, show_safely
from tui.widgets.cell import Cell
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture, open_for_display
from tui.words import PIXELS_DROPPED, find_certainty, write_size
from tui.work import start_work

if TYPE_CHECKING:
    from tui.image_screen import ImageScreen

ZOOMS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""How many times as large as it fits the screen."""

PAN_SHARE = 0.25
"""How much of what is in sight one key moves it."""


class ViewerScreen(Reasoned, Screen[None]):
    """The image of `below`, as large as the screen, and parts of it larger.

    `zoom` is a place in `ZOOMS`; `centre` is where one looks, in shares of width and height.
    """

    BINDING_GROUP_TITLE = "on the whole screen"
    CSS = """
    ViewerScreen {
        layout: vertical;

        #viewer-picture { height: 1fr; }
        #viewer-facts {
            height: 1;
            padding: 0 1;
            color: $role-quiet;
            text-wrap: nowrap;
            text-overflow: ellipsis;
        }
        KeyLine { height: 1; }
    }
    """
    LEADING: ClassVar[tuple[str, ...]] = (
        "viewer.leave",
        "viewer.larger",
        "viewer.smaller",
        "viewer.next",
        "viewer.previous",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,z,q", "leave", "back", tooltip="Go back to the screen below", id="viewer.leave"
        ),
        Binding("plus,equals_sign", "zoom(1)", "larger", tooltip="Zoom in", id="viewer.larger"),
        Binding("minus", "zoom(-1)", "smaller", tooltip="Zoom out", id="viewer.smaller"),
        Binding("0", "zoom(0)", "whole", tooltip="The whole image", id="viewer.whole"),
        Binding("n,space", "step(1)", "next", tooltip="The next image", id="viewer.next"),
        Binding("p", "step(-1)", "previous", tooltip="The one before", id="viewer.previous"),
        *(
            Binding(
                keys,
                f"pan({across}, {down})",
                name,
                tooltip=f"Look further {name}",
                show=False,
                id=f"viewer.{name}",
            )
            for keys, name, across, down in (
                ("left,h", "left", -1, 0),
                ("right,l", "right", 1, 0),
                ("up,k", "up", 0, -1),
                ("down,j", "down", 0, 1),
            )
        ),
    ]

    zoom: var[int] = var(0)
    centre: var[tuple[float, float]] = var((0.5, 0.5))

    def __init__(self, below: ImageScreen, keymap: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._below = below
        self._darkroom: Darkroom = below.darkroom
        self._data: bytes | None = None
        self._note = ""
        self._picture = Picture(id="viewer-picture")
        self._facts = Cell(id="viewer-facts")
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """The picture, a line about it, and the keys."""
        yield self._picture
        yield self._facts
        yield self._keys

    def on_mount(self) -> None:
        """Follow the screen below."""
        self.watch(self._below, "image", self._take)

    def on_resize(self, event: events.Resize) -> None:
        """Another part of the image has the proportions of the screen."""
        if self.zoom:
            self._start_drawing()

    def _take(self) -> None:
        """Another image is meant."""
        self._data, self._note = None, ""
        self.zoom, self.centre = 0, (0.5, 0.5)
        self._show_facts()
        self.refresh_bindings()
        start_work(self, self._read, "file", is_exclusive=True)

    async def _read(self) -> None:
        image = self._below.image
        if image is None:
            self._picture.show_image(None, caption="No image is there.")
            return
        try:
            data, is_thumbnail = await self._darkroom.read_shown(image)
        except SafelightError as error:
            self._picture.show_image(None, caption=str(error))
            return
        self._data, self._note = data, PIXELS_DROPPED if is_thumbnail else ""
        self._show_facts()
        self._start_drawing()

    def _start_drawing(self) -> None:
        if self._data is not None:
            start_work(self, self._draw, "part", is_exclusive=True)

    async def _draw(self) -> None:
        if (data := self._data) is None:
            return
        image = self._below.image
        caption = show_first_prompt(image.request) if image is not None else ""
        try:
            if self.zoom:
                size = self._picture.content_size
                shown = await asyncio.to_thread(
                    cut_part, data, ZOOMS[self.zoom], self.centre, (size.width, size.height)
                )
                data = shown
        except SafelightError as error:
            self._picture.show_image(None, caption=str(error))
            return
        self._picture.show_image(data, caption=caption)

    def watch_zoom(self) -> None:
        """Show more or less of it."""
        if self.is_mounted:
            self._show_facts()
            self.refresh_bindings()
            self._start_drawing()

    def watch_centre(self) -> None:
        """Show another part of it."""
        if self.is_mounted and self.zoom:
            self._start_drawing()

    def _show_facts(self) -> None:
        self._facts.put(self._describe(self._below.image))

    def _describe(self, image: Image | None) -> Content:
        if image is None:
            return Content("")
        dot = get_display(self.app).glyphs.dot
        facts = [
            f"seed {image.seed}",
            write_size(image.width, image.height),
            find_certainty(image).words,
            *([f"{ZOOMS[self.zoom]:g} times as large"] if self.zoom else []),
            *([self._note] if self._note else []),
            show_first_prompt(image.request),
        ]
        return Content(show_safely(f" {dot} ".join(facts)))

    # Acts

    def why_not(self, action: str) -> str:
        """Why something cannot be done here."""
        if action == "pan" and not self.zoom:
            return "All of the image is in sight: + makes it larger."
        if action == "zoom" and self._below.image is None:
            return "No image is there."
        return ""

    def action_zoom(self, steps: int) -> None:
        """Larger or smaller by some steps; 0 is the whole image."""
        self.zoom = 0 if not steps else max(0, min(len(ZOOMS) - 1, self.zoom + steps))

    def action_pan(self, across: int, down: int) -> None:
        """Look at what is beside it."""
        share = PAN_SHARE / ZOOMS[self.zoom]
        half = 0.5 / ZOOMS[self.zoom]
        x, y = (
            max(half, min(1 - half, place + steps * share))
            for place, steps in zip(self.centre, (across, down), strict=True)
        )
        self.centre = (x, y)

    def action_step(self, images: int) -> None:
        """Go to another image of the screen below."""
        if not self._below.step(images):
            self._keys.say("There is no other one that way.")

    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss()


def cut_part(
    data: bytes, zoom: float, centre: tuple[float, float], cells: tuple[int, int]
) -> bytes:
    """The part of an image, as a PNG, that fills a region of cells at `zoom` times its size.

    Raises `StoreError` when it cannot be shown. For a thread.
    """
    image = open_for_display(data)
    width, height = max(1, cells[0]), max(1, 2 * cells[1])
    scale = min(width / image.width, height / image.height) * zoom
    size = (
        max(1, min(image.width, round(width / scale))),
        max(1, min(image.height, round(height / scale))),
    )
    left, top = (
        max(0, min(whole - part, round(place * whole - part / 2)))
        for whole, part, place in zip(image.size, size, centre, strict=True)
    )
    part = image.crop((left, top, left + size[0], top + size[1]))
    part = part if part.mode in ("RGB", "RGBA", "L") else part.convert("RGBA")
    file = io.BytesIO()
    part.save(file, "PNG", compress_level=1)
    return file.getvalue()
