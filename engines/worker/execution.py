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
from engines.comparison import compare, judge_record, measure_psnr
from store import history, queue
from store.errors import SafelightError, StoreError
from store.inputs import read_input
from store.pixels import digest_pixels, make_thumbnail, open_image
from store.records import (
    Comparison,
    EnvironmentRecord,
    FinishReason,
    Image,
    Job,
    JobState,
    Purpose,
    Result,
    Stage,
    Verdict,
)

if TYPE_CHECKING:
    from engines.registry import EngineRegistry
    from store.database import Database

PROGRESS_SECONDS = 0.05
CANCEL_SECONDS = 0.1


class JobExecution:
    """One job on its way: `run` ends it in the store, whatever happens."""

    def __init__(self, database: Database, registry: EngineRegistry, job: Job, epoch: int) -> None:
        self._database = database
        self._registry = registry
        self._job = job
        self._epoch = epoch
        self._stages: list[Stage] = []
        self._warnings: list[str] = []
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
                queue.release(self._database, self._job.id, self._epoch)
            else:
                charge = " The service may have charged it all the same." if self._is_paid else ""
                self._fail(Failure.CANCELLED, f"Cancelled.{charge}", JobState.CANCELLED)
        except EngineError as error:
            self._end_with(error)
        except SafelightError as error:
            self._fail(Failure.INVALID_REQUEST, str(error))
        except Exception as error:
            self._fail(Failure.INTERNAL, f"{type(error).__name__} while making the image.")
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
    def _warning(self) -> str | None:
        return " ".join(self._warnings) or None

    async def _watch_cancel(self, work: asyncio.Task[None]) -> None:
        while not work.done():
            await asyncio.sleep(CANCEL_SECONDS)
            if queue.is_cancel_requested(self._database, self._job.id):
                work.cancel()
                return

    async def _work(self) -> None:
        job = self._job
        if job.purpose is Purpose.GENERATE:
            engine = self._get_engine()
            result = await self._make(engine)
            queue.finish(self._database, job, self._epoch, result)
        else:
            await self._compare()

    def _get_engine(self) -> Engine:
        engine = self._registry.get_engine(self._job.request.engine)
        engine.capabilities.check(self._job.request)
        return engine

    async def _make(self, engine: Engine) -> Result:
        job = self._job
        environment = engine.environment()
        spool = self._database.vault.spool
        run = Run(
            id=job.id,
            spool=lambda data: spool(job.id, data),
            read_input=lambda sha256: read_input(self._database, sha256),
        )
        message = engine.wire_message(job.request, run)
        if message is not None:
            queue.record_wire(self._database, job.id, message)
        async with contextlib.aclosing(engine.generate(job.request, run)) as events:
            async for event in events:
                self._take(event)
        return self._build_result(environment)

    def recover(self, answers: list[bytes]) -> bool:
        """Store the result that was spooled before a crash, or that the image was withheld.

        False when the answers tell neither.
        """
        engine = self._get_engine()
        for event in engine.recover(self._job.request, answers):
            self._take(event)
        if self._produced is None:
            return False
        try:
            result = self._build_result(engine.environment())
        except EngineError as error:
            if error.kind is not Failure.FILTERED:
                raise
            self._end_with(error)
        else:
            queue.finish(self._database, self._job, self._epoch, result)
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
        self._database.live.write(self._job.id, event.step, event.steps, left, event.preview)

    def _build_result(self, environment: EnvironmentRecord) -> Result:
        produced = self._produced
        if produced is None or produced.data is None:
            if produced is not None and produced.finish_reason is FinishReason.FILTER:
                said = self._warning or "The service withheld the image."
                self._warnings.clear()
                raise EngineError(
                    Failure.FILTERED,
                    said,
                    "Change the prompts; nothing is charged for a withheld image.",
                )
            raise EngineError(Failure.BAD_ANSWER, "The engine ended without an image.")
        try:
            image = open_image(produced.data)
        except StoreError as error:
            raise EngineError(Failure.BAD_ANSWER, error.message) from None
        return Result(
            data=produced.data,
            mime=produced.mime,
            seed=produced.seed,
            width=image.width,
            height=image.height,
            pixels_sha256=digest_pixels(image),
            thumbnail=make_thumbnail(image),
            finish_reason=produced.finish_reason,
            warning=self._warning,
            seconds=round(time.monotonic() - self._began, 3),
            environment=environment,
            stages=tuple(self._stages),
            meta=produced.meta,
        )

    async def _compare(self) -> None:
        job = self._job
        assert job.parent_id is not None
        image = history.get_image(self._database, job.parent_id)
        comparison = self._find_obstacle(image)
        result = None
        if comparison is None:
            try:
                result = await self._make(self._get_engine())
            except SafelightError as error:
                comparison = _explain(error)
            else:
                comparison = self._judge(image, result)
        keeps_child = job.purpose is Purpose.REGENERATE
        queue.finish_comparison(
            self._database,
            job,
            self._epoch,
            comparison,
            result=result if keeps_child else None,
            warning=self._warning,
        )

    def _find_obstacle(self, image: Image) -> Comparison | None:
        if (comparison := judge_record(self._database, image)) is not None:
            return comparison
        if self._job.purpose is Purpose.REGENERATE:
            return None
        capabilities = self._registry.get_capabilities(image.request.engine)
        if capabilities.is_deterministic:
            return None
        return Comparison(verdict=Verdict.NOT_VERIFIABLE, detail=capabilities.why_not)

    def _judge(self, image: Image, result: Result) -> Comparison:
        now = open_image(result.data)
        damage = ""
        try:
            then = open_image(history.read_image(self._database, image))
        except StoreError as error:
            then, damage = now, str(error)
        else:
            if digest_pixels(then) != image.pixels_sha256:
                damage = "The pixels in the stored file are not those of the record."
        comparison = compare(
            pixels_then=image.pixels_sha256,
            pixels_now=result.pixels_sha256,
            stages_then=image.stages,
            stages_now=result.stages,
            environment_then=image.environment,
            environment_now=result.environment,
            psnr_db=None if damage else measure_psnr(then, now),
        )
        if not damage:
            return comparison
        return Comparison(
            verdict=Verdict.DIFFERENT,
            pixels_sha256_now=result.pixels_sha256,
            first_difference="file",
            detail=f"{damage} Made again: {comparison.detail}",
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
            self._epoch,
            kind.value,
            text,
            state=state,
            warning=self._warning,
        )


def _explain(error: SafelightError) -> Comparison:
    where = "model" if isinstance(error, EngineError) else "request"
    if isinstance(error, EngineError) and error.kind not in (
        Failure.DAMAGED_MODEL,
        Failure.MODEL_GONE,
    ):
        where = "engine"
    return Comparison(verdict=Verdict.CANNOT_RUN, first_difference=where, detail=str(error))
