"""Output: whoever writes goes on at once, whatever the terminal does."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from tests.waiting import wait_until
from tui.terminal import writer as writers
from tui.terminal.writer import Output

PIECE = "x" * 999 + "\n"


class Reader:
    """The other end of what is written to."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self.data = b""

    def read_until(self, length: int) -> None:
        """Take what comes until there are so many bytes in all, or no more will come."""
        while len(self.data) < length:
            if not (data := self._file.read(1 << 16)):
                return
            self.data += data

    def close(self) -> None:
        """Be gone."""
        self._file.close()


@contextlib.contextmanager
def writing() -> Iterator[tuple[Output, Reader, threading.Event]]:
    """An output, who may read it, and what is set when it has caught up."""
    near, far = os.pipe()
    caught_up = threading.Event()
    file = os.fdopen(far, "w", newline="")
    output = Output(file, caught_up.set)
    output.start()
    reader = Reader(near)
    yield output, reader, caught_up
    output.stop()
    # What it could not send is still in it.
    with contextlib.suppress(OSError):
        file.close()


def test_who_writes_to_a_terminal_that_stands_still_goes_on_and_is_told_when_it_goes_on() -> None:
    with writing() as (output, reader, caught_up):
        for number in range(500):
            output.write(f"{number:08}{PIECE}")
        assert output.find_behind()
        reader.read_until(500 * 1008)
        assert caught_up.wait(60)
        assert not output.find_behind()
        numbers = [int(line[:8]) for line in reader.data.decode().splitlines()]
        assert numbers == list(range(500))


def test_a_terminal_that_takes_all_is_never_behind() -> None:
    with writing() as (output, reader, caught_up):
        for _ in range(300):
            output.write(PIECE)
            reader.read_until(len(reader.data) + len(PIECE))
            assert not output.find_behind()
        # One piece may be as large as it likes: it is sent and does not wait.
        threading.Thread(target=reader.read_until, args=(700_000,)).start()
        output.write(PIECE * 400)
        wait_until(lambda: len(reader.data) >= 700_000)
        assert not output.find_behind()
        assert not caught_up.is_set()


def test_what_waits_for_a_terminal_that_never_reads_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writers, "WAITING_CHARACTERS", 100_000)
    with writing() as (output, reader, caught_up):
        for _ in range(5000):
            output.write(PIECE)
        assert output.find_behind()
        reading = threading.Thread(target=reader.read_until, args=(5_000_000,))
        reading.start()
        assert caught_up.wait(60)
    # What stood in the pipe, what was on its way, and the bound.
    reading.join()
    assert 100_000 <= len(reader.data) <= 400_000


def test_an_end_that_is_closed_is_no_fault() -> None:
    with writing() as (output, reader, _):
        reader.close()
        for _ in range(100):
            output.write(PIECE)
        output.stop()
        assert not output.is_alive()
