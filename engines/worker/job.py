"""Running one job: from a claimed row to a stored image, verdict or failure."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from engines.base import (
    Engine,
    EngineError,
    Failure,
    Produced,
    Progressed,
    Run,
    StageReached,
    Warned,
)
from engines.cost import check_budget, describe_cost, show_credits
from engines.memory import forget_frames
from engines.thinning import why_no_restore
from engines.verify import explain_failure, find_obstacle, verify_result
from engines.worker.patience import Patience, explain
from store import charges, history, queue
from store.errors import (
    HistoryUnavailable,
    SafelightError,
    StoreError,
    Unavailable,
)
from store.inputs import list_notes, read_input
from store.pixels import digest_pixels, make_thumbnail, open_image
from store.records import (
    EnvironmentRecord,
    FinishReason,
    Job,
    JobState,
    Purpose,
    Result,
    Stage,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from engines.registry import EngineRegistry
    from store.database import Database
    from store.request import Request


Ending = Callable[[], object]
"""Records how a job ended; in a thread, and again where the history does not take it."""

TRIES = 8
"""How often the work is begun again for a file or the system, before the job fails: a minute."""

PROGRESS_SECONDS = 0.05
CANCEL_SECONDS = 0.1

log = logging.getLogger("safelight.worker")


class KeptFiles:
    """The input files that the store keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, sha256: str) -> bytes:
        """The file. Raises `StoreError`."""
        return read_input(self._database, sha256)


