"""Noticing that history, queue or progress changed, whoever changed it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engines.worker.process import ensure_worker, find_worker
from store.errors import StoreError

if TYPE_CHECKING:
    from store.database import Database

WORKER_SECONDS = 1.0
"""How often somebody who watches makes sure that a worker runs while jobs are left."""


async def watch_history(
    directory: Path, get_database: Callable[[], Database | None], seconds: float
) -> AsyncIterator[None]:
    """Yields once at the start and then after each change, until there is no database.

    Looks every `seconds`; while nothing changes it costs two small queries. A worker that
    died with jobs left is replaced on the way.
    """
    versions: tuple[int, int] | None = None
    seen: object = None
    every = max(1, round(WORKER_SECONDS / seconds))
    looks = 0
    while (database := get_database()) is not None:
        if looks % every == 0:
            await asyncio.to_thread(_revive_worker, directory, database)
        looks += 1
        now = await asyncio.to_thread(_read_versions, database)
        if now != versions:
            versions = now
            state = (await asyncio.to_thread(_read_fingerprint, database), now[1])
            if state != seen:
                seen = state
                yield
        await asyncio.sleep(seconds)


def _revive_worker(directory: Path, database: Database) -> None:
    if database.is_read_only or find_worker(directory).is_running:
        return
    from store import queue

    try:
        if queue.count_active(database):
            ensure_worker(directory)
    except StoreError as error:
        logging.getLogger(__name__).warning("the worker was not replaced: %s", error)


def _read_fingerprint(database: Database) -> object:
    from store.watch import read_fingerprint

    return read_fingerprint(database)


def _read_versions(database: Database) -> tuple[int, int]:
    return (database.data_version(), database.progress.data_version())
