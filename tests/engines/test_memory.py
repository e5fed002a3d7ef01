"""A failure lets go of what was in the frames that it came through."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from engines.memory import collect_seldom, forget_frames, read_resident


class Large:
    """Something that should not be held."""


def fail(held: list[weakref.ref[Large]]) -> None:
    large = Large()
    held.append(weakref.ref(large))
    raise ValueError


def test_a_failure_that_is_kept_holds_nothing_of_its_frames() -> None:
    held: list[weakref.ref[Large]] = []
    gc.disable()
    try:
        try:
            try:
                fail(held)
            except ValueError:
                fail(held)
        except ValueError as error:
            kept = error
        assert [one() is None for one in held] == [False, False]
        forget_frames(kept)
        assert [one() is None for one in held] == [True, True]
        assert kept.__traceback__ is not None, "where it came from can still be told"
    finally:
        gc.enable()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell")
def test_the_memory_of_this_process_is_told() -> None:
    before = read_resident()
    block = bytearray(64 * 1024 * 1024)
    for place in range(0, len(block), 4096):
        block[place] = 1
    assert read_resident() - before > 48 * 1024 * 1024


def test_what_is_there_is_not_looked_through_again_and_new_garbage_still_goes() -> None:
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0] or before[0] >= 10_000
        one, other = Large(), Large()
        one.other, other.other = other, one  # type: ignore[attr-defined]
        gone = weakref.ref(one)
        del one, other
        gc.collect()
        assert gone() is None
    finally:
        gc.set_threshold(*before)
