"""The process group that makes an image: this process and the other ranks, one for each shard.

Threads of one Python process wait for its interpreter; processes do not. A rank is started
with the first image and used as soon as it is ready; until then, and where it is lost, this process
makes both shards in turn. The bits are the same either way.
"""

from __future__ import annotations

import math
import mmap
import os
import pickle
import select
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe

import numpy as np

from engines.builtin.elementary import Floats
from engines.builtin.weights import Weights

ALIGNMENT = 64
"""Bytes; no two arrays share a line of a processor's cache."""


class SharedMemoryError(ValueError):
    """Arrays that are too large for the memory that is shared."""


def make_memory(size: int) -> int:
    """A descriptor of `size` bytes of 0 in memory, which no other process finds by a name."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("safelight", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def lay_out(
    shapes: Mapping[str, tuple[int, ...]], memory: mmap.mmap | None = None
) -> dict[str, Floats]:
    """Arrays of these shapes, one behind the other in `memory`, or in memory of this process.

    Memory of this process is 0 at first. Raises `SharedMemoryError` where they do not fit.
    """
    places, end = {}, 0
    for name, shape in shapes.items():
        places[name] = end
        end += -(-4 * math.prod(shape) // ALIGNMENT) * ALIGNMENT
    if memory is not None and end > len(memory):
        raise SharedMemoryError(f"{end} bytes do not fit into {len(memory)}.")
    whole = np.zeros(end // 4, np.float32) if memory is None else np.frombuffer(memory, np.float32)
    return {
        name: whole[place // 4 : place // 4 + math.prod(shapes[name])].reshape(shapes[name])
        for name, place in places.items()
    }


Work = Generator[None, None, None]

TRIES = 200
"""Looks at the pipe, about a microsecond each, before the kernel is asked to wake the process."""
SECONDS = 20.0
"""A rank that does not come for so long is given up."""


class RankLostError(RuntimeError):
    """The process that makes the other shard has ended or does not answer."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The prompts that a process is to work on next.

    `texts` as the encoder gives them, height and width of the latent, the times of the steps as
    far as they are known, and which shard is its own.
    """

    texts: Sequence[Floats]
    size: tuple[int, int]
    times: Sequence[float]
    side: int


class Barrier:
    """Where two processes wait for each other, any number of times: a pipe in each direction.

    The kernel orders what each wrote to shared memory before with what the other reads after.
    """

    def __init__(self, inbox: int, outbox: int) -> None:
        """Descriptors: the reading end of one pipe, the writing end of the other."""
        os.set_blocking(inbox, False)
        self._inbox, self._outbox = inbox, outbox
        self._poll = select.poll()
        self._poll.register(inbox, select.POLLIN)

    def wait(self) -> None:
        """Return when the other process has come here as often.

        Raises `RankLostError` where it will not come any more.
        """
        try:
            os.write(self._outbox, b".")
            for _ in range(TRIES):
                try:
                    found = os.read(self._inbox, 1)
                except BlockingIOError:
                    continue
                break
            else:
                if not self._poll.poll(SECONDS * 1000):
                    raise RankLostError("The other process does not answer.")
                found = os.read(self._inbox, 1)
        except OSError as error:
            raise RankLostError("The other process has ended.") from error
        if not found:
            raise RankLostError("The other process has ended.")

    def close(self) -> None:
        """Close both pipes; the other process notices."""
        os.close(self._inbox)
        os.close(self._outbox)


def drive(shard: Work, barrier: Barrier) -> None:
    """Run one shard while another process runs the other one; both are done at the end."""
    for _ in shard:
        barrier.wait()
    barrier.wait()


def take_turns(one: Work, two: Work) -> None:
    """Run both shards in this process."""
    for _ in zip(one, two, strict=True):
        pass


MOST_PROCESSES = 4
MEMORY = 64 * 2**20
"""Bytes that a pair of processes shares at most; what is not used takes no room."""
END_SECONDS = 2.0


def count_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Rank:
    """A process that makes one shard, seen from the one that started it."""

    def __init__(self, side: int, model: int, memory: int, inbox: int, outbox: int) -> None:
        """Start it with these descriptors, which stay open here."""
        self.side = side
        self._is_ready = False
        self._connection, theirs = Pipe()
        inherited = (theirs.fileno(), model, memory, inbox, outbox)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "engines.builtin.parallel.rank", *map(str, inherited)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # It serves this process alone, and no key pressed at a terminal is for it.
                start_new_session=True,
                env={
                    name: value for name, value in os.environ.items() if not name.endswith("_KEY")
                },
            )

    @property
    def process_id(self) -> int:
        """Its id for the system."""
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether it has said so; does not wait. Raises `RankLostError` when it has ended."""
        try:
            if not self._is_ready and self._connection.poll():
                self._is_ready = self._connection.recv()
        except (EOFError, OSError) as error:
            raise RankLostError("A process of the model has ended.") from error
        return self._is_ready

    def order(self, what: Begin | float) -> None:
        """Say what to do next."""
        try:
            self._connection.send(what)
        except OSError as error:
            raise RankLostError("A process of the model has ended.") from error

    def wait(self) -> None:
        """Return when it has answered a step."""
        try:
            if not self._connection.poll(SECONDS):
                raise RankLostError("A process of the model does not answer.")
            self._connection.recv()
        except (EOFError, OSError) as error:
            raise RankLostError("A process of the model has ended.") from error

    def end(self) -> None:
        """Let it end, and see to it that it does."""
        self._connection.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class Pair:
    """Two processes that make the two shards of some prompts, and the memory that they share.

    This process is the first shard of the first pair, and has a `barrier` with the second one.
    """

    memory: mmap.mmap
    ranks: list[Rank] = field(default_factory=list)
    barrier: Barrier | None = None

    def drive(self, shard: Work) -> None:
        """Run the shard of this process beside the other one's, to the end of both."""
        assert self.barrier is not None, "only the first pair is run from here"
        drive(shard, self.barrier)


