"""Two halves of the same work: where they wait for each other, in two processes or in one.

A half is a generator that yields where it needs what the other half has made so far.
"""

from __future__ import annotations

import os
import select
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.builtin.elementary import Floats

Half = Generator[None, None, None]

TRIES = 200
"""Looks at the pipe, about a microsecond each, before the kernel is asked to wake the process."""
SECONDS = 20.0
"""A partner that does not come for so long is given up."""


class PartnerLostError(RuntimeError):
    """The process that makes the other half has ended or does not answer."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The prompts that a process is to work on next.

    `texts` as the encoder gives them, height and width of the latent, the times of the steps as
    far as they are known, and which half is its own.
    """

    texts: Sequence[Floats]
    size: tuple[int, int]
    times: Sequence[float]
    side: int


class Meeting:
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

        Raises `PartnerLostError` where it will not come any more.
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
                    raise PartnerLostError("The other process does not answer.")
                found = os.read(self._inbox, 1)
        except OSError as error:
            raise PartnerLostError("The other process has ended.") from error
        if not found:
            raise PartnerLostError("The other process has ended.")

    def close(self) -> None:
        """Close both pipes; the other process notices."""
        os.close(self._inbox)
        os.close(self._outbox)


def drive(half: Half, meeting: Meeting) -> None:
    """Run one half while another process runs the other one; both are done at the end."""
    for _ in half:
        meeting.wait()
    meeting.wait()


def take_turns(one: Half, two: Half) -> None:
    """Run both halves in this process."""
    for _ in zip(one, two, strict=True):
        pass
