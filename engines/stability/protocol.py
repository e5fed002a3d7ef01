"""The protocol: its messages, its numbers for words, its floats.

Floats are of 32 bits: 1.3 travels as 1.2999999523162842. Reading takes the shortest decimal that
travels as the same number, so what a person types with up to six digits comes back exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from engines.stability.descriptors import load_messages
from engines.stability.models import SAMPLERS
from store.errors import RequestError
from store.request import ADAPTERS, GUIDANCE_PRESETS, UPSCALERS

generation = load_messages("generation.proto")
listing = load_messages("engines.proto")
dashboard = load_messages("dashboard.proto")

Message = Any
"""A protobuf message; its class is made while the program runs and has no types."""

WARNING_HEADER = "safelight-warning-bin"
"""The trailing metadata in which our server tells what an engine warns of, UTF-8, repeated."""

PREVIEWS_HEADER = "safelight-previews"
"""The metadata by which a client asks our server, with the value `1`, how far an image is."""

PREVIEW_MAGIC = "safelight-preview"
"""`magic` of the artifacts that say it: see `engines.stability.answers`."""

MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of a request or of an answer at most."""

METADATA_LIMIT = 64 * 1024
"""Bytes of headers, and with them of the words beside a status: some servers send a traceback."""


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


def shorten_float(value: float) -> float:
    """The decimal with the fewest digits that is the same 32-bit float as `value`."""
    packed = struct.pack("<f", value)
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return float(f"{value:.9g}")


def check_float(field: str, value: float) -> float:
    """`value` as it travels. Raises `RequestError` when nothing would be left of it."""
    travels: float = struct.unpack("<f", struct.pack("<f", value))[0]
    if value != 0 and travels == 0:
        raise RequestError(field, value, f"{value:g} is too close to 0 to be sent.")
    return travels
