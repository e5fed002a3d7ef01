"""A canary key is used in every way; nothing that can be read afterwards holds it."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import traceback
from pathlib import Path

import pytest
from rich.console import Console
from rich.traceback import Traceback

from engines.base import EngineError, Run
from engines.keys import Secret
from engines.remote import find_target
from engines.stability.connection import make_metadata, open_channel
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import Painter
from tests.engines.stability.server import Behaviour
from tests.factories import make_hosted_request

CANARY = "sk-CANARY-" + "k" * 41


def render_richly(error: BaseException) -> str:
    """What a crash screen shows, variables included."""
    file = io.StringIO()
    shown = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=10_000
    )
    Console(file=file, width=300).print(shown)
    return file.getvalue()


def render(error: BaseException) -> str:
    """Everything that a crash could show, variables included."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    return render_richly(error) + "".join(captured.format())


@pytest.mark.parametrize("behaviour", list(Behaviour))
@pytest.mark.samples(8)
async def test_no_outcome_shows_the_key(
    serve: Serve,
    behaviour: Behaviour,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("engines.stability.engine.TAIL_SECONDS", 0.2)
    server = await serve(behaviour, token=CANARY)
    engine = make_engine(server.host, CANARY, idle_seconds=0.5)
    request, spooled = make_hosted_request(), list[bytes]()
    seen = [repr(engine), repr(vars(engine)), repr(engine.environment())]
    try:
        seen += map(repr, await collect(engine, request, Run(id="run-1", spool=spooled.append)))
    except EngineError as error:
        seen += [str(error), repr(error), repr(vars(error)), render(error)]
    seen += [caplog.text, *capfd.readouterr(), " ".join(sys.argv)]
    seen += [Path("/proc/self/cmdline").read_text()] if sys.platform == "linux" else []
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    assert not [text for text in seen if CANARY in text]
    assert not [data for data in (*spooled, *server.messages) if CANARY.encode() in data]


async def test_a_crash_within_a_call_does_not_show_the_key(serve: Serve) -> None:
    def crash(data: bytes) -> None:
        raise RuntimeError("a bug in the worker")

    server = await serve(token=CANARY)
    engine = make_engine(server.host, CANARY)
    with pytest.raises(RuntimeError) as caught:
        await collect(engine, make_hosted_request(), Run(id="run-1", spool=crash))
    assert "bug in the worker" in render(caught.value)
    assert CANARY not in render(caught.value)


async def test_a_crash_inside_grpc_does_not_show_the_key() -> None:
    target = find_target("localhost:1")
    channel = open_channel(target, Secret(CANARY))
    call = channel.unary_stream("/gooseai.GenerationService/Generate")
    await channel.close()
    with pytest.raises(Exception, match="closed") as caught:
        await call(b"", metadata=make_metadata(target, Secret(CANARY))).read()
    assert "Header(…)" in render_richly(caught.value)
    assert CANARY not in render_richly(caught.value)


async def test_a_cancelled_call_does_not_show_the_key(serve: Serve) -> None:
    server = await serve(token=CANARY, engine=Painter(is_held=True))
    task = asyncio.create_task(collect(make_engine(server.host, CANARY), make_hosted_request()))
    await server.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert CANARY not in render(caught.value)
