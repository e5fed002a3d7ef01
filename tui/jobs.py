"""The jobs: what waits, what runs, what failed and why."""

from __future__ import annotations

import os
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from store.errors import SafelightError
from store.records import Job, JobState
from tui.acting import ActingScreen
from tui.actions import CONTEXTS, Situation, make_bindings
from tui.darkroom import Darkroom
from tui.status import describe_job, explain_job
from tui.terminal.detect import choose_glyphs
from tui.widgets.key_line import KeyLine
from tui.work import start_work

_LISTED = 200
_EMPTY = "No job yet. A job is one image to be made: go back with esc and press ctrl+j."


class ChargeQuestion(ModalScreen[bool]):
    """Asks before something that may have been paid for is sent again."""

    CSS = """
    ChargeQuestion { align: center middle; }
    ChargeQuestion > Vertical {
        width: 60; max-width: 90%; height: auto; padding: 1 2;
        border: round $error; background: $surface;
    }
    ChargeQuestion Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "send it again", id="charge.yes"),
        Binding("n,escape,enter", "answer(False)", "leave it", id="charge.no"),
    ]

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical():
            yield Static(
                "Nobody knows how this job ended: it was sent to a paid service and no answer "
                "was recorded. It may have been charged. Sending it again may charge it twice."
                "\n\ny  send it again     n  leave it",
                markup=False,
            )

    def action_answer(self, is_wanted: bool) -> None:
        """Go back with the answer."""
        self.dismiss(is_wanted)


class JobsScreen(ActingScreen):
    """All jobs, newest first, and the whole story of the chosen one."""

    CSS = """
    JobsScreen {
        layout: vertical;
        #jobs-list {
            height: 1fr; border: round $border-blurred; background: $background; padding: 0;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }
        #jobs-list:focus { background-tint: $background 0%; }
        #jobs-list > .option-list--option-highlighted {
            background: $panel; color: $foreground; text-style: bold;
        }
        #jobs-list:focus { border: round $border; }
        #jobs-story { height: auto; max-height: 40%; min-height: 5; border: round $border-blurred;
            padding: 0 1; }
        #jobs-text { height: auto; }
        #jobs-empty { display: none; height: 1fr; padding: 1 2; color: $secondary; }
        #jobs-keys { height: 1; }
    }
    JobsScreen.-empty #jobs-empty { display: block; }
    JobsScreen.-empty #jobs-list { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = make_bindings("jobs")
    ACTION_CONTEXTS: ClassVar[tuple[str, ...]] = ("jobs",)

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._darkroom = darkroom
        self._jobs: list[Job] = []
        self._is_read_only = False
        self._glyphs = choose_glyphs(os.environ)
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.options = OptionList(id="jobs-list", markup=False)
        self._story = Static(id="jobs-text", markup=False)
        self._keys = KeyLine(self._glyphs, id="jobs-keys")

    def compose(self) -> ComposeResult:
        """List and story."""
        yield Static(_EMPTY, id="jobs-empty", markup=False)
        yield self.options
        with VerticalScroll(id="jobs-story", can_focus=False):
            yield self._story
        yield self._keys

    def on_mount(self) -> None:
        """Follow the queue."""
        self.options.border_title = "jobs"
        self.options.focus()
        self._tell()
        start_work(self, self._follow, "follow")

    async def _follow(self) -> None:
        try:
            self._is_read_only = self._darkroom.is_read_only
            async for _ in self._darkroom.watch():
                await self._refresh_jobs()
        except SafelightError as error:
            self.say(str(error))

    async def _refresh_jobs(self) -> None:
        jobs = await self._darkroom.list_jobs(limit=_LISTED)
        self.set_class(not jobs, "-empty")
        if jobs and self.focused is None:
            self.call_after_refresh(self.options.focus)
        if jobs == self._jobs:
            return
        chosen = self.chosen
        is_same = [job.id for job in jobs] == [job.id for job in self._jobs]
        before, self._jobs = self._jobs, jobs
        if is_same:
            for old, new in zip(before, jobs, strict=True):
                if old != new:
                    self.options.replace_option_prompt(new.id, self._describe(new))
        else:
            self.options.clear_options()
            self.options.add_options([Option(self._describe(job), id=job.id) for job in jobs])
            places = {job.id: place for place, job in enumerate(jobs)}
            self.options.highlighted = places.get(chosen.id, 0) if chosen else 0
        self._tell()

    def _describe(self, job: Job) -> Content:
        return describe_job(job, has_blocks=self._glyphs.has_unicode)

    @property
    def chosen(self) -> Job | None:
        """The job under the cursor."""
        place = self.options.highlighted
        return self._jobs[place] if place is not None and place < len(self._jobs) else None

    def on_option_list_option_highlighted(self) -> None:
        """Tell the story of the job under the cursor."""
        self._tell()

    def _tell(self) -> None:
        job = self.chosen
        self._story.update(explain_job(job) if job else "")
        self._keys.show(("jobs",), self.get_situation(), is_typing=False)

    def get_situation(self) -> Situation:
        """What decides which actions can be done now."""
        job = self.chosen
        return Situation(
            is_read_only=self._is_read_only,
            has_unfinished_job=job is not None and not job.state.is_final,
            has_ended_job=job is not None and job.state.is_final and job.state is not JobState.DONE,
        )

    async def perform(self, action_id: str, key: str) -> None:
        """Do what the action says."""
        match action_id:
            case "jobs.cancel":
                await self._cancel()
            case "jobs.retry":
                self._ask_and_retry()
            case "jobs.cursor" if key == "j":
                self.options.action_cursor_down()
            case "jobs.cursor":
                self.options.action_cursor_up()
            case "jobs.help":
                await self._open_help()
            case "jobs.leave":
                self.workers.cancel_node(self)
                self.dismiss()

    async def _open_help(self) -> None:
        from tui.help_dialog import HelpScreen

        contexts = {"jobs": CONTEXTS["jobs"]}
        await self.app.push_screen(HelpScreen(contexts, self.get_situation(), self._glyphs))

    async def _cancel(self) -> None:
        if (job := self.chosen) is None:
            return
        try:
            await self._darkroom.cancel(job.id)
        except SafelightError as error:
            self.say(str(error))
        else:
            self.say("It stops within one step.")

    def _ask_and_retry(self) -> None:
        if (job := self.chosen) is None:
            return
        if job.state is JobState.UNKNOWN:
            self.app.push_screen(ChargeQuestion(), lambda wanted: self._answered(job, wanted))
        else:
            self._start_retry(job)

    def _answered(self, job: Job, is_wanted: bool | None) -> None:
        if is_wanted:
            self._start_retry(job)
        else:
            self.say("Left as it is.")

    def _start_retry(self, job: Job) -> None:
        start_work(self, partial(self._retry, job), "retry")

    async def _retry(self, job: Job) -> None:
        try:
            await self._darkroom.retry(job.id)
        except SafelightError as error:
            self.say(str(error))
        else:
            self.say("Queued again with the same seed.")
