"""Helpers of the tests of the embedded model."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.base import Event, Produced, StageReached, Warned
from engines.builtin.capabilities import MODEL
from engines.builtin.pipeline import Pipeline
from store.request import Parameters, Prompt, PromptStack, Request

Stack = tuple[tuple[str, float], ...]
BASE: Stack = (("night sky above japanese town", 1.0), ("clouds", -1.0))
SEED = 1229080980


def make_request(stack: Stack = BASE, **changes: Any) -> Request:
    """A quick request of 3 steps; `changes` replace its parameters."""
    values: dict[str, Any] = {
        "seed": SEED,
        "steps": 3,
        "cfg_scale": 7.0,
        "sampler": "k_dpmpp_2m",
        "width": 128,
        "height": 128,
        "style_preset": None,
    }
    prompts = tuple(Prompt(text=text, weight=weight) for text, weight in stack)
    return Request(
        engine="builtin",
        model=MODEL,
        stack=PromptStack(prompts=prompts),
        parameters=Parameters(**{**values, **changes}),
    )


def run(pipeline: Pipeline, request: Request) -> list[Event]:
    """All events of one image."""
    return list(pipeline.generate(request))


def stages(events: list[Event]) -> dict[str, str]:
    """The digests by name, those of one name by `NAME STEP`."""
    found = [e for e in events if isinstance(e, StageReached)]
    return {f"{e.name} {e.step}" if e.step else e.name: e.sha256 for e in found}


def pixels(events: list[Event]) -> NDArray[np.uint8]:
    """The decoded picture of the last event."""
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.data is not None
    with Image.open(io.BytesIO(produced.data), formats=["PNG"]) as image:
        return np.asarray(image)


def warnings(events: list[Event]) -> str:
    """What the engine warned about."""
    return " ".join(e.text for e in events if isinstance(e, Warned))
