"""A service on loopback for benchmarks: it answers each call with one fixed image.

    python -m tests.benchmarks.service [--seconds 1.0] [--bytes 1500000] [--queue 64]

It is `safelight serve`'s own server with a null engine; the address is its first line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import msgspec
from PIL import Image

from engines.base import Event, Produced, Run
from engines.capabilities import Capabilities
from engines.server.server import ServerSettings, serve
from engines.stability.models import make_capabilities
from store.records import EnvironmentRecord
from store.request import Request
from tests.factories import make_hosted_request

MODEL = "null-1"
SIDE = 1024
ROOT = Path(__file__).parents[2]


def make_picture(size: int) -> bytes:
    """A PNG of 1024x1024 pixels and about `size` bytes: noise above, a plain rest below."""
    rows = min(SIDE, size // (SIDE * 3))
    noise = hashlib.shake_256(b"noise").digest(rows * SIDE * 3)
    image = Image.new("RGB", (SIDE, SIDE), "navy")
    if rows:
        image.paste(Image.frombytes("RGB", (SIDE, rows), noise))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def make_service_request(seed: int) -> Request:
    """A request that the null engine takes."""
    return make_hosted_request(MODEL, [("night sky", 1.0)], seed=seed, width=SIDE, height=SIDE)


class NullEngine:
    """Makes nothing: after `seconds` the same bytes each time, with the seed that was asked for."""

    def __init__(self, data: bytes, seconds: float = 0.0) -> None:
        self._data = data
        self._seconds = seconds

    @property
    def capabilities(self) -> Capabilities:
        """Those of the API."""
        return msgspec.structs.replace(make_capabilities([MODEL]), engine="null", is_paid=False)

    def environment(self) -> EnvironmentRecord:
        """Nothing decides its pixels."""
        return EnvironmentRecord(values={"engine": "null"})

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        """It has no wire."""
        return None

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """The fixed image."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        yield Produced(data=self._data, mime="image/png", seed=request.parameters.seed)

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        """Nothing is spooled."""
        return []

    async def close(self) -> None:
        """Nothing is open."""


@contextlib.contextmanager
def serving(*, seconds: float = 0.0, size: int = 1_500_000, queue: int = 64) -> Iterator[str]:
    """The address of a service in a process of its own."""
    values = {"--seconds": seconds, "--bytes": size, "--queue": queue}
    words = [str(part) for pair in values.items() for part in pair]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.service", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="Serve one fixed image.")
    parser.add_argument("--seconds", type=float, default=0.0, help="before each answer")
    parser.add_argument("--bytes", type=int, default=1_500_000, help="of the image")
    parser.add_argument("--queue", type=int, default=64, help="how many requests may wait")
    options = parser.parse_args()
    engine = NullEngine(make_picture(options.bytes), options.seconds)

    def announce(address: str) -> None:
        print(address, flush=True)

    asyncio.run(serve(engine, ServerSettings(port=0, queue=options.queue), announce))


if __name__ == "__main__":
    main()
