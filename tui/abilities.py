"""What the engines can do with an image that there is, and why not.

`capabilities` are those of all engines by name. A reason is "" where it can be done.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engines.capabilities import Capabilities
from store.records import Image

FACTOR = 2
"""How many times as wide and as high an image is made."""


class Upscaler(msgspec.Struct, frozen=True):
    """A model that makes images larger."""

    engine: str
    model: str
    is_paid: bool


def explain_start(capabilities: Mapping[str, Capabilities], engine: str, model: str | None) -> str:
    """Why `engine` with `model` starts from no image."""
    return _explain(capabilities, engine, model, "initial_image", "starts from no image")


def explain_mix(capabilities: Mapping[str, Capabilities], engine: str, model: str | None) -> str:
    """Why `engine` with `model` mixes no second seed in."""
    return _explain(capabilities, engine, model, "variation", "mixes no second seed in")


def explain_vary(capabilities: Mapping[str, Capabilities], image: Image | None) -> str:
    """Why there can be no variation of `image`."""
    if image is None:
        return ""
    if image.is_damaged:
        return "The record of this image is damaged, so it cannot be varied."
    if image.request.parameters.upscale is not None:
        return "This image was only made larger: vary the one that it was made from."
    request = image.request
    return _explain(capabilities, request.engine, request.model, "variation", "varies no image")


def explain_enlarge(capabilities: Mapping[str, Capabilities], image: Image | None) -> str:
    """Why `image` cannot be made larger."""
    if not list_upscalers(capabilities):
        return "No engine here makes images larger."
    if image is None:
        return ""
    if image.is_damaged:
        return "The record of this image is damaged, so nothing is made from it."
    width, height = image.width * FACTOR, image.height * FACTOR
    limit = max(known.upscale_side for known in capabilities.values() if "upscale" in known.takes)
    if max(width, height) > limit:
        return f"It would be {width} x {height} pixels, more than {limit} a side."
    return ""


def list_upscalers(capabilities: Mapping[str, Capabilities], first: str = "") -> list[Upscaler]:
    """The models that make images larger, those of the engine `first` in front."""
    found = [
        Upscaler(engine, model, known.is_paid)
        for engine, known in capabilities.items()
        if "upscale" in known.takes
        for model in known.upscale_models
    ]
    return sorted(found, key=lambda upscaler: upscaler.engine != first)


def _explain(
    capabilities: Mapping[str, Capabilities],
    engine: str,
    model: str | None,
    parameter: str,
    said: str,
) -> str:
    known = capabilities.get(engine)
    if known is None or parameter in known.for_model(model).takes:
        return ""
    if any(parameter in takes for takes in known.takes_by_model.values()):
        return f"The model {model or known.default_model} {said}."
    return f"The engine {engine} {said}."
