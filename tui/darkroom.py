"""What screens may ask for: the only door from screens to store and engines.

Every method that touches a file or the database is a coroutine whose work runs in a
thread, so that the screen never waits for a disk. Errors are `SafelightError`, with a
text for the person. Making the object does nothing; `open` makes folders and database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.base import Capabilities
from store.records import Draft, Image, Job, JobState, Session, Verification
from store.request import Request

if TYPE_CHECKING:
    from engines.settings import Settings


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

    async def open(self) -> None:
        """Open or create the history. Raises `StoreError` with what to do."""
        raise NotImplementedError

    async def close(self) -> None:
        """Write what is pending and let go of the database."""
        raise NotImplementedError

    @property
    def is_read_only(self) -> bool:
        """Whether this history can be looked at but not added to."""
        raise NotImplementedError

    # Engines

    def list_engines(self) -> tuple[str, ...]:
        """The engines' ids, `builtin` first."""
        raise NotImplementedError

    def get_capabilities(self, engine: str) -> Capabilities:
        """What `engine` accepts; cheap, loads no model. Raises `EngineError` if unknown."""
        raise NotImplementedError

    # Sessions

    async def load_session(self, name: str | None = None) -> Session:
        """The session of that name, or the last one used; made when there is none."""
        raise NotImplementedError

    def save_draft(self, name: str, draft: Draft) -> None:
        """Write the draft through. Returns at once; a thread writes the newest within 50 ms."""
        raise NotImplementedError

    # Jobs

    def resolve(self, draft: Draft) -> list[Request]:
        """The complete requests that `draft` stands for, one an image.

        Draws the first seed when the draft has none; the others follow it by one. Raises
        `RequestError` for the first thing that the store or the engine does not accept.
        """
        raise NotImplementedError

    async def generate(self, draft: Draft, session: str | None = None) -> list[Job]:
        """Resolve `draft`, queue its jobs and make sure that a worker runs."""
        raise NotImplementedError

    async def regenerate(self, image_id: str) -> Job:
        """Queue a child of the image, made from its stored request and compared with it."""
        raise NotImplementedError

    async def verify(self, image_id: str) -> Job:
        """Queue a comparison; the verdict is stored, no image is added."""
        raise NotImplementedError

    async def cancel(self, job_id: str) -> Job:
        """Ask that the job stop within one step."""
        raise NotImplementedError

    async def retry(self, job_id: str) -> Job:
        """Queue an ended job again, with the same id and seed."""
        raise NotImplementedError

    async def get_job(self, job_id: str) -> Job:
        """The job, with its last progress and preview."""
        raise NotImplementedError

    async def list_jobs(
        self, states: Sequence[JobState] | None = None, limit: int = 100
    ) -> list[Job]:
        """Jobs, newest first."""
        raise NotImplementedError

    async def get_worker_status(self) -> WorkerStatus:
        """Whether a worker runs for this data directory."""
        raise NotImplementedError

    # History

    async def list_images(
        self, *, before: int | None = None, limit: int = 50, search: str | None = None
    ) -> list[Image]:
        """Images with a number below `before`, newest first."""
        raise NotImplementedError

    async def get_image(self, reference: str) -> Image:
        """The whole record by a unique beginning of its id, `@1` for the newest."""
        raise NotImplementedError

    async def read_image(self, image: Image) -> bytes:
        """The stored file. Raises `StoreError` when it is missing or damaged."""
        raise NotImplementedError

    async def get_thumbnails(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Thumbnails (WebP) by image number."""
        raise NotImplementedError

    async def list_verifications(self, image_id: str) -> list[Verification]:
        """All verifications of the image, newest first."""
        raise NotImplementedError

    # Changes

    def watch(self, seconds: float = 0.2) -> AsyncIterator[None]:
        """Yields once at the start and then whenever anybody changed history or progress."""
        raise NotImplementedError
