"""What a server tells those who want to use it, by where it listens and what it wants."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from engines.base import EngineError
from engines.builtin.models import CAPABILITIES
from engines.keys import Secret
from engines.server.clients import list_hindrances, list_uses
from engines.server.server import ServerSettings, check_origins, find_listening_target
from engines.stability.models import SIZES
from store.limits import SIZE_MAXIMUM
from tests.journeys.program import Program

PLAIN = ServerSettings()
LOCKED = ServerSettings(key=Secret("sesame"))
TLS = ServerSettings(certificate=Path("c"), private_key=Path("k"))
BOTH = ServerSettings(certificate=Path("c"), private_key=Path("k"), key=Secret("sesame"))


@pytest.mark.parametrize(
    ("address", "settings", "words"),
    [
        ("127.0.0.1:50051", PLAIN, ()),
        ("127.0.0.1:50443", TLS, ()),
        ("127.0.0.1:50443", BOTH, ()),
        ("127.0.0.1:443", BOTH, ()),
        ("127.0.0.1:50051", TLS, ("--port 50443",)),
        ("127.0.0.1:50051", BOTH, ("--port 50443", "sends its key")),
        ("127.0.0.1:50051", LOCKED, ("--certificate", "--port 50443", "sends its key")),
        ("unix:/run/server.sock", LOCKED, ("--certificate", "--port 50443")),
        ("127.0.0.1:50443", PLAIN, ("choose another port", "--certificate")),
        ("127.0.0.1:50443", LOCKED, ("choose another port", "--certificate")),
    ],
)
def test_what_hinders_the_sdk_is_said(
    address: str, settings: ServerSettings, words: tuple[str, ...]
) -> None:
    said = list_hindrances(address, settings)
    assert len(said) == bool(words)
    assert all(word in said[0] for word in words)


def test_a_line_for_each_kind_of_client() -> None:
    sdk, command, web = list_uses("127.0.0.1:50051", PLAIN, "model")
    assert 'StabilityInference(host="127.0.0.1:50051", key="any", engine="model")' in sdk
    assert "STABILITY_HOST=127.0.0.1:50051 STABILITY_KEY=any python -m stability_sdk" in command
    assert web.endswith(" http://127.0.0.1:50051")
    locked = list_uses("0.0.0.0:50443", BOTH, "model")
    host = f"{socket.gethostname()}:50443"
    assert f'host="{host}", key=os.environ["STABILITY_KEY"]' in locked[0]
    assert locked[2].endswith(f" https://{host}")
    assert "sesame" not in "".join(locked)
    assert len(list_uses("unix:/run/server.sock", PLAIN, "model")) == 2


def test_with_tls_the_usual_port_is_one_that_the_sdk_knows() -> None:
    assert find_listening_target(PLAIN).address == "127.0.0.1:50051"
    assert find_listening_target(TLS).address == "127.0.0.1:50443"
    assert find_listening_target(ServerSettings(port=0)).address == "127.0.0.1:0"


def test_the_help_names_the_argument_and_no_variable_that_is_not_read(program: Program) -> None:
    said = " ".join(program.run("serve", "--help").stdout.split())
    assert "host=" in said
    assert "The class does not read STABILITY_HOST" in re.sub(r"\W*\n\W*", " ", said)
    assert "50443" in said


@pytest.mark.parametrize("origin", ["*", "https://example.org", "http://localhost:8080"])
def test_an_origin_is_written_as_a_browser_does(origin: str) -> None:
    check_origins(ServerSettings(origins=(origin,)))


@pytest.mark.parametrize("origin", ["", "example.org", "https://example.org/", "null", "http://*"])
def test_what_is_no_origin_is_refused(program: Program, origin: str) -> None:
    with pytest.raises(EngineError, match="not the origin of a web page"):
        check_origins(ServerSettings(origins=(origin,)))
    refused = program.run("serve", "--port", "0", "--web-origin", origin, status=2)
    assert "https://example.org" in refused.stderr


@pytest.mark.parametrize("model", SIZES)
def test_each_size_of_the_models_that_the_server_may_stand_for_is_made(model: str) -> None:
    sizes = SIZES[model]
    sides = range(128, SIZE_MAXIMUM + 1, 64)
    known = sizes.only or [
        (width, height) for width in sides for height in sides if sizes.accepts((width, height))
    ]
    assert len(known) > 5
    assert [size for size in known if not CAPABILITIES.sizes.accepts(size)] == []


def test_an_origin_where_no_page_can_call_is_refused() -> None:
    origins = ("https://example.org",)
    with pytest.raises(EngineError, match="not answered at a socket"):
        check_origins(ServerSettings(host="unix:/run/server.sock", origins=origins))
    with pytest.raises(EngineError, match="by the fleet of a cluster"):
        check_origins(ServerSettings(origins=origins), has_web=False)
