"""What the engines can do with an image, put into a situation."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engines.capabilities import Capabilities
from store.errors import SafelightError
from store.records import Image
from tui import abilities
from tui.abilities import Upscaler
from tui.action import Situation
from tui.darkroom import Darkroom


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
            cannot_start=abilities.explain_start(self._capabilities, engine, model),
            cannot_mix=abilities.explain_mix(self._capabilities, engine, model),
            cannot_vary=abilities.explain_vary(self._capabilities, image),
            cannot_enlarge=abilities.explain_enlarge(self._capabilities, image),
        )

    def list_upscalers(self, first: str = "") -> list[Upscaler]:
        """The models that make images larger, those of the engine `first` in front."""
        return abilities.list_upscalers(self._capabilities, first)
