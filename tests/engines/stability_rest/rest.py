"""Requests and engines for the tests of the REST client."""

from __future__ import annotations

from typing import Any

from engines.base import Event, Run
from engines.keys import Secret
from engines.stability_rest.engine import StabilityRestEngine
from engines.stability_rest.models import CAPABILITIES, StabilityRestSettings
from store.request import Parameters, Prompt, PromptStack, Request

ULTRA = "stable-image-ultra"
LARGE = "sd3.5-large"


def make_request(model: str = ULTRA, prompts: Any = None, **changes: Any) -> Request:
    """A request with the default values of `model`."""
    own = CAPABILITIES.for_model(model)
    width, height = own.sizes.default
    values: dict[str, Any] = {
        "seed": 1229080980,
        "steps": 1,
        "cfg_scale": own.cfg_scale.default,
        "sampler": "server",
        "width": width,
        "height": height,
        "style_preset": None,
    }
    texts = prompts or [("night sky above a town", 1.0), ("clouds", -1.0)]
    return Request(
        engine="stability-rest",
        model=model,
        stack=PromptStack(prompts=tuple(Prompt(text=text, weight=w) for text, w in texts)),
        parameters=Parameters(**values | changes),
    )


def make_engine(host: str, key: str | None = None, **options: Any) -> StabilityRestEngine:
    secret = None if key is None else Secret(key)
    return StabilityRestEngine(StabilityRestSettings(host=host, key=secret, **options))


async def collect(
    engine: StabilityRestEngine, request: Request, run: Run | None = None
) -> list[Event]:
    return [event async for event in engine.generate(request, run or Run(id="run-1"))]
