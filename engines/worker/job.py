"""Running one job: from a claimed row to a stored image, verdict or failure."""

from __future__ import annotations

import asyncio
import contextlib
import time
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
from engines.thinning import why_no_restore
from engines.verify import explain_failure, find_obstacle, verify_result
from store import charges, history, queue
from store.errors import SafelightError, StoreError
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


PROGRESS_SECONDS = 0.05
CANCEL_SECONDS = 0.1


class KeptFiles:
    """The input files that the store keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, sha256: str) -> bytes:
        """The file. Raises `StoreError`."""
        return read_input(self._database, sha256)


class JobExecution:
    """One job on its way: `run` ends it in the store, whatever happens."""

    def __init__(
        self, database: Database, registry: EngineRegistry, job: Job, fencing_token: int
    ) -> None:
        self._database = database
        self._registry = registry
        self._job = job
        self._fencing_token = fencing_token
        self._stages: list[Stage] = []
        self._warnings: list[str] = []
        self._notes: tuple[str, ...] = ()
        self._produced: Produced | None = None
        self._began = time.monotonic()
        self._reported = 0.0
        self._task: asyncio.Task[None] | None = None
        self._is_given_back = False

    async def run(self) -> None:
        """Make the image and store it; a failure is stored with its kind and text."""
        self._task = work = asyncio.create_task(self._work())
        watch = asyncio.create_task(self._watch_cancel(work))
        try:
            await work
        except asyncio.CancelledError:
            if not work.cancelled():
                raise
            if self._is_given_back:
                queue.release(self._database, self._job.id, self._fencing_token)
            else:
                self._fail(Failure.CANCELLED, f"Cancelled.{self._charge}", JobState.CANCELLED)
        except EngineError as error:
            self._end_with(error)
        except SafelightError as error:
            self._fail(Failure.INVALID_REQUEST, str(error))
        except MemoryError:
            text = f"There was not enough memory for this image, or for what came.{self._charge}"
            self._fail(Failure.INTERNAL, f"{text} End other programs, then retry the job.")
        except Exception as error:
            text = f"{type(error).__name__} while making the image.{self._charge}"
            self._fail(Failure.INTERNAL, text)
            raise
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    def give_back(self) -> None:
        """Stop and put the job back into the queue, unless it may already cost money."""
        if self._is_paid or self._task is None:
            return
        self._is_given_back = True
        self._task.cancel()

    @property
    def _is_paid(self) -> bool:
        return self._job.request.engine in self._registry.paid_engines

    @property
    def _charge(self) -> str:
        """What is to be said of the price where nobody knows how far it came; may be empty."""
        return " The service may have charged it all the same." if self._is_paid else ""

    @property
    def _warning(self) -> str | None:
        return " ".join(self._warnings) or None

    async def _watch_cancel(self, work: asyncio.Task[None]) -> None:
        while not work.done():
            await asyncio.sleep(CANCEL_SECONDS)
            if self._produced is None and queue.is_cancel_requested(self._database, self._job.id):
                work.cancel()
                return

    async def _work(self) -> None:
        job = self._job
        if job.purpose is Purpose.GENERATE:
            request = self._registry.pin(job.request)
            result = await self._make(self._get_engine(request), request)
            queue.finish(self._database, job, self._fencing_token, result)
        else:
            await self._compare()

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
            queue.record_wire(self._database, job.id, message)
        if price := self._registry.estimate_cost(request):
            charges.add_charge(self._database, job.id, price)
        try:
            async with contextlib.aclosing(engine.generate(request, run)) as events:
                async for event in events:
                    self._take(event)
            result = await asyncio.to_thread(self._build_result, environment)
        except EngineError as error:
            if price and not error.may_be_charged:
                charges.drop_charge(self._database, job.id)
            raise
        self._settle(result)
        return result

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

    async def _compare(self) -> None:
        job = self._job
        assert job.parent_id is not None
        image = history.get_image(self._database, job.parent_id)
        comparison = find_obstacle(self._database, self._registry, job, image)
        result = None
        if comparison is None:
            try:
                request = self._registry.pin(job.request, image.environment)
                result = await self._make(self._get_engine(request), request)
            except SafelightError as error:
                comparison = explain_failure(error)
            else:
                comparison = verify_result(self._database, image, result)
        if job.purpose is Purpose.RESTORE and (refusal := why_no_restore(image, result)):
            self._warnings.append(refusal)
        keeps = job.purpose is Purpose.REGENERATE or (
            job.purpose is Purpose.RESTORE and not refusal
        )
        queue.finish_comparison(
            self._database,
            job,
            self._fencing_token,
            comparison,
            result=result if keeps else None,
            environment=None if result is None else result.environment,
            warning=self._warning,
        )

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
