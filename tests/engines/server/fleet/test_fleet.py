"""Two replicas behind Ray Serve's gRPC ingress, on loopback, in processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest

from engines.base import Progressed
from engines.builtin.models import MODEL, UPSCALE_MODEL
from engines.stability.protocol import dashboard, generation, listing
from tests.engines.hosted import make_engine
from tests.engines.server.fleet.fleet_client import (
    COMMAND,
    KEY,
    PROGRAM,
    Call,
    Running,
    ask,
    ask_for,
    begin,
    digest,
    digest_produced,
    draw,
    list_own_events,
    list_warnings,
    name_run,
    running,
)
from tests.engines.server.fleet.witness import VARIABLE, Witness
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.factories import make_hosted_request
from tests.waiting import wait_for

pytest.importorskip("ray.serve", reason="Ray Serve is not installed")


Code = grpc.StatusCode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def fleet(folder: Path) -> Iterator[Running]:
    """Two engines under observation; one request may wait."""
    with running(PROGRAM, folder, **{VARIABLE: str(folder)}) as fleet:
        yield fleet


@pytest.fixture
def witness(folder: Path) -> Witness:
    return Witness(folder)


async def test_both_replicas_make_the_pixels_of_one_engine(
    fleet: Running, witness: Witness
) -> None:
    witness.hold()
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        calls = [await begin(witness, channel, seed=seed) for seed in (1, 2)]
        third = asyncio.create_task(Call(channel, ask_for(name_run(), seed=3)).run())
        witness.go_on()
        answers = [(await work)[0] for _, _, work in calls] + [(await third)[0]]
    makers = {witness.list_lines(run)[0].split()[0] for run, _, _ in calls}
    assert len(makers) == 2
    assert len({answer.meta.node_id for answer in answers[:2]}) == 2
    assert {answer.meta.engine_id for answer in answers} == {f"{MODEL}@3"}
    for seed, answer in zip((1, 2, 3), answers, strict=True):
        assert digest(answer) == await draw(make_hosted_request(MODEL, steps=4, seed=seed))


@pytest.mark.parametrize("kind", ["initial image and mask", "upscale"])
async def test_images_warnings_and_progress_pass_as_on_one_machine(
    fleet: Running, kind: str
) -> None:
    shelf, size = Shelf(), (192, 128)
    if kind == "upscale":
        upscale = shelf.make_upscale(make_file(size))
        request = make_hosted_request(
            UPSCALE_MODEL, width=384, height=256, sampler="ddim", upscale=upscale
        )
    else:
        images = {
            "initial_image": shelf.make_initial(make_file(size)),
            "mask": shelf.make_mask(make_mask_file(size)),
        }
        request = make_hosted_request(MODEL, steps=10, **images)
    client = make_engine(fleet.address, models=(MODEL,), upscale_models=(UPSCALE_MODEL,))
    events = [event async for event in client.generate(request, shelf.make_run(name_run()))]
    own = await list_own_events(request, shelf.make_run())
    assert digest_produced(events) == digest_produced(own)
    assert list_warnings(own)
    assert list_warnings(own) <= list_warnings(events)
    seen = [event for event in events if isinstance(event, Progressed)]
    assert seen
    assert all(event in own for event in seen)


async def test_answers_come_one_by_one(fleet: Running, witness: Witness) -> None:
    witness.hold()
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        run, call, work = await begin(witness, channel, samples=3)
        await wait_for(lambda: call.answers, "the first answer")
        assert not call.answers[0].artifacts
        assert not any(line.endswith("done") for line in witness.list_lines(run))
        witness.go_on()
        await wait_for(lambda: len(call.answers) > 1, "the first image")
        assert [answer.artifacts[0].index for answer in await work] == [0, 1, 2]
        assert {answer.request_id for answer in call.answers} == {run}


async def test_giving_up_stops_the_engine_within_a_step(fleet: Running, witness: Witness) -> None:
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        run, call, work = await begin(witness, channel, steps=150, width=1024, height=1024)
        call.stream.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await wait_for(lambda: "stopped" in witness.list_lines(run)[-1], "the stop")
        steps = len(witness.list_lines(run))
        assert steps < 100
        # Both engines are free again, and none makes the rest of that image.
        witness.hold()
        calls = [await begin(witness, channel) for _ in "12"]
        witness.go_on()
        assert [len(await work) for _, _, work in calls] == [1, 1]
        assert len(witness.list_lines(run)) == steps


async def test_a_full_queue_refuses(fleet: Running, witness: Witness) -> None:
    witness.hold()
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        calls = [await begin(witness, channel) for _ in "12"]
        waiting = Call(channel, ask_for(name_run()))
        third = asyncio.create_task(waiting.run())
        await wait_for(lambda: waiting.answers, "the word that it waits")
        code, text = await Call(channel, ask_for(name_run())).fail()
        assert code is Code.RESOURCE_EXHAUSTED
        assert "3 are in work or wait" in text
        witness.go_on()
        assert len(await third) == 1
        for _, _, work in calls:
            await work


async def test_a_lost_replica_costs_no_image(fleet: Running, witness: Witness) -> None:
    witness.hold()
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        run, _, work = await begin(witness, channel, seed=5)
        os.kill(int(witness.list_lines(run)[0].split()[0]), signal.SIGKILL)
        witness.go_on()
        (answer,) = await work
    assert digest(answer) == await draw(make_hosted_request(MODEL, steps=4, seed=5))


async def test_refusals_and_the_other_services(fleet: Running) -> None:
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        message = ask_for("run-1")
        message.image.quantize = True
        code, text = await Call(channel, message).fail()
        assert (code, text.partition(":")[0]) == (Code.INVALID_ARGUMENT, "image.quantize")
        stream = channel.unary_stream("/gooseai.GenerationService/ChainGenerate")(b"")
        assert await stream.code() is Code.UNIMPLEMENTED
        found = await ask(
            channel, "EnginesService/ListEngines", listing.ListEnginesRequest(), listing.Engines
        )
        assert [engine.id for engine in found.engine] == [MODEL, UPSCALE_MODEL]
        user = await ask(
            channel, "DashboardService/GetMe", dashboard.EmptyRequest(), dashboard.User
        )
        assert user.organizations[0].organization.payment_info.balance == 0


async def test_web_pages_probes_and_generic_clients_are_answered_too(fleet: Running) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"http://{fleet.address}/gooseai.EnginesService/ListEngines",
            content=bytes(5),
            headers={"content-type": "application/grpc-web+proto"},
        )
    assert MODEL.encode() in answer.content
    assert b"grpc-status: 0\r\n" in answer.content
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        assert await channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")()
        await call.write(b"\x3a\x00")  # list_services
        assert b"gooseai.GenerationService" in await call.read()
        call.cancel()


async def test_a_signal_ends_it_when_the_images_are_done(fleet: Running, witness: Witness) -> None:
    witness.hold()
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        _, _, work = await begin(witness, channel)
        fleet.process.send_signal(signal.SIGTERM)
        async with grpc.aio.insecure_channel(fleet.address) as other:
            while True:  # until it takes no more calls
                code, _ = await Call(other, generation.Request()).fail()
                if code is Code.UNAVAILABLE:
                    break
        assert not work.done(), work
        witness.go_on()
        assert len(await work) == 1
        _, errors = await asyncio.to_thread(fleet.process.communicate)
        status = fleet.process.returncode
    assert status == 0
    assert "Ending when the images in work are finished" in errors
    assert fleet.list_processes() == []


async def test_the_command_beyond_this_machine_and_ctrl_c(
    home: Path, tmp_path: Path, certificate: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    authority = certificate / "cert.pem"
    tls = ("--certificate", str(authority), "--private-key", str(certificate / "key.pem"))
    everywhere = ("--host", "0.0.0.0", *tls, "--key-file", str(key_file))
    with running([*COMMAND, *everywhere], home) as fleet:
        host = fleet.address.replace("0.0.0.0", "localhost")
        credentials = grpc.ssl_channel_credentials(authority.read_bytes())
        async with grpc.aio.secure_channel(host, credentials) as channel:
            code, text = await Call(channel, ask_for("run-1")).fail()
            assert (code, text) == (Code.UNAUTHENTICATED, "The access key is missing.")
            code, _ = await Call(channel, ask_for("run-1"), key="other").fail()
            assert code is Code.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(
                    channel, "DashboardService/GetMe", dashboard.EmptyRequest(), dashboard.User
                )
            assert caught.value.code() is Code.UNAUTHENTICATED
            (answer,) = await Call(channel, ask_for("run-1"), key=KEY).run()
        assert digest(answer) == await draw(make_hosted_request(MODEL, steps=4))
        async with grpc.aio.insecure_channel(host) as channel:
            code, text = await Call(channel, ask_for("run-1"), key=KEY).fail()
            assert code is Code.FAILED_PRECONDITION
            assert "This port speaks TLS" in text
        status, errors = await asyncio.to_thread(fleet.end, signal.SIGINT)
        assert status == 0
        assert KEY not in errors
        assert fleet.list_processes() == []
    assert not (home / ".ray").exists()
