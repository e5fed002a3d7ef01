"""The history: what was made, the whole record of it, and how to make it again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import ClassVar

from rich.filesize import decimal
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import Input, Static

from store.errors import SafelightError
from store.limits import IMPORTED_KINDS
from store.records import Draft, Image, Job, Purpose
from store.search import NEWEST_FIRST, SearchError, Sort, parse_search
from tui.compose.draft import read_place
from tui.darkroom import Darkroom
from tui.dialogs import ChoiceScreen, PathScreen
from tui.history.list import HistoryList
from tui.history.marking import NO_IMAGE, MarkDesk
from tui.history.proving import (
    describe_kept,
    describe_thinning,
    list_marked,
    restore_many,
    verify_many,
)
from tui.history.record import RecordView
from tui.history.search import SearchField, SearchHint, describe_sort, next_sort
from tui.image_screen import ImageScreen
from tui.keys import Released
from tui.paths import list_files, parse_dropped, read_image_file
from tui.text import show_first_prompt
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.words import PIXELS_DROPPED, count_things, describe_arrival
from tui.work import start_work

_JOBS_READ = 50
_SAVED_AT_ONCE = 100
"""How many marked images are looked up at a time."""

_REST_SECONDS = 0.3
"""How long the cursor rests on an image before it is looked at what is other now."""

_TALL_FROM = 30
_EMPTY = (
    "No image yet.\n\nGo back with esc, type a prompt and press ctrl+j: each image that is made "
    "is listed here, with everything that is needed to make it again."
)
_NOT_FOUND = "No image fits this search.\n\nesc shows all images again."


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
        "mark.rate",
        "mark.drop",
        "help",
        "image.verify",
        "history.sheet",
        "mark.favourite",
        "list.mark",
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
            tooltip="Take marks away, else end the search, else leave the record, else go back",
            id="history.leave",
        ),
        Binding(
            "slash",
            "search",
            "search",
            tooltip="Search as you type: words, seed:7, is:favourite, since:monday and more",
            id="history.search",
        ),
        Binding(
            "S",
            "sort",
            "order",
            tooltip="Sort by date, rating, seed or prompt: each time by the next",
            id="history.sort",
        ),
        Binding(
            "R",
            "turn_order",
            "turn order",
            tooltip="Turn the order of the list round",
            id="history.turn_order",
        ),
        Binding(
            "tab,shift+tab",
            "turn",
            "record",
            tooltip="Go to the record and back to the list",
            id="history.turn",
        ),
        Binding(
            "g",
            "turn_sheet",
            "sheet",
            tooltip="A contact sheet: only thumbnails, as many as fit, or the list again",
            id="history.sheet",
        ),
        Binding(
            "X",
            "thin",
            "thin",
            tooltip="Drop the pixels of images that verified identical here; asks first",
            id="history.thin",
        ),
        Binding(
            "B",
            "verify_found",
            "verify all",
            tooltip="Verify all that is found when no other job waits; the jobs screen shows it",
            id="history.verify_found",
        ),
        Binding(
            "I",
            "import_file",
            "import",
            tooltip="Import an image file: its metadata become a record here",
            show=False,
            id="history.import",
        ),
        Binding(
            "Z",
            "turn_thumbnails",
            "thumbnails",
            tooltip="Thumbnails in the list or one line an image; on a contact sheet their size",
            id="history.thumbnails",
        ),
    ]

    is_searching = var(False, toggle_class="-searching")
    is_on_record = var(False, toggle_class="-record")
    is_sheet = var(False, toggle_class="-sheet")

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
        self._sort = NEWEST_FIRST
        self._is_at_search = False
        self._is_open = False
        self._has_answer = False
        self._reading = asyncio.Lock()
        self._shown: tuple[str, bool] | None = None
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.history_list = HistoryList(darkroom, id="history-list")
        self.record = RecordView(id="history-record")
        self.picture = Picture(id="history-picture")
        self._field = SearchField(darkroom, id="history-search")
        self._hint = SearchHint(id="history-hint")
        self.desk = MarkDesk(darkroom, self.history_list, id="history-body")
        self._left, self._right = Vertical(id="history-left"), Vertical(id="history-right")
        self._advice = Static(_EMPTY, id="history-empty", markup=False)
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """List, picture, record, and one line for what is to be said."""
        yield self._field
        yield self._hint
        with self.desk:
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
                    await self.history_list.open_search(self._words, self._sort)
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
        is_empty = not len(pages)
        self.set_class(is_empty, "-empty")
        # Where there is no list, undoing what emptied it must have a place.
        self.desk.can_focus = is_empty
        if is_empty and self.focused is not self._field:
            self.desk.focus()
        elif len(pages) and self.focused in (None, self.desk):
            self.call_after_refresh(self.history_list.focus)
        if is_empty:
            self._advice.update(_NOT_FOUND if pages.search else _EMPTY)
        title = "contact sheet" if self.is_sheet else "history"
        order = "" if pages.is_newest_first else f", {describe_sort(pages.sort)}"
        self._left.border_title = f"{title}{order}"
        known = len(pages) if pages.total is None else pages.total
        count = count_things(known, "image")
        if pages.total is None:
            count = f"{known:,}+ images"
        found = f"{count} found" if pages.search else count
        if marked := self.history_list.count_marked():
            found = f"{marked:,} marked, {found}"
        self._left.border_subtitle = found if len(pages) else ""

    def step(self, images: int) -> bool:
        """Move the cursor so many images down the list."""
        before = self.history_list.cursor
        self.history_list.action_move(images)
        return self.history_list.cursor != before

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
            self._shown = None
            self.record.show_record(None, [], [])
            return
        await self.history_list.rest()
        await self._show_record()
        start_work(self, self._look_ahead, "outlook", is_exclusive=True)
        if (image.id, image.is_thinned) == self._shown:
            return
        try:
            data, is_thumbnail = await self.darkroom.read_shown(image)
        except SafelightError as error:
            picture.show_image(None, caption=str(error))
        else:
            caption = PIXELS_DROPPED if is_thumbnail else show_first_prompt(image.request)
            picture.show_image(data, caption=caption)
        self._shown = (image.id, image.is_thinned)

    async def _look_ahead(self) -> None:
        """Say in the record what is other now than when the image was made."""
        # Whoever walks through the list is not held up by what each image would need.
        await asyncio.sleep(_REST_SECONDS)
        if (image := self.image) is None:
            return
        with contextlib.suppress(SafelightError):
            self.record.show_outlook(await self.darkroom.check_before(image.id))

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

    @on(HistoryList.Counted)
    def _list_counted(self) -> None:
        self._show_state()

    @on(HistoryList.MarksChanged)
    def _marks_changed(self) -> None:
        self._show_state()
        self.desk.refresh_bindings()

    @on(MarkDesk.Changed)
    async def _said_changed(self) -> None:
        self._show_state()
        await self._show_record()

    @on(HistoryList.Failed)
    def _list_failed(self, event: HistoryList.Failed) -> None:
        self.say(str(event.error))

    def show_image(self, image: Image) -> None:
        """Put the cursor on `image`, out of the search where it is not among what was found."""

        async def show() -> None:
            async with self._reading:
                try:
                    if not self._is_open:
                        await self.history_list.open_search(self._words, self._sort)
                        self._is_open = True
                    if not self.history_list.go_to(image.number):
                        self.is_searching = False
                        self._field.value = self._words = ""
                        await self.history_list.open_search("", self._sort)
                        if not self.history_list.go_to(image.number):
                            self.say(f"{image.id[:8]} is not in the list: it may be in the trash.")
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

    def action_turn_sheet(self) -> None:
        """A contact sheet, or the list."""
        self.is_sheet = self.history_list.is_sheet = not self.is_sheet
        self._show_state()
        self.history_list.focus()
        self.is_on_record = False

    def action_turn_thumbnails(self) -> None:
        """Thumbnails in the list, or one line an image; on a contact sheet their size."""
        if self.is_sheet:
            self.history_list.turn_sheet_size()
            return
        self._wants_thumbnails = not self.history_list.has_thumbnails
        self.history_list.has_thumbnails = self._wants_thumbnails

    def action_turn(self) -> None:
        """Go to the record, or back to the list."""
        self.is_on_record = self.focused is self.history_list or self.focused is None
        (self.record if self.is_on_record else self.history_list).focus()

    # Search

    def action_search(self) -> None:
        """Type what is searched for."""
        self.is_searching = True
        self.is_on_record = False
        self._field.focus()
        self.call_after_refresh(self._hint.show, self._field, None)

    @on(Input.Changed, "#history-search")
    def _search_changed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            parse_search(event.value)
        except SearchError as error:
            # What was found stays, as the next character may make it right.
            self._hint.show(self._field, error)
            return
        self._hint.show(self._field, None)
        self._words = event.value.strip()
        self._start_search()

    def _start_search(self) -> None:
        if not self._is_at_search:
            self._is_at_search = True
            start_work(self, self._search, "search")

    async def _search(self) -> None:
        """Search for what stands in the field, and again while it changes meanwhile.

        A search that has begun cannot be stopped, so they never run side by side: what was
        typed last would wait for all that was typed before.
        """
        try:
            while (self._words, self._sort) != self.history_list.asked:
                await self.history_list.open_search(self._words, self._sort, is_typed=True)
                self._show_state()
        except SafelightError as error:
            self.say(str(error))
        finally:
            self._is_at_search = False

    def action_sort(self) -> None:
        """Sort the list by something else."""
        self._set_order(next_sort(self._sort))

    def action_turn_order(self) -> None:
        """Turn the order of the list round."""
        self._set_order(self._sort._replace(is_reversed=not self._sort.is_reversed))

    def _set_order(self, sort: Sort) -> None:
        if parse_search(self._words).sort is not None:
            self.say("The search names the order: esc ends it.")
            return
        self._sort = sort
        self._start_search()

    @on(Input.Submitted, "#history-search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            parse_search(event.value)
        except SearchError as error:
            self.say(str(error))
        else:
            self.history_list.focus()

    # Files of others

    def action_import_file(self) -> None:
        """Ask for an image file, and add it to the history."""
        self._ask_file(read_place(self.draft, "folder"))

    async def on_paste(self, event: events.Paste) -> None:
        """Offer to import a file that was dropped on the terminal."""
        event.stop()
        paths = await asyncio.to_thread(list_files, parse_dropped(event.text))
        if paths and not self.why_not("import_file"):
            self._ask_file(str(paths[0]))

    def _ask_file(self, start: str) -> None:
        async def take(path: Path) -> None:
            data = await asyncio.to_thread(read_image_file, path)
            arrival = await self.darkroom.import_image(data, path.name, self.session)
            self.say(describe_arrival(path.name, arrival.image, is_new=arrival.is_new))

        self.app.push_screen(
            PathScreen("import an image file", start, take, wanted=f"A {IMPORTED_KINDS} file.")
        )

    # Into the editor, and back to it

    def why_not(self, action: str) -> str:
        """Why an action cannot be run now; loading changes nothing in the history."""
        if action == "load":
            return "" if self.image is not None else NO_IMAGE
        if action in ("verify_found", "thin"):
            return self.darkroom.explain_writing() or ("" if self.image is not None else NO_IMAGE)
        if action == "import_file":
            return self.darkroom.explain_writing()
        return super().why_not(action)

    async def action_compare(self) -> None:
        """Compare two marked images, or a marked one with that under the cursor.

        Without marks as on every screen of one image.
        """
        marked = self.history_list.count_marked()
        if not marked:
            await super().action_compare()
            return
        if marked > 2:
            self.say(f"{count_things(marked, 'image')} are marked; two can be compared.")
            return
        try:
            numbers = [number async for part in self.history_list.read_marked(2) for number in part]
            images = (await self.darkroom.get_images(numbers))[::-1]
        except SafelightError as error:
            self.say(str(error))
            return
        if len(images) == 1 and self.image is not None:
            images.append(self.image)
        if len(images) == 2 and images[0].id != images[1].id:
            self.post_message(self.ComparisonWanted(images[0].id, images[1].id))
        else:
            self.say("Mark a second image, or go to it, to compare it with this one.")

    # Many at once

    async def action_verify_found(self) -> None:
        """Verify all that the list shows, one image after the other, behind all other jobs."""
        search = self.history_list.pages.search
        chosen_by = f"search {search}" if search else "all"
        try:
            numbers = await self.darkroom.list_image_numbers(search=search or None)
            self.say(await verify_many(self.darkroom, numbers, chosen_by))
        except SafelightError as error:
            self.say(str(error))

    async def action_verify(self) -> None:
        """Verify the image under the cursor, or all that are marked behind all other jobs."""
        if not self.history_list.selection:
            await super().action_verify()
            return
        try:
            numbers = await list_marked(self.history_list)
            self.say(await verify_many(self.darkroom, numbers, "marked"))
        except SafelightError as error:
            self.say(str(error))

    async def action_regenerate(self) -> None:
        """Regenerate the image under the cursor, or restore those marked that have no pixels."""
        if not self.history_list.selection:
            await super().action_regenerate()
            return
        try:
            numbers = await list_marked(self.history_list)
            jobs, said = await restore_many(self.darkroom, numbers)
        except SafelightError as error:
            self.say(str(error))
            return
        for job in jobs:
            self.tell(job, said)
        self.say(said)

    async def action_thin(self) -> None:
        """Say what thinning would free, and ask."""
        try:
            numbers = await list_marked(self.history_list)
            self.say("Looking at what can be made again here.")
            would = await self.darkroom.thin(numbers, is_rehearsal=True)
        except SafelightError as error:
            self.say(str(error))
            return
        if not would.images:
            self.say(describe_kept(would) or "There is nothing to thin.")
            return

        async def answer(chosen: str | None) -> None:
            if chosen is None:
                return
            try:
                self.say(describe_thinning(await self.darkroom.thin(numbers)))
            except SafelightError as error:
                self.say(str(error))

        frees = f"frees {decimal(would.freed)}"
        title = f"drop the pixels of {count_things(would.images, 'image')}: {frees}"
        self.app.push_screen(ChoiceScreen(title, ("drop them; r makes them again",)), answer)

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

    def read_marked(self) -> AsyncIterator[list[int]] | None:
        """The numbers of the marked images, None where none is."""
        if not self.history_list.count_marked():
            return None
        return self.history_list.read_marked(_SAVED_AT_ONCE)

    def action_start_from(self) -> None:
        """Start the next images from this one, and go back to the editor."""
        super().action_start_from()
        if self.image is not None:
            self._close()

    def action_leave(self) -> None:
        """Stop what changes many images, else take marks away, else go one step back."""
        if self.desk.stop():
            return
        if self.history_list.selection:
            self.history_list.clear_marks()
        elif self.is_searching:
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
