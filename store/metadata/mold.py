"""What mold writes: JSON as `mold:parameters`."""

from __future__ import annotations

from typing import Any

from store.metadata.foreign import Collector, Reading, to_text

_KEYS = {
    "prompt": "-",
    "negative_prompt": "-",
    "seed": "seed",
    "steps": "steps",
    "guidance": "cfg_scale",
    "scheduler": "sampler",
    "width": "width",
    "height": "height",
    "model": "model",
    "version": "fact",
    "original_prompt": "fact",
    "generated_at": "fact",
    "strength": "off=1",
}


def read_mold(values: dict[str, Any], text: str) -> Reading:
    """What the JSON object says."""
    collector = Collector("mold", text)
    collector.take_prompt(to_text(values.get("prompt")), 1.0)
    collector.take_prompt(to_text(values.get("negative_prompt")), -1.0)
    collector.take_all(values, _KEYS)
    return collector.finish()
