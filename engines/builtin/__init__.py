"""The embedded model: a miniature latent diffusion model that runs on numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import Engine, EngineSpec, Judgement, NoSettings, TokenizedPrompt
from engines.builtin.models import CAPABILITIES, name_revision
from engines.capabilities import Capabilities
from store.records import EnvironmentRecord
from store.request import Request

if TYPE_CHECKING:
    from PIL import Image as Pillow


class BuiltinSpec(EngineSpec[NoSettings]):
    """The embedded engine: it needs nothing, so it always works."""

    name = CAPABILITIES.engine
    is_default = True

    def get_capabilities(self, settings: NoSettings) -> Capabilities:
        """What it accepts."""
        from engines.builtin.weights import make_capabilities

        return make_capabilities()

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
        from engines.builtin.weights import describe_weights

        return describe_weights()

    def describe_environment(self, request: Request, engine: Engine) -> EnvironmentRecord:
        """Of the revision that the request names, whichever is the newest."""
        from engines.builtin.engine import describe_model

        return describe_model(request.model)

    def encode(self, image: Pillow.Image) -> bytes:
        """A PNG file, as the worker gets it."""
        from engines.builtin.pixels import encode_png

        return encode_png(image)

    def judge_change(
        self, name: str, request: Request, then: EnvironmentRecord, now: EnvironmentRecord
    ) -> Judgement:
        """By what the model is made of and what the engine promises."""
        from engines.builtin.judgement import judge_change

        return judge_change(name, request, then, now)

    def name_model(self, request: Request, environment: EnvironmentRecord | None = None) -> str:
        """The model with its revision: for one that is not named, the one that was recorded."""
        recorded = None if environment is None else environment.values.get("engine revision")
        return name_revision(request.model, recorded)


SPEC = BuiltinSpec()
