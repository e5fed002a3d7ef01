"""What the engines can do with an image that there is, and why not."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engines.capabilities import Capabilities
from store.errors import SafelightError
from store.records import Image
from tui.action import Situation
from tui.darkroom import Darkroom

FACTOR = 2
"""How many times as wide and as high an image is made."""


class Upscaler(msgspec.Struct, frozen=True):
    """A model that makes images larger."""

    engine: str
    model: str
    is_paid: bool


def read_capabilities(darkroom: Darkroom) -> dict[str, Capabilities]:
    """What each engine accepts that can be asked. Call it in a thread."""
    found = {}
    for engine in darkroom.list_engines():
        try:
            found[engine] = darkroom.get_capabilities(engine)
        except SafelightError:
            continue  # The field `engine` says that it is missing when it is chosen.
    return found


class Abilities:
    """The capabilities of all engines, asked about one image. Reasons are "" where it can be."""

    def __init__(self, capabilities: Mapping[str, Capabilities]) -> None:
        self._capabilities = capabilities

    def add_reasons(
        self, situation: Situation, engine: str, model: str | None, image: Image | None
    ) -> Situation:
        """`situation` with what cannot be done with `image`, and by what the draft is made with."""
        return msgspec.structs.replace(
            situation,
            cannot_start=self._explain(engine, model, "initial_image", "starts from no image"),
            cannot_mix=self._explain(engine, model, "variation", "mixes no second seed in"),
            cannot_vary=self._explain_vary(image),
            cannot_enlarge=self._explain_enlarge(image),
        )

    def _explain(self, engine: str, model: str | None, parameter: str, said: str) -> str:
        known = self._capabilities.get(engine)
        if known is None or parameter in known.for_model(model).takes:
            return ""
        if any(parameter in takes for takes in known.takes_by_model.values()):
            return f"The model {model or known.default_model} {said}."
        return f"The engine {engine} {said}."

    def _explain_vary(self, image: Image | None) -> str:
        if image is None:
            return ""
        if image.is_damaged:
            return "The record of this image is damaged, so it cannot be varied."
        if image.request.parameters.upscale is not None:
            return "This image was only made larger: vary the one that it was made from."
        request = image.request
        return self._explain(request.engine, request.model, "variation", "varies no image")

    def _explain_enlarge(self, image: Image | None) -> str:
        if not self.list_upscalers():
            return "No engine here makes images larger."
        if image is None:
            return ""
        if image.is_damaged:
            return "The record of this image is damaged, so nothing is made from it."
        width, height = image.width * FACTOR, image.height * FACTOR
        limit = max(
            known.upscale_side for known in self._capabilities.values() if "upscale" in known.takes
        )
        if max(width, height) > limit:
            return f"It would be {width} x {height} pixels, more than {limit} a side."
        return ""

    def list_upscalers(self, first: str = "") -> list[Upscaler]:
        """The models that make images larger, those of the engine `first` in front."""
        found = [
            Upscaler(engine, model, known.is_paid)
            for engine, known in self._capabilities.items()
            if "upscale" in known.takes
            for model in known.upscale_models
        ]
        return sorted(found, key=lambda upscaler: upscaler.engine != first)
