"""What SwarmUI writes: JSON with `sui_image_params`. Values may be texts, and no key is sure."""

from __future__ import annotations

from typing import Any

from store.metadata.foreign import Collector, Reading, to_list, to_object, to_text
from store.metadata.infotext import take_prompt

_KEYS = {
    "prompt": "-",
    "negativeprompt": "-",
    "seed": "seed",
    "steps": "steps",
    "cfgscale": "cfg_scale",
    "sampler": "sampler",
    "scheduler": "schedule",
    "width": "width",
    "height": "height",
    "model": "model",
    "aspectratio": "fact",
    "swarm_version": "fact",
    "images": "fact",
    "automaticvae": "fact",
    "vae": "off=automatic|none",
    "clipstopatlayer": "off=-1",
    "variationseedstrength": "off=0",
    "variationseed": "off=0|-1",
    "loras": "off=",
    "loraweights": "off=",
    "personalnote": "fact",
    "outputfolder": "fact",
    "imageformat": "fact",
}
_TOLD = ("date", "prep_time", "generation_time", "original_prompt", "original_negativeprompt")


def read_swarmui(values: dict[str, Any], text: str) -> Reading:
    """What the object with `sui_image_params` says."""
    collector = Collector("SwarmUI", text)
    own = to_object(values.get("sui_image_params"))
    take_prompt(collector, to_text(own.get("prompt")), 1.0)
    take_prompt(collector, to_text(own.get("negativeprompt")), -1.0)
    collector.take_all(own, _KEYS)
    extra = to_object(values.get("sui_extra_data"))
    collector.take_all(extra, dict.fromkeys((*_TOLD, "unused_parameters"), "fact"))
    for model in to_list(values.get("sui_models"))[:50]:
        entry = to_object(model)
        if entry.get("hash"):
            collector.tell(f"hash of {to_text(entry.get('name'))}", entry["hash"])
    return collector.finish()
