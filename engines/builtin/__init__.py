"""The embedded model: a miniature latent diffusion model that runs on numpy alone."""

from __future__ import annotations

from engines.base import Engine, EngineSpec, NoSettings, TokenizedPrompt
from engines.builtin.models import CAPABILITIES
from engines.capabilities import Capabilities


class BuiltinSpec(EngineSpec[NoSettings]):
    """The embedded engine: it needs nothing, so it always works."""

    name = CAPABILITIES.engine
    is_default = True

    def get_capabilities(self, settings: NoSettings) -> Capabilities:
        """What it accepts."""
        return CAPABILITIES

    def open(self, settings: NoSettings, *, processes: int | None = None) -> Engine:
        """The engine; the model is loaded with the first image."""
        from engines.builtin.engine import BuiltinEngine

        return BuiltinEngine(processes)

    def tokenize(self, text: str, style_preset: str | None = None) -> TokenizedPrompt:
        """The words that the model does not know, and those beyond its length."""
        from engines.builtin.vocabulary import tokenize

        return tokenize(text, style_preset)

    def examine(self, settings: NoSettings) -> str:
        """The model, with every file checked."""
        from engines.builtin.weights import check_files

        return check_files()


SPEC = BuiltinSpec()
