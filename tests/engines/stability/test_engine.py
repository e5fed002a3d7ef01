"""What comes back from a server that behaves, and how a running call is given up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.base import Engine, EngineError, Failure, Produced, Run
from engines.stability.messages import read_message
from engines.stability.protocol import generation
from store.errors import StoreError
from store.pixels import digest_pixels, open_image
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import MODEL, Painter, paint
from tests.engines.stability.server import TOKEN_VARIABLE, Behaviour
from tests.factories import make_hosted_request


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampler": "ddim"},
        {"seed": 1},
        {"seed": 4_294_967_294},
        {"cfg_scale": 0.0},
        {"cfg_scale": 7.3, "steps": 150},
        {"style_preset": "pixel-art", "width": 192},
        {"prompts": [("a", 0.1), ("b", -0.7), ("ü 🌃 ::-1", 10.0), ("same", 1), ("same", 1)]},
    ],
    ids=str,
)
async def test_pixels_are_those_that_the_served_engine_makes(
    serve: Serve, changes: dict[str, object]
) -> None:
    server = await serve()
    request = make_hosted_request(**changes)  # type: ignore[arg-type]
    events = await collect(make_engine(server.host), request)
    (produced,) = events
    assert isinstance(produced, Produced)
    assert produced.data == paint(request)
    assert produced.seed == request.parameters.seed
    assert produced.mime == "image/png"


async def test_the_stored_message_is_the_one_that_is_sent(serve: Serve) -> None:
    server = await serve()
    engine, request = make_engine(server.host), make_hosted_request(sampler="ddim")
    await collect(engine, request, Run(id="run-7"))
    assert server.messages == [engine.wire_message(request, Run(id="run-7"))]
    message = generation.Request.FromString(server.messages[0])
    assert message.image.transform.HasField("diffusion")
    assert list(message.image.seed) == [1229080980]
    assert message.request_id == "run-7"


async def test_switched_off_prompts_stay_at_home(serve: Serve) -> None:
    server = await serve()
    request = make_hosted_request(prompts=[("town", 1.0), ("nothing", 0.0)])
    await collect(make_engine(server.host), request)
    sent, _ = read_message(server.messages[0])
    assert [prompt.text for prompt in sent.stack.prompts] == ["town"]


async def test_what_holds_something_is_spooled_before_it_is_read_and_can_be_recovered(
    serve: Serve,
) -> None:
    server = await serve()
    engine, request, spooled = make_engine(server.host), make_hosted_request(), list[bytes]()
    events = await collect(engine, request, Run(id="run-1", spool=spooled.append))
    (image,) = spooled  # not the keepalive, which holds nothing
    assert engine.recover(request, spooled) == events
    assert engine.recover(request, [image[:40], b"\xff"]) == []


@pytest.mark.parametrize("kind", [OSError, StoreError])
async def test_a_full_disk_does_not_lose_the_image(serve: Serve, kind: type[Exception]) -> None:
    def fail(data: bytes) -> None:
        raise kind("No space left on device")

    server = await serve()
    events = await collect(make_engine(server.host), make_hosted_request(), Run(id="r", spool=fail))
    assert isinstance(events[-1], Produced)
    assert "No space left" in str(events[0])
    assert len(events) == 2


async def test_an_image_above_the_usual_message_limit_arrives(serve: Serve) -> None:
    server = await serve()
    request = make_hosted_request(width=2688, height=2688)
    (produced,) = await collect(make_engine(server.host), request)
    assert isinstance(produced, Produced)
    assert len(produced.data or b"") > 20 * 1024 * 1024


async def test_cancelling_reaches_the_server_at_once(serve: Serve) -> None:
    painter = Painter(is_held=True)
    server = await serve(engine=painter)
    task = asyncio.create_task(collect(make_engine(server.host), make_hosted_request()))
    await server.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.cancelled.wait()
    await painter.was_stopped.wait()


async def test_closing_the_engine_ends_the_call(serve: Serve) -> None:
    server = await serve(engine=Painter(is_held=True))
    engine = make_engine(server.host)
    task = asyncio.create_task(collect(engine, make_hosted_request()))
    await server.started.wait()
    await engine.close()
    with pytest.raises(EngineError) as caught:
        await task
    assert caught.value.kind is Failure.CANCELLED
    assert caught.value.may_be_charged
    await server.cancelled.wait()


async def test_two_images_at_once_do_not_mix(serve: Serve) -> None:
    server = await serve()
    engine = make_engine(server.host)
    requests = [make_hosted_request(seed=seed) for seed in range(1, 6)]
    results = await asyncio.gather(*(collect(engine, request) for request in requests))
    for request, events in zip(requests, results, strict=True):
        assert isinstance(events[-1], Produced)
        assert events[-1].data == paint(request)


async def test_a_unix_socket_serves_too(serve: Serve, tmp_path: Path) -> None:
    server = await serve(address=f"unix:{tmp_path}/server.sock", token="sesame")
    engine = make_engine(server.host, "sesame")
    (produced,) = await collect(engine, make_hosted_request())
    assert isinstance(produced, Produced)
    assert engine.environment().values["tls"] == "off"


async def test_the_environment_says_where_and_with_what(serve: Serve) -> None:
    engine = make_engine("grpc.stability.ai", "sk-CANARY-1")
    values = engine.environment().values
    assert values["host"] == "grpc.stability.ai:443"
    assert values["tls"] == "on"
    assert values["stability-sdk"].startswith("0.8.")
    assert {"grpcio", "protobuf"} <= values.keys()
    assert "CANARY" not in str(values)


def test_it_is_an_engine() -> None:
    engine: Engine = make_engine("localhost:1")
    assert engine.capabilities.default_model == MODEL


async def test_a_server_process_gives_the_same_pixels() -> None:
    command = [sys.executable, "-m", "tests.engines.stability.server", "--port", "0"]
    root = Path(__file__).parents[3]
    environ = {**os.environ, "PYTHONPATH": str(root), TOKEN_VARIABLE: "sesame"}
    process = subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        request = make_hosted_request(model="painter", seed=77)
        engine = make_engine(f"127.0.0.1:{port}", "sesame", models=("painter",))
        warned, produced = await collect(engine, request)
        assert "painter-1 made it, not painter" in str(warned)
        assert isinstance(produced, Produced)
        assert produced.data is not None
        there, here = open_image(produced.data), open_image(paint(request))
        assert digest_pixels(there) == digest_pixels(here)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(AttributeError):
            process.stdout.close()  # type: ignore[union-attr]


async def test_a_server_that_dies_half_way_leaves_the_outcome_unknown(serve: Serve) -> None:
    server = await serve(engine=Painter(is_held=True))
    task = asyncio.create_task(collect(make_engine(server.host), make_hosted_request()))
    await server.started.wait()
    await server.stop()
    with pytest.raises(EngineError) as caught:
        await task
    assert caught.value.kind is Failure.OUTCOME_UNKNOWN
    assert caught.value.may_be_charged
    assert len(server.messages) == 1


@pytest.mark.parametrize("behaviour", [Behaviour.FAIL_AFTER_IMAGE, Behaviour.SILENT_AFTER_IMAGE])
async def test_an_image_that_arrived_is_kept_whatever_follows(
    serve: Serve, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.stability.engine.TAIL_SECONDS", 0.2)
    server = await serve(behaviour)
    request = make_hosted_request()
    warned, produced = await collect(make_engine(server.host), request)
    assert isinstance(produced, Produced)
    assert produced.data == paint(request)
    assert "the image had arrived; it is whole" in str(warned)
