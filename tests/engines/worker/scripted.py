"""An engine that does what a test says, in the place of the hosted one, and its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from engines.base import Event, Produced, Run
from engines.builtin import BuiltinSpec
from engines.builtin.models import CAPABILITIES as EMBEDDED
from engines.capabilities import Capabilities
from engines.settings import BudgetSettings, Settings, WorkerSettings
from engines.stability import StabilitySpec
from engines.stability.models import StabilitySettings, make_capabilities
from store.records import EnvironmentRecord
from store.request import Request
from tests.engines.painter import MODEL
from tests.factories import SEED, make_plain

PRICE = 1.5
IMAGE = Produced(data=make_plain(), mime="image/png", seed=SEED)


class Scripted:
    """Gives `events` to each image that it is asked for; one that is an exception is raised.

    With `is_held` it waits for `go_on` before the first, with `holds_end` after the last.
    `began` is set while it makes an image, `was_stopped` when its work was cancelled; `calls`
    counts the images. `answers` is what it makes of a spool. `is_free`: it accepts what the
    embedded engine does.
    """

    def __init__(
        self,
        *events: Event | BaseException,
        is_held: bool = False,
        holds_end: bool = False,
        answers: Sequence[Event | BaseException] = (),
        is_free: bool = False,
    ) -> None:
        self.is_free = is_free
        self.events = events or (IMAGE,)
        self.answers = answers
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.given, self.was_stopped = asyncio.Event(), asyncio.Event()
        self.calls = 0
        self._is_held, self._holds_end = is_held, holds_end

    @property
    def capabilities(self) -> Capabilities:
        return EMBEDDED if self.is_free else make_capabilities([MODEL])

    def environment(self) -> EnvironmentRecord:
        return EnvironmentRecord(values={"engine": "scripted"})

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        return b"asked for"

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        self.calls += 1
        self.began.set()
        try:
            if self._is_held:
                await self.go_on.wait()
            for event in self.events:
                if isinstance(event, BaseException):
                    raise event
                yield event
            self.given.set()
            if self._holds_end:
                await self.go_on.wait()
        except asyncio.CancelledError:
            self.was_stopped.set()
            raise

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        found = []
        for event in self.answers:
            if isinstance(event, BaseException):
                raise event
            found.append(event)
        return found

    async def close(self) -> None:
        pass


def use(monkeypatch: pytest.MonkeyPatch, engine: Scripted) -> Scripted:
    """Have every registry open `engine`: as the embedded one if it is free, else as the hosted."""
    spec = BuiltinSpec if engine.is_free else StabilitySpec
    monkeypatch.setattr(spec, "open", lambda *_, **__: engine)
    return engine


def make_settings(*, limit: float | None = None) -> Settings:
    """A host whose images cost `PRICE` credits; the worker leaves when it is idle."""
    host = StabilitySettings(host="127.0.0.1:1", models=(MODEL,), is_free=False)
    return Settings(
        engines={"stability": host},
        budget=BudgetSettings(prices={MODEL: PRICE}, credits_per_day=limit),
        worker=WorkerSettings(idle_minutes=0),
    )
