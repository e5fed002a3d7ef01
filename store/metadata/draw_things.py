"""What Draw Things writes: JSON with `c` and `uc` in XMP, and a description that says the same."""

from __future__ import annotations

from typing import Any

from store.metadata.foreign import Collector, Reading, to_list, to_object, to_text
from store.metadata.infotext import take_prompt

_KEYS = {
    "c": "-",
    "uc": "-",
    "v2": "-",
    "lora": "-",
    "seed": "seed",
    "steps": "steps",
    "scale": "cfg_scale",
    "sampler": "sampler",
    "size": "size",
    "model": "model",
    "strength": "off=1",
    "seed_mode": "fact",
    "profile": "fact",
    "shift": "off=1",
    "mask_blur": "fact",
    "mask_blur_outset": "fact",
    "clip_skip": "off=1|0",
    "hires_fix": "off=false",
}


def is_draw_things(values: dict[str, Any]) -> bool:
    """Whether a JSON object is one of Draw Things."""
    return "c" in values and "uc" in values


def read_draw_things(values: dict[str, Any], text: str) -> Reading:
    """What the JSON object says; what is in `v2` repeats it, but for LoRAs and controls."""
    collector = Collector("Draw Things", text)
    take_prompt(collector, to_text(values.get("c")), 1.0)
    take_prompt(collector, to_text(values.get("uc")), -1.0)
    collector.take_all(values, _KEYS)
    more = to_object(values.get("v2"))
    loras = to_list(values.get("lora")) or to_list(more.get("loras"))
    for lora in loras:
        entry = to_object(lora)
        name = entry.get("model") or entry.get("file") or "?"
        collector.leave("lora", f"{name}:{entry.get('weight', 1)}")
    for name in ("controls", "upscaler", "refinerModel", "faceRestoration"):
        if more.get(name):
            collector.leave(name, more[name])
    return collector.finish()