def _start_pairs(weights: Weights, count: int) -> list[Pair]:
    pairs: list[Pair] = []
    data = pickle.dumps(weights, pickle.HIGHEST_PROTOCOL)
    try:
        for k in range(count):
            pairs.append(_start_pair(data, is_first=k == 0))
    except BaseException:
        _end(pairs)
        raise
    return pairs


def _start_pair(data: bytes, *, is_first: bool) -> Pair:
    open_here: set[int] = set()

    def keep(*descriptors: int) -> tuple[int, ...]:
        open_here.update(descriptors)
        return descriptors

    pairs: list[Pair] = []
    try:
        (memory,) = keep(make_memory(MEMORY))
        (in_0, out_1), (in_1, out_0) = keep(*os.pipe()), keep(*os.pipe())
        ends = ((in_0, out_0), (in_1, out_1))
        pair = Pair(mmap.mmap(memory, MEMORY))
        pairs.append(pair)
        for side in (1,) if is_first else (0, 1):
            # One for each: they share the place in a file that they read.
            (model,) = keep(make_memory(len(data)))
            with os.fdopen(os.dup(model), "wb") as file:
                file.write(data)
            os.lseek(model, 0, os.SEEK_SET)
            pair.ranks.append(Rank(side, model, memory, *ends[side]))
        if is_first:
            pair.barrier = Barrier(*ends[0])
            open_here -= set(ends[0])
    except BaseException:
        _end(pairs)
        raise
    finally:
        for descriptor in open_here:
            os.close(descriptor)
    return pair


def _end(pairs: list[Pair]) -> None:
    while pairs:
        pair = pairs.pop()
        if pair.barrier is not None:
            pair.barrier.close()
        for rank in pair.ranks:
            rank.end()


class ProcessGroup:
    """The process group of one set of weights: this process and the other ranks. Close it."""

    def __init__(self, weights: Weights, processes: int | None = None) -> None:
        """`processes`: one for each processor when None, `MOST_PROCESSES` at most.

        They decide the speed only.
        """
        self._weights = weights
        self._count = min(MOST_PROCESSES, processes or count_processors()) // 2
        self._pairs: list[Pair] = []
        self._is_started = False
        self.is_trusted = False
        """Whether a step of theirs was found to be what this process makes alone."""
        self._end = weakref.finalize(self, _end, self._pairs)

    @property
    def process_ids(self) -> list[int]:
        """The ids of the ranks' processes."""
        return [rank.process_id for pair in self._pairs for rank in pair.ranks]

    def start(self) -> None:
        """Start the ranks, once; does not wait for them."""
        if self._is_started or not self._count:
            return
        self._is_started = True
        try:
            self._pairs += _start_pairs(self._weights, self._count)
        except OSError:
            # No room for more processes or descriptors: the work is done here.
            return

    def find_ready(self) -> list[Pair]:
        """The pairs, when all are ready; does not wait."""
        try:
            # Each is asked, so that one that is lost is noticed.
            ready = [rank.is_ready() for pair in self._pairs for rank in pair.ranks]
        except RankLostError:
            self.close()
            return []
        return self._pairs if all(ready) else []

    def close(self) -> None:
        """End the ranks; what comes next is made here."""
        self._is_started = True
        _end(self._pairs)
