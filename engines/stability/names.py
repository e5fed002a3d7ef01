"""The protocol's numbers for what a request names in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engines.stability.models import SAMPLERS
from engines.stability.protocol import generation
from store.errors import RequestError
from store.parameters import ADAPTERS, GUIDANCE_PRESETS, UPSCALERS


class Names:
    """The words of one enumeration, and their numbers in the protocol's `enumeration`."""

    def __init__(self, enumeration: Any, prefix: str, words: Iterable[str]) -> None:
        self.numbers = {word: int(enumeration.Value(f"{prefix}{word.upper()}")) for word in words}
        self._words = {number: word for word, number in self.numbers.items()}

    def find_number(self, field: str, word: str) -> int:
        """The number of `word`. Raises `RequestError`, said of `field`."""
        if word not in self.numbers:
            name = field.rpartition(".")[2].replace("_", " ")
            raise RequestError(
                field,
                word,
                f"The Stability API has no {name} {word!r}.",
                f"Known: {', '.join(self.numbers)}.",
            )
        return self.numbers[word]

    def find_word(self, field: str, number: int) -> str:
        """The word for `number`. Raises `RequestError`, said of `field`."""
        if number not in self._words:
            name = field.rpartition(".")[2].replace("_", " ")
            raise RequestError(
                field,
                number,
                f"There is no {name} with the number {number}.",
                f"Known: {', '.join(str(known) for known in self._words)}.",
            )
        return self._words[number]


SAMPLER_NAMES = Names(generation.DiffusionSampler, "SAMPLER_", SAMPLERS)
GUIDANCE_NAMES = Names(generation.GuidancePreset, "GUIDANCE_PRESET_", GUIDANCE_PRESETS)
UPSCALER_NAMES = Names(generation.Upscaler, "UPSCALER_", UPSCALERS)
ADAPTER_NAMES = Names(generation.T2IAdapter, "T2IADAPTER_", ADAPTERS)
ADAPTER_INIT_NAMES = Names(generation.T2IAdapterInit, "T2IADAPTERINIT_", ("image", "adapter_image"))
AREA_NAMES = Names(generation.MaskedAreaInit, "MASKED_AREA_INIT_", ("zero", "random", "original"))
WEIGHT_METHOD_NAMES = Names(generation.WeightMethod, "", ("text_encoder", "cross_attention"))
CREDENTIAL_NAMES = Names(
    generation.CAIParameters.ModelMetadata, "MODEL_METADATA_", ("sign_with_engine_id",)
)
