"""What screens may ask for: the only door from screens to store and engines.

Every method that touches a file or the database is a coroutine whose work runs in a
thread, so that the screen never waits for a disk. Errors are `SafelightError`, with a
text for the person. Making the object does nothing; `open` makes folders and database.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.base import Capabilities
from engines.registry import EngineRegistry
from engines.resolution import resolve_draft
from engines.worker.process import ensure_worker, find_worker
from store.errors import SafelightError, StoreError
from store.records import Draft, Image, Job, JobState, Purpose, Session, Verification
from store.request import Request
from tui.watcher import watch_history
from tui.writer import DraftWriter

if TYPE_CHECKING:
    from engines.settings import Settings
    from store.database import Database


FIRST_SESSION = "main"


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker runs (`is_running`), its process id, and how many jobs are unfinished."""

    is_running: bool
    process_id: int | None
    jobs: int


class Darkroom:
    """One data directory, as the screens see it."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self._registry = EngineRegistry(settings)
        self._opened: Database | None = None
        self._drafts: DraftWriter | None = None

    async def open(self) -> None:
        """Open or create the history. Raises `StoreError` with what to do."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        from store.database import Database

        self._opened = Database.open(self.directory)
        self._drafts = DraftWriter(self._opened)

    async def close(self) -> None:
        """Write what is pending and let go of the database."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._drafts is not None:
            self._drafts.close()
        if self._opened is not None:
            self._opened.close()
        self._drafts = self._opened = None

    @property
    def database(self) -> Database:
        """The open history. Raises `StoreError` before `open`."""
        if self._opened is None:
            raise StoreError("The history is not open.")
        return self._opened

    async def back_up(self, path: Path) -> None:
        """Write a checked copy of the database, without the image files, to a new file."""
        await asyncio.to_thread(self.database.back_up, path)

    @property
    def is_read_only(self) -> bool:
        """Whether this history can be looked at but not added to."""
        return self.database.is_read_only

    # Engines

    def list_engines(self) -> tuple[str, ...]:
        """The engines' ids, `builtin` first."""
        return self._registry.list_engines()

    def get_capabilities(self, engine: str) -> Capabilities:
        """What `engine` accepts; cheap, loads no model. Raises `EngineError` if unknown."""
        return self._registry.get_capabilities(engine)

    # Sessions

    async def load_session(self, name: str | None = None) -> Session:
        """The session of that name, or the last one used; made when there is none."""
        return await asyncio.to_thread(self._load_session, name)

    def _load_session(self, name: str | None) -> Session:
        from store import sessions

        wanted = name or sessions.last_session_name(self.database) or FIRST_SESSION
        return sessions.load_session(self.database, wanted)

    async def list_sessions(self) -> list[Session]:
        """All sessions, the last used first."""
        from store import sessions

        return await asyncio.to_thread(sessions.list_sessions, self.database)

    def save_draft(self, name: str, draft: Draft) -> None:
        """Write the draft through. Returns at once; a thread writes the newest one."""
        if self._drafts is not None and not self.is_read_only:
            self._drafts.write(name, draft)

    @property
    def draft_error(self) -> StoreError | None:
        """Why the newest draft could not be written, None when it was."""
        return None if self._drafts is None else self._drafts.error

    # Jobs

    def resolve(self, draft: Draft) -> list[Request]:
        """The complete requests that `draft` stands for, one an image.

        Draws the first seed when the draft has none; the others follow it by one. Raises
        `RequestError` for the first thing that the store or the engine does not accept.
        """
        requests = resolve_draft(draft, self.get_capabilities(draft.engine))
        self._registry.describe_losses(requests[0])  # refuses what cannot be sent at all
        return requests

    def describe_losses(self, draft: Draft) -> tuple[str, ...]:
        """What of `draft` its engine cannot honour, a sentence each, before anything is sent.

        Empty for a draft that is not complete. Cheap.
        """
        try:
            return self._registry.describe_losses(self.resolve(draft)[0])
        except SafelightError:
            return ()

    async def generate(self, draft: Draft, session: str | None = None) -> list[Job]:
        """Resolve `draft`, queue its jobs and make sure that a worker runs."""
        requests = self.resolve(draft)
        return await asyncio.to_thread(self._enqueue, requests, session, draft.parent_id)

    def _enqueue(
        self, requests: list[Request], session: str | None, parent_id: str | None
    ) -> list[Job]:
        from store import queue

        jobs = queue.enqueue(self.database, requests, session=session, parent_id=parent_id)
        self._start_worker(jobs)
        return jobs

    def _start_worker(self, jobs: Sequence[Job]) -> None:
        ensure_worker(
            self.directory, is_remote=any(job.request.engine != "builtin" for job in jobs)
        )

    async def regenerate(self, image_id: str) -> Job:
        """Queue a child of the image, made from its stored request and compared with it."""
        return await asyncio.to_thread(self._enqueue_comparison, image_id, Purpose.REGENERATE)

    async def verify(self, image_id: str) -> Job | None:
        """Queue a comparison; the verdict is stored, no image is added.

        None when the record itself was changed after it was written: the verdict is then
        stored at once, because what would be made is not what was recorded.
        """
        return await asyncio.to_thread(self._verify, image_id)

    def _verify(self, image_id: str) -> Job | None:
        from engines.comparison import judge_record
        from store import history

        image = history.get_image(self.database, image_id)
        if image.is_damaged and (comparison := judge_record(self.database, image)) is not None:
            history.add_verification(self.database, image.id, comparison)
            return None
        return self._enqueue_comparison(image.id, Purpose.VERIFY)

    def _enqueue_comparison(self, image_id: str, purpose: Purpose) -> Job:
        from store import queue

        job = queue.enqueue_comparison(self.database, image_id, purpose)
        self._start_worker([job])
        return job

    async def cancel(self, job_id: str) -> Job:
        """Ask that the job stop within one step."""
        from store import queue

        return await asyncio.to_thread(queue.request_cancel, self.database, job_id)

    async def retry(self, job_id: str) -> Job:
        """Queue an ended job again, with the same id and seed."""
        return await asyncio.to_thread(self._retry, job_id)

    def _retry(self, job_id: str) -> Job:
        from store import queue

        job = queue.retry(self.database, job_id)
        self._start_worker([job])
        return job

    async def get_job(self, job_id: str) -> Job:
        """The job, with its last progress and preview."""
        from store import queue

        return await asyncio.to_thread(queue.get_job, self.database, job_id)

    async def list_jobs(
        self, states: Sequence[JobState] | None = None, limit: int = 100
    ) -> list[Job]:
        """Jobs, newest first."""
        from store import queue

        return await asyncio.to_thread(queue.list_jobs, self.database, states=states, limit=limit)

    async def get_worker_status(self) -> WorkerStatus:
        """Whether a worker runs for this data directory."""
        return await asyncio.to_thread(self._get_worker_status)

    def _get_worker_status(self) -> WorkerStatus:
        from store import queue

        found = find_worker(self.directory)
        return WorkerStatus(
            is_running=found.is_running,
            process_id=found.process_id,
            jobs=queue.count_active(self.database),
        )

    # History

    async def list_images(
        self, *, before: int | None = None, limit: int = 50, search: str | None = None
    ) -> list[Image]:
        """Images with a number below `before`, newest first."""
        from store import history

        return await asyncio.to_thread(
            history.list_images, self.database, before=before, limit=limit, search=search
        )

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        """The numbers of all images that match, newest first: eight bytes an image."""
        from store import history

        return await asyncio.to_thread(history.list_image_numbers, self.database, search=search)

    async def get_image(self, reference: str) -> Image:
        """The whole record by a unique beginning of its id, `@1` for the newest."""
        from store import history

        return await asyncio.to_thread(history.get_image, self.database, reference)

    async def read_image(self, image: Image) -> bytes:
        """The stored file. Raises `StoreError` when it is missing or damaged."""
        from store import history

        return await asyncio.to_thread(history.read_image, self.database, image)

    async def get_thumbnails(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Thumbnails (WebP) by image number."""
        from store import history

        return await asyncio.to_thread(history.get_thumbnails, self.database, numbers)

    async def read_wire(self, job_id: str) -> bytes | None:
        """The exact message that was sent for the job; None for an engine without a wire."""
        from store import queue

        return await asyncio.to_thread(queue.read_wire, self.database, job_id)

    async def list_verifications(self, image_id: str) -> list[Verification]:
        """All verifications of the image, newest first."""
        from store import history

        return await asyncio.to_thread(history.list_verifications, self.database, image_id)

    # Changes

    def watch(self, seconds: float = 0.2) -> AsyncIterator[None]:
        """Yields once at the start and then whenever anybody changed history or progress."""
        return watch_history(self.directory, lambda: self._opened, seconds)
