"""What Easy Diffusion writes: each field as a text of its own in a PNG file, JSON in others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from store.metadata.foreign import Collector, Reading, to_text
from store.metadata.infotext import take_prompt

_KEYS = {
    "prompt": "-",
    "negative_prompt": "-",
    "seed": "seed",
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "sampler_name": "sampler",
    "scheduler_name": "schedule",
    "width": "width",
    "height": "height",
    "use_stable_diffusion_model": "model",
    "original_prompt": "fact",
    "active_tags": "fact",
    "output_format": "fact",
    "output_quality": "fact",
    "output_lossless": "fact",
    "metadata_output_format": "fact",
    "stream_image_progress": "fact",
    "stream_progress_updates": "fact",
    "show_only_filtered_image": "fact",
    "save_to_disk_path": "-",
    "session_id": "fact",
    "num_outputs": "fact",
    "used_random_seed": "fact",
    "vram_usage_level": "fact",
    "clip_skip": "off=false|none|null",
    "use_face_correction": "off=none|null",
    "use_upscale": "off=none|null",
    "use_vae_model": "off=none|null",
    "use_hypernetwork_model": "off=none|null",
    "use_lora_model": "off=none|null|[]",
    "lora_alpha": "off=none|null|[]",
    "use_controlnet_model": "off=none|null",
    "use_embeddings_model": "off=none|null",
    "tiling": "off=none|null",
    "block_nsfw": "fact",
    "distilled_guidance_scale": "off=none|null|3.5",
}
_TYPED = {
    "Prompt": "prompt",
    "Negative Prompt": "negative_prompt",
    "Seed": "seed",
    "Steps": "num_inference_steps",
    "Guidance Scale": "guidance_scale",
    "Sampler": "sampler_name",
    "Width": "width",
    "Height": "height",
    "Stable Diffusion model": "use_stable_diffusion_model",
    "Clip Skip": "clip_skip",
    "VAE model": "use_vae_model",
    "LoRA model": "use_lora_model",
    "LoRA Strength": "lora_alpha",
    "Hypernetwork model": "use_hypernetwork_model",
    "Seamless Tiling": "tiling",
    "Use Face Correction": "use_face_correction",
    "Use Upscaling": "use_upscale",
}
"""The same fields as its text form calls them."""

_SIGNS = ("use_stable_diffusion_model", "num_inference_steps", "Stable Diffusion model")


def is_easy_diffusion(values: Mapping[str, Any]) -> bool:
    """Whether these names are Easy Diffusion's."""
    return any(sign in values for sign in _SIGNS)


def read_easy_diffusion(values: Mapping[str, Any]) -> Reading:
    """What the fields say."""
    plain = {_TYPED.get(name, name): value for name, value in values.items()}
    text = json.dumps(dict(values), ensure_ascii=False, indent=1)
    collector = Collector("Easy Diffusion", text)
    take_prompt(collector, to_text(plain.get("prompt")), 1.0)
    take_prompt(collector, to_text(plain.get("negative_prompt")), -1.0)
    collector.take_all(plain, _KEYS)
    return collector.finish()
