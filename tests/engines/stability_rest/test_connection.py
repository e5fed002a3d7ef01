"""Which REST services are reached how, and where a key may go. Nothing readable holds the key."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from engines.base import EngineError, Failure, Produced, Run
from engines.remote import find_web_target
from engines.stability_rest import engine as rest_engine
from engines.stability_rest import replies
from tests.engines.stability.test_secrecy import render
from tests.engines.stability_rest.rest import collect, make_engine
from tests.engines.stability_rest.rest_server import Behaviour, RestServer, refuse
from tests.factories import make_rest_request

CANARY = "sk-CANARY-" + "k" * 41


@pytest.mark.parametrize(
    ("host", "address", "is_local", "is_tls", "is_hosted"),
    [
        ("https://api.stability.ai", "api.stability.ai:443", False, True, True),
        ("HTTPS://api.stability.ai/", "api.stability.ai:443", False, True, True),
        ("api.stability.ai", "api.stability.ai:443", False, True, True),
        ("https://example.org:8443", "example.org:8443", False, True, False),
        ("http://example.org", "example.org:80", False, False, False),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True, False, False),
        ("127.0.0.1:8080", "127.0.0.1:8080", True, False, False),
        ("localhost", "localhost:80", True, False, False),
        ("https://localhost", "localhost:443", True, True, False),
        ("http://[::1]:8080", "[::1]:8080", True, False, False),
        ("https://notstability.ai", "notstability.ai:443", False, True, False),
    ],
)
def test_tls_follows_the_scheme_or_the_machine(
    host: str, address: str, is_local: bool, is_tls: bool, is_hosted: bool
) -> None:
    target = find_web_target(host)
    assert target.address == address
    assert (target.is_local, target.is_tls, target.is_hosted) == (is_local, is_tls, is_hosted)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "ftp://example.org",
        "https://user:secret@example.org",
        "https://example.org/path",
        "https://example.org?query",
        "unix:/run/s.sock",
        "https://example.org:0",
        "exa mple.org",
        "https://a\nb",
    ],
)
def test_text_that_is_no_address_is_refused_with_an_example(host: str) -> None:
    with pytest.raises(EngineError, match=r"https://api\.stability\.ai"):
        find_web_target(host)


async def test_a_key_never_crosses_a_network_in_the_clear() -> None:
    with pytest.raises(EngineError) as caught:
        await collect(make_engine("http://example.org", CANARY), make_rest_request())
    assert caught.value.kind is Failure.INSECURE
    assert "unencrypted" in caught.value.message
    assert "https://" in caught.value.hint


async def test_a_local_server_gets_the_key_and_no_proxy_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with RestServer(token=CANARY) as server:
        events = await collect(make_engine(server.host, CANARY), make_rest_request())
        assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    assert isinstance(events[-1], Produced)


async def test_no_key_no_header_and_a_redirect_is_not_followed() -> None:
    async with RestServer(refusal=(307, b"")) as server:
        with pytest.raises(EngineError, match="HTTP 307"):
            await collect(make_engine(server.host), make_rest_request())
        assert "authorization" not in server.headers[0]
        assert len(server.requests) == 1


async def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://127.0.0.1:9")
    with pytest.raises(EngineError, match="The proxy") as caught:
        await collect(make_engine("https://example.org", CANARY), make_rest_request())
    assert caught.value.kind is Failure.UNREACHABLE


async def test_a_proxy_that_is_not_there_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(EngineError) as caught:
        await collect(make_engine("https://example.org", CANARY), make_rest_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert not caught.value.may_be_charged


async def test_a_proxy_that_hangs_up_has_seen_neither_key_nor_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    proxy = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(EngineError) as caught:
            await collect(make_engine("https://example.org", CANARY), make_rest_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert seen[0].startswith(b"CONNECT example.org:443 ")
    assert CANARY.encode() not in seen[0]


async def test_over_tls_the_key_arrives_and_the_server_is_checked(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with RestServer(tls=context, token=CANARY) as server:
        engine = make_engine(server.host, CANARY, certificates=certificate / "cert.pem")
        events = await collect(engine, make_rest_request())
        assert isinstance(events[-1], Produced)
        with pytest.raises(EngineError) as caught:  # an authority that nobody knows
            await collect(make_engine(server.host, CANARY), make_rest_request())
        assert len(server.requests) == 1
    assert caught.value.kind is Failure.UNREACHABLE
    assert "TLS" in caught.value.message
    assert "certificates" in caught.value.hint


async def test_a_server_without_tls_is_not_talked_to_as_if_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rest_engine, "CONNECT_SECONDS", 0.5)
    async with RestServer() as server:
        host = server.host.replace("http:", "https:")
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(host, CANARY), make_rest_request())
        assert server.requests == []
    assert caught.value.kind in (Failure.UNREACHABLE, Failure.DEADLINE)
    assert not caught.value.may_be_charged


async def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificate")
        engine = make_engine("https://localhost:1", certificates=path)
        with pytest.raises(EngineError, match=rf"{path.name} cannot be read"):
            await collect(engine, make_rest_request())


OUTCOMES = [kind for kind in Behaviour if kind is not Behaviour.LARGE]


@pytest.mark.parametrize("behaviour", [*OUTCOMES, 401, 403, 422, 429, 500])
@pytest.mark.samples(8)
async def test_no_outcome_shows_the_key(
    behaviour: Behaviour | int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replies, "ANSWER_LIMIT", 100_000)
    caplog.set_level(logging.DEBUG)
    refusal = (behaviour, refuse("a", "b")) if isinstance(behaviour, int) else None
    kind = behaviour if isinstance(behaviour, Behaviour) else Behaviour.GOOD
    async with RestServer(kind, token=CANARY, refusal=refusal) as server:
        engine = make_engine(server.host, CANARY, idle_seconds=0.5)
        request, spooled = make_rest_request(), list[bytes]()
        seen = [repr(engine), repr(vars(engine)), repr(engine.environment())]
        try:
            seen += map(repr, await collect(engine, request, Run(id="r", spool=spooled.append)))
        except EngineError as error:
            seen += [str(error), repr(error), repr(vars(error)), render(error)]
        assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    seen += [caplog.text, *capfd.readouterr()]
    stored = [*spooled, engine.wire_message(request, Run(id="r"))]
    assert not [text for text in seen if CANARY in text]
    assert not [data for data in stored if CANARY.encode() in data]


async def test_neither_a_crash_nor_a_cancelled_call_shows_the_key() -> None:
    def crash(data: bytes) -> None:
        raise RuntimeError("a bug in the worker")

    async with RestServer(token=CANARY) as server:
        with pytest.raises(RuntimeError) as crashed:
            await collect(
                make_engine(server.host, CANARY), make_rest_request(), Run(id="r", spool=crash)
            )
    assert "bug in the worker" in render(crashed.value)
    assert CANARY not in render(crashed.value)

    async with RestServer(Behaviour.SILENCE) as server:
        task = asyncio.create_task(collect(make_engine(server.host, CANARY), make_rest_request()))
        await server.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
    assert CANARY not in render(cancelled.value)
