"""A tiny engine for tests: its pixels are a digest of everything that it was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, Sequence

import msgspec
from PIL import Image

from engines.base import Capabilities, Event, Produced, Progressed, Run
from engines.stability.capabilities import make_capabilities
from store.records import EnvironmentRecord
from store.request import Request

MODEL = "painter-1"


class Painter:
    """Paints noise that depends on each active prompt and each parameter.

    With `is_held` it stops after the first step until `go_on` is set; `was_stopped` is set
    when its work was cancelled.
    """

    def __init__(self, *, is_held: bool = False) -> None:
        self.go_on = asyncio.Event()
        self.was_stopped = asyncio.Event()
        self._is_held = is_held

    @property
    def capabilities(self) -> Capabilities:
        return msgspec.structs.replace(
            make_capabilities([MODEL]), engine="painter", is_deterministic=True, is_paid=False
        )

    def environment(self) -> EnvironmentRecord:
        return EnvironmentRecord(values={"engine": "painter"})

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        return None

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        try:
            for step in range(1, 4):
                yield Progressed(step, 3)
                if self._is_held:
                    await self.go_on.wait()
                await asyncio.sleep(0)
        except (asyncio.CancelledError, GeneratorExit):
            self.was_stopped.set()
            raise
        data = paint(request)
        yield Produced(data=data, mime="image/png", seed=request.parameters.seed)

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        return []

    async def close(self) -> None:
        """Nothing is open."""


def paint(request: Request) -> bytes:
    """A PNG whose pixels are drawn from the active prompts and the parameters alone."""
    facts = msgspec.json.encode([request.stack.active, request.parameters], order="sorted")
    width, height = request.parameters.width, request.parameters.height
    pixels = hashlib.shake_256(facts).digest(width * height * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()
