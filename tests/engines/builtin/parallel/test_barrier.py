"""Two shards of the same work meet, in one process and in two, over memory that they share."""

from __future__ import annotations

import mmap
import os

import pytest

from engines.builtin.elementary import Floats
from engines.builtin.parallel.group import (
    Barrier,
    RankLostError,
    SharedMemoryError,
    Work,
    drive,
    lay_out,
    take_turns,
)


def test_arrays_lie_apart_and_too_many_are_refused() -> None:
    shared = lay_out({"a": (3, 5), "b": (7,), "c": (2, 2, 2)})
    for k, array in enumerate(shared.values()):
        array.fill(k)
    assert [float(array.sum()) for array in shared.values()] == [0, 7, 16]
    with pytest.raises(SharedMemoryError, match="do not fit"):
        lay_out({"a": (2000,)}, mmap.mmap(-1, 4096))


def test_halves_meet_in_two_processes() -> None:
    """Each writes what the other reads after the next barrier."""

    def shard(me: int, seen: Floats) -> Work:
        for k in range(2000):
            seen[me] = k
            yield
            assert seen.min() >= k
            yield

    memory = mmap.mmap(-1, 4096)
    seen = lay_out({"seen": (2,)}, memory)["seen"]
    ends = [os.pipe(), os.pipe()]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            drive(shard(1, seen), Barrier(ends[0][0], ends[1][1]))
            status = 0
        finally:
            os._exit(status)
    os.close(ends[0][0])
    os.close(ends[1][1])
    here = Barrier(ends[1][0], ends[0][1])
    drive(shard(0, seen), here)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(RankLostError):
        here.wait()
    here.close()


def test_halves_take_turns_in_one_process() -> None:
    seen: list[int] = []

    def shard(me: int) -> Work:
        for _ in range(3):
            seen.append(me)
            yield

    take_turns(shard(0), shard(1))
    assert seen == [0, 1] * 3
