"""The worker's life: recover, claim, run, wait, leave."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engines.base import Failure
from engines.memory import give_back
from engines.registry import EngineRegistry
from engines.settings import Settings, load_user_settings
from engines.worker.job import JobExecution
from engines.worker.patience import Patience
from engines.worker.process import (
    ALREADY_RUNNING,
    TURN_NAME,
    WorkerLock,
    fingerprint_files,
    try_startup_lock,
)
from engines.worker.program import read_serving
from engines.worker.runs import take_next
from store import queue, series
from store.database import Database, find_form
from store.errors import (
    HistoryUnavailable,
    SafelightError,
    StoreError,
    Superseded,
    Unavailable,
)
from store.migrations import VERSION
from store.records import Job, JobState
from store.serving import count_waiting
from store.turns import is_queue_paused
from store.verification_runs import is_pending

LOOK_SECONDS = 0.1
TURN_SECONDS = 0.05
SETTINGS_SECONDS = (0.1, 0.3, 1.0)
"""How long to wait before settings that cannot be read are read again."""

LOOKING_SECONDS = 2.0
"""How long a lock may be held by those who merely look."""

log = logging.getLogger("safelight.worker")


class _Found(NamedTuple):
    """What a look into the queue gave: `version` of the history then, and whether others' wait."""

    version: int
    job: Job | None
    waits_for_others: bool


