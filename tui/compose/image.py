"""The image, and under it how it is being made or how it was made."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Self

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.reactive import var

from store.errors import SafelightError
from store.records import Image, Job, Purpose
from tui.compose.mismatch import Mismatch
from tui.darkroom import Darkroom
from tui.status import (
    describe_ended,
    describe_image,
    describe_jobs,
    describe_losses,
    describe_trouble,
)
from tui.terminal.detect import get_display
from tui.terminal.glyphs import Glyphs
from tui.widgets.cell import Cell
from tui.widgets.picture import Picture
from tui.words import PIXELS_DROPPED

FILES_KEPT = 6
_LEAST_WIDTH = 20
_FRAME_ROWS = 2
"""Rows within the panel beside those of the picture: a line, and the rule above it."""

_TITLE_MARGIN = 2
"""Cells of the panel's inner width that its title leaves free."""


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """What is being made and what was made.

    `jobs` wait or run, the one that runs first; `cost` says what they may cost together, "" where
    they are free. `ended` is the newest job, when it made nothing and the person has not gone on
    from it. `image` is shown: the chosen one (`is_chosen`), else the newest; `place` counts from
    1 for the newest, None when it is not known. `trouble` is an error that stands in the image's
    place, `losses` what the engine cannot honour of the draft.
    """

    jobs: tuple[Job, ...] = ()
    cost: str = ""
    ended: Job | None = None
    image: Image | None = None
    is_chosen: bool = False
    place: int | None = None
    trouble: SafelightError | None = None
    losses: tuple[str, ...] = ()

    @property
    def shown(self) -> Image | Job | None:
        """What is looked at: an image, or the job whose preview it is; None for nothing."""
        job = self.jobs[0] if self.jobs else None
        if self.is_chosen and self.image is not None:
            return self.image
        if job is not None and job.preview is not None and _makes_another(job):
            return job
        if self.ended is not None and job is None and self.ended.purpose is Purpose.GENERATE:
            return None
        return self.image

    def describe(self, glyphs: Glyphs) -> Content:
        """What there is to say under the image."""
        if self.trouble is not None:
            return describe_trouble(self.trouble.message, self.trouble.hint, glyphs)
        has_job = bool(self.jobs) or self.ended is not None
        has_image = self.image is not None and (self.is_chosen or not has_job)
        # What the image shown says of itself is not said a second time.
        said = (self.image.warning or "") if self.image is not None and has_image else ""
        losses = [text for text in self.losses if text not in said]
        lines = [describe_losses(losses, glyphs)] if losses else []
        if self.jobs:
            lines.append(describe_jobs(self.jobs, glyphs, self.cost))
        elif self.ended is not None:
            lines.append(describe_ended(self.ended, glyphs))
        if self.image is not None and has_image:
            lines.append(describe_image(self.image, self.place, glyphs))
        return Content("\n").join(lines)


class ImagePanel(Vertical, can_focus=True):
    """A picture above a few lines of text; what they show is `making`.

    The title says what differs between the image and the stack (`mismatch`).
    """

    LEADING: ClassVar[tuple[str, ...]] = (
        "image.verify",
        "image.back",
        "image.start",
        "help",
        "image.vary",
        "image.enlarge",
        "image.regenerate",
    )

    making: var[Making] = var(Making)
    mismatch: var[Mismatch] = var(Mismatch)

    def __init__(self, darkroom: Darkroom, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._is_titling = False
        self.border_title = Content("image")
        self._darkroom = darkroom
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._line = Cell(id="image-line")
        self._picture = Picture(id="picture")
        self._line.display = False

    def compose(self) -> ComposeResult:
        """The picture and the line."""
        yield self._picture
        yield self._line

    def on_mount(self) -> None:
        """Say how the first image is made."""
        self._show()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as a square image is that takes all the rows there are."""
        return max(_LEAST_WIDTH, 2 * (container.height - _FRAME_ROWS))

    def on_resize(self) -> None:
        """Another form of the title fits."""
        self.watch_mismatch()

    def watch_mismatch(self) -> None:
        """Say in the title whether image and stack belong together."""
        glyphs = get_display(self.app).glyphs
        title = self.mismatch.describe(self.size.width - _TITLE_MARGIN, glyphs.dot)
        style = "bold $role-focus" if self.mismatch.change else ""
        self._is_titling = True
        self.border_title = Content.styled(title, style)
        self._is_titling = False

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Draw again; of a new title only its line, as the picture below it is large."""
        if self._is_titling:
            left, top = self.content_offset
            regions = (Region(-left, -top, self.outer_size.width, 1),)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    @property
    def said(self) -> str:
        """The text under the picture."""
        return self._line.shown.plain

    def watch_making(self) -> None:
        """Show it."""
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        self._say(self.making.describe(get_display(self.app).glyphs))
        now = self.making
        shown = now.shown
        if isinstance(shown, Image):
            self._show_file(shown)
        elif shown is not None:
            self._show_data(shown.preview, "preview")
        elif now.ended is not None and now.ended.purpose is Purpose.GENERATE:
            self._show_data(None, "")
        else:
            self._show_data(None, "ctrl+j makes an image of the prompts")

    def _say(self, content: Content) -> None:
        self._line.put(content, resizes=True)
        self._line.display = bool(content)

    def _show_data(self, data: bytes | None, caption: str) -> None:
        self.workers.cancel_group(self, "file")
        self._picture.show_image(data, caption=caption)

    def _show_file(self, image: Image) -> None:
        data = self._files.get(image.id)
        if data is None:
            self._read_file(image)
        else:
            self._show_data(data, f"seed {image.seed}")

    @work(group="file", exclusive=True)
    async def _read_file(self, image: Image) -> None:
        try:
            data, is_thumbnail = await self._darkroom.read_shown(image)
        except SafelightError as error:
            self._picture.show_image(None, caption=str(error))
            return
        if is_thumbnail:
            self._picture.show_image(data, caption=PIXELS_DROPPED)
            return
        self._files[image.id] = data
        while len(self._files) > FILES_KEPT:
            self._files.popitem(last=False)
        self._picture.show_image(data, caption=f"seed {image.seed}")


def _makes_another(job: Job) -> bool:
    """Whether what the job makes is an image to be looked at, not the same one to compare."""
    return job.purpose in (Purpose.GENERATE, Purpose.REGENERATE)
