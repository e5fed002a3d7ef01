"""gRPC-Web: what browsers and clients made for them get, and who is refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from engines.base import Event, Warned
from engines.server.listener import Listener
from engines.stability.protocol import Message, generation, listing
from store.request import Request
from tests.engines.painter import MODEL, Painter, paint
from tests.engines.server.doorway import listening, make_context
from tests.engines.server.plain_client import make_message
from tests.factories import make_hosted_request

BINARY = "application/grpc-web+proto"
TEXT = "application/grpc-web-text"
GENERATE = "/gooseai.GenerationService/Generate"
PAGE = "http://page.example:8080"


def frame(data: bytes, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(data).to_bytes(4, "big") + data


def parse(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """The messages in the body of an answer, and what ends it."""
    messages: list[bytes] = []
    while body:
        flag, size = body[0], int.from_bytes(body[1:5], "big")
        part, body = body[5 : 5 + size], body[5 + size :]
        assert len(part) == size
        if flag:
            lines = part.decode("ascii").split("\r\n")
            assert (flag, body, lines.pop()) == (0x80, b"", "")
            return messages, dict(line.split(": ", 1) for line in lines)
        messages.append(part)
    raise AssertionError("the call has no end")


def decode(body: bytes) -> bytes:
    """The bytes of texts of base64 in a row."""
    parts = body.replace(b"=", b"= ").replace(b"= =", b"==").split()
    return b"".join(map(base64.b64decode, parts))


async def post(
    listener: Listener, body: bytes, path: str = GENERATE, kind: str = BINARY, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient() as client:
        return await client.post(
            f"http://{listener.address}{path}",
            content=body,
            headers={"content-type": kind, "x-grpc-web": "1", **named},
        )


async def call(
    listener: Listener, message: Message | bytes = b"", path: str = GENERATE, **headers: str
) -> tuple[list[bytes], dict[str, str]]:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    answer = await post(listener, frame(data), path, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, BINARY)
    return parse(answer.content)


async def test_an_image_over_grpc_web_is_the_engines_with_a_classification_beside_it() -> None:
    async with listening() as (listener, _):
        message = make_message(seed=[7])
        messages, end = await call(listener, message)
    assert end == {"grpc-status": "0"}
    first, *_, last = map(generation.Answer.FromString, messages)
    assert not first.artifacts
    image, beside = last.artifacts
    prompts, size = [("night sky", 1.0)], {"width": 512, "height": 512}
    request = make_hosted_request(MODEL, prompts, seed=7, **size)
    assert image.binary == paint(msgspec.structs.replace(request, engine="painter"))
    assert beside.type == generation.ARTIFACT_CLASSIFICATIONS
    assert beside.classifier.HasField("realized_action")
    assert beside.classifier.realized_action == generation.ACTION_PASSTHROUGH


@pytest.mark.parametrize("kind", [TEXT, f"{TEXT}+proto"])
async def test_the_same_in_base64(kind: str) -> None:
    data = make_message(seed=[7]).SerializeToString()
    sent = frame(data)
    in_parts = base64.b64encode(sent[:4]) + base64.b64encode(sent[4:])
    async with listening() as (listener, _):
        plain, _ = await call(listener, data)
        for body in (base64.b64encode(sent), in_parts):
            answer = await post(listener, body, kind=kind)
            assert answer.headers["content-type"] == f"{TEXT}+proto"
            messages, end = parse(decode(answer.content))
            assert end == {"grpc-status": "0"}
            found, expected = (
                generation.Answer.FromString(each[-1]).artifacts[0].binary
                for each in (messages, plain)
            )
            assert found == expected


async def test_calls_with_one_answer_go_the_same_way() -> None:
    async with listening(names=("other",)) as (listener, _):
        (message,), end = await call(listener, path="/gooseai.EnginesService/ListEngines")
        engines = listing.Engines.FromString(message).engine
        assert ([engine.id for engine in engines], end["grpc-status"]) == ([MODEL, "other"], "0")
        (message,), end = await call(listener, path="/grpc.health.v1.Health/Check")
        assert (message, end["grpc-status"]) == (b"\x08\x01", "0")
        messages, end = await call(listener, path="/gooseai.Nothing/Do")
        assert (messages, end["grpc-status"]) == ([], "12")


async def test_a_refusal_and_warnings_come_at_the_end() -> None:
    class Warning_(Painter):
        async def generate(self, request: Request, run: Any) -> AsyncGenerator[Event, None]:
            yield Warned("zwölf")
            async for event in super().generate(request, run):
                yield event

    async with listening(Warning_()) as (listener, _):
        _, end = await call(listener, make_message())
        warned = base64.b64decode(end["safelight-warning-bin"] + "==").decode()
        assert (warned, end["grpc-status"]) == ("zwölf", "0")
        message = make_message()
        message.engine_id = "100% größer"
        messages, end = await call(listener, message)
        assert (messages, end["grpc-status"]) == ([], "5")
        assert end["grpc-message"].startswith("Unknown engine: '100%25 gr%C3%B6%C3%9Fer'. Known:")


async def test_without_the_key_a_message_is_not_even_read() -> None:
    async with listening(token="sesame") as (listener, server):
        for headers in ({}, {"authorization": "Bearer sesam"}):
            _, end = await call(listener, make_message(), **headers)
            assert end["grpc-status"] == "16"
            assert "sesame" not in str(end)
        # Announced, and never sent.
        host, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {GENERATE} HTTP/1.1\r\nHost: x\r\nContent-Type: {BINARY}\r\n"
        writer.write(f"{head}Content-Length: 1000000\r\n\r\n".encode())
        said = await reader.readuntil(b"grpc-status: 16")
        writer.close()
        assert said.startswith(b"HTTP/1.1 200")
        assert server.messages == []
        messages, end = await call(listener, make_message(), authorization="Bearer sesame")
        assert (len(messages) > 1, end["grpc-status"]) == (True, "0")
        assert server.headers[-1]["authorization"] == "Bearer sesame"
        _, end = await call(listener, path="/grpc.health.v1.Health/Check")
        assert end["grpc-status"] == "0"


async def preflight(listener: Listener, origin: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.options(
            f"http://{listener.address}{GENERATE}",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "Authorization, x-grpc-web,content-type, b@d",
            },
        )


async def test_pages_may_call_from_named_origins_only() -> None:
    message = make_message().SerializeToString()
    async with listening(origins=(PAGE,)) as (listener, server):
        allowed = await preflight(listener, PAGE)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert allowed.headers["access-control-allow-methods"] == "POST"
        named = allowed.headers["access-control-allow-headers"]
        assert named == "authorization, x-grpc-web, content-type"
        answer = await post(listener, frame(message), origin=PAGE)
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "grpc-status" in answer.headers["access-control-expose-headers"]
        assert parse(answer.content)[1]["grpc-status"] == "0"
        # The server's own address is a stranger's, too: a name can be made to mean this machine.
        for origin in ("http://evil.example", f"http://{listener.address}", "null", f"{PAGE}.evil"):
            for refused in (
                await preflight(listener, origin),
                await post(listener, frame(message), origin=origin),
            ):
                assert refused.status_code == 403
                assert "access-control-allow-origin" not in refused.headers
                assert "--web-origin" in refused.text
        assert len(server.messages) == 1
    async with listening() as (listener, server):
        assert (await post(listener, frame(message), origin=PAGE)).status_code == 403
        assert server.messages == []
    async with listening(origins=("*",)) as (listener, _):
        answer = await post(listener, frame(message), origin=PAGE)
        assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", "3", "not one message"),
        (b"\x00\x00\x00", "3", "not one message"),
        (frame(b"abc")[:-1], "3", "not one message"),
        (frame(b"abc") * 2, "3", "not one message"),
        (frame(b"abc", flag=1), "12", "compressed"),
        (frame(b"\xff\xff"), "3", "not a request message"),
        (frame(bytes(1001)), "8", "at most 1,000 bytes"),
        (b"\x00\xff\xff\xff\xff", "3", "not one message"),
    ],
)
async def test_a_body_that_is_no_message_is_refused(body: bytes, status: str, words: str) -> None:
    async with listening(limit=1000) as (listener, _):
        for kind, sent in ((BINARY, body), (TEXT, base64.b64encode(body))):
            answer = await post(listener, sent, kind=kind)
            data = decode(answer.content) if kind == TEXT else answer.content
            messages, end = parse(data)
            assert (messages, end["grpc-status"]) == ([], status)
            assert words in end["grpc-message"]
        answer = await post(listener, b"no base64!", kind=TEXT)
        assert "not base64" in parse(decode(answer.content))[1]["grpc-message"]


async def test_what_is_no_call_gets_a_line_that_says_so() -> None:
    async with listening() as (listener, _):
        async with httpx.AsyncClient(base_url=f"http://{listener.address}") as client:
            for method, path, status, words in (
                ("GET", "/", 404, "gRPC-Web"),
                ("POST", "/v1/generation/engine/text-to-image", 404, "The REST API is not served"),
                ("GET", GENERATE, 405, "A call is a POST"),
                ("OPTIONS", GENERATE, 405, "A call is a POST"),
                ("POST", GENERATE, 415, "content type"),
            ):
                answer = await client.request(method, path)
                assert answer.status_code == status
                assert words in answer.text
                assert words in answer.headers["grpc-message"]
            long = await client.get("/", headers={"x": "x" * 20_000})
            assert long.status_code == 431
        refused = await post(listener, frame(b""), grpc_timeout="soon")
        assert "grpc-timeout" in parse(refused.content)[1]["grpc-message"]
        refused = await post(listener, frame(b""), some_bin="&")
        assert "some-bin" in parse(refused.content)[1]["grpc-message"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET / HTTP/9\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\xff: y\r\n\r\n", b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nOrigin: null\r\n\r\n", b"403"),
        (f"POST {GENERATE} HTTP/1.0\r\nContent-Type: {BINARY}\r\n\r\n".encode(), b"200"),
    ],
)
async def test_odd_requests_are_no_fault_of_the_server(
    words: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as (listener, _):
        host, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(words)
        said = await reader.read()
        writer.close()
    assert said.startswith(b"HTTP/1.1 " + status)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("limit", "words"),
    [("HEAD_SECONDS", "GET / HTTP/1.1\r\n"), ("BODY_SECONDS", "")],
)
async def test_who_is_too_slow_is_told_so(
    monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(f"engines.server.grpc_web.{limit}", 0.05)
    whole = (
        f"POST {GENERATE} HTTP/1.1\r\nHost: x\r\nContent-Type: {BINARY}\r\nContent-Length: 9\r\n"
    )
    async with listening() as (listener, _):
        host, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write((words or f"{whole}\r\n").encode())
        said = await reader.read()
        writer.close()
    assert said.startswith(b"HTTP/1.1 408 ")


async def test_a_deadline_is_kept() -> None:
    async with listening(Painter(is_held=True)) as (listener, server):
        _, end = await call(listener, make_message(), grpc_timeout="300m")
        assert end["grpc-status"] == "4"
        async with asyncio.timeout(20):
            await server.cancelled.wait()


async def test_giving_up_stops_the_image() -> None:
    async with listening(Painter(is_held=True)) as (listener, server):
        async with httpx.AsyncClient() as client:
            request = client.build_request(
                "POST",
                f"http://{listener.address}{GENERATE}",
                content=frame(make_message().SerializeToString()),
                headers={"content-type": BINARY},
            )
            answer = await client.send(request, stream=True)
            await anext(answer.aiter_raw())  # a keepalive: it was accepted
            await answer.aclose()
        async with asyncio.timeout(20):
            await server.cancelled.wait()


async def test_more_calls_than_there_are_places_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engines.server.grpc_web.CALLS", 1)
    painter = Painter(is_held=True)
    async with listening(painter) as (listener, server):
        first = asyncio.create_task(call(listener, make_message()))
        await server.started.wait()
        _, end = await call(listener, make_message())
        assert end["grpc-status"] == "8"
        painter.go_on.set()
        assert (await first)[1]["grpc-status"] == "0"
        assert (await call(listener, make_message()))[1]["grpc-status"] == "0"


async def test_with_tls_a_browser_that_offers_http2_too_is_answered(certificate: Path) -> None:
    context = make_context(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with listening(certificate=certificate) as (listener, _):
        port = listener.address.rpartition(":")[2]
        reader, writer = await asyncio.open_connection("localhost", int(port), ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        data = frame(make_message().SerializeToString())
        head = f"POST {GENERATE} HTTP/1.1\r\nHost: x\r\nContent-Type: {BINARY}\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        said = await reader.read()
        writer.close()
    assert said.startswith(b"HTTP/1.1 200")
    assert b"grpc-status: 0\r\n" in said
