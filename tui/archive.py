"""What is remembered, as the screens see it: past images with their records, input files.

The part of the darkroom that only looks things up, and the files that requests start from.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import StoreError
from store.records import Image, Verification
from tui.watcher import watch_history

if TYPE_CHECKING:
    from store.database import Database
    from store.inputs import Input


class Archive:
    """One data directory and its history. `tui.darkroom` opens it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._opened: Database | None = None

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

    # Changes

    def watch(self, seconds: float = 0.2) -> AsyncIterator[None]:
        """Yields once at the start and then whenever anybody changed history or progress."""
        return watch_history(self.directory, lambda: self._opened, seconds)
