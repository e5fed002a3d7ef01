"""Names to engines. Listing them and reading capabilities loads no model and no SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import Engine, EngineError, Failure, PromptReading
from engines.capabilities import Capabilities

if TYPE_CHECKING:
    from engines.settings import Settings
    from store.request import Request

ENGINES = ("builtin", "stability", "stability-rest")
"""The engines' ids, the one that always works first."""


class EngineRegistry:
    """The engines of one configuration; each is made when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engines: dict[str, Engine] = {}

    def list_engines(self) -> tuple[str, ...]:
        """The ids, `builtin` first."""
        return ENGINES

    @property
    def paid_engines(self) -> frozenset[str]:
        """The engines whose images may cost money."""
        return frozenset(name for name in ENGINES if self.get_capabilities(name).is_paid)

    def get_capabilities(self, engine: str) -> Capabilities:
        """What `engine` accepts. Raises `EngineError` with the known names otherwise."""
        if engine == "builtin":
            from engines.builtin.models import CAPABILITIES

            return CAPABILITIES
        if engine == "stability":
            from engines.stability.models import make_capabilities

            stability = self.settings.stability
            return make_capabilities(stability.models, stability.upscale_models)
        if engine == "stability-rest":
            from engines.stability_rest.models import CAPABILITIES as REST

            return REST
        raise EngineError(
            Failure.UNKNOWN_ENGINE,
            f"There is no engine {engine!r}.",
            f"Known: {', '.join(ENGINES)}.",
        )

    def read_prompt(self, engine: str, text: str, style_preset: str | None = None) -> PromptReading:
        """What the engine's model reads of `text`; all of it where nobody knows its words.

        The first call reads the vocabulary from the disk. Raises `EngineError` when the
        vocabulary is damaged.
        """
        if engine == "builtin":
            from engines.builtin.vocabulary import read_prompt

            return read_prompt(text, style_preset)
        return PromptReading()

    def estimate_cost(self, request: Request) -> float | None:
        """The credits that `request` may cost, 0 where images are free, None if not known."""
        from engines.cost import estimate_cost

        return estimate_cost(request, self.settings)

    def describe_losses(self, request: Request) -> tuple[str, ...]:
        """What of `request` its engine cannot honour, a sentence each; empty for nothing.

        An engine that maps a request onto less than it says (one text for several prompts)
        tells here what that costs, before anything is sent. Its `generate` yields the same
        sentences as `Warned`. Cheap. Raises `RequestError` when the mapping is impossible.
        """
        if request.engine == "stability-rest":
            from engines.stability_rest.models import describe_losses

            return describe_losses(request)
        if request.engine == "stability":
            from engines.stability import models as rules

            return rules.describe_losses(request)
        return ()

    def get_engine(self, engine: str) -> Engine:
        """The engine itself, kept for the next time. Raises `EngineError`."""
        if engine not in self._engines:
            self._engines[engine] = self._make(engine)
        return self._engines[engine]

    def _make(self, engine: str) -> Engine:
        self.get_capabilities(engine)
        if engine == "builtin":
            from engines.builtin.engine import BuiltinEngine

            return BuiltinEngine()
        if engine == "stability-rest":
            from engines.stability_rest.engine import StabilityRestEngine

            return StabilityRestEngine(self.settings.stability_rest)
        from engines.stability.engine import StabilityEngine

        return StabilityEngine(self.settings.stability)

    async def close(self) -> None:
        """Close every engine that was made."""
        for engine in self._engines.values():
            await engine.close()
        self._engines.clear()


def make_engine(engine: str) -> Engine:
    """An engine of this machine for a fleet: it needs no settings and one processor.

    Raises `EngineError`.
    """
    if engine == "builtin":
        from engines.builtin.engine import BuiltinEngine

        return BuiltinEngine(processes=1)
    from engines.settings import Settings

    return EngineRegistry(Settings()).get_engine(engine)
