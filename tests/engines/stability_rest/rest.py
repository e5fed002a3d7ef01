"""Requests and engines for the tests of the REST client."""

from __future__ import annotations

from typing import Any

from engines.base import Event, Run
from engines.keys import Secret
from engines.stability_rest.engine import StabilityRestEngine
from engines.stability_rest.models import StabilityRestSettings
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
