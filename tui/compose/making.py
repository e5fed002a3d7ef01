"""What is being made and what was made: jobs, the shown image, the recent strip."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from textual.content import Content

from engines.base import EngineError
from store.errors import RequestError, SafelightError
from store.records import Image, Job, JobState, Purpose
from tui.compose import draft as drafts
from tui.compose.desk import Desk
from tui.compose.image import ImagePanel
from tui.compose.recent import FilmStrip
from tui.darkroom import Darkroom
from tui.status import (
    describe_ended,
    describe_image,
    describe_jobs,
    describe_losses,
    describe_trouble,
)
from tui.terminal.glyphs import Glyphs

RECENT = 48
"""Images that the strip can show."""

FILES_KEPT = 6
UNFINISHED = (JobState.WAITING, JobState.RUNNING)


class Making:
    """Sends drafts off as jobs and shows what the darkroom says of jobs and images.

    `show_error` explains a `RequestError` at its field, `say` tells the person something and
    `unsay` ends that.
    """

    def __init__(
        self,
        darkroom: Darkroom,
        desk: Desk,
        panel: ImagePanel,
        strip: FilmStrip,
        glyphs: Glyphs,
        refresh: Callable[[], Awaitable[None]],
        show_error: Callable[[SafelightError], Awaitable[None]],
        say: Callable[[str], None],
        unsay: Callable[[str], None],
    ) -> None:
        self._darkroom = darkroom
        self._desk = desk
        self._panel = panel
        self._strip = strip
        self._glyphs = glyphs
        self._refresh = refresh
        self._show_error = show_error
        self._say = say
        self._unsay = unsay
        self._told: tuple[str, frozenset[str]] | None = None
        self._unfinished: list[Job] = []
        self._newest: Job | None = None
        self._images: list[Image] = []
        self._chosen: Image | None = None
        self._seen_job = 0
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._trouble: SafelightError | None = None
        self._losses: tuple[str, ...] = ()
        self._facts: tuple[Job | None, Job | None, Image | None] = (None, None, None)

    # What there is

    @property
    def image(self) -> Image | None:
        """The shown image: the chosen one, else the newest."""
        return self._chosen or (self._images[0] if self._images else None)

    @property
    def has_unfinished_job(self) -> bool:
        """Whether a job waits or runs."""
        return bool(self._unfinished)

    @property
    def ended_job(self) -> Job | None:
        """The newest job, when it made nothing and the person has not gone on from it."""
        job = self._newest
        if job is None or job.number <= self._seen_job:
            return None
        return job if job.state.is_final and job.state is not JobState.DONE else None

    async def update(self) -> None:
        """Read what changed and show it."""
        jobs = await self._darkroom.list_jobs(UNFINISHED)
        self._unfinished = sorted(jobs, key=_order)
        self._end_told()
        newest = await self._darkroom.list_jobs(limit=1)
        self._newest = newest[0] if newest else None
        images = await self._darkroom.list_images(limit=RECENT)
        if images != self._images:
            self._images = images
            await self._strip.refresh_images(images)
        await self._follow_chosen()
        await self.show()

    def _end_told(self) -> None:
        """What was said of jobs is over when the last of them has ended."""
        if self._told is None:
            return
        text, jobs = self._told
        if not any(job.id in jobs for job in self._unfinished):
            self._unsay(text)
            self._told = None

    async def _follow_chosen(self) -> None:
        """Take over a new verdict of the chosen image; forget it when it is gone."""
        wanted = self._desk.draft.place.get("image")
        if not isinstance(wanted, str):
            self._chosen = None
            return
        found = next((image for image in self._images if image.id == wanted), None)
        if found is None:
            try:
                found = await self._darkroom.get_image(wanted)
            except SafelightError:
                self._desk.set_place(image=None)
        self._chosen = found

    async def show(self) -> None:
        """Show image and line."""
        image, ended = self.image, self.ended_job
        job = self._unfinished[0] if self._unfinished else None
        if self._chosen is not None:
            await self._show_file(self._chosen)
        elif job is not None and job.preview is not None and job.purpose is not Purpose.VERIFY:
            self._panel.show_image(job.preview, caption="preview")
        elif ended is not None and job is None and ended.purpose is Purpose.GENERATE:
            self._panel.show_image(None)
        elif image is not None:
            await self._show_file(image)
        else:
            self._panel.show_image(None, caption="ctrl+j makes an image of the prompts")
        self._facts = (job, ended, image)
        self._panel.say(self._describe())

    def show_losses(self) -> None:
        """Say what the engine cannot honour of the draft, before it is sent."""
        losses = self._darkroom.describe_losses(self._desk.draft)
        if losses != self._losses:
            self._losses = losses
            self._panel.say(self._describe())

    def _describe(self) -> Content:
        job, ended, image = self._facts
        if self._trouble is not None:
            return describe_trouble(self._trouble.message, self._trouble.hint, self._glyphs)
        lines = [describe_losses(self._losses, self._glyphs)] if self._losses else []
        has_job = job is not None or ended is not None
        if job is not None:
            lines.append(describe_jobs(self._unfinished, self._glyphs, self._describe_cost()))
        elif ended is not None:
            lines.append(describe_ended(ended, self._glyphs))
        if image is not None and (self._chosen is not None or not has_job):
            lines.append(describe_image(image, self._find_place(image), self._glyphs))
        return Content("\n").join(lines)

    def _describe_cost(self) -> str:
        """What the unfinished jobs may cost together, "" where they are free."""
        from engines.cost import describe_cost

        price = self._darkroom.estimate_cost([job.request for job in self._unfinished])
        return "" if price == 0 else describe_cost(price)

    def _find_place(self, image: Image) -> int | None:
        numbers = [known.number for known in self._images]
        return numbers.index(image.number) + 1 if image.number in numbers else None

    async def _show_file(self, image: Image) -> None:
        data = self._files.get(image.id)
        if data is None:
            try:
                data = await self._darkroom.read_image(image)
            except SafelightError as error:
                self._panel.show_image(None, caption=str(error))
                return
            self._files[image.id] = data
            while len(self._files) > FILES_KEPT:
                self._files.popitem(last=False)
        self._panel.show_image(data, caption=f"seed {image.seed}")

    async def choose(self, image: Image | None) -> None:
        """Show `image` from now on; the newest one, whichever it is, when None or newest."""
        is_newest = image is not None and bool(self._images) and image.id == self._images[0].id
        self._chosen = None if is_newest else image
        self._desk.set_place(image=None if self._chosen is None else self._chosen.id)
        self._dismiss()
        await self.show()

    def _dismiss(self) -> None:
        """Go on from the job that failed and from the error that is shown."""
        self._trouble = None
        if self._newest is not None:
            self._seen_job = self._newest.number

    # What can be done

    async def generate(self, session: str) -> None:
        """Queue the images that the draft stands for, or explain what is wrong with it."""
        self._dismiss()
        sent = drafts.show_seed(self._desk.draft)
        try:
            self._darkroom.resolve(sent)
        except SafelightError as error:
            await self.fail(error)
            return
        self._desk.change(drafts.advance_seed(sent))
        after = self._desk.draft.seed
        self._chosen = None
        self._desk.set_place(image=None)
        await self._refresh()
        try:
            await self._darkroom.generate(sent, session)
        except SafelightError as error:
            if self._desk.draft.seed == after and sent.seed is not None:
                self._desk.change(drafts.set_seed(self._desk.draft, sent.seed))
                await self._refresh()
            await self.fail(error)
            return
        await self.update()

    def forget_trouble(self) -> None:
        """The error that is shown is over."""
        self._trouble = None

    async def fail(self, error: SafelightError) -> None:
        """Show `error` in the image's place, and at the field that it is about."""
        self._trouble = error
        await self.show()
        if isinstance(error, RequestError | EngineError):
            await self._show_error(error)

    async def follow(self, work: Awaitable[Job | list[Job] | None], said: str) -> None:
        """Queue what `work` queues and say so until it has ended, or the next key."""
        try:
            queued = await work
        except SafelightError as error:
            await self.fail(error)
            return
        jobs = queued if isinstance(queued, list) else [queued] if queued is not None else []
        if jobs:
            self._say(said)
            self._told = (said, frozenset(job.id for job in jobs))
        await self.update()

    async def verify(self) -> None:
        """Queue a verification of the shown image."""
        image = self.image
        if image is not None:
            self._dismiss()
            await self.follow(self._darkroom.verify(image.id), f"Verifying {image.id[:4]}.")

    async def regenerate(self) -> None:
        """Queue a child of the shown image; the child is shown when it is there."""
        image = self.image
        if image is not None:
            await self.choose(None)
            await self.follow(self._darkroom.regenerate(image.id), f"Regenerating {image.id[:4]}.")

    async def cancel(self) -> None:
        """Cancel the job that runs, else the next one that waits."""
        jobs = [job for job in self._unfinished if not job.cancel_requested]
        if jobs:
            await self.follow(self._darkroom.cancel(jobs[0].id), "Stopping within one step.")
        else:
            self._say("It is stopping already.")

    async def retry(self) -> None:
        """Run the job that made nothing once more."""
        job = self.ended_job
        if job is not None:
            await self.follow(self._darkroom.retry(job.id), "It is in the queue again.")


def _order(job: Job) -> tuple[bool, int]:
    return (job.state is not JobState.RUNNING, job.number)