class JobExecution:
    """One job on its way: `run` ends it in the store, whatever happens.

    `patience` waits where the history or a disk does not let it. What is in the way before an
    image is there is waited for and the work begun again, as long as nothing was sent to a paid
    service; the end with its image is kept until it is recorded.
    """

    def __init__(
        self,
        database: Database,
        registry: EngineRegistry,
        job: Job,
        fencing_token: int,
        patience: Patience | None = None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._job = job
        self._fencing_token = fencing_token
        self._patience = patience or Patience()
        self._task: asyncio.Task[Ending] | None = None
        self._is_given_back = False
        self._has_charge = False
        self._is_sent = False
        self._reported = 0.0
        self._begin()

    def _begin(self) -> None:
        """As if nothing was made yet."""
        self._stages: list[Stage] = []
        self._warnings: list[str] = []
        self._notes: tuple[str, ...] = ()
        self._produced: Produced | None = None
        self._began = time.monotonic()

    async def run(self) -> None:
        """Make the image and store it; a failure is stored with its kind and text.

        Raises `Unavailable` when the worker leaves before the end could be recorded: the next one
        has the job again.
        """
        self._task = work = asyncio.create_task(self._work())
        watch = asyncio.create_task(self._watch_cancel(work))
        try:
            ending = await self._find_ending(work)
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        await self._record(ending)

    async def _find_ending(self, work: asyncio.Task[Ending]) -> Ending:
        """How the job is to be ended in the store, once `work` is over."""
        try:
            return await self._await(work)
        except asyncio.CancelledError:
            if not work.cancelled():
                raise
            if self._is_given_back:
                return self._release
            return self._cancel
        except EngineError as error:
            return functools.partial(self._end_with, error)
        except StoreError as error:
            return functools.partial(self._fail, Failure.STORAGE, f"{error}{self._may_be_charged}")
        except SafelightError as error:
            return functools.partial(self._fail, Failure.INVALID_REQUEST, str(error))
        except MemoryError:
            text = "There was not enough memory for this image, or for what came."
            text = f"{text}{self._may_be_charged} End other programs, then retry the job."
            return functools.partial(self._fail, Failure.INTERNAL, text)
        except Exception as error:
            log.exception("job %s ended by a fault", self._job.id)
            text = f"{type(error).__name__} while making the image.{self._may_be_charged}"
            return functools.partial(self._fail, Failure.INTERNAL, text)

    async def _await(self, work: asyncio.Task[Ending]) -> Ending:
        """What `work` gives; its failure holds nothing of what was read any more."""
        try:
            return await work
        except Exception as error:
            forget_frames(error)
            raise

    async def _record(self, ending: Ending) -> None:
        """Do `ending`, however long a disk or another program stands in the way."""
        # What a paid service made cannot be made again for nothing.
        is_precious = self._is_sent and self._is_paid
        is_again = False

        def record() -> None:
            nonlocal is_again
            try:
                if is_again:
                    now = queue.get_job(self._database, self._job.id)
                    if now.state is not JobState.RUNNING:
                        return  # The disk failed just after the commit.
                    if now.cancel_requested and not is_precious:
                        self._cancel()
                        return
                ending()
            except Unavailable:
                is_again = True
                raise

        await self._patience.insist(record, is_precious=is_precious)

    def give_back(self) -> None:
        """Stop and put the job back into the queue, unless it may already cost money."""
        if (self._is_paid and self._is_sent) or self._task is None:
            return
        self._is_given_back = True
        self._task.cancel()

    @property
    def _is_paid(self) -> bool:
        return self._job.request.engine in self._registry.paid_engines

    @property
    def _warning(self) -> str | None:
        return " ".join(self._warnings) or None

    async def _watch_cancel(self, work: asyncio.Task[Ending]) -> None:
        while not work.done():
            await asyncio.sleep(CANCEL_SECONDS)
            if self._produced is not None:
                continue
            try:
                is_wanted = await asyncio.to_thread(
                    queue.is_cancel_requested, self._database, self._job.id
                )
            except StoreError:
                continue  # A history that is busy now may be asked again.
            if is_wanted and self._produced is None:
                work.cancel()
                return

    async def _work(self) -> Ending:
        """Make what is to be made, again where something only stood in the way."""
        tries = 0
        while True:
            try:
                ending = await self._attempt()
            except (Unavailable, OSError) as error:
                if self._is_sent and self._is_paid:
                    raise
                trouble = error if isinstance(error, Unavailable) else explain(error)
                tries += 1
                if tries >= TRIES and not isinstance(trouble, HistoryUnavailable):
                    # It can be said: nobody need wait for a file that nobody may read.
                    raise trouble from error
                await self._patience.wait(trouble)
                self._begin()
            else:
                self._patience.go_on()
                return ending

    async def _attempt(self) -> Ending:
        job = self._job
        if job.purpose is not Purpose.GENERATE:
            return await self._compare()
        request = self._registry.pin(job.request)
        result = await self._make(self._get_engine(request), request)
        return functools.partial(queue.finish, self._database, job, self._fencing_token, result)

    def _get_engine(self, request: Request) -> Engine:
        engine = self._registry.get_engine(request.engine)
        engine.capabilities.check(request)
        return engine

    async def _make(self, engine: Engine, request: Request) -> Result:
        """The image of `request`: that of the job, its model pinned to a revision."""
        job = self._job
        self._notes = list_notes(self._database, job.request)
        environment = engine.environment()
        spool = self._database.vault.spool
        run = Run(
            id=job.id,
            spool=lambda data: spool(job.id, data),
            inputs=KeptFiles(self._database),
        )
        message = engine.wire_message(request, run)
        check_budget(self._database, [request], self._registry.settings, is_queued=True)
        if message is not None:
            await self._patience.insist(
                functools.partial(queue.record_wire, self._database, job.id, message)
            )
        if price := self._registry.estimate_cost(request):
            count = functools.partial(charges.count_charges, self._database, job.id)
            place = await self._patience.insist(count) + 1
            await self._patience.insist(functools.partial(self._add_charge, price, place))
        self._is_sent = True
        try:
            async with contextlib.aclosing(engine.generate(request, run)) as events:
                async for event in events:
                    self._take(event)
            result = await asyncio.to_thread(self._build_result, environment)
        except EngineError as error:
            if not error.may_be_charged:
                await self._patience.insist(self._drop_charge, is_precious=self._is_paid)
            raise
        await self._patience.insist(
            functools.partial(self._settle, result), is_precious=self._is_paid
        )
        return result

    def _add_charge(self, price: float, place: int) -> None:
        charges.add_charge(self._database, self._job.id, price, place)
        self._has_charge = True

    def _drop_charge(self) -> None:
        if self._has_charge:
            charges.drop_charge(self._database, self._job.id)
            self._has_charge = False

    def _settle(self, result: Result) -> None:
        """A filtered image is not charged."""
        if result.finish_reason is FinishReason.FILTER:
            charges.drop_charge(self._database, self._job.id)

    def recover(self, answers: list[bytes]) -> bool:
        """Store the result that was spooled before a crash, or that the image was withheld.

        False when the answers tell neither.
        """
        engine = self._get_engine(self._registry.pin(self._job.request))
        self._notes = list_notes(self._database, self._job.request)
        for event in engine.recover(self._job.request, answers):
            self._take(event)
        if self._produced is None:
            return False
        try:
            result = self._build_result(engine.environment())
        except EngineError as error:
            if error.kind is not Failure.FILTERED:
                raise
            charges.drop_charge(self._database, self._job.id)
            self._end_with(error)
        else:
            self._settle(result)
            queue.finish(self._database, self._job, self._fencing_token, result)
        return True

    def _take(self, event: object) -> None:
        if isinstance(event, Progressed):
            self._report(event)
        elif isinstance(event, StageReached):
            self._stages.append(Stage(name=event.name, step=event.step, sha256=event.sha256))
        elif isinstance(event, Warned):
            self._warnings.append(event.text)
        elif isinstance(event, Produced):
            self._produced = event

    def _report(self, event: Progressed) -> None:
        now = time.monotonic()
        if now - self._reported < PROGRESS_SECONDS and event.step < event.steps:
            return
        self._reported = now
        left = None
        if event.step:
            left = (now - self._began) / event.step * (event.steps - event.step)
        self._database.progress.write(self._job.id, event.step, event.steps, left, event.preview)

    def _build_result(self, environment: EnvironmentRecord) -> Result:
        produced, said = self._produced, self._warning
        try:
            image = check_produced(produced, is_paid=self._is_paid, said=said or "")
        except EngineError as error:
            if error.kind is Failure.FILTERED:
                self._warnings.clear()  # the failure says it
            raise
        assert produced is not None
        return make_result(
            produced,
            image,
            warning=" ".join((*self._notes, *self._warnings)) or None,
            seconds=round(time.monotonic() - self._began, 3),
            environment=produced.environment or environment,
            stages=tuple(self._stages),
            meta=self._describe_cost(produced),
        )

    def _describe_cost(self, produced: Produced) -> dict[str, str]:
        """What the record says of the price; nothing where images are free."""
        price = self._registry.estimate_cost(self._job.request)
        if price == 0:
            return {}
        if produced.finish_reason is FinishReason.FILTER:
            return {"cost estimate": "nothing: the service's filter had it", "credits": "0"}
        known = "unknown" if price is None else show_credits(price)
        return {"cost estimate": describe_cost(price), "credits": known}

    async def _compare(self) -> Ending:
        job = self._job
        assert job.parent_id is not None
        image = history.get_image(self._database, job.parent_id)
        comparison = find_obstacle(self._database, self._registry, job, image)
        result = None
        if comparison is None:
            try:
                request = self._registry.pin(job.request, image.environment)
                result = await self._make(self._get_engine(request), request)
            except Unavailable:
                raise  # No verdict: it may go well a moment later.
            except SafelightError as error:
                comparison = explain_failure(error)
            else:
                comparison = verify_result(self._database, image, result)
        if job.purpose is Purpose.RESTORE and (refusal := why_no_restore(image, result)):
            self._warnings.append(refusal)
        keeps = job.purpose is Purpose.REGENERATE or (
            job.purpose is Purpose.RESTORE and not refusal
        )
        return functools.partial(
            queue.finish_comparison,
            self._database,
            job,
            self._fencing_token,
            comparison,
            result=result if keeps else None,
            environment=None if result is None else result.environment,
            warning=self._warning,
        )

    @property
    def _may_be_charged(self) -> str:
        """What is to be said of the price where nobody knows how far it came; may be empty."""
        if not (self._is_paid and self._is_sent):
            return ""
        return " The service may have charged it all the same."

    def _cancel(self) -> None:
        if not self._is_sent:
            self._drop_charge()
        text = f"Cancelled.{self._may_be_charged}"
        self._fail(Failure.CANCELLED, text, JobState.CANCELLED)

    def _release(self) -> None:
        self._drop_charge()
        queue.release(self._database, self._job.id, self._fencing_token)

    def _end_with(self, error: EngineError) -> None:
        if error.kind is Failure.OUTCOME_UNKNOWN:
            self._fail(error.kind, str(error), JobState.UNKNOWN)
        else:
            self._fail(error.kind, str(error))

    def _fail(self, kind: Failure, text: str, state: JobState = JobState.FAILED) -> None:
        queue.fail(
            self._database,
            self._job.id,
            self._fencing_token,
            kind.value,
            text,
            state=state,
            warning=self._warning,
        )


def check_produced(produced: Produced | None, *, is_paid: bool, said: str = "") -> Image:
    """The decoded image of `produced`; the only place where it is decoded to its end.

    Raises `EngineError`: FILTERED when it was withheld (`said`: by the engine, about that),
    BAD_ANSWER when there is none or it is damaged, which may be charged if `is_paid`.
    """
    if produced is None or produced.data is None:
        if produced is not None and produced.finish_reason is FinishReason.FILTER:
            raise EngineError(
                Failure.FILTERED,
                said or "The service withheld the image.",
                "Change the prompts; nothing is charged for a withheld image.",
            )
        raise EngineError(Failure.BAD_ANSWER, "The engine ended without an image.")
    try:
        return open_image(produced.data)
    except StoreError as error:
        text = f"What came cannot be used as the image. {error.message}"
        if not is_paid:
            raise EngineError(Failure.BAD_ANSWER, text) from None
        raise EngineError(
            Failure.BAD_ANSWER,
            f"{text} It is kept as it came.",
            "It may have been charged. Retry the job if you want it made again.",
            may_be_charged=True,
        ) from None


def make_result(
    produced: Produced,
    image: Image,
    *,
    warning: str | None,
    seconds: float,
    environment: EnvironmentRecord,
    stages: tuple[Stage, ...],
    meta: dict[str, str],
) -> Result:
    """What is stored of `produced`, decoded as `image`. Hashes megabytes: for a thread."""
    assert produced.data is not None
    return Result(
        data=produced.data,
        mime=produced.mime,
        seed=produced.seed,
        width=image.width,
        height=image.height,
        pixels_sha256=digest_pixels(image),
        thumbnail=make_thumbnail(image),
        finish_reason=produced.finish_reason,
        warning=warning,
        seconds=seconds,
        environment=environment,
        stages=stages,
        meta=produced.meta | meta,
    )
