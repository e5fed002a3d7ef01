"""What a fleet refuses before it starts, and what it costs those who start none."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from engines.base import EngineError, Failure
from engines.keys import Secret
from engines.server.fleet.cluster import Fleet
from engines.server.fleet.deploy import serve
from engines.server.fleet.replica import check_environment
from engines.server.server import ServerSettings
from store.records import EnvironmentRecord
from tests.engines.painter import Painter
from tests.journeys.program import Program
from tests.store.helpers import run_python

HAS_RAY = importlib.util.find_spec("ray") is not None


async def refuse(settings: ServerSettings, **options: Any) -> EngineError:
    def announce(address: str) -> None:
        pytest.fail(f"It listens at {address}.")

    with pytest.raises(EngineError) as caught:
        await serve(Painter, settings, Fleet(size=2, **options), announce)
    return caught.value


@pytest.mark.skipif(HAS_RAY, reason="Ray Serve is installed")
def test_without_ray_the_command_says_how_to_get_it(program: Program) -> None:
    done = program.run("serve", "--fleet", "2", "--port", "0", status=2)
    assert "pip install 'safelight[fleet]'" in done.stderr
    assert done.stdout == ""


def test_a_cluster_without_a_fleet_is_a_mistake(program: Program) -> None:
    done = program.run("serve", "--address", "auto", status=2)
    assert "--fleet N" in done.stderr


async def test_beyond_this_machine_there_is_tls_and_a_key_or_nothing(tmp_path: Path) -> None:
    error = await refuse(ServerSettings(host="0.0.0.0"))
    assert error.kind is Failure.INSECURE
    assert "Other machines can reach 0.0.0.0:50051" in error.message
    missing = tmp_path / "missing.pem"
    key = Secret("sesame")
    error = await refuse(
        ServerSettings(host="0.0.0.0", port=0, key=key, certificate=missing, private_key=missing)
    )
    assert "cannot be read" in error.message


async def test_a_running_cluster_is_given_the_key_in_a_file() -> None:
    error = await refuse(ServerSettings(port=0, key=Secret("sesame")), address="auto")
    assert error.kind is Failure.INSECURE
    assert "--key-file" in error.hint
    assert "sesame" not in str(error)


def test_a_node_that_would_make_other_pixels_is_refused() -> None:
    expected = EnvironmentRecord(values={"engine": "builtin", "numpy": "2.3.0"})
    check_environment(expected, EnvironmentRecord(values=dict(expected.values)))
    for other, text in (({"numpy": "2.1.0"}, "its numpy is 2.1.0"), ({"device": "x"}, "device")):
        found = EnvironmentRecord(values={**expected.values, **other})
        with pytest.raises(EngineError, match=text):
            check_environment(expected, found)


def test_a_machine_of_another_kind_is_as_good_where_equal_bits_are_promised() -> None:
    def make(machine: str, kernels: str, promise: str, **others: str) -> EnvironmentRecord:
        facts = {"machine": machine, "kernels": kernels, "equal bits promised": promise}
        return EnvironmentRecord(values={"engine": "builtin", **facts, **others})

    here = make("x86_64", "OpenBLAS SkylakeX", "yes")
    check_environment(here, make("aarch64", "OpenBLAS NeoverseN1", "yes"))
    with pytest.raises(EngineError, match="its weights is ab"):
        check_environment(here, make("aarch64", "OpenBLAS NeoverseN1", "yes", weights="ab"))
    doubtful = make("x86_64", "OpenBLAS Odd", "no: its kernels round")
    for one, other in ((here, doubtful), (doubtful, here)):
        with pytest.raises(EngineError, match=r"equal bits promised is .*its kernels round"):
            check_environment(one, other)
    check_environment(doubtful, doubtful)
    with pytest.raises(EngineError, match="its kernels is OpenBLAS"):
        check_environment(doubtful, make("x86_64", "OpenBLAS", "no: its kernels round"))


def test_nothing_of_ray_is_imported_before_a_fleet_starts() -> None:
    loaded = run_python(
        """
        import sys
        import engines.server.fleet.deploy, tui.cli.serve
        print("ray" in sys.modules)
        """
    )
    assert loaded == "False"
