"""What the worker records of an image that a service made badly or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from engines.base import EngineError, Failure, Run
from engines.registry import EngineRegistry
from engines.settings import BudgetSettings, Settings, WorkerSettings
from engines.stability.models import StabilitySettings
from engines.worker.job import JobExecution
from engines.worker.worker import Worker
from store import charges, queue
from store.database import Database
from store.records import Job, JobState, Purpose
from tests.engines.painter import MODEL
from tests.engines.stability.faults import frames
from tests.engines.stability.faults.answers import (
    END,
    HEAD,
    KEEPALIVE,
    REFUSAL,
    SEED,
    answer,
    artifact,
    picture,
)
from tests.engines.stability.faults.peer import Ending, Peer, Script
from tests.factories import make_hosted_request

IMAGE = frames.message(answer(artifact(), request_id=""))
WARNED = {
    "grpc-status": "13",
    "grpc-message": "worker lost",
    "safelight-warning-bin": "dGhlIHByb21wdCB3YXMgY3V0",
}
"""A status, and beside it what the server's engine warned of, as base64."""


@pytest.fixture
async def peer() -> AsyncGenerator[Peer, None]:
    running = Peer()
    await running.start()
    yield running
    await running.stop()


def set_up(peer: Peer) -> Settings:
    return Settings(
        engines={
            "stability": StabilitySettings(
                host=peer.host, models=(MODEL,), idle_seconds=5, is_free=False
            )
        },
        budget=BudgetSettings(prices={MODEL: 1.5}),
        worker=WorkerSettings(idle_minutes=0),
    )


async def run_job(directory: Path, peer: Peer, script: Script) -> Job:
    """The job of one image after the worker's part of it."""
    peer.begin(script)
    with Database.open(directory) as database:
        (job,) = queue.enqueue(database, [make_hosted_request(seed=SEED)])
        token = queue.recover(database, paid_engines={"stability"})
        claimed = queue.claim(database, token)
        assert claimed is not None
        await JobExecution(database, EngineRegistry(set_up(peer)), claimed, token).run()
        return queue.get_job(database, job.id)


@pytest.mark.parametrize(
    ("script", "state", "kind", "warning"),
    [
        (Script(steps=(HEAD, IMAGE, END)), JobState.DONE, None, None),
        (Script(steps=(HEAD, IMAGE)), JobState.DONE, None, "arrived"),
        (Script(steps=(HEAD, REFUSAL, END)), JobState.FAILED, Failure.FILTERED, None),
        (
            Script(steps=(HEAD, KEEPALIVE), ending=Ending.CLOSE),
            JobState.UNKNOWN,
            Failure.OUTCOME_UNKNOWN,
            None,
        ),
        (Script(steps=(HEAD, END)), JobState.FAILED, Failure.BAD_ANSWER, None),
        (
            Script(steps=(HEAD, frames.headers(dict(WARNED), ends=True))),
            JobState.FAILED,
            Failure.INTERNAL,
            "the prompt was cut",
        ),
    ],
    ids=["whole", "without an end", "refused", "broken off", "empty", "warned, then failed"],
)
async def test_the_record_says_how_it_ended_and_what_was_warned_of(
    tmp_path: Path,
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    state: JobState,
    kind: Failure | None,
    warning: str | None,
) -> None:
    monkeypatch.setattr("engines.stability.engine.TAIL_SECONDS", 0.2)
    job = await run_job(tmp_path, peer, script)
    assert (job.state, job.error_kind) == (state, kind)
    if warning is None:
        assert job.warning is None
    else:
        assert warning in (job.warning or "")


async def test_a_comparison_that_fails_keeps_the_warnings(tmp_path: Path, peer: Peer) -> None:
    done = await run_job(tmp_path, peer, Script(steps=(HEAD, IMAGE, END)))
    assert done.image_id is not None
    peer.begin(Script(steps=(HEAD, frames.headers(dict(WARNED), ends=True))))
    with Database.open(tmp_path) as database:
        queue.enqueue_comparison(database, done.image_id, Purpose.REGENERATE)
        token = queue.recover(database, paid_engines={"stability"})
        claimed = queue.claim(database, token)
        assert claimed is not None
        await JobExecution(database, EngineRegistry(set_up(peer)), claimed, token).run()
        job = queue.get_job(database, claimed.id)
    assert job.state is JobState.DONE
    assert job.warning == "the prompt was cut"


@pytest.mark.parametrize(
    ("last", "warning"),
    [((END,), None), ((), "The call failed after the answer had arrived.")],
    ids=["whole", "without an end"],
)
async def test_half_an_image_is_a_bad_answer_that_may_be_charged(
    tmp_path: Path,
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
    last: tuple[bytes, ...],
    warning: str | None,
) -> None:
    monkeypatch.setattr("engines.stability.engine.TAIL_SECONDS", 0.2)
    half = frames.message(answer(artifact(picture()[:-500]), request_id=""))
    job = await run_job(tmp_path, peer, Script(steps=(HEAD, half, *last)))
    assert (job.state, job.error_kind) == (JobState.FAILED, Failure.BAD_ANSWER)
    assert "cannot be used as the image" in (job.error or "")
    assert "may have been charged" in (job.error or "")
    assert (job.warning or "").startswith(warning or "")
    assert (job.warning is None) == (warning is None)
    with Database.open(tmp_path) as database:
        assert charges.sum_charges(database, 0.0) == 1.5
        assert len(database.vault.read_spool(job.id)) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "not enough memory"), (RecursionError(), "RecursionError while making")],
    ids=["memory", "a fault of ours"],
)
async def test_a_fault_after_sending_says_that_it_may_have_been_charged(
    tmp_path: Path,
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    words: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("engines.worker.job.make_thumbnail", fail)
    job = await run_job(tmp_path, peer, Script(steps=(HEAD, IMAGE, END)))
    assert (job.state, job.error_kind) == (JobState.FAILED, Failure.INTERNAL)
    assert words in (job.error or "")
    assert "may have charged" in (job.error or "") or "may have been charged" in (job.error or "")
    with Database.open(tmp_path) as database:
        assert charges.sum_charges(database, 0.0) == 1.5
        assert len(database.vault.read_spool(job.id)) == 1, "what was paid for is kept"


@pytest.mark.parametrize("answers", [1, 2])
async def test_after_a_crash_a_spooled_refusal_is_a_refusal(
    tmp_path: Path, peer: Peer, answers: int
) -> None:
    """The worker died between the filter's word and the record; the next one reads the spool."""
    peer.begin(Script(steps=(HEAD, *[REFUSAL] * answers, END)))
    settings = set_up(peer)
    with Database.open(tmp_path) as database:
        (job,) = queue.enqueue(database, [make_hosted_request(seed=SEED)])
        claimed = queue.claim(database, queue.recover(database, paid_engines={"stability"}))
        assert claimed is not None
        engine = EngineRegistry(settings).get_engine("stability")
        run = Run(id=job.id, spool=lambda data: database.vault.spool(job.id, data))
        with pytest.raises(EngineError):
            [event async for event in engine.generate(job.request, run)]
    assert await Worker(tmp_path, lambda: settings).run() == 0
    with Database.open(tmp_path) as database:
        after = queue.get_job(database, job.id)
    assert (after.state, after.error_kind) == (JobState.FAILED, Failure.FILTERED)
    assert "Invalid prompts detected" in (after.error or "")
    assert after.warning is None
