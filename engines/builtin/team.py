"""Work in two halves that meet: on two threads, or in turn on one.

A half is a generator that yields where it needs what the other half has made so far.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

Half = Generator[None, None, None]


class Meeting:
    """Where two threads wait for each other, any number of times."""

    def __init__(self) -> None:
        self._doors = [[Lock(), Lock()], [Lock(), Lock()]]
        for pair in self._doors:
            for door in pair:
                door.acquire()
        self._count = [0, 0]
        self._is_off = False

    def wait(self, me: int) -> None:
        """Return when the other thread has come here as often."""
        doors = self._doors[self._count[me] % 2]
        self._count[me] += 1
        doors[me].release()
        doors[1 - me].acquire()
        if self._is_off:
            raise RuntimeError("The other half failed.")

    def call_off(self, me: int) -> None:
        """End every wait of the other thread with an error."""
        self._is_off = True
        for pair in self._doors:
            if pair[me].locked():
                pair[me].release()


def _drive(half: Half, meeting: Meeting, me: int) -> None:
    try:
        for _ in half:
            meeting.wait(me)
    except BaseException:
        meeting.call_off(me)
        raise


def count_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """Runs pairs of halves, each pair on two threads; a team of one thread takes turns."""

    def __init__(self, threads: int) -> None:
        self.pairs = max(1, threads // 2)
        self._is_single = threads < 2
        self._pool = ThreadPoolExecutor(2 * self.pairs - 1, "half")

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown()

    def run(self, pairs: list[tuple[Half, Half]]) -> None:
        """Run at most `self.pairs` pairs to their end; the last half in this thread."""
        if self._is_single:
            for one, two in pairs:
                for _ in zip(one, two, strict=True):
                    pass
            return
        halves = []
        for pair in pairs:
            meeting = Meeting()
            halves += [(half, meeting, me) for me, half in enumerate(pair)]
        *others, mine = halves
        waiting = [self._pool.submit(_drive, *half) for half in others]
        try:
            _drive(*mine)
        finally:
            for work in waiting:
                work.exception()
        for work in waiting:
            work.result()
