"""What every test stands on: a home of its own, no key, no network beyond loopback."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import known_secrets
from tests.journeys.program import Program
from tests.repeats import list_left_out

for name in ("STABILITY_HOST", "STABILITY_REST_HOST", "STABILITY_KEY"):
    os.environ.pop(name, None)

# Where a machine forbids bytecode, each of the many programs that are started here would compile
# all of its modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell lets what it runs in the background ignore Ctrl+C, and every child inherits that:
# a program under test would never see the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _take_one_processor() -> None:
    """Stay on one processor, with all children, where the workers of pytest fill them anyhow.

    The embedded model starts as many processes as there are processors for it. These would
    only stand in the way of the other workers; the images are the same.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if count == 1 or not hasattr(os, "sched_setaffinity"):
        return
    processors = sorted(os.sched_getaffinity(0))
    if count >= len(processors):
        number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        os.sched_setaffinity(0, {processors[number % len(processors)]})


_take_one_processor()


_NAMED_BYTES = 40

WORKERS_MOST = 4


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor, up to four: many tests start programs, and wait for them."""
    return min(WORKERS_MOST, 2 * (os.cpu_count() or 1))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """The name of a value in the name of its test; None for the usual one.

    Long bytes make no name, and packed ones have the time in them: each worker of pytest would
    know other tests.
    """
    if isinstance(val, bytes) and len(val) > _NAMED_BYTES:
        return argname
    return None


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make, not among a million loaded objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what `samples` does not name to the exhaustive run."""
    values: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("samples") and not item.get_closest_marker("exhaustive"):
            values.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for found in values.values():
        mark = found[0].get_closest_marker("samples")
        assert mark is not None
        for place in list_left_out(len(found), *mark.args):
            found[place].add_marker("exhaustive")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many kills and faults of a disk tests/engines/worker/test_trials.py tries, each."""
    parser.addoption("--trials", type=int, default=0, help="how many kills, and how many faults")
    parser.addoption("--trials-seed", type=int, default=0, help="the number of the first of them")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and data directory, so that no test sees another's or the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SAFELIGHT_HOME", str(folder / "safelight"))
    return folder


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of another test is not taken out of what this one shows."""
    monkeypatch.setattr(known_secrets, "_known", [])


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert address[0] in ("127.0.0.1", "::1", "localhost"), f"no network: {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def program(home: Path) -> Iterator[Program]:
    """The command line of a fresh home; its worker is ended after the test."""
    running = Program(home)
    yield running
    running.end_worker()
