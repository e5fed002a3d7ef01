"""Tells the terminal how far the jobs are, and that they have ended, for who looks elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from store.errors import SafelightError
from store.records import Job, JobState
from tui.darkroom import Darkroom
from tui.terminal.detect import Surroundings
from tui.terminal.notices import write_notice, write_title
from tui.words import count_things, name_state

if TYPE_CHECKING:
    from engines.settings import InterfaceSettings

TITLE = "safelight"
TENTH = 10
"""Percent by which the title moves: a line over which each would be sent may be slow."""

FOLLOWED_MAXIMUM = 1000
"""Of more jobs than that the ends of the newest are counted."""


class Announcer:
    """Writes the terminal's title, and a notice when the last of some jobs has ended.

    `interface` says how; without it nothing is told.
    """

    def __init__(
        self, darkroom: Darkroom, around: Surroundings, interface: InterfaceSettings | None
    ) -> None:
        self._darkroom = darkroom
        self._around = around
        self._interface = interface
        self._title = ""
        self._followed: dict[str, None] = {}
        self._since = 0.0

    async def follow(self, jobs: Sequence[Job], session: str, *, is_seen: bool) -> str:
        """What to send now that `jobs` wait or run, the one that runs first; "" for nothing.

        `is_seen`: somebody looks at the terminal, who needs no notice.
        """
        if (interface := self._interface) is None:
            return ""
        said = self._name(jobs, session) if interface.title else ""
        now = time.monotonic()
        if jobs and not self._followed:
            self._since = now
        self._followed |= dict.fromkeys(job.id for job in jobs)
        if jobs or not self._followed:
            return said
        # Between two jobs of a series nothing has ended.
        if await self._goes_on():
            return said
        ended, self._followed = list(self._followed)[-FOLLOWED_MAXIMUM:], {}
        if is_seen or interface.notify == "none" or now - self._since < interface.notify_after:
            return said
        return said + write_notice(await self._describe(ended), interface.notify, self._around)

    async def _goes_on(self) -> bool:
        """Whether a series is about to make another image."""
        try:
            return await self._darkroom.has_series()
        except SafelightError:
            return False  # It cannot be seen now; that the jobs have ended can be told.

    def repeat_title(self) -> str:
        """What writes the title again, where the terminal was somebody else's meanwhile."""
        return write_title(self._title, self._around.environ) if self._title else ""

    def _name(self, jobs: Sequence[Job], session: str) -> str:
        """The title, where it is another one now."""
        title = f"{TITLE}: {session}" if session else TITLE
        if jobs:
            first = jobs[0]
            share = first.step / first.steps if first.steps else 0.0
            done = (
                f"{int(share * TENTH) * TENTH}%" if first.state is JobState.RUNNING else "waiting"
            )
            title = f"{TITLE}: {done}" + (f", {len(jobs)} in the queue" if len(jobs) > 1 else "")
        if title == self._title:
            return ""
        self._title = title
        return write_title(title, self._around.environ)

    async def _describe(self, ids: Sequence[str]) -> str:
        """`3 images done`, `2 images done, 1 failed`."""
        states: Counter[JobState] = Counter()
        for job_id in ids:
            try:
                states[(await self._darkroom.get_job(job_id)).state] += 1
            except SafelightError:
                continue  # It was removed since.
        done = states.pop(JobState.DONE, 0)
        parts = [f"{count_things(done, 'image')} done"] if done or not states else []
        parts += [f"{number} {name_state(state)}" for state, number in states.items()]
        return ", ".join(parts)
