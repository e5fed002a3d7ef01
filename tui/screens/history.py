"""The history: what was made, the whole record of it, and how to make it again."""

from __future__ import annotations

import os
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from store.errors import SafelightError
from store.records import Image, Job, Purpose, Verification
from tui.actions import BY_ID, CONTEXTS, Situation, make_bindings
from tui.commands import make_command
from tui.darkroom import Darkroom
from tui.glyphs import choose_glyphs
from tui.widgets.history_list import HistoryList
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.widgets.record_view import RecordView
from tui.work import start_work

_WIDE_FROM = 100
_TALL_FROM = 30
_EMPTY = (
    "No image yet.\n\nGo back with esc, type a prompt and press ctrl+j: each image that is made "
    "is listed here, with everything that is needed to make it again."
)
_NOT_FOUND = "No prompt has words that begin so.\n\nesc shows all images again."
_JOBS_READ = 50


class HistoryScreen(Screen[None]):
    """Left the list, right picture and record; in a narrow terminal one after the other."""

    CSS = """
    HistoryScreen {
        layout: vertical;
        #history-body { height: 1fr; }
        #history-search { display: none; border: none; height: 1; padding: 0 1; }
        #history-left { width: 44%; border: round $border-blurred; }
        #history-left:focus-within { border: round $border; }
        #history-right { width: 1fr; border: round $border-blurred; }
        #history-right:focus-within { border: round $border; }
        #history-picture { height: 55%; }
        #history-record { height: 1fr; }
        #history-empty { height: auto; padding: 1 2; display: none; color: $secondary; }
        #history-keys { height: 1; }
    }
    HistoryScreen.-searching #history-search { display: block; }
    HistoryScreen.-empty #history-empty { display: block; }
    HistoryScreen.-empty HistoryList { display: none; }
    HistoryScreen.-narrow #history-left { width: 1fr; }
    HistoryScreen.-narrow #history-right { display: none; layout: horizontal; }
    HistoryScreen.-narrow.-record #history-left { display: none; }
    HistoryScreen.-narrow.-record #history-right { display: block; }
    HistoryScreen.-narrow #history-picture { width: 45%; height: 1fr; }
    HistoryScreen.-narrow #history-record { width: 1fr; height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = make_bindings("history")
    ACTION_CONTEXTS: ClassVar[tuple[str, ...]] = ("history", "history list", "record")

    class DraftLoaded(Message):
        """`parts` of `image` are wanted in the editor.

        `all`, `all but seed`, `prompts`, `parameters` or `seed`.
        """

        def __init__(self, image: Image, parts: str) -> None:
            super().__init__()
            self.image = image
            self.parts = parts

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._darkroom = darkroom
        self._glyphs = choose_glyphs(os.environ)
        self._image: Image | None = None
        self._shown_id: str | None = None
        self._wants_thumbnails = True
        self._is_read_only = False
        self._words = ""
        self._is_searching = False
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.history_list = HistoryList(darkroom, id="history-list")
        self.record = RecordView(id="history-record", has_unicode=self._glyphs.has_unicode)
        self.picture = Picture(id="history-picture")
        self._field = Input(placeholder="words of a prompt", id="history-search")
        self._left, self._right = Vertical(id="history-left"), Vertical(id="history-right")
        self._advice = Static(_EMPTY, id="history-empty", markup=False)
        self._keys = KeyLine(self._glyphs, id="history-keys")

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

    async def on_mount(self) -> None:
        """Read the history and follow it."""
        self._left.border_title = "history"
        self._right.border_title = "image"
        self._arrange()
        self.history_list.focus()
        self._show_keys()
        start_work(self, self._follow, "follow")

    async def _follow(self) -> None:
        try:
            self._is_read_only = self._darkroom.is_read_only
            await self.history_list.open_search("")
            self._show_state()
            self._show_keys()
            async for _ in self._darkroom.watch():
                await self.history_list.refresh_images()
                self._show_state()
                await self._refresh_record()
        except SafelightError as error:
            self.say(str(error))

    def _show_state(self) -> None:
        pages = self.history_list.pages
        self.set_class(not len(pages), "-empty")
        if len(pages) and self.focused is None:
            self.call_after_refresh(self.history_list.focus)
        self._advice.update(_NOT_FOUND if pages.search else _EMPTY)
        count = f"{len(pages):,} image{'' if len(pages) == 1 else 's'}"
        found = f"{count} found" if pages.search else count
        self._left.border_subtitle = found if len(pages) else ""

    # Layout

    def on_resize(self, event: Resize) -> None:
        """One column in a narrow terminal."""
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        self.set_class(width < _WIDE_FROM, "-narrow")
        self.history_list.has_thumbnails = height >= _TALL_FROM and self._wants_thumbnails

    def _turn(self) -> None:
        to_record = self.focused is self.history_list or self.focused is None
        self.set_class(to_record, "-record")
        (self.record if to_record else self.history_list).focus()

    # The chosen image

    @on(HistoryList.CursorMoved)
    async def _show_chosen(self, event: HistoryList.CursorMoved) -> None:
        event.stop()
        had_image, self._image = self._image is not None, event.image
        if had_image != (event.image is not None):
            self._show_keys()
        start_work(self, self._show_image, "record", is_exclusive=True)

    async def _show_image(self) -> None:
        image, picture = self._image, self.picture
        if image is None:
            picture.show_image(None)
            self._shown_id = None
            self.record.show_record(None, [], [])
            return
        await self._refresh_record()
        if image.id == self._shown_id:
            return
        try:
            data = await self._darkroom.read_image(image)
        except SafelightError as error:
            picture.show_image(None, caption=str(error))
        else:
            picture.show_image(data, caption=image.request.stack.prompts[0].text)
        self._shown_id = image.id

    async def _refresh_record(self) -> None:
        if self._image is None:
            return
        identity = self._image.id
        try:
            image = await self._darkroom.get_image(identity)
            verifications = await self._darkroom.list_verifications(identity)
            jobs = await self._darkroom.list_jobs(limit=_JOBS_READ)
        except SafelightError as error:
            self.say(str(error))
            return
        if self._image.id == identity:
            own = [job for job in jobs if _is_about(job, identity)]
            self._write_record(image, verifications, own)

    def _write_record(
        self, image: Image, verifications: list[Verification], jobs: list[Job]
    ) -> None:
        self.record.show_record(image, verifications, jobs)
        self._right.border_title = f"image {image.id[:8]}"

    # Actions

    def say(self, message: str) -> None:
        """Show a sentence in the last line until the next key."""
        self._keys.say(message)

    def get_situation(self) -> Situation:
        """What decides which actions can be done now."""
        chosen = self.history_list.chosen
        return Situation(has_image=chosen is not None, is_read_only=self._is_read_only)

    def _show_keys(self) -> None:
        is_typing = isinstance(self.focused, Input)
        part = "record" if self.focused is self.record else "history list"
        contexts = ("typing",) if is_typing else (part, "history")
        self._keys.show(contexts, self.get_situation(), is_typing=is_typing)

    def on_descendant_focus(self) -> None:
        """Other keys hold."""
        self._show_keys()

    def on_key(self) -> None:
        """A key ends the message in the last line."""
        self.say("")

    async def action_perform(self, action_id: str, key: str = "") -> None:
        """Do what the action says, or say why it cannot be done now."""
        if reason := BY_ID[action_id].explain(self.get_situation()):
            self.say(reason)
            return
        match action_id:
            case "history.load":
                self._load("all")
            case "history.load.all" | "history.load.all_but_seed" | "history.load.prompts":
                self._load(action_id.removeprefix("history.load.").replace("_", " "))
            case "history.load.parameters" | "history.load.seed":
                self._load(action_id.removeprefix("history.load."))
            case "history.leave":
                self._leave()
            case "history.search":
                self._open_search()
            case "history.turn":
                self._turn()
            case "history.verify":
                await self._queue(Purpose.VERIFY)
            case "history.regenerate":
                await self._queue(Purpose.REGENERATE)
            case "history.copy":
                self._copy_command()
            case "history.thumbnails":
                self._wants_thumbnails = not self.history_list.has_thumbnails
                self.history_list.has_thumbnails = self._wants_thumbnails
            case "history.help":
                await self._open_help()
            case "history.cursor":
                self.history_list.move(key)
            case "record.scroll":
                self.record.scroll_by_key(key)

    async def _open_help(self) -> None:
        from tui.screens.help import HelpScreen

        part = "record" if self.focused is self.record else "history list"
        focused = ("history", part)
        contexts = {name: CONTEXTS[name] for name in ("history", "history list", "record")}
        await self.app.push_screen(
            HelpScreen(contexts, self.get_situation(), self._glyphs, focused)
        )

    # What is done is done to the image under the cursor at that moment: the record beside it
    # may still be on its way.

    def _load(self, parts: str) -> None:
        if (image := self.history_list.chosen) is not None:
            self.post_message(self.DraftLoaded(image, parts))
            self._close()

    async def _queue(self, purpose: Purpose) -> None:
        if (image := self.history_list.chosen) is None:
            return
        is_verification = purpose is Purpose.VERIFY
        run = self._darkroom.verify if is_verification else self._darkroom.regenerate
        try:
            await run(image.id)
        except SafelightError as error:
            self.say(str(error))
            return
        doing = "Verifying" if is_verification else "Regenerating"
        self.say(f"{doing} {image.id[:8]}; the record shows how it goes.")
        await self._refresh_record()

    def _copy_command(self) -> None:
        if (image := self.history_list.chosen) is not None:
            command = make_command(image.request)
            self.app.copy_to_clipboard(command)
            self.say(f"Sent to the terminal's clipboard: {command}")

    # Search

    def _open_search(self) -> None:
        self.add_class("-searching")
        self.remove_class("-record")
        self._field.focus()

    @on(Input.Changed, "#history-search")
    def _search_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value.strip()
        if not self._is_searching:
            self._is_searching = True
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
            self._is_searching = False

    @on(Input.Submitted, "#history-search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.history_list.focus()

    @on(HistoryList.Opened)
    def _list_opened(self) -> None:
        self._load("all")

    @on(HistoryList.Failed)
    def _list_failed(self, event: HistoryList.Failed) -> None:
        self.say(str(event.error))

    def _leave(self) -> None:
        if self.has_class("-searching"):
            self.remove_class("-searching")
            self._field.value = ""
            self.history_list.focus()
        elif self.has_class("-record"):
            self.remove_class("-record")
            self.history_list.focus()
        else:
            self._close()

    def _close(self) -> None:
        self.workers.cancel_node(self)
        self.dismiss()


DraftLoaded = HistoryScreen.DraftLoaded


def _is_about(job: Job, image_id: str) -> bool:
    return job.parent_id == image_id and job.purpose is not Purpose.GENERATE
