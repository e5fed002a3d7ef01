"""What the worker makes of an image that is made, or made again: verdict, record, progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from engines.base import (
    EngineError,
    Event,
    Failure,
    Produced,
    Progressed,
    Run,
    StageReached,
    Warned,
)
from engines.registry import EngineRegistry
from engines.worker.job import JobExecution, check_produced
from engines.worker.worker import Worker
from store import history, queue
from store.database import Database
from store.errors import FileUnavailable
from store.records import EnvironmentRecord, FinishReason, Image, Job, JobState, Purpose, Verdict
from store.request import Request
from tests.engines.worker.scripted import IMAGE, Scripted, make_settings, use
from tests.factories import SEED, make_hosted_request, make_plain, make_quick_request
from tests.store.helpers import execute

OTHER = msgspec.structs.replace(IMAGE, data=make_plain("red"))
STAGES = (
    StageReached(name="text", step=1, sha256="a" * 64),
    StageReached(name="latent", step=1, sha256="b" * 64),
)


async def work(directory: Path) -> None:
    assert await asyncio.wait_for(Worker(directory, make_settings).run(), 30) == 0


async def make(directory: Path, monkeypatch: pytest.MonkeyPatch, *events: Event) -> Image:
    """An image of the embedded engine that `events` tell of."""
    use(monkeypatch, Scripted(*(events or (*STAGES, IMAGE)), is_free=True))
    with Database.open(directory) as database:
        queue.enqueue(database, [make_quick_request(seed=SEED)], session="evening")
        await work(directory)
        return history.get_image(database, "@1")


async def compare(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    image: Image,
    purpose: Purpose,
    *events: Event | BaseException,
) -> Job:
    engine = use(monkeypatch, Scripted(*(events or (*STAGES, IMAGE)), is_free=True))
    with Database.open(directory) as database:
        job = queue.enqueue_comparison(database, image.id, purpose)
        await work(directory)
        assert engine.calls <= 1
        return queue.get_job(database, job.id)


async def test_the_record_holds_all_that_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = msgspec.structs.replace(
        IMAGE, meta={"answer": "7"}, environment=EnvironmentRecord(values={"engine": "its own"})
    )
    events = (Warned("one"), *STAGES, Warned("two"), told)
    image = await make(tmp_path, monkeypatch, *events)
    assert image.warning == "one two"
    assert [(stage.name, stage.step, stage.sha256[0]) for stage in image.stages] == [
        ("text", 1, "a"),
        ("latent", 1, "b"),
    ]
    assert image.environment is not None
    assert image.environment.values == {"engine": "its own"}
    assert image.meta == {"answer": "7"}, "a free image has no price"
    assert (image.width, image.height, image.seed) == (128, 128, SEED)
    assert (image.session, image.finish_reason) == ("evening", FinishReason.SUCCESS)
    assert 0 <= image.seconds < 30


class Interrupted(Scripted):
    """One whose first image meets a disk that is away for a moment."""

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        if not self.calls:
            self.calls += 1
            raise FileUnavailable("The disk is away.", "Wait.")
        async for event in super().generate(request, run):
            yield event


@pytest.mark.parametrize("purpose", [Purpose.VERIFY, Purpose.REGENERATE])
async def test_what_stood_in_the_way_for_a_moment_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: Purpose
) -> None:
    image = await make(tmp_path, monkeypatch)
    engine = use(monkeypatch, Interrupted(*STAGES, IMAGE, is_free=True))
    with Database.open(tmp_path) as database:
        job = queue.enqueue_comparison(database, image.id, purpose)
        await work(tmp_path)
        done = queue.get_job(database, job.id)
        [found] = history.list_verifications(database, image.id)
    assert (engine.calls, done.state) == (2, JobState.DONE)
    assert found.verdict is Verdict.IDENTICAL


async def test_without_a_word_of_its_own_the_engines_environment_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await make(tmp_path, monkeypatch)
    assert image.environment is not None
    assert image.environment.values == {"engine": "scripted"}
    assert image.warning is None


@pytest.mark.parametrize(
    ("events", "verdict", "first"),
    [
        ((*STAGES, IMAGE), Verdict.IDENTICAL, None),
        ((IMAGE,), Verdict.IDENTICAL, None),
        ((*STAGES, OTHER), Verdict.DIFFERENT, "pixels"),
        (
            (STAGES[0], StageReached(name="latent", step=1, sha256="c" * 64), IMAGE),
            Verdict.LATENTS_DRIFTED,
            "step 1",
        ),
        ((EngineError(Failure.INTERNAL, "A slip."),), Verdict.CANNOT_RUN, "engine"),
        ((), Verdict.IDENTICAL, None),
    ],
    ids=["same", "without stages", "other pixels", "drifted", "failed", "all"],
)
@pytest.mark.parametrize("purpose", [Purpose.VERIFY, Purpose.REGENERATE])
@pytest.mark.samples(4)
async def test_a_comparison_has_a_verdict_and_only_regenerating_keeps_an_image(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    events: Sequence[Event],
    verdict: Verdict,
    first: str | None,
    purpose: Purpose,
) -> None:
    image = await make(tmp_path, monkeypatch)
    job = await compare(tmp_path, monkeypatch, image, purpose, *events)
    assert (job.state, job.error) == (JobState.DONE, None)
    with Database.open(tmp_path) as database:
        [found] = history.list_verifications(database, image.id)
        images = history.list_images(database)
    assert (found.verdict, found.first_difference) == (verdict, first)
    assert (found.environment_digest is None) is (verdict is Verdict.CANNOT_RUN)
    keeps = purpose is Purpose.REGENERATE and verdict is not Verdict.CANNOT_RUN
    assert len(images) == 1 + keeps
    assert (found.regenerated_id is not None) is keeps
    if keeps:
        assert images[0].parent_id == image.id


async def test_what_was_changed_in_the_record_is_told_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await make(tmp_path, monkeypatch)
    with Database.open(tmp_path) as database:
        queue.enqueue_comparison(database, image.id, Purpose.VERIFY)
        execute(tmp_path, "UPDATE image SET width = 999")
        engine = use(monkeypatch, Scripted(is_free=True))
        await work(tmp_path)
        [found] = history.list_verifications(database, image.id)
    assert (found.verdict, found.first_difference) == (Verdict.DIFFERENT, "width")
    assert engine.calls == 0


@pytest.mark.parametrize(
    ("event", "is_thinned", "warning"),
    [
        (IMAGE, False, None),
        (OTHER, True, "other pixels"),
        (EngineError(Failure.INTERNAL, "A slip."), True, "not made again"),
    ],
    ids=["its file", "another image", "failed"],
)
async def test_only_its_own_file_restores_an_image(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    event: Event | BaseException,
    is_thinned: bool,
    warning: str | None,
) -> None:
    image = await make(tmp_path, monkeypatch)
    await compare(tmp_path, monkeypatch, image, Purpose.VERIFY)
    execute(tmp_path, "INSERT INTO thinned VALUES (?, 1, 1.0)", image.number)
    image.path.unlink()
    job = await compare(tmp_path, monkeypatch, image, Purpose.RESTORE, event)
    assert job.state is JobState.DONE
    assert (job.warning is None) is (warning is None)
    assert (warning or "") in (job.warning or "")
    with Database.open(tmp_path) as database:
        [after] = history.list_images(database)
        assert after.is_thinned is is_thinned
        assert image.path.is_file() is not is_thinned
        if not is_thinned:
            assert history.read_image(database, after) == IMAGE.data


# Progress


async def watch(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *events: Event, now: Sequence[float] = ()
) -> Job:
    """The job as others see it when the engine has given `events` and is not done yet."""
    engine = use(monkeypatch, Scripted(*events, holds_end=True))
    with Database.open(directory) as database:
        [job] = queue.enqueue(database, [make_hosted_request(seed=SEED)])
        token = queue.recover(database, paid_engines=["stability"])
        claimed = queue.claim(database, token)
        assert claimed is not None
        clock = iter(now)
        if now:
            stopped = SimpleNamespace(monotonic=lambda: next(clock, now[-1]))
            monkeypatch.setattr("engines.worker.job.time", stopped)
        execution = JobExecution(database, EngineRegistry(make_settings()), claimed, token)
        task = asyncio.create_task(execution.run())
        await asyncio.wait_for(engine.given.wait(), 30)
        seen = queue.get_job(database, job.id)
        monkeypatch.undo()
        engine.go_on.set()
        await asyncio.wait_for(task, 30)
        return seen


async def test_others_see_how_far_it_is_and_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (Progressed(step=1, steps=10), Progressed(step=4, steps=10, preview=b"small"))
    # It began at 100; the second step is told 8 seconds later.
    seen = await watch(tmp_path, monkeypatch, *steps, now=(100.0, 102.0, 108.0))
    assert (seen.step, seen.steps, seen.preview) == (4, 10, b"small")
    assert seen.seconds_left == pytest.approx(12.0)


async def test_steps_that_follow_each_other_at_once_are_not_all_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [Progressed(step=step, steps=10) for step in (1, 2, 3)]
    seen = await watch(tmp_path, monkeypatch, *steps, now=(100.0, 102.0, 102.01, 102.04))
    assert seen.step == 1
    last = Progressed(step=10, steps=10)
    seen = await watch(tmp_path / "last", monkeypatch, *steps, last, now=(100.0, 102.0, 102.01))
    assert (seen.step, seen.seconds_left) == (10, 0.0)
    begun = Progressed(step=0, steps=10)
    seen = await watch(tmp_path / "begun", monkeypatch, begun, now=(100.0, 102.0))
    assert (seen.step, seen.steps, seen.seconds_left) == (0, 10, None)


# What came


def refuse(produced: Produced | None, *, is_paid: bool = False, said: str = "") -> EngineError:
    with pytest.raises(EngineError) as caught:
        check_produced(produced, is_paid=is_paid, said=said)
    return caught.value


def test_what_came_is_an_image_or_an_error_in_words() -> None:
    assert check_produced(IMAGE, is_paid=True).size == (128, 128)
    assert "without an image" in refuse(None).message
    assert refuse(None).kind is Failure.BAD_ANSWER
    empty = Produced(data=None, mime="", seed=1)
    assert refuse(empty).kind is Failure.BAD_ANSWER
    withheld = msgspec.structs.replace(empty, finish_reason=FinishReason.FILTER)
    assert refuse(withheld).kind is Failure.FILTERED
    assert refuse(withheld).message == "The service withheld the image."
    assert refuse(withheld, said="Too red.").message == "Too red."
    half = msgspec.structs.replace(IMAGE, data=(IMAGE.data or b"")[:-30])
    free, paid = refuse(half), refuse(half, is_paid=True)
    assert (free.kind, free.may_be_charged) == (Failure.BAD_ANSWER, False)
    assert (paid.kind, paid.may_be_charged) == (Failure.BAD_ANSWER, True)
    assert "cannot be used as the image" in free.message
    assert "kept as it came" in paid.message
    assert "kept as it came" not in free.message


@pytest.mark.parametrize(
    ("reason", "meta"),
    [
        (FinishReason.SUCCESS, {"cost estimate": "about 1.5 credits", "credits": "1.5"}),
        (
            FinishReason.FILTER,
            {"cost estimate": "nothing: the service's filter had it", "credits": "0"},
        ),
    ],
)
async def test_the_record_of_a_paid_image_says_what_it_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: FinishReason, meta: dict[str, str]
) -> None:
    use(monkeypatch, Scripted(msgspec.structs.replace(IMAGE, finish_reason=reason)))
    with Database.open(tmp_path) as database:
        queue.enqueue(database, [make_hosted_request(seed=SEED)])
        await work(tmp_path)
        assert history.get_image(database, "@1").meta == meta
