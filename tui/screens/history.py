"""The history: what was made, the whole record of it, and how to make it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, ClassVar

from textual import on
from textual.binding import BindingType
from textual.message import Message

from store.errors import SafelightError
from store.records import Draft, Image, Job, Purpose, Verification
from tui.abilities import Abilities, Upscaler, read_capabilities
from tui.actions import CONTEXTS, Situation, make_bindings
from tui.commands import make_command
from tui.darkroom import Darkroom
from tui.screens.history_layout import HISTORY_CSS, HistoryLayout
from tui.screens.image_actions import make_choices, open_upscalers
from tui.text import show_first_prompt
from tui.widgets.history_list import HistoryList
from tui.work import start_work

_JOBS_READ = 50


class HistoryScreen(HistoryLayout):
    """Shows what was made and does with it what the person says.

    `engine` and `model` are the editor's, `session` the one that new jobs belong to.
    """

    CSS = HISTORY_CSS
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

    class OriginChosen(Message):
        """The editor shall start from `image`."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    def __init__(
        self,
        darkroom: Darkroom,
        *,
        engine: str | None = None,
        model: str | None = None,
        session: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(darkroom, id=id)
        self._darkroom = darkroom
        self._engine, self._model = engine or Draft().engine, model
        self._session = session
        self._image: Image | None = None
        self._shown_id: str | None = None
        self._is_read_only = False
        self._abilities = Abilities({})
        self._told: dict[str, str] = {}

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
            capabilities = await asyncio.to_thread(read_capabilities, self._darkroom)
            self._abilities = Abilities(capabilities)
            await self.history_list.open_search("")
            self._show_state()
            self._show_keys()
            async for _ in self._darkroom.watch():
                await self.history_list.refresh_images()
                self._show_state()
                await self._refresh_record()
        except SafelightError as error:
            self.say(str(error))

    # The chosen image

    @on(HistoryList.CursorMoved)
    async def _show_chosen(self, event: HistoryList.CursorMoved) -> None:
        event.stop()
        self._image = event.image
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
            picture.show_image(data, caption=show_first_prompt(image.request))
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
        self._end_told(jobs)
        if self._image.id == identity:
            own = [job for job in jobs if _is_about(job, identity)]
            self._write_record(image, verifications, own)

    def _end_told(self, jobs: list[Job]) -> None:
        """What was said of a job is over when it has ended."""
        for job in jobs:
            if job.state.is_final and (text := self._told.pop(job.id, "")):
                self._keys.unsay(text)

    def _write_record(
        self, image: Image, verifications: list[Verification], jobs: list[Job]
    ) -> None:
        self.record.show_record(image, verifications, jobs)
        self._right.border_title = f"image {image.id[:8]}"

    # Actions

    def get_situation(self) -> Situation:
        """What decides which actions can be done now."""
        chosen = self.history_list.chosen
        situation = Situation(has_image=chosen is not None, is_read_only=self._is_read_only)
        return self._abilities.add_reasons(situation, self._engine, self._model, chosen)

    async def perform(self, action_id: str, key: str) -> None:
        """Do what the action says."""
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
            case "history.start":
                self._start()
            case "history.vary":
                await self._vary()
            case "history.enlarge":
                self._enlarge()
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

    def _start(self) -> None:
        if (image := self.history_list.chosen) is not None:
            self.post_message(self.OriginChosen(image))
            self._close()

    async def _queue(self, purpose: Purpose) -> None:
        if (image := self.history_list.chosen) is None:
            return
        is_verification = purpose is Purpose.VERIFY
        run = self._darkroom.verify if is_verification else self._darkroom.regenerate
        doing = "Verifying" if is_verification else "Regenerating"
        await self._send(run(image.id), f"{doing} {image.id[:8]}; the record shows how it goes.")

    async def _vary(self) -> None:
        if (image := self.history_list.chosen) is not None:
            work = self._darkroom.vary(image, session=self._session)
            await self._send(work, f"Varying {image.id[:8]}; it joins the list when it is made.")

    def _enlarge(self) -> None:
        if (image := self.history_list.chosen) is None:
            return

        async def take(upscaler: Upscaler) -> None:
            choices = make_choices(upscaler)
            work = self._darkroom.upscale(image, choices, session=self._session)
            said = f"Making {image.id[:8]} larger; it joins the list when it is made."
            await self._send(work, said)

        open_upscalers(self._abilities, image, self._open_screen, take)

    def _open_screen(self, screen: Any, callback: Any = None) -> None:
        self.app.push_screen(screen, callback)

    async def _send(self, work: Awaitable[Job | list[Job] | None], said: str) -> None:
        """Queue what `work` queues, and say so until it has ended or the next key."""
        try:
            queued = await work
        except SafelightError as error:
            self.say(str(error))
            return
        jobs = queued if isinstance(queued, list) else [queued] if queued is not None else []
        if jobs:
            self.say(said)
            self._told[jobs[-1].id] = said
        await self._refresh_record()

    def _copy_command(self) -> None:
        if (image := self.history_list.chosen) is not None:
            command = make_command(image.request)
            self.app.copy_to_clipboard(command)
            self.say(f"Sent to the terminal's clipboard: {command}")

    @on(HistoryList.Opened)
    def _list_opened(self) -> None:
        self._load("all")

    @on(HistoryList.Failed)
    def _list_failed(self, event: HistoryList.Failed) -> None:
        self.say(str(event.error))


DraftLoaded = HistoryScreen.DraftLoaded
OriginChosen = HistoryScreen.OriginChosen


def _is_about(job: Job, image_id: str) -> bool:
    return job.parent_id == image_id and job.purpose is not Purpose.GENERATE
