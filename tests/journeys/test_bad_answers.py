"""The worker under a limit of memory, asked by services that answer too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.bad_answers import Bench, running

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured where /proc tells it"
)

FEW = ("zeros packed twice", "30 million empty artifacts", "headers without end")
"""Unpacked, counted and never ended: one each in the default run."""

OF_EACH_KIND = (
    "20 million empty lists",
    "a text of 60 MB",
    "a body without end",
    "images of 20 MiB without end",
    "100 MiB of zeros, packed",
    "64 megapixels",
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with running() as started:
        yield started


def check(bench: Bench, names: tuple[str, ...] | None) -> None:
    faults = {}
    for service, flood in bench.list_all():
        if names is None or flood.name in names:
            outcome = bench.try_flood(service, flood)
            if found := outcome.list_faults(flood):
                faults[flood.name] = (found, outcome.said)
    assert faults == {}


def test_each_kind_ends_in_its_state_and_gives_its_memory_back(bench: Bench) -> None:
    check(bench, FEW)


@pytest.mark.exhaustive
def test_those_of_each_kind_do(bench: Bench) -> None:
    check(bench, OF_EACH_KIND)


@pytest.mark.campaign
@pytest.mark.timeout(1200)  # some of them last until the deadline
def test_all_of_them_do(bench: Bench) -> None:
    check(bench, None)
