"""What NovelAI writes: `Software: NovelAI`, and JSON in `Comment`.

Its emphasis is of its own kind (`{text}`, `[text]`, `1.5::text::`), and is left as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from store.metadata.foreign import Collector, Reading, to_list, to_object, to_text

_KEYS = {
    "prompt": "-",
    "uc": "-",
    "v4_prompt": "-",
    "v4_negative_prompt": "-",
    "seed": "seed",
    "steps": "steps",
    "scale": "cfg_scale",
    "sampler": "sampler",
    "noise_schedule": "schedule",
    "width": "width",
    "height": "height",
    "n_samples": "fact",
    "request_type": "off=promptgeneraterequest|",
    "signed_hash": "fact",
    "version": "fact",
    "params_version": "fact",
    "uncond_scale": "off=0|1",
    "cfg_rescale": "off=0",
    "strength": "off=0|1",
    "noise": "off=0",
    "hide_debug_overlay": "fact",
    "extra_noise_seed": "fact",
    "uncond_per_vibe": "fact",
    "wonky_vibe_correlation": "fact",
    "legacy": "fact",
    "legacy_uc": "fact",
    "legacy_v3_extend": "fact",
    "cfg_sched_eligibility": "fact",
    "explike_fine_detail": "fact",
    "minimize_sigma_inf": "fact",
    "deliberate_euler_ancestral_bug": "fact",
    "prefer_brownian": "fact",
    "controlnet_strength": "off=1",
    "dynamic_thresholding_percentile": "fact",
    "dynamic_thresholding_mimic_scale": "fact",
    "skip_cfg_below_sigma": "off=0",
    "lora_unet_weights": "off=",
    "lora_clip_weights": "off=",
    "director_reference_strengths": "off=",
    "stream": "fact",
}
_SIGNS = re.compile(r"[{}\[\]]|::")


def read_novelai(comment: dict[str, Any], texts: Mapping[str, str], text: str) -> Reading:
    """What `Comment` and the texts beside it say."""
    collector = Collector("NovelAI", text)
    _take(collector, to_text(comment.get("prompt")) or texts.get("Description", ""), 1.0)
    _take(collector, to_text(comment.get("uc")), -1.0)
    for name, weight in (("v4_prompt", 1.0), ("v4_negative_prompt", -1.0)):
        caption = to_object(to_object(comment.get(name)).get("caption"))
        for character in to_list(caption.get("char_captions"))[:20]:
            said = to_text(to_object(character).get("char_caption"))
            _take(collector, said, weight)
            if said.strip():
                collector.note("Prompts for single characters became prompts of their own.")
    collector.take_all(comment, _KEYS)
    if texts.get("Source"):
        collector.take("model", texts["Source"])
    for name in ("Software", "Title", "Generation time"):
        collector.tell(name, texts.get(name))
    return collector.finish()


def _take(collector: Collector, text: str, weight: float) -> None:
    if _SIGNS.search(text):
        collector.note("A prompt is kept as it is written: it has NovelAI's own emphasis.")
    collector.take_prompt(text, weight)
