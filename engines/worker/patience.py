"""Doing again what a disk or another program refuses: with longer waits, told once, never given up.

What waits here is in memory and nowhere else: the end of a job with its image, a job that is to be
claimed. So nothing that was acknowledged is lost because the history was locked for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from engines.worker.process import WorkerLock
from store.errors import FileUnavailable, HistoryDamaged, Unavailable

T = TypeVar("T")

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 15.0
"""How long it waits before it tries again: twice as long each time, up to this."""

DAMAGED_TRIES = 8
"""How often a history that looks damaged is looked at: a minute. Then it is."""

log = logging.getLogger("safelight.worker")


class Patience:
    """Tries again what raises `Unavailable`, until it goes well or the worker leaves.

    What stands in the way is told once in the log, and to whoever looks at `lock`, where there is
    one. A data directory that was taken away is no reason to wait.
    """

    def __init__(self, lock: WorkerLock | None = None) -> None:
        self._lock = lock
        self._leaving = asyncio.Event()
        self._told: set[str] = set()
        self._seconds = FIRST_SECONDS
        self._damaged = 0

    def leave(self) -> None:
        """Wait no longer, but for what is precious."""
        self._leaving.set()

    async def insist(self, action: Callable[[], T], *, is_precious: bool = False) -> T:
        """What `action` returns, which runs in a thread until no `Unavailable` or `OSError` comes.

        Raises `Unavailable` only where the history is damaged, or where the worker leaves
        meanwhile, and not for what `is_precious`: paid for, and not to be made again. Being
        cancelled waits for the thread.
        """
        while True:
            try:
                result = await _run(action)
            except Unavailable as error:
                await self.wait(error, is_precious=is_precious)
            except OSError as error:
                await self.wait(explain(error), is_precious=is_precious)
            else:
                self.go_on()
                return result

    async def wait(self, error: Unavailable, *, is_precious: bool = False) -> None:
        """Tell what stands in the way, and wait before the next try; raises `error` to end it."""
        self._tell(error)
        self._damaged += isinstance(error, HistoryDamaged)
        is_gone = self._lock is not None and not self._lock.is_in_place()
        if is_gone or self._damaged >= DAMAGED_TRIES:
            raise error
        if is_precious:
            await asyncio.sleep(self._seconds)
        else:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._leaving.wait()
            except TimeoutError:
                pass
            else:
                raise error
        self._seconds = min(2 * self._seconds, LONGEST_SECONDS)

    def go_on(self) -> None:
        """It went well: the next trouble is another one."""
        self._seconds = FIRST_SECONDS
        self._damaged = 0
        if not self._told:
            return
        self._told.clear()
        log.info("going on")
        if self._lock is not None:
            self._lock.note("")

    def _tell(self, error: Unavailable) -> None:
        text = str(error)
        if text in self._told:
            return
        self._told.add(text)
        log.warning("waiting, and trying again until it can be done: %s", text)
        if self._lock is not None:
            self._lock.note(text)


def explain(error: OSError) -> FileUnavailable:
    """What the system refused of a job, as an error that a person can act on."""
    name = "" if error.filename is None else f" {error.filename}:"
    return FileUnavailable(
        f"The system refused what the image needs:{name} {error.strerror or type(error).__name__}.",
        "Check the disk and what other programs take of this machine, then retry the job.",
    )


async def _run(action: Callable[[], T]) -> T:
    """What `action` returns in a thread. Cancelled, it waits for the thread: it may be writing."""
    work = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise
