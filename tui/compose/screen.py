"""The compose screen: prompt stack and parameters left, the image right, recent ones below."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import msgspec
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from engines.base import EngineError
from engines.capabilities import Capabilities
from store.errors import NotFound, RequestError, SafelightError
from store.records import Draft, DraftPrompt, Image, Job, JobState, Purpose, Session
from tui.compose import draft as drafts
from tui.compose.derive import InitialImages
from tui.compose.draft import (
    DraftEditor,
    Parts,
    read_cursor,
    read_moment,
    read_place,
    read_row,
    take_settings,
)
from tui.compose.dropped import AS_INITIAL_IMAGE, AS_TEXT, DroppedFiles
from tui.compose.editors import Dropped
from tui.compose.fields import FIELDS, Field, find_field, get_field, list_fields
from tui.compose.foreign import merge_image
from tui.compose.header import HeaderLine
from tui.compose.image import ImagePanel, Making
from tui.compose.mismatch import Comparator, Mismatch
from tui.compose.parameters import ParameterList, read_field
from tui.compose.prompts import PromptStack
from tui.compose.recent import RecentStrip
from tui.compose.tabs import PartTabs
from tui.darkroom import Darkroom
from tui.dialogs import ChoiceScreen, PathScreen
from tui.image_screen import NO_IMAGE, ImageScreen
from tui.jump import Jump
from tui.keys import is_typing, list_active
from tui.palette import Command
from tui.paths import list_files, parse_dropped
from tui.terminal.detect import get_display
from tui.text import shorten_middle
from tui.widgets.key_line import KeyLine
from tui.words import (
    count_things,
    describe_ends,
    describe_purpose,
    find_certainty,
)
from tui.work import start_work

PARTS = ("prompts", "parameters", "image", "recent")
PLACE_SECONDS = 0.5
"""How often it is looked whether the draft is written elsewhere, or cannot be written."""

RECENT = 48
"""Images that the strip can show."""

_READING = "The images are still being read."
PAINT, TAKE_FILE, NO_MASK = "paint it", "take it from a file", "no mask"


class ComposeScreen(ImageScreen):
    """Edits the draft of the session, sends it off, and shows what is made of it.

    `draft` is the one thing that is edited: it is bound down to the parts and changed through
    `editor` alone. The screen can be used while the history is being opened and when that
    fails: the draft is then kept in memory only. What is pressed while an existing history is
    being opened waits until it is there (`is_ready`: it was opened, or could not be).
    """

    AUTO_FOCUS = ""
    TAKES_BACK = "u takes it back"
    HOW_TO_TYPE = "enter types in the prompt, "
    BINDING_GROUP_TITLE = "on this screen"
    LEADING: ClassVar[tuple[str, ...]] = ("generate", "help", "part", "quit")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+j,f5",
            "generate",
            "generate",
            tooltip="Generate the images that stack and parameters stand for",
            id="generate",
        ),
        Binding(
            "x",
            "cancel",
            "cancel",
            tooltip="Cancel the job that runs, else the next one that waits",
            show=False,
            id="cancel",
        ),
        Binding(
            "X",
            "cancel_all",
            "cancel all",
            tooltip="Cancel all jobs, runs of verifications and series; asks first",
            show=False,
            id="cancel_all",
        ),
        Binding(
            "R",
            "retry",
            "retry",
            tooltip="Run the job that failed once more, with the same seed",
            show=False,
            id="retry",
        ),
        Binding(
            "tab",
            "turn(1)",
            "next part",
            tooltip="Go to the next part: prompts, parameters, image, recent",
            system=True,
            id="part",
        ),
        Binding(
            "shift+tab",
            "turn(-1)",
            "part before",
            tooltip="Go to the part before",
            show=False,
            system=True,
            id="part.previous",
        ),
        Binding("h", "open_history", "history", tooltip="Open the history", id="history"),
        Binding("j", "open_jobs", "jobs", tooltip="Open the list of jobs", id="jobs"),
        Binding(
            "O",
            "open_sessions",
            "sessions",
            tooltip="Open another session, or begin, rename, duplicate, archive one",
            show=False,
            id="sessions",
        ),
        Binding(
            "u",
            "undo",
            "undo",
            tooltip="Undo the last change of stack or parameters; take back jobs queued after it",
            id="undo",
        ),
        Binding(
            "ctrl+y,ctrl+shift+z,U",
            "redo",
            "redo",
            tooltip="Redo: make the change again that was undone last",
            key_display="ctrl+y U",
            show=False,
            id="redo",
        ),
        Binding(
            "b",
            "load_shown",
            "back to image",
            tooltip="Load this image's request: stack, parameters and seed become what made it",
            id="image.back",
        ),
        Binding(
            "S",
            "repeat_seed",
            "again",
            tooltip="Generate again with this image's seed, from the stack as it is now",
            id="seed.again",
        ),
        Binding(
            "l",
            "lock_seed",
            "lock seed",
            tooltip="Lock the seed, or let each run draw a new one",
            id="seed.lock",
        ),
        Binding("n", "renew_seed", "new seed", tooltip="Draw a new seed", id="seed.new"),
        Binding(
            "p",
            "recall_seed",
            "previous seed",
            tooltip="Go back to the previous seed",
            show=False,
            id="seed.previous",
        ),
        Binding(
            "w",
            "mix_seed",
            "vary seed",
            tooltip="Mix a second seed into the next images; once more draws another one",
            show=False,
            id="seed.mix",
        ),
        Binding(
            "I",
            "start_from_file",
            "start from a file",
            tooltip="Start from an image file",
            show=False,
            id="start.file",
        ),
        Binding(
            "m",
            "choose_mask",
            "mask",
            tooltip="Mask: paint which part of the initial image is made anew, or take a file",
            show=False,
            id="start.mask",
        ),
        Binding(
            "q",
            "app.quit",
            "quit",
            tooltip="Quit; everything is already saved and jobs go on",
            key_display="q ctrl+q",
            id="quit",
        ),
    ]

    prompts: var[tuple[DraftPrompt, ...]] = var((DraftPrompt(),))
    row: var[int] = var(0)
    settings: var[Draft] = var(Draft)
    field: var[Field] = var(FIELDS[0])
    capabilities: var[Capabilities | None] = var(None)
    sizes: var[Mapping[str, tuple[int, int]]] = var(dict)
    making: var[Making] = var(Making)
    mismatch: var[Mismatch] = var(Mismatch)
    images: var[tuple[Image, ...]] = var(())

    class HistoryWanted(Message):
        """The history shall be shown."""

    class SessionsWanted(Message):
        """The sessions shall be shown."""

    class JobsWanted(Message):
        """The jobs shall be shown."""

    def __init__(
        self,
        darkroom: Darkroom,
        session: str | None = None,
        keymap: Mapping[str, str] | None = None,
        *,
        keeps_theme: bool = False,
    ) -> None:
        """`keeps_theme`: the theme was given at the start, whatever a session has kept."""
        super().__init__(darkroom, session)
        # Now nothing stands on the screen that would have to be styled again.
        self.add_class(f"-part-{PARTS[0]}", update=False)
        self._keymap = keymap or {}
        self.editor = DraftEditor(self, darkroom)
        self._initial_images = InitialImages(self.editor, darkroom)
        self._comparator = Comparator(darkroom)
        self._files = DroppedFiles(self.editor, darkroom, self._initial_images)
        self._shown_initial: str | None = None
        self._newest: Job | None = None
        self._seen_job = 0
        self._worker = ""
        self._unfinished = 0
        self.is_ready = False
        self._keeps_theme = keeps_theme
        self._draft_error: SafelightError | None = None
        self._draft_place = ""
        self._is_field_left = False
        self._update_lock = asyncio.Lock()
        self._header = HeaderLine(id="header")
        self._tabs = PartTabs(PARTS, id="tabs")
        self._stack = PromptStack(self.editor, darkroom, id="prompts")
        self._parameters = ParameterList(self.editor, darkroom, id="parameters")
        self._panel = ImagePanel(darkroom, id="image")
        self._strip = RecentStrip(darkroom, id="strip")
        self._recent = Vertical(self._strip, id="recent")
        self._recent.border_title = Content("recent")
        self._keys = KeyLine(self._keymap, id="keys")

    def compose(self) -> ComposeResult:
        """Header, desk, recent strip, keys."""
        yield self._header
        yield self._tabs
        with Horizontal(id="desk"):
            with Vertical(id="editors"):
                yield self._stack.data_bind(
                    ComposeScreen.prompts,
                    ComposeScreen.row,
                    ComposeScreen.settings,
                    ComposeScreen.capabilities,
                )
                yield self._parameters.data_bind(
                    ComposeScreen.settings,
                    ComposeScreen.capabilities,
                    ComposeScreen.sizes,
                    ComposeScreen.field,
                )
            yield self._panel.data_bind(ComposeScreen.making, ComposeScreen.mismatch)
        self._strip.data_bind(ComposeScreen.images, ComposeScreen.making)
        yield self._recent
        yield self._keys

    async def on_mount(self) -> None:
        """Show an empty draft at once, at the first launch open for typing."""
        self.set_class(not get_display(self.app).has_unicode, "-ascii")
        self._show_header()
        # Drafts are written in a thread; what became of the last one comes with no key.
        self.set_interval(PLACE_SECONDS, self._look_at_place)
        if not self.darkroom.directory.exists():
            await self._stack.edit()

    # The draft, and what it shows

    def watch_draft(self, before: Draft, now: Draft) -> None:
        """Hand down to each part what it shows, where that has changed."""
        if now.prompts is not before.prompts:
            self.prompts = now.prompts
        place = now.place
        if place is not before.place:
            self.row = read_row(now)
        rest = msgspec.structs.replace(
            now, prompts=before.prompts, place=before.place, pending=before.pending
        )
        if rest != before:
            self._show_settings(now)
        elif place.get("field") != before.place.get("field"):
            self.field = read_field(now)
        if self.darkroom.has_losses(now.engine):
            self._show_losses()
        if now.prompts is not before.prompts or rest != before:
            self._compare()
        self._look_at_place()

    def _look_at_place(self) -> None:
        """Show where the draft is written to, if it is another place or cannot be written."""
        is_moved = self._find_place() != self._draft_place
        if is_moved or self.darkroom.draft_error is not self._draft_error:
            self._show_header()

    def _compare(self) -> None:
        """Say whether what is shown and the stack are of one request."""
        has_unicode = get_display(self.app).has_unicode
        shown = self.making.shown if self.is_ready else None
        self.mismatch = self._comparator.compare(self.draft, shown, has_unicode=has_unicode)

    def _show_settings(self, draft: Draft) -> None:
        known = self.darkroom.capabilities.get(draft.engine)
        self.capabilities = None if known is None else known.for_model(draft.model)
        self.settings = take_settings(draft)
        self.field = read_field(draft)
        initial = draft.initial_image
        if (None if initial is None else initial.sha256) != self._shown_initial:
            self._show_initial_image()
        self._show_losses()
        self._show_header()
        self.refresh_bindings()

    def _show_losses(self) -> None:
        """Say what was lost of its images and what the engine cannot honour, before it is sent."""
        losses = (
            *self._initial_images.list_notes(self.draft),
            *self.darkroom.describe_losses(self.draft),
        )
        self.making = msgspec.structs.replace(self.making, losses=losses)

    def _show_header(self) -> None:
        darkroom, draft = self.darkroom, self.draft
        facts = [self._worker] if self._worker else []
        if (context := self._parameters.context) is not None:
            model, size = (get_field(name).show(context) for name in ("model", "size"))
            facts = [f"{draft.engine} {model}", size, *facts]
        if darkroom.worker_trouble:
            facts = [f"waiting: {darkroom.worker_trouble}"]
        if darkroom.trouble:
            facts = ["history not open" if self.is_ready else "opening"]
        self._draft_error = darkroom.draft_error
        if self._draft_error is not None:
            facts = [f"not saved: {self._draft_error.message}"]
        self._draft_place = self._find_place()
        if self._draft_place != (self.session or ""):
            facts = [*facts, f"{self.session} is open elsewhere: kept as {self._draft_place}"]
        self._header.show(self._draft_place, facts)

    def _find_place(self) -> str:
        """The session that the draft is written to, empty before there is one."""
        return self.darkroom.find_draft_place(self.session) if self.session else ""

    @work(group="initial image", exclusive=True)
    async def _show_initial_image(self) -> None:
        """Show the initial image of the draft, small, and its size."""
        initial = self.draft.initial_image
        self._shown_initial = None if initial is None else initial.sha256
        data = None
        try:
            data = await self._initial_images.read_initial()
        except SafelightError as error:
            self._parameters.explain(get_field("from"), str(error))
        self.sizes = self._initial_images.sizes
        self._show_losses()
        self._parameters.show_origin(data)

    async def _show_error(self, error: SafelightError) -> None:
        """Explain what is wrong with the draft at the field that it is about."""
        name = error.field if isinstance(error, RequestError) else "engine"
        parts = name.split(".")
        if parts[0] == "prompts":
            has_row = len(parts) > 1 and parts[1].isdigit()
            self.focus_part("prompts")
            self._stack.choose_row(int(parts[1]) - 1 if has_row else self.row)
            self._stack.explain(self.row, str(error))
            return
        field = find_field(name)
        if field is not None and field in list_fields(self.draft):
            self.focus_part("parameters")
            self._parameters.choose_field(field)
            self._parameters.explain(field, str(error))

    # Opening

    def is_holding(self, event: events.Key | events.Paste) -> bool:
        """Let keys wait until the session is there; text goes into the first prompt at once."""
        if self.is_ready:
            return False
        if not self.is_typing:
            return True
        if isinstance(event, events.Paste):
            # What was dropped is for a history that is there.
            return bool(parse_dropped(event.text))
        hints = list_active(self, self._keymap)
        return any(event.key in hint.keys and hint.node is not self.focused for hint in hints)

    async def restore(self, session: Session, glanced: Session | None = None) -> None:
        """Put the session's draft on the screen, and the person where it says; it is ready then.

        What was typed before the session was known comes with it. `glanced` is what is shown
        already, and was changed by now where somebody typed.
        """
        is_shown = glanced is not None and glanced.name == session.name
        if glanced is not None and is_shown and session.draft != glanced.draft:
            # Somebody else changed it in between: nothing is lost if nothing was typed here.
            is_shown = self._has_typed(glanced)
            if is_shown:
                self.darkroom.expect_draft(session.name, glanced.draft)
        if is_shown:
            self.darkroom.save_draft(session.name, self.draft)
            self.show_capabilities()
        else:
            await self.show_session(session)
        await self._pass_over_past()
        self.is_ready = True
        self._compare()
        await self._tell_ended(read_moment(self.draft))

    def _has_typed(self, glanced: Session) -> bool:
        """Whether what a person says is other than it was at a glance."""
        shown = drafts.show_seed(glanced.draft)
        return (self.draft.prompts, self.draft.pending) != (shown.prompts, shown.pending)

    async def show_session(self, session: Session) -> None:
        """Put the session's draft on the screen, and the person where it says."""
        draft = session.draft
        if self.editor.session is None:
            draft = drafts.merge_typed_ahead(draft, self.draft)
        self.session = session.name
        self.making = Making()
        await self._stack.close_fields()
        await self._parameters.close_fields()
        self.editor.begin(session.name)
        self.editor.change(drafts.show_seed(draft))
        self.show_capabilities()
        draft = self.draft
        theme = read_place(draft, "theme")
        if theme in self.app.available_themes and not self._keeps_theme:
            self.app.theme = theme
        part = read_place(draft, "part")
        self.focus_part(part if part in PARTS else PARTS[0])
        weight = draft.pending.get(f"prompts.{self.row}.weight")
        value = draft.pending.get(f"parameters.{self.field.name}")
        match "text" if not session.draft.place else read_place(draft, "typing"):
            case "text":
                await self._stack.edit(read_cursor(draft), is_resumed=True)
            case "weight" if weight is not None:
                await self._stack.open_weight(weight)
            case "value" if value is not None:
                await self._parameters.open(value)

    async def _tell_ended(self, since: int | None) -> None:
        """Say what became of jobs while nobody looked."""
        if since is None:
            return
        ended = await self.darkroom.count_ended(since)
        if ended.made or ended.verified or ended.failed:
            self.say(f"While you were away: {describe_ends(ended)}; j lists them.")

    async def _pass_over_past(self) -> None:
        """Let what failed before stand in the list of jobs: the last image is shown."""
        newest = await self.darkroom.list_jobs(limit=1, has_runs=False)
        if newest and newest[0].state.is_final:
            self._seen_job = newest[0].number

    async def fail_opening(self, error: SafelightError) -> None:
        """Explain why the history is not open; the draft can be edited all the same."""
        await self.fail(error)
        self.show_capabilities()
        if self.focused is None:
            await self._stack.edit()
        self.is_ready = True
        self._show_header()

    def show_capabilities(self) -> None:
        """Show what the engines accept, now that it is known."""
        self._show_settings(self.draft)
        engine = self.draft.engine
        if self.darkroom.capabilities and engine not in self.darkroom.capabilities:
            self._parameters.explain(get_field("engine"), f"There is no engine {engine!r}.")

    # What is made

    async def update(self) -> None:
        """Read what changed and show it. Raises `SafelightError`."""
        async with self._update_lock:
            unfinished = await self.darkroom.list_queue()
            jobs = tuple(job for job in unfinished if not job.is_background)
            newest = await self.darkroom.list_jobs(limit=1, has_runs=False)
            self.images = tuple(await self.darkroom.list_images(limit=RECENT))
            self._strip.is_read = True
            chosen = await self._find_chosen()
            # What runs of verifications do in between says nothing of what a person asked for.
            if not newest or not newest[0].is_background:
                before, self._newest = self._newest, newest[0] if newest else None
                self._note_end(before, self._newest)
            self._show_making(jobs, chosen)
            status = await self.darkroom.get_worker_status()
            is_paused = await self.darkroom.is_queue_paused()
        worker = "worker ready" if status.is_running else "worker asleep"
        worker = "queue paused" if is_paused else worker
        self._worker = f"{status.jobs} in the queue" if status.jobs else worker
        if is_paused and status.jobs:
            self._worker = f"queue paused, {status.jobs} in it"
        self._unfinished = status.jobs
        self._show_header()
        await self.end_told()

    def _note_end(self, before: Job | None, now: Job | None) -> None:
        """What has ended until now was seen; progress alone is no end, and writes nothing."""
        if now is None or not now.state.is_final or not self.is_ready:
            return
        if before is None or (before.id, before.state) != (now.id, now.state):
            self.editor.set_place(looked=math.ceil(time.time()))

    async def _find_chosen(self) -> Image | None:
        """The chosen image with its newest verdict; none when it is gone."""
        wanted = self.draft.place.get("image")
        if not isinstance(wanted, str):
            return None
        found = next((image for image in self.images if image.id == wanted), None)
        if found is None:
            try:
                found = await self.darkroom.get_image(wanted)
            except SafelightError:
                self.editor.set_place(image=None)
        return found

    def _show_making(self, jobs: tuple[Job, ...], chosen: Image | None) -> None:
        image = chosen or (self.images[0] if self.images else None)
        numbers = [known.number for known in self.images]
        has_place = image is not None and image.number in numbers
        self.making = msgspec.structs.replace(
            self.making,
            jobs=jobs,
            cost=self._describe_cost(jobs),
            ended=self._find_ended(),
            image=image,
            is_chosen=chosen is not None,
            place=numbers.index(image.number) + 1 if image is not None and has_place else None,
        )
        self.refresh_bindings()

    def _describe_cost(self, jobs: tuple[Job, ...]) -> str:
        """What the jobs may cost together, "" where they are free."""
        from engines.cost import describe_cost

        price = self.darkroom.estimate_cost([job.request for job in jobs])
        return "" if price == 0 else describe_cost(price)

    def _find_ended(self) -> Job | None:
        """The newest job, when it made nothing and the person has not gone on from it."""
        job = self._newest
        if job is None or job.number <= self._seen_job:
            return None
        return job if job.state.is_final and job.state is not JobState.DONE else None

    def watch_making(self, before: Making, now: Making) -> None:
        """Another image may be meant, and another one be shown."""
        self._find_meant()
        if now.shown is not before.shown:
            self._compare()

    @on(RecentStrip.CursorMoved)
    def _find_meant(self) -> None:
        """The image that is meant: under the cursor on the strip, else the shown one."""
        is_on_strip = self.get_part() == "recent"
        self.image = (self._strip.chosen if is_on_strip else None) or self.making.image

    @on(RecentStrip.ImageChosen)
    def _choose_image(self, event: RecentStrip.ImageChosen) -> None:
        self.choose(event.image)

    def step(self, images: int) -> bool:
        """Show another image of the strip, so many further back."""
        numbers = [image.number for image in self.images]
        shown = self.making.image
        place = numbers.index(shown.number) + images if shown and shown.number in numbers else 0
        if not 0 <= place < len(numbers):
            return False
        self.choose(self.images[place])
        return True

    def choose(self, image: Image | None) -> None:
        """Show `image` from now on; the newest one, whichever it is, when None or newest."""
        is_newest = image is not None and bool(self.images) and image.id == self.images[0].id
        chosen = None if is_newest else image
        self.editor.set_place(image=None if chosen is None else chosen.id)
        self._dismiss()
        self._show_making(self.making.jobs, chosen)

    def _dismiss(self) -> None:
        """Go on from the job that failed and from the error that is shown."""
        self.making = msgspec.structs.replace(self.making, trouble=None)
        if self._newest is not None:
            self._seen_job = self._newest.number

    async def fail(self, error: SafelightError) -> None:
        """Show `error` in the image's place, and at the field that it is about."""
        self.making = msgspec.structs.replace(self.making, trouble=error)
        if isinstance(error, RequestError | EngineError):
            await self._show_error(error)

    @on(ImageScreen.QueuingFailed)
    async def _show_failure(self, event: ImageScreen.QueuingFailed) -> None:
        event.prevent_default()
        await self.fail(event.error)

    @on(ImageScreen.JobsQueued)
    async def _follow_jobs(self, event: ImageScreen.JobsQueued) -> None:
        self._dismiss()
        if event.jobs:
            label = describe_purpose(event.jobs[0].purpose)
            self.editor.remember_jobs(f"{label} {event.image.id[:4]}", [j.id for j in event.jobs])
        if event.jobs and event.jobs[0].purpose not in (Purpose.VERIFY, Purpose.RESTORE):
            self.choose(None)
        await self._update_now()

    async def _update_now(self) -> None:
        try:
            await self.update()
        except SafelightError as error:
            await self.fail(error)

    def list_leading(self) -> list[str]:
        """What a person wants next with the shown image, beside making one."""
        image = self.making.image
        always = ["generate", "help"]
        if image is None or self.making.jobs or not self.is_ready:
            return always
        if self.mismatch.change:
            return [*always, "seed.again", "prompt.less", "image.save"]
        wanted = [] if find_certainty(image).verdict else ["image.verify"]
        wanted += ["image.compare"] if len(self.images) > 1 else []
        return [*always, *wanted, "image.save", "prompt.less"]

    def watch_mismatch(self) -> None:
        """Other keys are wanted next."""
        self.refresh_bindings()

    def list_jumps(self) -> list[Jump]:
        """Each prompt and each parameter, the image and the recent ones."""
        found = [
            Jump(row.region, partial(self._go_to_prompt, index))
            for index, row in enumerate(self._stack.rows)
            if self._stack.display and self._stack.region.overlaps(row.region)
        ]
        found += [
            Jump(region, partial(self._go_to_field, field))
            for field, region in self._parameters.list_regions()
        ]
        found += [
            Jump(part.region, partial(self.focus_part, name))
            for name, part in (("image", self._panel), ("recent", self._recent))
            if part.display and part.region.area
        ]
        return found

    def _go_to_prompt(self, row: int) -> None:
        self.focus_part("prompts")
        self._stack.choose_row(row)

    def _go_to_field(self, field: Field) -> None:
        self.focus_part("parameters")
        self._parameters.choose_field(field)

    # Reasons and acts

    def list_commands(self) -> list[Command]:
        """Each parameter, by its name."""
        return [
            Command(
                f"Set {field.label}: {field.meaning}",
                "",
                "",
                f"change {field.name}",
                partial(self._set_field, field),
            )
            for field in FIELDS
        ]

    async def _set_field(self, field: Field) -> None:
        self._go_to_field(field)
        await self._parameters.action_edit()

    def why_not(self, action: str) -> str:
        """Why something cannot be done now."""
        darkroom, draft, making = self.darkroom, self.draft, self.making
        match action:
            case "generate":
                return darkroom.explain_writing()
            case "cancel" | "cancel_all" if not making.jobs and not (
                action == "cancel_all" and self._unfinished
            ):
                return darkroom.trouble or "No job is waiting or running."
            case "retry":
                reason = "" if making.ended is not None else "The last job did not fail."
                return darkroom.explain_writing() or reason
            case "open_history" | "open_jobs" | "open_sessions":
                return darkroom.trouble
            case "undo" if not self.editor.has_undo:
                return "There is nothing to undo."
            case "redo" if not self.editor.has_redo:
                return "There is nothing to redo: nothing was undone, or it was changed since."
            case "load_shown" if self.image is None:
                return self._explain_none()
            case "repeat_seed":
                missing = "" if self.image is not None else self._explain_none()
                return darkroom.explain_writing() or missing
            case "recall_seed" if not draft.previous_seeds:
                return "There is no previous seed yet."
            case "mix_seed":
                return darkroom.why_no_mix(draft.engine, draft.model)
            case "start_from_file" | "choose_mask":
                if reason := darkroom.explain_writing():
                    return reason
                if reason := darkroom.why_no_start(draft.engine, draft.model):
                    return reason
                if action == "choose_mask" and draft.initial_image is None:
                    return "There is no initial image yet: i takes this image, I a file."
                return ""
        reason = super().why_not(action)
        return self._explain_none() if reason == NO_IMAGE else reason

    def _explain_none(self) -> str:
        """Why there is no image that could be meant."""
        return NO_IMAGE if self._strip.is_read else self.darkroom.trouble or _READING

    async def action_generate(self) -> None:
        """Queue the images that the draft stands for, or explain what is wrong with it."""
        await self._generate()

    async def action_repeat_seed(self) -> None:
        """Generate from the stack as it is, with the seed of the image that is meant."""
        if (image := self.image) is None:
            return
        self.editor.change(drafts.set_seed(self.draft, image.seed))
        seed, shown = image.seed, image.id[:4]
        for job in await self._generate():
            self.tell(job, f"Again with the seed {seed} of {shown}; u takes it back.")

    async def _generate(self) -> list[Job]:
        """Queue what the draft stands for; none where that was not done."""
        if not (await self._stack.accept() and await self._parameters.accept()):
            return []
        if self.is_typing:
            self.focus_part(self.get_part())
        self._dismiss()
        sent = drafts.show_seed(self.draft)
        try:
            self.darkroom.resolve(sent)
        except SafelightError as error:
            await self.fail(error)
            return []
        self.editor.change(drafts.advance_seed(sent))
        after = self.draft.seed
        self.editor.set_place(image=None)
        try:
            jobs = await self.darkroom.generate(sent, self.session)
        except SafelightError as error:
            if self.draft.seed == after and sent.seed is not None:
                self.editor.change(drafts.set_seed(self.draft, sent.seed))
            await self.fail(error)
            return []
        self.editor.remember_jobs("generating", [job.id for job in jobs])
        if not self._panel.region.area:
            self.say("Generating. The image comes up in its own part: tab goes there.")
        await self._update_now()
        return jobs

    async def action_cancel(self) -> None:
        """Cancel the job that runs, else the next one that waits."""
        jobs = [job for job in self.making.jobs if not job.cancel_requested]
        if not jobs:
            self.say("It is stopping already.")
            return
        await self._change_job(self.darkroom.cancel(jobs[0].id), "Stopping within one step.")

    def action_cancel_all(self) -> None:
        """End all jobs, runs and series; asks first where it is more than one."""
        from tui.jobs import cancel_all

        start_work(self, partial(cancel_all, self, self.darkroom), "cancel all")

    async def action_retry(self) -> None:
        """Run the job that made nothing once more."""
        if (job := self.making.ended) is not None:
            said = "It is in the queue again; u takes it back."
            if await self._change_job(self.darkroom.retry(job.id), said):
                self.editor.remember_jobs("trying again", [job.id])

    async def _change_job(self, work: Awaitable[Job], said: str) -> bool:
        """Do `work` and say so; whether it was done."""
        try:
            job = await work
        except SafelightError as error:
            await self.fail(error)
            return False
        self.tell(job, said)
        await self._update_now()
        return True

    def action_open_history(self) -> None:
        """Ask for the history."""
        self.post_message(self.HistoryWanted())

    async def action_open_sessions(self) -> None:
        """Ask for the sessions; what is half typed stays in this one."""
        await self._settle()
        self.post_message(self.SessionsWanted())

    def action_open_jobs(self) -> None:
        """Ask for the jobs."""
        self.post_message(self.JobsWanted())

    async def action_undo(self) -> None:
        """Take the last change back, or the jobs that were queued since."""
        while (queued := self.editor.take_jobs()) is not None:
            if await self._take_back(queued.jobs):
                self.say(f"Taken back: {queued.label}.")
                return
        if (label := self.editor.undo()) is not None:
            self.say(f"Undone: {label}.")
        else:
            self.say("There is nothing to undo any more: the jobs have ended.")
            self.refresh_bindings()

    async def _take_back(self, job_ids: Sequence[str]) -> bool:
        """Cancel the jobs that have not ended; whether there was one."""
        is_taken = False
        try:
            for job_id in job_ids:
                if not (await self.darkroom.get_job(job_id)).state.is_final:
                    await self.darkroom.cancel(job_id)
                    is_taken = True
        except NotFound:
            pass  # It was removed: that takes it back too.
        except SafelightError as error:
            await self.fail(error)
        await self._update_now()
        return is_taken

    def action_redo(self) -> None:
        """Make the change again that was taken back last."""
        if (label := self.editor.redo()) is not None:
            self.say(f"Redone: {label}.")

    def action_lock_seed(self) -> None:
        """Keep the seed for the next runs, or not."""
        draft = self.draft
        self.editor.change(msgspec.structs.replace(draft, seed_locked=not draft.seed_locked))

    def action_renew_seed(self) -> None:
        """Draw a new seed."""
        self.editor.change(drafts.renew_seed(self.draft))

    def action_recall_seed(self) -> None:
        """Go back to the previous seed."""
        self.editor.change(drafts.recall_seed(self.draft))

    def action_mix_seed(self) -> None:
        """Mix another seed into the next images, or a newly drawn one."""
        self.editor.change(drafts.set_variation(self.draft), "mixing a second seed in")

    def action_load_shown(self) -> None:
        """Load the whole request of the image that is meant."""
        if (image := self.image) is not None:
            self.load_image(image, Parts.ALL)

    @on(ImageScreen.DraftLoaded)
    def _load_parts(self, event: ImageScreen.DraftLoaded) -> None:
        event.stop()
        self.load_image(event.image, event.parts)

    def load_image(self, image: Image, parts: str) -> None:
        """Take `parts` of what made `image` into the draft; the undo takes it back."""
        notes: list[str] = []
        if image.is_foreign:
            merged, notes = merge_image(self.draft, image, parts, self.darkroom.capabilities)
        else:
            pinned = msgspec.structs.replace(image, request=self.darkroom.pin(image))
            merged = drafts.merge_draft(self.draft, pinned, parts)
        self.editor.change(merged, f"loading {parts}")
        self.say(" ".join([f"Loaded {parts} of {image.id[:4]}; u takes it back.", *notes]))

    # Files that were dropped

    @on(Dropped)
    async def _take_dropped(self, event: Dropped) -> None:
        """Ask what is meant by paths that were pasted into a prompt."""
        event.stop()
        editor = event.editor

        async def paste() -> None:
            if editor.is_attached:
                await editor.insert_pasted(event.text)

        if not await self._offer_files(event.text, paste):
            await paste()

    async def on_paste(self, event: events.Paste) -> None:
        """Ask what to do with files that were dropped while nothing was being typed."""
        event.stop()
        await self._offer_files(event.text, None)

    async def _offer_files(self, text: str, paste: Callable[[], Awaitable[None]] | None) -> bool:
        """Whether `text` names files, and so it was asked what to do with them."""
        paths = await asyncio.to_thread(list_files, parse_dropped(text))
        if not paths:
            return False

        async def take(chosen: str | None) -> None:
            if chosen == AS_TEXT and paste is not None:
                await paste()
            elif chosen is not None:
                await self._take_files(chosen, paths)

        choices = self._files.list_choices(paths, has_text=paste is not None)
        name = paths[0].name if len(paths) == 1 else count_things(len(paths), "file")
        self.app.push_screen(ChoiceScreen(f"dropped: {shorten_middle(name, 40)}", choices), take)
        return True

    async def _take_files(self, how: str, paths: list[Path]) -> None:
        if how != AS_INITIAL_IMAGE and (reason := self.darkroom.explain_writing()):
            self.say(reason)
            return
        try:
            self.say(await self._files.take(how, paths, self.session))
        except SafelightError as error:
            self.say(str(error))

    # Starting from an image

    @on(ImageScreen.StartChosen)
    async def _start_from(self, event: ImageScreen.StartChosen) -> None:
        event.stop()
        await self.start_from(event.image)

    async def start_from(self, image: Image) -> None:
        """Put a past image into the draft as its initial image; the undo takes it out."""
        try:
            await self._initial_images.start_from(image)
        except SafelightError as error:
            self.say(str(error))
            return
        self.say(f"The next images start from {image.id[:4]}; u takes it back.")

    @on(ParameterList.FileWanted)
    def _ask_for_file(self, event: ParameterList.FileWanted) -> None:
        if event.field.name == "mask":
            self.action_choose_mask()
        else:
            self.action_start_from_file()

    def action_start_from_file(self) -> None:
        """Ask for an image file and start from it."""

        async def take(path: Path) -> None:
            await self._initial_images.take_file(path)
            self.say(f"The next images start from {path.name}; u takes it back.")

        self._ask_path("start from an image file", take)

    def _ask_path(self, title: str, take: Callable[[Path], Awaitable[None]]) -> None:
        self.app.push_screen(PathScreen(title, read_place(self.draft, "folder"), take))

    def action_choose_mask(self) -> None:
        """Let the person choose where the mask comes from."""
        if self.draft.initial_image is None:
            return
        choices = (PAINT, TAKE_FILE, *((NO_MASK,) if self.draft.mask else ()))
        self.app.push_screen(ChoiceScreen("mask", choices, choices[0]), self._make_mask)

    async def _make_mask(self, how: str | None) -> None:
        match how:
            case "paint it":
                await self._paint_mask()
            case "take it from a file":
                title = "mask: black is made anew, white stays"
                self._ask_path(title, self._initial_images.take_mask_file)
            case "no mask":
                self._initial_images.remove_mask()

    async def _paint_mask(self) -> None:
        """Paint over the initial image, going on from the mask that there is."""
        from tui.compose.mask import MaskScreen

        try:
            data, canvas = await self._initial_images.make_canvas()
        except SafelightError as error:
            self.say(str(error))
            return
        self.app.push_screen(MaskScreen(data, canvas, self._initial_images.take_painted))

    # Places

    @property
    def is_typing(self) -> bool:
        """Whether keys are text."""
        return is_typing(self.focused)

    def get_part(self, widget: Widget | None = None) -> str:
        """The part with the focus, or that holds `widget`."""
        widget = widget or self.focused
        for node in widget.ancestors_with_self if widget is not None else ():
            if node.id in PARTS:
                return str(node.id)
        part = read_place(self.draft, "part")
        return part if part in PARTS else PARTS[0]

    def focus_part(self, part: str) -> None:
        """Give the focus to a part."""
        targets: Mapping[str, Widget] = {
            "prompts": self._stack,
            "parameters": self._parameters,
            "image": self._panel,
            "recent": self._strip,
        }
        self._show_part(part)
        self.set_focus(targets[part])
        self.editor.set_place(part=part)

    @on(PartTabs.PartChosen)
    def _go_to_part(self, event: PartTabs.PartChosen) -> None:
        self.focus_part(event.part)

    def watch_images(self, images: tuple[Image, ...]) -> None:
        """The strip is higher where there are thumbnails to show."""
        self.set_class(bool(images), "-drawn")

    def _show_part(self, part: str) -> None:
        self._tabs.show(part)
        self.update_classes({f"-part-{name}": name == part for name in PARTS})

    async def action_turn(self, places: int) -> None:
        """Go to another part."""
        await self._settle()
        at = PARTS.index(self.get_part())
        self.focus_part(PARTS[(at + places) % len(PARTS)])

    async def _settle(self) -> None:
        await self._stack.settle()
        await self._parameters.settle()

    async def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember the part, and close a field that was left for another part."""
        part = self.get_part(event.widget)
        self._show_part(part)
        has_open_field = self._stack.open_row or self._parameters.open_field
        if is_typing(event.widget):
            self._is_field_left = False
        elif self._is_field_left and not self.is_typing and has_open_field:
            await self._settle()
            if event.widget.is_attached:
                self.set_focus(event.widget)
        self.editor.set_place(part=part)
        self._find_meant()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """A field may have been left."""
        self._is_field_left |= is_typing(event.widget)
