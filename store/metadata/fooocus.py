"""What Fooocus writes in its own scheme: a flat JSON object.

Lists in it are literals of Python in texts, which Fooocus itself evaluates. Here only the two whole
numbers of a resolution are looked for, and nothing is evaluated.
"""

from __future__ import annotations

from typing import Any

from store.metadata.foreign import Collector, Reading, to_text
from store.metadata.infotext import take_prompt

_KEYS = {
    "prompt": "-",
    "negative_prompt": "-",
    "full_prompt": "-",
    "full_negative_prompt": "-",
    "prompt_expansion": "-",
    "seed": "seed",
    "steps": "steps",
    "guidance_scale": "cfg_scale",
    "sampler": "sampler",
    "scheduler": "schedule",
    "resolution": "size",
    "base_model": "model",
    "base_model_hash": "fact",
    "refiner_model_hash": "fact",
    "performance": "fact",
    "metadata_scheme": "fact",
    "created_by": "fact",
    "version": "fact",
    "vae": "off=default (model)|none",
    "styles": "off=[]",
    "clip_skip": "off=1",
    "refiner_model": "off=none",
    "sharpness": "off=0|0.0",
    "adaptive_cfg": "off=",
    "loras": "off=[]",
}


def read_fooocus(values: dict[str, Any], text: str) -> Reading:
    """What a JSON object of Fooocus says. The prompt as typed; what was made of it is unread."""
    collector = Collector("Fooocus", text)
    prompt, negative = to_text(values.get("prompt")), to_text(values.get("negative_prompt"))
    take_prompt(collector, prompt, 1.0)
    take_prompt(collector, negative, -1.0)
    collector.take_all(values, _KEYS)
    if values.get("prompt_expansion"):
        collector.leave("prompt_expansion", values["prompt_expansion"])
    for name, own in (("full_prompt", prompt), ("full_negative_prompt", negative)):
        if values.get(name) not in (None, [], [own], own):
            collector.leave(name, values[name])
    return collector.finish()


def is_fooocus(values: dict[str, Any]) -> bool:
    """Whether a JSON object without a word about its scheme is one of Fooocus."""
    return "prompt" in values and ("base_model" in values or "guidance_scale" in values)