class Worker:
    """The worker of one data directory. `run` returns its exit status."""

    def __init__(
        self, directory: Path, read_settings: Callable[[], Settings] = load_user_settings
    ) -> None:
        """Raises `SettingsError`."""
        self._directory = directory
        self._read_settings = read_settings
        self._load_settings()
        self._serving = read_serving(directory)
        self._lock = WorkerLock(directory)
        self._patience = Patience(self._lock)
        self._is_leaving = False
        self._execution: JobExecution | None = None

    async def run(self) -> int:
        """Run jobs until idle for the configured minutes or told to leave (SIGTERM).

        Where another worker runs that may not take what was queued, wait for it to leave.
        """
        if not await self._take_turn():
            log.info("another worker has this data directory")
            return ALREADY_RUNNING
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        try:
            database, fencing_token = await self._patience.insist(self._open)
            try:
                await self._run_jobs(database, fencing_token)
            finally:
                await self._close_engines()
                database.close()
        except Unavailable as error:
            log.warning("leaving, which leaves the rest to the next worker: %s", error)
        finally:
            self._lock.release()
        return 0

    def _open(self) -> tuple[Database, int]:
        """The history, put right, and the token that this worker has from now on."""
        database = Database.open(self._directory)
        try:
            if database.is_read_only:
                self._refuse_read_only(database)
            return database, queue.recover(
                database,
                paid_engines=self._find_registry(self._settings.profile).paid_engines,
                serving=self._serving,
            )
        except BaseException:
            database.close()
            raise

    def _refuse_read_only(self, database: Database) -> None:
        """Raise `HistoryUnavailable` where the disk may be writable later, else `StoreError`."""
        if (find_form(self._directory) or 0) > VERSION:
            raise StoreError(f"A newer Safelight made the history {database.path}.")
        raise HistoryUnavailable(
            f"The history {database.path} cannot be written.",
            "Check who owns its folder and whether the disk is mounted read-only.",
        )

    async def _take_turn(self) -> bool:
        """Take the lock; False when that is not needed: a worker like this one is there."""
        turn = WorkerLock(self._directory, TURN_NAME)
        if self._lock.acquire(self._serving, 0):
            return True
        while not turn.acquire(self._serving, 0):
            if turn.is_held_by_like(self._serving):
                return False
            await asyncio.sleep(TURN_SECONDS)
        try:
            return await self._await_lock()
        finally:
            turn.release()

    async def _await_lock(self) -> bool:
        database = await self._patience.insist(functools.partial(Database.open, self._directory))
        began = time.monotonic()
        try:
            while not self._lock.acquire(self._serving, 0):
                # Somebody who merely looks holds the lock for an instant.
                if time.monotonic() - began > LOOKING_SECONDS and (
                    self._lock.is_held_by_like(self._serving)
                    or not await asyncio.to_thread(self._is_wanted, database)
                ):
                    return False
                await asyncio.sleep(TURN_SECONDS)
        finally:
            database.close()
        return True

    def _is_wanted(self, database: Database) -> bool:
        """Whether a job waits that this worker may run."""
        try:
            return count_waiting(database, self._serving)[0] > 0
        except Unavailable:
            return True  # It cannot be seen now.

    def _load_settings(self) -> None:
        # The files first: what is written while they are read is noticed at the next job.
        files = fingerprint_files()
        self._settings = self._read_settings()
        self._files = files
        self._registries = {self._settings.profile: EngineRegistry(self._settings)}

    async def _follow_settings(self) -> None:
        """Have the settings that stand in the files now. Raises `SettingsError`.

        To be called between the claim of a job and its run: so it is never run by older settings
        than those of whoever queued it.
        """
        if fingerprint_files() == self._files:
            return
        log.info("the settings have changed")
        await self._close_engines()
        for seconds in SETTINGS_SECONDS:
            try:
                self._load_settings()
            except SafelightError:
                await asyncio.sleep(seconds)  # Somebody may be writing them, or no file be opened.
            else:
                return
        self._load_settings()

    async def _close_engines(self) -> None:
        for registry in self._registries.values():
            await registry.close()

    def _leave(self) -> None:
        self._is_leaving = True
        if self._execution is not None:
            self._execution.give_back()
        self._patience.leave()

    async def _run_jobs(self, database: Database, fencing_token: int) -> None:
        """Raises `Unavailable` when told to leave while the history cannot be used."""
        insist = self._patience.insist
        await self._recover_spooled(database, fencing_token)
        busy_at = time.monotonic()
        while not self._is_leaving:
            try:
                found = await insist(functools.partial(self._look, database, fencing_token))
            except Superseded as error:
                log.info("leaving: %s", error)
                return
            if found.job is not None:
                await self._run_job(database, fencing_token, found.job)
                busy_at = time.monotonic()
            elif found.waits_for_others or time.monotonic() - busy_at > self._idle_seconds:
                # What waits may be for another program or other settings only.
                if await insist(functools.partial(self._try_to_leave, database)):
                    return
                await asyncio.sleep(LOOK_SECONDS)
            else:
                await self._wait_for_change(database, found.version, busy_at + self._idle_seconds)

    async def _recover_spooled(self, database: Database, fencing_token: int) -> None:
        """End the jobs that nobody runs and whose answers are in the spool."""
        insist = self._patience.insist
        listing = functools.partial(queue.list_spooled, database, fencing_token)
        for orphan in await insist(listing):
            recovery = functools.partial(self._recover, database, fencing_token, orphan)
            await insist(recovery, is_precious=True)

    def _look(self, database: Database, fencing_token: int) -> _Found:
        """The next job, claimed; one that is claimed already and that nobody runs comes first."""
        version = database.data_version()
        paid = self._find_registry(self._settings.profile).paid_engines
        job = queue.reclaim(database, fencing_token, paid)
        job = job or queue.claim(database, fencing_token, self._serving)
        # Counting them takes its time where many wait.
        if job is not None:
            return _Found(version, job, False)
        waits_for_others = count_waiting(database, self._serving)[1] > 0
        if not waits_for_others:
            job = series.take_next(database, fencing_token, self._serving)
            job = job or take_next(database, fencing_token, self._serving)
        return _Found(version, job, waits_for_others)

    def _try_to_leave(self, database: Database) -> bool:
        """Let go of the lock, unless there is something to do or somebody holds the start."""
        with try_startup_lock(self._directory) as is_held:
            if not is_held or self._has_work(database):
                return False
            self._lock.release()
            return True

    def _has_work(self, database: Database) -> bool:
        """Whether there is something to do for this worker; for others' jobs a run waits too.

        While the queue is paused there is not: whoever resumes it sees to a worker.
        """
        if is_queue_paused(database):
            return False
        waiting, others = count_waiting(database, self._serving)
        has_more = is_pending(database) or series.is_any_open(database)
        return waiting > 0 or (not others and has_more)

    @property
    def _idle_seconds(self) -> float:
        return self._settings.worker.idle_minutes * 60

    async def _run_job(self, database: Database, fencing_token: int, job: Job) -> None:
        log.info("job %s: %s", job.id, job.purpose.value)
        try:
            await self._follow_settings()
        except SafelightError as error:
            # Nobody's job fails by it: it waits for a worker that can read them.
            log.error("the settings cannot be read: %s", error)
            await self._end(
                database,
                job,
                functools.partial(queue.release, database, job.id, fencing_token),
            )
            self._is_leaving = True
            return
        try:
            registry = self._find_registry(job.profile)
        except SafelightError as error:
            kind = Failure.INVALID_REQUEST.value
            await self._end(
                database,
                job,
                functools.partial(queue.fail, database, job.id, fencing_token, kind, str(error)),
            )
            return
        self._execution = JobExecution(database, registry, job, fencing_token, self._patience)
        try:
            await self._execution.run()
        except Unavailable:
            raise
        except Exception:
            log.exception("job %s ended by a fault", job.id)
            # What a service has answered is on disk, whatever became of it here.
            await self._recover_spooled(database, fencing_token)
        finally:
            self._execution = None
        if job.request.engine in registry.paid_engines:
            await asyncio.to_thread(give_back)

    async def _end(self, database: Database, job: Job, ending: Callable[[], object]) -> None:
        """End a job that was not begun."""

        def end() -> None:
            if queue.get_job(database, job.id).state is JobState.RUNNING:
                ending()

        await self._patience.insist(end)

    def _find_registry(self, profile: str | None) -> EngineRegistry:
        """The engines as the host profile of a job has them, kept warm. Raises `SettingsError`."""
        if profile not in self._registries:
            self._registries[profile] = EngineRegistry(self._settings.for_profile(profile))
        return self._registries[profile]

    async def _wait_for_change(self, database: Database, version: int, until: float) -> None:
        while not self._is_leaving and time.monotonic() < until:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._lock.is_in_place():
                log.info("the data directory was taken away")
                self._is_leaving = True
                return
            try:
                if await asyncio.to_thread(database.data_version) != version:
                    return
            except Unavailable:
                return  # The next look waits for it to pass.

    def _recover(self, database: Database, fencing_token: int, job: Job) -> None:
        if queue.get_job(database, job.id).state is not JobState.RUNNING:
            return  # The disk failed just after the commit.
        try:
            answers = database.vault.read_spool(job.id)
            registry = self._find_registry(job.profile)
            if JobExecution(database, registry, job, fencing_token).recover(answers):
                log.info("job %s: recovered from its spool", job.id)
                return
        except Unavailable:
            raise  # The answers are there: they are read again.
        except SafelightError as error:
            log.warning("job %s: its spool could not be read: %s", job.id, error)
        queue.fail(
            database,
            job.id,
            fencing_token,
            Failure.OUTCOME_UNKNOWN.value,
            "The worker ended before the whole answer was there. It may have been charged. "
            "Trying again uses the same id and seed.",
            state=JobState.UNKNOWN,
        )
