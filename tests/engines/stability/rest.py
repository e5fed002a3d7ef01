"""Requests and engines for the tests of the REST client."""

from __future__ import annotations

from typing import Any

from engines.base import Event, Run
from engines.secret import Secret
from engines.settings import StabilityRestSettings
from engines.stability.rest_engine import StabilityRestEngine
from store.request import Request

ULTRA = "stable-image-ultra"
LARGE = "sd3.5-large"


def make_engine(host: str, key: str | None = None, **options: Any) -> StabilityRestEngine:
    secret = None if key is None else Secret(key)
    return StabilityRestEngine(StabilityRestSettings(host=host, key=secret, **options))


async def collect(
    engine: StabilityRestEngine, request: Request, run: Run | None = None
) -> list[Event]:
    return [event async for event in engine.generate(request, run or Run(id="run-1"))]
