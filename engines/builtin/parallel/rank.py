"""`python -m engines.builtin.parallel.rank`: a process that makes one shard of an image's steps.

`group.py` starts it, says what to do through a connection, and shares memory with it. It makes
nothing of its own and ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection


def work(connection: Connection, model: int, memory: int, inbox: int, outbox: int) -> None:
    """Do what the connection says until it ends. The others are descriptors.

    An order is a `Begin`, or the time of the next step. Side 0 answers each step when both
    shards are done.
    """
    from engines.builtin.cpu import use_own_threads
    from engines.builtin.denoiser import Denoiser
    from engines.builtin.parallel.denoise import Passes
    from engines.builtin.parallel.group import Barrier, Begin, drive, lay_out

    use_own_threads()
    with os.fdopen(model, "rb") as file:
        # Written by the process that started this one.
        net = Denoiser(pickle.load(file))
    shared_memory = mmap.mmap(memory, 0)
    barrier = Barrier(inbox, outbox)
    connection.send(True)
    while True:
        order = connection.recv()
        if isinstance(order, Begin):
            passes = Passes(net, order.texts, order.size)
            shared = lay_out(passes.list_shared(), shared_memory)
            shard, side = passes.make_shard(order.side, shared), order.side
            passes.prepare(order.times)
        else:
            drive(shard.predict(passes.modulate(order)), barrier)
            if side == 0:
                connection.send(True)


def main() -> None:
    """Command line: the descriptors that the starting process left open for this one."""
    # A key pressed for the whole group of processes is for the one that shows something.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from engines.builtin.parallel.group import RankLostError

    first, *others = map(int, sys.argv[1:])
    with Connection(first) as connection, contextlib.suppress(EOFError, OSError, RankLostError):
        work(connection, *others)


if __name__ == "__main__":
    main()
