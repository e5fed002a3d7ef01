"""The jobs: what waits, what runs, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from store.errors import SafelightError
from store.records import Job, JobState, RunState, Series, VerificationRun
from tui.darkroom import Darkroom
from tui.keys import Reasoned, Said, bind_move
from tui.status import (
    describe_job,
    describe_run,
    describe_series,
    explain_job,
    explain_run,
    explain_series,
)
from tui.terminal.detect import get_display
from tui.widgets.key_line import KeyLine
from tui.words import describe_cancelled, describe_open
from tui.work import start_work

_LISTED = 200
_ENDED = "It is ended; what it has found or made is kept."
_GOES_ON = "It goes on when no other job waits."
_HELD = "The queue is paused: what runs is ended, nothing else is begun until p is pressed again."
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


Row = Job | CountedRun | Series


class Question(ModalScreen[bool]):
    """Asks before what cannot be taken back; gives the answer."""

    CSS_PATH = "jobs.tcss"

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The question, and the keys that answer it."""
        with Vertical(classes="question"):
            yield Static(self._text, markup=False)

    def action_answer(self, is_wanted: bool) -> None:
        """Go back with the answer."""
        self.dismiss(is_wanted)


class ChargeQuestion(Question):
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

    def __init__(self) -> None:
        super().__init__(
            "Nobody knows how this job ended: it was sent to a paid service and no answer "
            "was recorded. It may have been charged. Sending it again may charge it twice."
            "\n\ny  send it again     n  leave it"
        )


class CancelQuestion(Question):
    """Asks before all jobs are ended; `said` is what that would end."""

    BINDING_GROUP_TITLE = "before all jobs are cancelled"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "cancel all", tooltip="Cancel all jobs", id="cancelling.yes"),
        Binding(
            "n,escape,enter",
            "answer(False)",
            "leave them",
            tooltip="Leave all jobs as they are",
            id="cancelling.no",
        ),
    ]

    def __init__(self, said: str) -> None:
        super().__init__(
            f"Cancel {said}? What was made is kept, and R tries a cancelled job again."
            "\n\ny  cancel all     n  leave them"
        )


async def cancel_all(screen: Screen[Any], darkroom: Darkroom) -> None:
    """End all jobs, runs and series, and say so; asks first where it is more than one.

    As the work of a screen: it waits for the answer.
    """
    try:
        jobs, others = await darkroom.count_open()
        if jobs + others > 1:
            question = CancelQuestion(describe_open(jobs, others))
            if not await screen.app.push_screen_wait(question):
                screen.post_message(Said("Left as they are."))
                return
        said = describe_cancelled(*await darkroom.cancel_all())
    except SafelightError as error:
        screen.post_message(Said(str(error)))
    else:
        screen.post_message(Said(said.capitalize() + "."))


