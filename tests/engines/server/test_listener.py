"""One port takes whoever comes, and tells those who took the wrong way what to set."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest

from engines.base import EngineError
from engines.server.listener import Listener, make_folder
from engines.stability.protocol import Message, generation, listing
from tests.engines.painter import MODEL, Painter
from tests.engines.server.doorway import ROOT_METHOD, listening, make_context, open_secure
from tests.engines.server.plain_client import make_message
from tests.waiting import wait_for

Code = grpc.StatusCode


async def ask(channel: Any) -> tuple[Any, str]:
    """How a plain call ends: its status and what is said with it."""
    call = channel.unary_unary(ROOT_METHOD)(b"", timeout=20)
    return await call.code(), str(await call.details())


async def draw(channel: Any, message: Message) -> list[Any]:
    call = channel.unary_stream(
        "/gooseai.GenerationService/Generate", response_deserializer=generation.Answer.FromString
    )(message.SerializeToString())
    return [artifact async for answer in call for artifact in answer.artifacts]


@pytest.mark.parametrize("is_tls", [False, True])
async def test_grpc_goes_through_with_tls_and_without(certificate: Path, is_tls: bool) -> None:
    async with listening(certificate=certificate if is_tls else None) as (listener, server):
        address = listener.address.replace("127.0.0.1", "localhost")
        open_channel = (
            open_secure(address, certificate) if is_tls else grpc.aio.insecure_channel(address)
        )
        async with open_channel as channel:
            (artifact,) = await draw(channel, make_message(seed=[7], width=512, height=512))
            assert artifact.seed == 7
            assert artifact.binary
            assert len(server.messages) == 1


@pytest.mark.exhaustive
async def test_what_is_large_goes_through_whole(certificate: Path) -> None:
    async with listening(certificate=certificate) as (listener, server):
        address = listener.address.replace("127.0.0.1", "localhost")
        async with open_secure(address, certificate) as channel:
            message = make_message()
            message.prompt[0].text = "x" * 20_000_000
            call = channel.unary_stream("/gooseai.GenerationService/Generate")(
                message.SerializeToString()
            )
            assert await call.code() is Code.INVALID_ARGUMENT  # too long, and it was read
            assert server.messages == [message.SerializeToString()]


async def test_a_client_without_tls_is_told_to_use_it(
    certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(certificate=certificate) as (listener, server):
        for _ in range(3):
            async with grpc.aio.insecure_channel(listener.address) as channel:
                code, text = await ask(channel)
                assert code is Code.FAILED_PRECONDITION
                assert "This port speaks TLS" in text
                assert "443" in text
        assert server.headers == []  # the services heard nothing of it
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://{listener.address}/")
        assert answer.status_code == 400
        assert "This port speaks TLS" in answer.text
        assert "This port speaks TLS" in answer.headers["grpc-message"]
    assert len(caplog.records) == 1
    assert "127.0.0.1 speaks without TLS" in caplog.text


async def test_a_client_of_another_machine_is_sent_away_before_it_sends_anything(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.server.listener._is_near", lambda peer: False)
    async with listening(certificate=certificate) as (listener, _):
        host, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        said = await reader.read()
        writer.close()
        assert (said[3], b"This port speaks TLS" in said) == (7, True)  # GOAWAY, and nothing else
        async with grpc.aio.insecure_channel(listener.address) as channel:
            code, _ = await ask(channel)
            assert code is Code.UNAVAILABLE


async def test_a_client_with_tls_is_hung_up_where_there_is_none(
    certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as (listener, _):
        address = listener.address.replace("127.0.0.1", "localhost")
        async with open_secure(address, certificate) as channel:
            code, _ = await ask(channel)
            assert code is Code.UNAVAILABLE
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await asyncio.open_connection(
                *address.split(":"), ssl=make_context(certificate), server_hostname="localhost"
            )
        async with grpc.aio.insecure_channel(address) as channel:
            assert (await ask(channel))[0] is Code.OK
    assert len(caplog.records) == 1
    assert "127.0.0.1 speaks TLS, and this server has none: give --certificate" in caplog.text


@pytest.mark.parametrize("words", [b"", b"P", b"\x16\x03", b"\x00\x00\x00\x00\x00"])
async def test_who_says_nothing_that_is_understood_is_hung_up(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr("engines.server.listener.FIRST_SECONDS", 0.05)
    async with listening(certificate=certificate) as (listener, _):
        host, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(words)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_no_more_connections_than_there_are_places(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening(connections=2) as (listener, _):
        host, _, port = listener.address.rpartition(":")
        for _ in range(2):
            _, writer = await asyncio.open_connection(host, int(port))
        reader, late = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b""
        late.close()
        assert "There are 2 connections: no more now." in caplog.text
        writer.close()  # a place is free again

        async def is_answered() -> bool:
            async with grpc.aio.insecure_channel(listener.address) as channel:
                return (await ask(channel))[0] is Code.OK

        async with asyncio.timeout(20):
            while not await is_answered():
                pass


async def test_a_client_that_leaves_stops_its_image() -> None:
    async with (
        listening(Painter(is_held=True)) as (listener, server),
        grpc.aio.insecure_channel(listener.address) as channel,
    ):
        call = channel.unary_stream("/gooseai.GenerationService/Generate")(
            make_message().SerializeToString()
        )
        await call.read()
        call.cancel()
        async with asyncio.timeout(20):
            await server.cancelled.wait()


async def test_what_is_on_its_way_arrives_when_the_server_ends() -> None:
    painter = Painter(is_held=True)
    async with (
        listening(painter) as (listener, server),
        grpc.aio.insecure_channel(listener.address) as channel,
    ):
        drawing = asyncio.create_task(draw(channel, make_message(seed=[7])))
        await server.started.wait()
        listener.stop()
        ending = asyncio.create_task(server.stop(30))
        painter.go_on.set()
        (artifact,) = await drawing
        await ending
        assert artifact.seed == 7


async def test_it_listens_where_it_is_told_and_nowhere_else() -> None:
    async with listening(address="[::1]:0") as (listener, _):
        assert listener.address.startswith("[::1]:")
        async with grpc.aio.insecure_channel(listener.address) as channel:
            assert (await ask(channel))[0] is Code.OK
        port = int(listener.address.rpartition(":")[2])
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
    async with listening(address="localhost:0") as (listener, _):
        port = int(listener.address.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_a_port_in_use_is_refused() -> None:
    async with listening() as (listener, _):
        second = Listener(listener.address, "unix:/nowhere", None)  # type: ignore[arg-type]
        with pytest.raises(EngineError, match="cannot listen"):
            await second.start()


def test_its_sockets_have_short_paths_that_are_this_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with make_folder() as folder:
        assert len(folder) < 70
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(f"{folder}/grpc-stray")


async def test_engines_are_listed_through_it() -> None:
    async with listening() as (listener, _):
        async with grpc.aio.insecure_channel(listener.address) as channel:
            found = await channel.unary_unary(
                ROOT_METHOD, response_deserializer=listing.Engines.FromString
            )(b"")
            assert [engine.id for engine in found.engine] == [MODEL]
        await wait_for(lambda: not listener._open)
