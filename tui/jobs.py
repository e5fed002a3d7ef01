"""The jobs: what waits, what runs, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from store.errors import SafelightError
from store.records import Job, JobState
from tui.darkroom import Darkroom
from tui.keys import Reasoned, Said
from tui.status import describe_job, explain_job
from tui.terminal.detect import get_display
from tui.widgets.key_line import KeyLine
from tui.work import start_work

_LISTED = 200
_EMPTY = "No job yet. A job is one image to be made: go back with esc and press ctrl+j."


class ChargeQuestion(ModalScreen[bool]):
    """Asks before something that may have been paid for is sent again."""

    BINDING_GROUP_TITLE = "when a job may have been charged"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "y",
            "answer(True)",
            "send it again",
            tooltip="Send the job again, which may charge it twice",
            id="charge.yes",
        ),
        Binding(
            "n,escape,enter",
            "answer(False)",
            "leave it",
            tooltip="Leave the job as it is",
            id="charge.no",
        ),
    ]

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical(id="charge"):
            yield Static(
                "Nobody knows how this job ended: it was sent to a paid service and no answer "
                "was recorded. It may have been charged. Sending it again may charge it twice."
                "\n\ny  send it again     n  leave it",
                markup=False,
            )

    def action_answer(self, is_wanted: bool) -> None:
        """Go back with the answer."""
        self.dismiss(is_wanted)


class JobsScreen(Reasoned, Screen[None]):
    """All jobs, newest first, and the whole story of the one under the cursor.

    `keymap` holds keys by binding id.
    """

    CSS_PATH = "jobs.tcss"
    BINDING_GROUP_TITLE = "in the list of jobs"
    LEADING: ClassVar[tuple[str, ...]] = ("jobs.cancel", "jobs.retry", "jobs.leave", "help")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "x",
            "cancel",
            "cancel",
            tooltip="Cancel the job: it stops within one step",
            id="jobs.cancel",
        ),
        Binding(
            "R",
            "retry",
            "retry",
            tooltip="Run the job once more with the same seed; asks first if it may be charged",
            id="jobs.retry",
        ),
        Binding("escape,q", "leave", "back", tooltip="Go back", id="jobs.leave"),
        Binding(
            "up,k",
            "move_up",
            tooltip="Choose the job above: queued after",
            id="jobs.newer",
            show=False,
            system=True,
        ),
        Binding(
            "down,j",
            "move_down",
            tooltip="Choose the job below: queued before",
            id="jobs.older",
            show=False,
            system=True,
        ),
    ]

    jobs: var[list[Job]] = var(list)

    def __init__(self, darkroom: Darkroom, keymap: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.darkroom = darkroom
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.options = OptionList(id="jobs-list", markup=False)
        self._story = Static(id="jobs-text", markup=False)
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """List and story."""
        yield Static(_EMPTY, id="jobs-empty", markup=False)
        yield self.options
        with VerticalScroll(id="jobs-story", can_focus=False):
            yield self._story
        yield self._keys

    def on_mount(self) -> None:
        """Read the queue."""
        self.options.border_title = "jobs"
        self.options.focus()
        start_work(self, self.update, "update")

    async def update(self) -> None:
        """Show the queue as it is now."""
        try:
            jobs = await self.darkroom.list_jobs(limit=_LISTED)
        except SafelightError as error:
            self._say(str(error))
            return
        if not self.options.is_attached:
            return
        self.set_class(not jobs, "-empty")
        if jobs and self.focused is None:
            self.call_after_refresh(self.options.focus)
        self.jobs = jobs

    def watch_jobs(self, before: list[Job], jobs: list[Job]) -> None:
        """Write only what changed; the cursor stays on its job."""
        if [job.id for job in jobs] == [job.id for job in before]:
            for old, new in zip(before, jobs, strict=True):
                if old != new:
                    self.options.replace_option_prompt(new.id, self._describe(new))
        else:
            place = self.options.highlighted
            chosen = before[place].id if place is not None and place < len(before) else ""
            self.options.clear_options()
            self.options.add_options([Option(self._describe(job), id=job.id) for job in jobs])
            places = {job.id: place for place, job in enumerate(jobs)}
            self.options.highlighted = places.get(chosen, 0)
        self._tell()

    def _describe(self, job: Job) -> Content:
        return describe_job(job, has_blocks=get_display(self.app).has_unicode)

    @property
    def chosen(self) -> Job | None:
        """The job under the cursor."""
        place = self.options.highlighted
        return self.jobs[place] if place is not None and place < len(self.jobs) else None

    def on_option_list_option_highlighted(self) -> None:
        """Tell the story of the job under the cursor."""
        self._tell()

    def _tell(self) -> None:
        job = self.chosen
        self._story.update(explain_job(job) if job else "")
        self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.post_message(Said(text))

    # Keys

    def why_not(self, action: str) -> str:
        """Why a job cannot be cancelled or tried again now."""
        if action not in ("cancel", "retry"):
            return ""
        if reason := self.darkroom.explain_writing():
            return reason
        state = self.chosen.state if self.chosen else None
        if action == "cancel":
            is_unfinished = state is not None and not state.is_final
            return "" if is_unfinished else "Only a job that waits or runs can be cancelled."
        if state is not None and state.is_final and state is not JobState.DONE:
            return ""
        return "Only a job that ended without an image can be tried again."

    def action_move_up(self) -> None:
        """The job above."""
        self.options.action_cursor_up()

    def action_move_down(self) -> None:
        """The job below."""
        self.options.action_cursor_down()

    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss()

    async def action_cancel(self) -> None:
        """Stop the job under the cursor."""
        if (job := self.chosen) is None:
            return
        try:
            await self.darkroom.cancel(job.id)
        except SafelightError as error:
            self._say(str(error))
        else:
            self._say("It stops within one step.")

    def action_retry(self) -> None:
        """Queue the job under the cursor again; asks first where it may have been paid for."""
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
            self._say("Left as it is.")

    def _start_retry(self, job: Job) -> None:
        start_work(self, partial(self._retry, job), "retry")

    async def _retry(self, job: Job) -> None:
        try:
            await self.darkroom.retry(job.id)
        except SafelightError as error:
            self._say(str(error))
        else:
            self._say("Queued again with the same seed.")
