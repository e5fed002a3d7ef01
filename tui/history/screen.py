"""The history: what was made, the whole record of it, and how to make it again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import var
from textual.widgets import Input, Static

from store.errors import SafelightError
from store.records import Draft, Image, Job, Purpose
from tui.darkroom import Darkroom
from tui.history.list import HistoryList
from tui.history.record import RecordView
from tui.image_screen import ImageScreen
from tui.keys import Released
from tui.text import show_first_prompt
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.words import count_things
from tui.work import start_work

NO_IMAGE = "There is no image here."

_JOBS_READ = 50
_TALL_FROM = 30
_EMPTY = (
    "No image yet.\n\nGo back with esc, type a prompt and press ctrl+j: each image that is made "
    "is listed here, with everything that is needed to make it again."
)
_NOT_FOUND = "No prompt has words that begin so.\n\nesc shows all images again."


class SearchField(Input):
    """Words of prompts, searched for as they are typed."""

    BINDING_GROUP_TITLE = "while typing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "submit",
            "list",
            tooltip="Go to the list of what was found",
            id="search.enter",
            system=True,
        ),
    ]


def _make_load(key: str, parts: str) -> Binding:
    return Binding(
        key,
        f"load('{parts}')",
        parts,
        tooltip=f"Load {parts} of the image into the editor",
        id=f"history.load.{parts.replace(' ', '_')}",
    )


class HistoryScreen(ImageScreen):
    """Left the list, right picture and record; in a narrow terminal one after the other.

    `image` is the one under the cursor. `draft` is the one in the editor, `session` the one
    that new jobs belong to, `keymap` holds keys by binding id. Keys wait until the first page
    is read, or cannot be read.
    """

    CSS_PATH = "history.tcss"
    BINDING_GROUP_TITLE = "in the history"
    LEADING: ClassVar[tuple[str, ...]] = (
        "history.load",
        "history.leave",
        "history.search",
        "history.turn",
        "image.verify",
        "help",
        "image.regenerate",
        "image.start",
        "image.vary",
        "image.enlarge",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "load('all')",
            "load",
            tooltip="Load the whole image into the editor",
            id="history.load",
        ),
        Binding(
            "escape,q",
            "leave",
            "back",
            tooltip="End the search, else leave the record, else go back to the editor",
            id="history.leave",
        ),
        Binding(
            "slash",
            "search",
            "search",
            tooltip="Search the prompts as you type",
            id="history.search",
        ),
        Binding(
            "tab,shift+tab",
            "turn",
            "record",
            tooltip="Go to the record and back to the list",
            id="history.turn",
        ),
        _make_load("1", "all"),
        _make_load("2", "all but seed"),
        _make_load("3", "prompts"),
        _make_load("4", "parameters"),
        _make_load("5", "seed"),
        Binding(
            "z",
            "turn_thumbnails",
            "thumbnails",
            tooltip="Thumbnails in the list, or one line an image",
            id="history.thumbnails",
        ),
    ]

    is_searching = var(False, toggle_class="-searching")
    is_on_record = var(False, toggle_class="-record")

    def __init__(
        self,
        darkroom: Darkroom,
        draft: Draft,
        session: str | None = None,
        keymap: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(darkroom, session)
        self.set_reactive(ImageScreen.draft, draft)
        self._wants_thumbnails = True
        self._words = ""
        self._is_at_search = False
        self._is_open = False
        self._has_answer = False
        self._reading = asyncio.Lock()
        self._shown_id: str | None = None
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.history_list = HistoryList(darkroom, id="history-list")
        self.record = RecordView(id="history-record")
        self.picture = Picture(id="history-picture")
        self._field = SearchField(placeholder="words of a prompt", id="history-search")
        self._left, self._right = Vertical(id="history-left"), Vertical(id="history-right")
        self._advice = Static(_EMPTY, id="history-empty", markup=False)
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """List, picture, record, and one line for what is to be said."""
        yield self._field
        with Horizontal(id="history-body"):
            with self._left:
                yield self._advice
                yield self.history_list
            with self._right:
                yield self.picture
                yield self.record
        yield self._keys

    def on_mount(self) -> None:
        """Read the history."""
        self._left.border_title = "history"
        self._right.border_title = "image"
        self._begin_layout()
        self._arrange()
        self.watch(self.history_list, "image", self._take_image)
        self.history_list.focus()
        start_work(self, self.update, "update")

    # What is there

    async def update(self) -> None:
        """Show what others added or changed; the first time, read the history."""
        if not self.history_list.is_attached:
            return
        async with self._reading:
            try:
                if self._is_open:
                    await self.history_list.refresh_images()
                    await self.end_told()
                    await self._show_record()
                else:
                    await self.history_list.open_search(self._words)
                    self._is_open = True
                self._show_state()
            except SafelightError as error:
                self.say(str(error))
            self._release()

    def is_holding(self, event: events.Key | events.Paste) -> bool:
        """Whether what was pressed waits: until it is known what it is about."""
        is_leaving = isinstance(event, events.Key) and event.key == "escape"
        return self.is_running and not self._has_answer and not is_leaving

    def _release(self) -> None:
        if not self._has_answer:
            self._has_answer = True
            self.post_message(Released())

    def _show_state(self) -> None:
        pages = self.history_list.pages
        self.set_class(not len(pages), "-empty")
        if len(pages) and self.focused is None:
            self.call_after_refresh(self.history_list.focus)
        self._advice.update(_NOT_FOUND if pages.search else _EMPTY)
        count = count_things(len(pages), "image")
        found = f"{count} found" if pages.search else count
        self._left.border_subtitle = found if len(pages) else ""

    def _take_image(self, image: Image | None) -> None:
        """Another image is under the cursor, or its record is another one."""
        self.image = image
        if image is not None:
            self._release()
        if self.is_running:
            start_work(self, self._show_image, "record", is_exclusive=True)

    async def _show_image(self) -> None:
        image, picture = self.image, self.picture
        if image is None:
            picture.show_image(None)
            self._shown_id = None
            self.record.show_record(None, [], [])
            return
        await self._show_record()
        if image.id == self._shown_id:
            return
        try:
            data = await self.darkroom.read_image(image)
        except SafelightError as error:
            picture.show_image(None, caption=str(error))
        else:
            picture.show_image(data, caption=show_first_prompt(image.request))
        self._shown_id = image.id

    @on(ImageScreen.JobsQueued)
    async def _show_record(self) -> None:
        if self.image is None:
            return
        identity = self.image.id
        try:
            image = await self.darkroom.check_image(identity)
            verifications = await self.darkroom.list_verifications(identity)
            jobs = await self.darkroom.list_jobs(limit=_JOBS_READ)
        except SafelightError as error:
            self.say(str(error))
            return
        if self.image is not None and self.image.id == identity:
            own = [job for job in jobs if _is_about(job, identity)]
            self.record.show_record(image, verifications, own)
            self._right.border_title = f"image {image.id[:8]}"

    @on(HistoryList.Failed)
    def _list_failed(self, event: HistoryList.Failed) -> None:
        self.say(str(event.error))

    def show_image(self, image: Image) -> None:
        """Put the cursor on `image`, out of the search where it is not among what was found."""

        async def show() -> None:
            async with self._reading:
                try:
                    if not self._is_open:
                        await self.history_list.open_search(self._words)
                        self._is_open = True
                    if not self.history_list.go_to(image.number):
                        self.is_searching = False
                        self._field.value = self._words = ""
                        await self.history_list.open_search("")
                        self.history_list.go_to(image.number)
                    self._show_state()
                except SafelightError as error:
                    self.say(str(error))

        start_work(self, show, "show")

    # Layout

    def _begin_layout(self) -> None:
        """Set the class for this width now: Textual does so only after a first layout."""
        width = self.app.size.width
        fitting = [mark for mark in self.app.HORIZONTAL_BREAKPOINTS or () if mark[0] <= width]
        if fitting:
            self.add_class(max(fitting)[1])

    def on_resize(self) -> None:
        """Other things fit."""
        self._arrange()

    def _arrange(self) -> None:
        is_tall = self.app.size.height >= _TALL_FROM
        self.history_list.has_thumbnails = is_tall and self._wants_thumbnails

    def action_turn_thumbnails(self) -> None:
        """Thumbnails in the list, or one line an image."""
        self._wants_thumbnails = not self.history_list.has_thumbnails
        self.history_list.has_thumbnails = self._wants_thumbnails

    def action_turn(self) -> None:
        """Go to the record, or back to the list."""
        self.is_on_record = self.focused is self.history_list or self.focused is None
        (self.record if self.is_on_record else self.history_list).focus()

    # Search

    def action_search(self) -> None:
        """Type words of prompts."""
        self.is_searching = True
        self.is_on_record = False
        self._field.focus()

    @on(Input.Changed, "#history-search")
    def _search_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value.strip()
        if not self._is_at_search:
            self._is_at_search = True
            start_work(self, self._search, "search")

    async def _search(self) -> None:
        """Search for what stands in the field, and again while it changes meanwhile.

        A search that has begun cannot be stopped, so they never run side by side: what was
        typed last would wait for all that was typed before.
        """
        try:
            while self._words != self.history_list.pages.search:
                await self.history_list.open_search(self._words)
                self._show_state()
        except SafelightError as error:
            self.say(str(error))
        finally:
            self._is_at_search = False

    @on(Input.Submitted, "#history-search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.history_list.focus()

    # Into the editor, and back to it

    def why_not(self, action: str) -> str:
        """Why an action cannot be run now; loading changes nothing in the history."""
        if action == "load":
            return "" if self.image is not None else NO_IMAGE
        return super().why_not(action)

    def action_load(self, parts: str) -> None:
        """Load these parts of the image into the editor, and go back to it."""
        if self.image is not None:
            self.load_parts(self.image, parts)

    def load_parts(self, image: Image, parts: str) -> None:
        """Ask for `parts` of `image` in the editor, and go back to it."""
        super().load_parts(image, parts)
        self._close()

    @on(HistoryList.Opened)
    def _list_opened(self) -> None:
        self.action_load("all")

    def action_start_from(self) -> None:
        """Start the next images from this one, and go back to the editor."""
        super().action_start_from()
        if self.image is not None:
            self._close()

    def action_leave(self) -> None:
        """End the search, else leave the record, else go back to the editor."""
        if self.is_searching:
            self.is_searching = False
            self._field.value = ""
            self.history_list.focus()
        elif self.is_on_record:
            self.is_on_record = False
            self.history_list.focus()
        else:
            self._close()

    def _close(self) -> None:
        self.workers.cancel_node(self)
        self.dismiss()


def _is_about(job: Job, image_id: str) -> bool:
    return job.parent_id == image_id and job.purpose is not Purpose.GENERATE
