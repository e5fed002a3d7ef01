"""Hundreds of ways for a server to go wrong: each ends in a named state and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.base import EngineError, Event, Failure, Produced, Run, Warned
from engines.stability.answers import is_keepalive
from engines.stability.engine import StabilityEngine
from engines.worker.job import check_produced
from store.pixels import open_image
from store.records import FinishReason
from tests.engines.hosted import make_engine
from tests.engines.painter import Painter
from tests.engines.stability.faults import (
    answer_cases,
    handshake_cases,
    status_cases,
    stream_cases,
)
from tests.engines.stability.faults.answers import END, HEAD, IMAGE, RUN, SEED
from tests.engines.stability.faults.cases import IDLE, LOST, UNKNOWN, UNREACHABLE, Case, Ends
from tests.engines.stability.faults.peer import Ending, Peer, Script
from tests.engines.stability.faults.proxy import Cut, Proxy
from tests.engines.stability.server import Behaviour, Server
from tests.factories import make_hosted_request
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = [
    *stream_cases.CASES,
    *status_cases.CASES,
    *handshake_cases.CASES,
    *answer_cases.CASES,
]
GUARD_SECONDS = 30
REQUEST = make_hosted_request(seed=SEED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer() -> AsyncGenerator[Peer, None]:
    """One server for all scripts, after a first good call: gRPC keeps some descriptors."""
    running = Peer()
    await running.start()
    running.begin(Script(steps=(HEAD, IMAGE, END)))
    await make(make_engine(running.host), Run(id=RUN, spool=running.spool))
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy() -> AsyncGenerator[Proxy, None]:
    """A proxy before a server that behaves."""
    async with Server(Painter()) as server:
        running = Proxy(server.host)
        await running.start()
        await make(make_engine(running.host))
        yield running
        await running.stop()


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.stability.engine.TAIL_SECONDS", IDLE)
    monkeypatch.setattr("engines.stability.engine.CONNECT_SECONDS", 1.0)


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch, peer: Peer) -> None:
    """The peer is told of each answer that the client has read."""

    def count(data: bytes) -> bool:
        peer.count_read()
        return is_keepalive(data)

    monkeypatch.setattr("engines.stability.engine.is_keepalive", count)


@pytest.fixture(scope="module", autouse=True)
def _no_collector() -> Iterator[None]:
    """What is let go of must be gone at once, not when the garbage collector comes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def list_descriptors() -> list[str]:
    """What is open: files, pipes, connections. gRPC's pollers come and go as it likes."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return [name for name in found if not name.startswith("anon_inode:")]


async def make(engine: StabilityEngine, run: Run | None = None) -> list[Event]:
    """The events of one image, which is checked as a job does it, to its end.

    Nothing may take longer than the guard.
    """
    async with asyncio.timeout(GUARD_SECONDS):
        events = [event async for event in engine.generate(REQUEST, run or Run(id=RUN))]
    *_, produced = events
    assert isinstance(produced, Produced)
    check_produced(produced, is_paid=engine.capabilities.is_paid)
    return events


def list_tasks() -> set[asyncio.Task[Any]]:
    """The tasks of the loop, but for that in which the server beside the client awaits a call.

    A newer gRPC makes another one of these after each call.
    """
    found = asyncio.all_tasks()
    return {task for task in found if "_request_call" not in repr(task)}


class Trace:
    """The tasks and descriptors before a case. `check` waits until no others are left."""

    def __init__(self) -> None:
        self._tasks = list_tasks()
        self._descriptors = list_descriptors()

    async def check(self) -> None:
        try:
            async with asyncio.timeout(GUARD_SECONDS):
                await wait_for(self._is_clean)
        except TimeoutError:
            tasks = list_tasks() - self._tasks
            more = sorted(set(list_descriptors()) - set(self._descriptors))
            pytest.fail(f"left: {tasks}, {more}")

    def _is_clean(self) -> bool:
        is_idle = list_tasks() <= self._tasks
        return is_idle and len(list_descriptors()) <= len(self._descriptors)


async def test_there_are_at_least_200_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.samples(135)
async def test_each_fault_ends_in_its_state_and_leaves_nothing(peer: Peer, case: Case) -> None:
    trace = Trace()
    peer.begin(case.script)
    # A reset at once after the request escapes gRPC now and then, until the watchdog looks.
    engine = make_engine(peer.host, "sk-1", **{"idle_seconds": 2.0} | case.options)
    if case.ends.kind is None:
        check_image(await make(engine, Run(id=RUN, spool=peer.spool)), case.ends)
    else:
        with pytest.raises(EngineError) as caught:
            await make(engine, Run(id=RUN, spool=peer.spool))
        check_error(caught.value, case.ends, case.or_ends)
        del caught
    await trace.check()
    assert peer.received.count(RUN.encode()) <= 1, "nothing is ever sent twice"
    check_spool(engine, peer.spooled, case.ends)


def check_image(events: list[Event], ends: Ends) -> None:
    *warned, produced = events
    assert isinstance(produced, Produced)
    assert produced.data == ends.data
    assert produced.finish_reason is ends.reason
    texts = [event.text for event in warned if isinstance(event, Warned)]
    assert len(texts) == (1 if ends.words else 0), texts
    assert ends.words in "".join(texts)
    assert "charged" not in "".join(texts)
    assert all(text.isprintable() for text in texts)


def check_error(error: EngineError, ends: Ends, or_ends: Ends | None = None) -> None:
    if or_ends is not None and error.kind in (or_ends.kind, or_ends.late_kind):
        ends = or_ends
    assert error.kind in (ends.kind, ends.late_kind), error.message
    assert error.may_be_charged is ends.is_charged
    assert ends.words in error.message
    assert error.message.isprintable()
    assert error.hint


def check_spool(engine: StabilityEngine, spooled: list[bytes], ends: Ends) -> None:
    """What was put aside tells the same after a crash, as far as it tells an end at all."""
    events = engine.recover(REQUEST, spooled)
    if ends.kind is None:
        assert isinstance(events[-1], Produced)
        assert events[-1].data == ends.data
        assert events[-1].finish_reason is ends.reason
    elif ends.kind is Failure.FILTERED:
        assert isinstance(events[-1], Produced)
        assert events[-1].data is None
        assert events[-1].finish_reason is FinishReason.FILTER
    else:
        assert events == []


CUTS = [
    *(Cut(place=n, ending=ending) for ending in (Ending.RESET, Ending.CLOSE) for n in (1, 5, 8)),
    *(
        Cut(place=n, ending=ending)
        for ending in Ending
        for n in (200, 1000, 9000, 20_000, 30_000, 40_000, 48_000)
    ),
    *(Cut(place=n, is_request=True, ending=ending) for ending in Ending for n in (90, 120, 200)),
]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.samples(9)
async def test_a_connection_that_dies_after_so_many_bytes(proxy: Proxy, cut: Cut) -> None:
    trace = Trace()
    proxy.cut = cut
    seconds = IDLE if cut.ending is Ending.KEEP else 2.0
    with pytest.raises(EngineError) as caught:
        await make(make_engine(proxy.host, idle_seconds=seconds))
    is_reset = cut.ending is Ending.RESET
    was_connected = cut.is_request or (cut.place or 0) > 9
    # So early gRPC may still be shaking hands, and then has sent nothing of the request.
    is_early = cut.is_request and (cut.place or 0) < 100
    check_error(
        caught.value,
        UNKNOWN if was_connected else LOST if is_reset else UNREACHABLE,
        LOST if is_early else None,
    )
    del caught
    await trace.check()


async def test_through_a_proxy_that_cuts_nothing_all_is_well(proxy: Proxy) -> None:
    trace = Trace()
    proxy.cut = Cut()
    *_, produced = await make(make_engine(proxy.host))
    assert isinstance(produced, Produced)
    assert open_image(produced.data or b"").size == (128, 128)
    assert proxy.passed > 49_152
    await trace.check()


@pytest.mark.parametrize("moment", ["before the headers", "after 1 keepalive", "after the image"])
@pytest.mark.parametrize("way", ["cancel", "close"])
async def test_giving_up_leaves_nothing(peer: Peer, moment: str, way: str) -> None:
    trace = Trace()
    before = stream_cases.BETWEEN[moment]
    peer.begin(Script(steps=before))
    engine = make_engine(peer.host)
    task = asyncio.create_task(make(engine, Run(id=RUN, spool=peer.spool)))
    count = sum(step for step in before if isinstance(step, int))
    await wait_for(lambda: RUN.encode() in peer.received and peer.read >= count)
    if way == "cancel":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await engine.close()
        await expect_closed(task, moment)
    del task
    await trace.check()


async def expect_closed(task: asyncio.Task[Any], moment: str) -> None:
    if moment == "after the image":
        assert isinstance((await task)[-1], Produced)
        return
    with pytest.raises(EngineError) as caught:
        await task
    assert (caught.value.kind, caught.value.may_be_charged) == (Failure.CANCELLED, True)


@pytest.mark.parametrize("mebibytes", [20, 30])
async def test_large_answers_are_taken_whole(mebibytes: int) -> None:
    size = mebibytes * 1024 * 1024
    spooled: list[int] = []
    async with Server(Painter(), Behaviour.TOO_LARGE, size=size) as server:
        for _ in "12":  # a server keeps a descriptor from its first call on
            trace = Trace()
            run = Run(id=RUN, spool=lambda data: spooled.append(len(data)))
            with pytest.raises(EngineError, match="cannot be used as the image"):
                await make(make_engine(server.host), run)
        await trace.check()
    assert max(spooled) > size
