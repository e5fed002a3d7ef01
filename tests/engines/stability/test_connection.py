"""Which servers are reached how, and where a key may go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from engines.base import EngineError, Failure, Produced
from engines.keys import Secret
from engines.remote import find_target
from engines.stability.connection import make_metadata, open_channel
from tests.engines.hosted import Serve, collect, make_engine
from tests.factories import make_hosted_request

CANARY = "sk-CANARY-0123456789"


@pytest.mark.parametrize(
    ("host", "tls", "address", "is_local", "is_tls", "is_hosted"),
    [
        ("grpc.stability.ai:443", None, "grpc.stability.ai:443", False, True, True),
        ("grpc.stability.ai", None, "grpc.stability.ai:443", False, True, True),
        ("example.org:50051", None, "example.org:50051", False, True, False),
        ("example.org:50051", False, "example.org:50051", False, False, False),
        ("notstability.ai", None, "notstability.ai:443", False, True, False),
        ("localhost:443", None, "localhost:443", True, False, False),
        ("127.0.0.1:10443", None, "127.0.0.1:10443", True, False, False),
        ("127.0.0.1:9000", True, "127.0.0.1:9000", True, True, False),
        ("127.8.9.1:1", None, "127.8.9.1:1", True, False, False),
        ("[::1]:50051", None, "[::1]:50051", True, False, False),
        ("[2001:db8::1]", None, "[2001:db8::1]:443", False, True, False),
        ("localhost.example.org:443", None, "localhost.example.org:443", False, True, False),
        ("127.0.0.1.example.org", None, "127.0.0.1.example.org:443", False, True, False),
        ("unix:/run/s.sock", None, "unix:/run/s.sock", True, False, False),
        ("unix:///run/s.sock", None, "unix:/run/s.sock", True, False, False),
    ],
)
def test_tls_follows_the_machine_and_never_the_port(
    host: str, tls: bool | None, address: str, is_local: bool, is_tls: bool, is_hosted: bool
) -> None:
    target = find_target(host, tls)
    assert target.address == address
    assert (target.is_local, target.is_tls, target.is_hosted) == (is_local, is_tls, is_hosted)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "https://grpc.stability.ai",
        "grpc.stability.ai:443/",
        "grpc.stability.ai:",
        "example.org:0",
        "example.org:99999",
        "example.org:٤٤٣",
        "user@example.org:443",
        "::1:50051",
        "[example.org]:443",
        "unix:server.sock",
        "unix://host/server.sock",
        "exa mple.org",
        "a\nb:1",
    ],
)
def test_text_that_is_no_address_is_refused_with_an_example(host: str) -> None:
    with pytest.raises(EngineError, match=r"grpc\.stability\.ai:443"):
        find_target(host)


async def test_a_key_never_crosses_a_network_in_the_clear() -> None:
    target = find_target("example.org:443", tls=False)
    for attempt in (open_channel, make_metadata):
        with pytest.raises(EngineError) as caught:
            attempt(target, Secret(CANARY))
        assert caught.value.kind is Failure.INSECURE
        assert "unencrypted" in caught.value.message
    with pytest.raises(EngineError) as caught:
        await collect(make_engine("example.org:443", CANARY, tls=False), make_hosted_request())
    assert caught.value.kind is Failure.INSECURE


async def test_a_local_server_gets_the_key(serve: Serve) -> None:
    server = await serve(token=CANARY)
    (produced,) = await collect(make_engine(server.host, CANARY), make_hosted_request())
    assert isinstance(produced, Produced)
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"


async def test_no_key_no_header(serve: Serve) -> None:
    server = await serve()
    await collect(make_engine(server.host), make_hosted_request())
    assert "authorization" not in server.headers[0]


async def test_no_proxy_sees_what_goes_to_this_machine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = await serve(token=CANARY)
    events = await collect(make_engine(server.host, CANARY), make_hosted_request())
    assert isinstance(events[-1], Produced)


def read_credentials(folder: Path) -> object:
    pair = ((folder / "key.pem").read_bytes(), (folder / "cert.pem").read_bytes())
    return grpc.ssl_server_credentials([pair])


async def test_over_tls_the_key_arrives_and_the_server_is_checked(
    serve: Serve, certificate: Path
) -> None:
    server = await serve(credentials=read_credentials(certificate), token=CANARY)
    engine = make_engine(server.host, CANARY, tls=True, certificates=certificate / "cert.pem")
    (produced,) = await collect(engine, make_hosted_request())
    assert isinstance(produced, Produced)
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"

    with pytest.raises(EngineError) as caught:  # an authority that nobody knows
        await collect(make_engine(server.host, CANARY, tls=True), make_hosted_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert "TLS" in caught.value.message
    assert "certificates" in caught.value.hint
    assert len(server.messages) == 1


async def test_a_server_without_tls_is_not_talked_to_as_if_it_had(serve: Serve) -> None:
    server = await serve()
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host, CANARY, tls=True), make_hosted_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert "tls = false" in caught.value.hint
    assert server.messages == []


async def test_missing_certificates_are_named(tmp_path: Path) -> None:
    engine = make_engine("localhost:1", tls=True, certificates=tmp_path / "gone.pem")
    with pytest.raises(EngineError, match=r"gone\.pem cannot be read"):
        await collect(engine, make_hosted_request())


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root, **environ},
        capture_output=True,
        text=True,
        check=True,
    )


CALL = """
import asyncio, socket
from engines.base import (EngineError)
from tests.engines.hosted import collect, make_engine
from tests.factories import make_hosted_request
from tests.engines.stability.server import Server
from tests.engines.painter import Painter

async def main():
    web = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    host = "127.0.0.1:%d" % web.sockets[0].getsockname()[1]
    try:
        await collect(make_engine(host, "{key}", tls=True), make_hosted_request())
    except EngineError as error:
        print(error.kind)
    async with Server(Painter(), token="{key}") as server:
        print(len(await collect(make_engine(server.host, "{key}"), make_hosted_request())))
asyncio.run(main())
"""


@pytest.mark.parametrize("environ", [{}, {"GRPC_TRACE": "http,api", "GRPC_VERBOSITY": "DEBUG"}])
def test_grpc_writes_nothing_to_the_terminal(environ: dict[str, str]) -> None:
    result = run_python(CALL.format(key=CANARY), **environ)
    assert result.stdout == "unreachable\n1\n"
    assert result.stderr == ""


def test_capabilities_need_no_grpc_and_the_engine_leaves_no_traces() -> None:
    code = "import sys, logging; path = list(sys.path); import engines.stability.models\n"
    code += "import engines.settings\n"
    code += "assert 'grpc' not in sys.modules and 'stability_sdk' not in sys.modules\n"
    code += "import engines.stability.engine\n"
    code += "assert sys.path == path, sys.path\n"
    code += "assert 'stability_sdk.client' not in sys.modules\n"
    code += "assert logging.getLogger().handlers == [] and logging.getLogger().level == 30\n"
    code += "print('clean')"
    assert run_python(code).stdout == "clean\n"