class JobsScreen(Reasoned, Screen[None]):
    """All jobs, and the whole story of the one under the cursor.

    What runs comes first, then what waits in its order, then what has ended, newest first. Above
    them series and runs of verifications that have not ended, and those that ended last. `keymap`
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
        "jobs.next",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "x",
            "cancel",
            "cancel",
            tooltip="Cancel the job: it stops within one step; end the run or the series",
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
            tooltip="Pause the queue, or go on with it; on a run or a series only that",
            id="jobs.pause",
        ),
        Binding(
            "t",
            "move_first",
            "next",
            tooltip="Let the job come next, before all others that wait",
            id="jobs.next",
        ),
        Binding(
            "K,shift+up",
            "shift(-1)",
            "earlier",
            tooltip="Let the job come one place earlier",
            show=False,
            id="jobs.earlier",
        ),
        Binding(
            "J,shift+down",
            "shift(1)",
            "later",
            tooltip="Let the job come one place later",
            show=False,
            id="jobs.later",
        ),
        Binding(
            "X",
            "cancel_all",
            "cancel all",
            tooltip="Cancel all jobs, runs of verifications and series; asks first",
            show=False,
            id="jobs.cancel_all",
        ),
        Binding("escape,q", "leave", "back", tooltip="Go back", id="jobs.leave"),
        bind_move("up,k", "move_up", "jobs.newer", "Choose the job above"),
        bind_move("down,j", "move_down", "jobs.older", "Choose the job below"),
        bind_move("home,g", "move_to_first", "jobs.first", "Choose the first row"),
        bind_move("end,G", "move_to_last", "jobs.last", "Choose the last row"),
    ]

    rows: var[list[Row]] = var(list)
    is_paused: var[bool] = var(False)

    def __init__(self, darkroom: Darkroom, keymap: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.darkroom = darkroom
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.options = OptionList(id="jobs-list", classes="row-list", markup=False)
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
        self.options.border_title = Content("jobs")
        self.options.focus()
        start_work(self, self.update, "update")

    async def update(self) -> None:
        """Show the queue as it is now."""
        try:
            rows: list[Row] = [*await self._list_series(), *await self._list_runs()]
            queue = await self.darkroom.list_queue(limit=_LISTED)
            recent = await self.darkroom.list_jobs(limit=_LISTED, has_runs=False)
            status = await self.darkroom.get_worker_status()
            is_paused = await self.darkroom.is_queue_paused()
            # One that ended in between stands in both.
            waits = {job.id for job in queue}
            rows += queue
            rows += [job for job in recent if job.state.is_final and job.id not in waits]
        except SafelightError as error:
            self._say(str(error))
            return
        if not self.options.is_attached:
            return
        self.set_class(not rows, "-empty")
        if rows and self.focused is None:
            self.call_after_refresh(self.options.focus)
        self.is_paused = is_paused
        self._name_list(status.jobs, len(queue))
        self.rows = rows

    def _name_list(self, unfinished: int, shown: int) -> None:
        """Say at the list's edge how many jobs there are, and whether they go on."""
        facts = ["queue paused: p goes on"] if self.is_paused else []
        if unfinished > shown:
            facts.append(f"the first {shown:,} of {unfinished:,} in the queue")
        elif unfinished:
            facts.append(f"{unfinished:,} in the queue")
        dot = f" {get_display(self.app).glyphs.dot} "
        self.options.border_title = Content(dot.join(["jobs", *facts]))

    async def _list_series(self) -> list[Series]:
        """Those that have not ended, and the last one."""
        found = await self.darkroom.list_series()
        return [each for each in found if not each.state.is_final] + [
            each for each in found if each.state.is_final
        ][:1]

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
        if isinstance(row, Series):
            return describe_series(row, has_blocks=has_blocks)
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
    def chosen_series(self) -> Series | None:
        """The series under the cursor."""
        return self._row if isinstance(self._row, Series) else None

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
        elif isinstance(row, Series):
            self._story.update(explain_series(row))
        else:
            self._story.update(explain_job(row) if row else "")
        self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.post_message(Said(text))

    # Keys

    def why_not(self, action: str) -> str:
        """Why a job cannot be cancelled, moved or tried again now, or a run be paused."""
        if action not in ("cancel", "cancel_all", "retry", "pause", "move_first", "shift"):
            return ""
        if reason := self.darkroom.explain_writing():
            return reason
        run, job = self.chosen_run, self.chosen
        if (series := self.chosen_series) is not None and action != "cancel_all":
            return self._why_no_series(action, series)
        match action:
            case "cancel_all":
                return "" if any(self._count_open()) else "No job waits or runs."
            case "pause":
                has_ended = run is not None and run.state.is_final
                is_open = run is None or run.state in (RunState.RUNNING, RunState.PAUSED)
                if has_ended:
                    return "Only a run of verifications that goes on can be paused."
                return "" if is_open else "This run is being put together; x ends it."
            case "move_first" | "shift":
                if run is not None:
                    return "Runs of verifications come when no job waits; only jobs are moved."
                is_waiting = job is not None and job.state is JobState.WAITING
                return "" if is_waiting else "Only a job that waits has a place in the queue."
        if run is not None:
            if action == "cancel" and not run.state.is_final:
                return ""
            return "This run of verifications has ended." if action == "cancel" else _NO_RETRY
        state = job.state if job else None
        if action == "cancel":
            is_unfinished = state is not None and not state.is_final
            return "" if is_unfinished else "Only a job that waits or runs can be cancelled."
        if state is not None and state.is_final and state is not JobState.DONE:
            return ""
        return _NO_RETRY

    def _why_no_series(self, action: str, series: Series) -> str:
        if action == "retry":
            return _NO_RETRY
        if action in ("move_first", "shift"):
            return "A series goes on when no job waits; only jobs are moved."
        has_ended = "This series has ended; generate --until begins another one."
        return has_ended if series.state.is_final else ""

    def _count_open(self) -> tuple[int, int]:
        """How many of the jobs, and of the runs and series, that are shown have not ended."""
        jobs = [row for row in self.rows if isinstance(row, Job) and not row.state.is_final]
        runs = [row for row in self.rows if isinstance(row, CountedRun)]
        series = [row for row in self.rows if isinstance(row, Series) and not row.state.is_final]
        return len(jobs), len(series) + sum(not row.run.state.is_final for row in runs)

    def action_move_up(self) -> None:
        """The job above."""
        self.options.action_cursor_up()

    def action_move_down(self) -> None:
        """The job below."""
        self.options.action_cursor_down()

    def action_move_to_first(self) -> None:
        """The first row."""
        self.options.action_first()

    def action_move_to_last(self) -> None:
        """The last row."""
        self.options.action_last()

    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss()

    async def action_cancel(self) -> None:
        """Stop the job under the cursor, or end the run."""
        job, run, series = self.chosen, self.chosen_run, self.chosen_series
        try:
            if series is not None:
                await self.darkroom.cancel_series(series.id)
            elif run is not None:
                await self.darkroom.cancel_run(run.id)
            elif job is not None:
                await self.darkroom.cancel(job.id)
        except SafelightError as error:
            self._say(str(error))
        else:
            self._say(_ENDED if run or series else "It stops within one step.")

    def action_cancel_all(self) -> None:
        """End all jobs, runs and series; asks first where it is more than one."""
        start_work(self, partial(cancel_all, self, self.darkroom), "cancel all")

    async def action_pause(self) -> None:
        """Pause the queue or go on with it; where the cursor is on a run, that."""
        try:
            if (run := self.chosen_run) is not None:
                await self._pause_run(run)
            elif (series := self.chosen_series) is not None:
                await self._pause_series(series)
            elif self.is_paused:
                await self.darkroom.resume_queue()
                self._say("The queue goes on.")
            else:
                await self.darkroom.pause_queue()
                self._say(_HELD)
        except SafelightError as error:
            self._say(str(error))

    async def _pause_run(self, run: VerificationRun) -> None:
        if run.state is RunState.PAUSED:
            await self.darkroom.resume_run(run.id)
            self._say(_GOES_ON)
        else:
            await self.darkroom.pause_run(run.id)
            self._say(_PAUSED)

    async def _pause_series(self, series: Series) -> None:
        if series.state is RunState.PAUSED:
            await self.darkroom.resume_series(series.id)
            self._say(_GOES_ON)
        else:
            await self.darkroom.pause_series(series.id)
            self._say(_PAUSED)

    async def action_move_first(self) -> None:
        """Let the job under the cursor come next."""
        if (job := self.chosen) is None:
            return
        try:
            await self.darkroom.move_first([job.id])
        except SafelightError as error:
            self._say(str(error))
        else:
            self._say("It comes next.")
            await self.update()

    async def action_shift(self, places: int) -> None:
        """Let the job under the cursor come later, or earlier."""
        if (job := self.chosen) is None:
            return
        try:
            is_moved = await self.darkroom.shift(job.id, places)
        except SafelightError as error:
            self._say(str(error))
        else:
            if not is_moved:
                self._say("It comes last already." if places > 0 else "It comes next already.")
            await self.update()

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
