"""What is remembered, as the screens see it: sessions, past images, jobs, input files.

The part of the darkroom that knows the store and no engine.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import StoreError
from store.records import Draft, Image, Job, JobState, Session, Verification
from tui.watcher import watch_history

if TYPE_CHECKING:
    from store.database import Database
    from store.inputs import Input
    from store.sessions import DraftWriter

FIRST_SESSION = "main"


class Archive:
    """One data directory: its history and sessions, without any engine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._opened: Database | None = None
        self._drafts: DraftWriter | None = None

    async def open(self) -> None:
        """Open or create the history. Raises `StoreError` with what to do."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        from store.database import Database
        from store.sessions import DraftWriter

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

    # Input files

    async def add_input(self, data: bytes) -> Input:
        """Keep an image file that a request starts from. Raises `StoreError` if it is none."""
        from store import inputs

        return await asyncio.to_thread(inputs.store_input, self.database, data)

    async def get_input(self, sha256: str) -> Input:
        """The facts of a kept file. Raises `NotFound`."""
        from store import inputs

        return await asyncio.to_thread(inputs.get_input, self.database, sha256)

    async def read_input(self, sha256: str) -> bytes:
        """A kept file, checked. Raises `StoreError`."""
        from store import inputs

        return await asyncio.to_thread(inputs.read_input, self.database, sha256)

    async def find_input(self, sha256: str) -> Path:
        """Where a kept file lies. Raises `NotFound`."""
        from store import inputs

        return await asyncio.to_thread(inputs.find_input, self.database, sha256)

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

    # Jobs

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

    # Changes

    def watch(self, seconds: float = 0.2) -> AsyncIterator[None]:
        """Yields once at the start and then whenever anybody changed history or progress."""
        return watch_history(self.directory, lambda: self._opened, seconds)
