"""The jobs: what waits, what runs, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from store.errors import SafelightError
from store.records import Job, JobState, RunState, VerificationRun
from tui.darkroom import Darkroom
from tui.keys import Reasoned, Said, bind_move
from tui.status import describe_job, describe_run, explain_job, explain_run
from tui.terminal.detect import get_display
from tui.widgets.key_line import KeyLine
from tui.work import start_work

_LISTED = 200
_ENDED = "It is ended; what it has found is kept."
_GOES_ON = "It goes on when no other job waits."
_PAUSED = "It takes no further image until p is pressed again."
_NO_RETRY = "Only a job that ended without an image can be tried again."
_EMPTY = "No job yet. A job is one image to be made: go back with esc and press ctrl+j."


class CountedRun(NamedTuple):
    """A run of verifications, and how many of its images have which verdict so far."""

    run: VerificationRun
    verdicts: dict[str, int]

    @property
    def id(self) -> str:
        """As that of a job: by it the cursor stays on its row."""
        return self.run.id


Row = Job | CountedRun


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

    Above them the runs of verifications that have not ended, and the one that ended last. `keymap`
    holds keys by binding id.
    """

    CSS_PATH = "jobs.tcss"
    BINDING_GROUP_TITLE = "in the list of jobs"
    LEADING: ClassVar[tuple[str, ...]] = (
        "jobs.cancel",
        "jobs.retry",
        "jobs.pause",
        "jobs.leave",
        "help",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "x",
            "cancel",
            "cancel",
            tooltip="Cancel the job: it stops within one step; end the run of verifications",
            id="jobs.cancel",
        ),
        Binding(
            "R",
            "retry",
            "retry",
            tooltip="Run the job once more with the same seed; asks first if it may be charged",
            id="jobs.retry",
        ),
        Binding(
            "p",
            "pause",
            "pause",
            tooltip="Pause a run of verifications, or go on with it",
            id="jobs.pause",
        ),
        Binding("escape,q", "leave", "back", tooltip="Go back", id="jobs.leave"),
        bind_move("up,k", "move_up", "jobs.newer", "Choose the job above: queued after"),
        bind_move("down,j", "move_down", "jobs.older", "Choose the job below: queued before"),
    ]

    rows: var[list[Row]] = var(list)

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
            rows: list[Row] = [*await self._list_runs()]
            rows += await self.darkroom.list_jobs(limit=_LISTED, has_runs=False)
        except SafelightError as error:
            self._say(str(error))
            return
        if not self.options.is_attached:
            return
        self.set_class(not rows, "-empty")
        if rows and self.focused is None:
            self.call_after_refresh(self.options.focus)
        self.rows = rows

    async def _list_runs(self) -> list[CountedRun]:
        runs = await self.darkroom.list_runs()
        ended = [run for run in runs if run.state.is_final][:1]
        shown = [run for run in runs if not run.state.is_final] + ended
        return [CountedRun(run, await self.darkroom.count_verdicts(run)) for run in shown]

    def watch_rows(self, before: list[Row], rows: list[Row]) -> None:
        """Write only what changed; the cursor stays on its job."""
        if [row.id for row in rows] == [row.id for row in before]:
            for old, new in zip(before, rows, strict=True):
                if old != new:
                    self.options.replace_option_prompt(new.id, self._describe(new))
        else:
            place = self.options.highlighted
            chosen = before[place].id if place is not None and place < len(before) else ""
            self.options.clear_options()
            self.options.add_options([Option(self._describe(row), id=row.id) for row in rows])
            places = {row.id: place for place, row in enumerate(rows)}
            self.options.highlighted = places.get(chosen, 0)
        self._tell()

    def _describe(self, row: Row) -> Content:
        has_blocks = get_display(self.app).has_unicode
        if isinstance(row, CountedRun):
            return describe_run(row.run, row.verdicts, has_blocks=has_blocks)
        return describe_job(row, has_blocks=has_blocks)

    @property
    def _row(self) -> Row | None:
        """What is under the cursor."""
        place = self.options.highlighted
        return self.rows[place] if place is not None and place < len(self.rows) else None

    @property
    def chosen(self) -> Job | None:
        """The job under the cursor."""
        return self._row if isinstance(self._row, Job) else None

    @property
    def chosen_run(self) -> VerificationRun | None:
        """The run of verifications under the cursor."""
        return self._row.run if isinstance(self._row, CountedRun) else None

    def on_option_list_option_highlighted(self) -> None:
        """Tell the story of the job under the cursor."""
        self._tell()

    def _tell(self) -> None:
        row = self._row
        if isinstance(row, CountedRun):
            self._story.update(explain_run(row.run, row.verdicts))
        else:
            self._story.update(explain_job(row) if row else "")
        self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.post_message(Said(text))

    # Keys

    def why_not(self, action: str) -> str:
        """Why a job cannot be cancelled or tried again now, or a run be paused."""
        if action not in ("cancel", "retry", "pause"):
            return ""
        if reason := self.darkroom.explain_writing():
            return reason
        run = self.chosen_run
        if action == "pause":
            is_open = run is not None and run.state in (RunState.RUNNING, RunState.PAUSED)
            return "" if is_open else "Only a run of verifications that goes on can be paused."
        if run is not None:
            if action == "cancel" and not run.state.is_final:
                return ""
            return "This run of verifications has ended." if action == "cancel" else _NO_RETRY
        state = self.chosen.state if self.chosen else None
        if action == "cancel":
            is_unfinished = state is not None and not state.is_final
            return "" if is_unfinished else "Only a job that waits or runs can be cancelled."
        if state is not None and state.is_final and state is not JobState.DONE:
            return ""
        return _NO_RETRY

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
        """Stop the job under the cursor, or end the run."""
        job, run = self.chosen, self.chosen_run
        try:
            if run is not None:
                await self.darkroom.cancel_run(run.id)
            elif job is not None:
                await self.darkroom.cancel(job.id)
        except SafelightError as error:
            self._say(str(error))
        else:
            self._say(_ENDED if run else "It stops within one step.")

    async def action_pause(self) -> None:
        """Pause the run under the cursor, or go on with it."""
        if (run := self.chosen_run) is None:
            return
        try:
            if run.state is RunState.PAUSED:
                await self.darkroom.resume_run(run.id)
            else:
                await self.darkroom.pause_run(run.id)
        except SafelightError as error:
            self._say(str(error))
        else:
            self._say(_GOES_ON if run.state is RunState.PAUSED else _PAUSED)

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
