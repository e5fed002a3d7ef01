"""What InvokeAI writes: `invokeai_metadata` today, `sd-metadata` and `Dream` in versions 2.x."""

from __future__ import annotations

import re
import shlex
from typing import Any

from store.metadata.foreign import Collector, Reading, to_list, to_number, to_object, to_text

_KEYS = {
    "positive_prompt": "-",
    "negative_prompt": "-",
    "model": "-",
    "loras": "-",
    "vae": "-",
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "cfg_scale",
    "scheduler": "sampler",
    "width": "width",
    "height": "height",
    "generation_mode": "off=txt2img|sdxl_txt2img|sd3_txt2img|flux_txt2img",
    "app_version": "fact",
    "created_by": "fact",
    "rand_device": "fact",
    "canvas_v2_metadata": "off=",
    "clip_skip": "off=0",
    "cfg_rescale_multiplier": "off=0",
    "seamless_x": "off=false",
    "seamless_y": "off=false",
    "hrf_enabled": "off=false",
    "positive_style_prompt": "off=",
    "negative_style_prompt": "off=",
    "image_type": "fact",
}
_OLD_KEYS = {
    "type": "off=txt2img",
    "prompt": "-",
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "cfg_scale",
    "sampler": "sampler",
    "width": "width",
    "height": "height",
    "variations": "off=[]",
    "threshold": "off=0",
    "perlin": "off=0",
    "seamless": "off=false",
    "hires_fix": "off=false",
    "postprocessing": "off=null",
    "extra": "off=null",
}
_NEGATIVE = re.compile(r"\[([^\[\]]{1,2000})\]")
_FLAGS = {
    "-s": "steps",
    "-S": "seed",
    "-W": "width",
    "-H": "height",
    "-C": "cfg_scale",
    "-A": "sampler",
}
_SIGNS = re.compile(r"[()\[\]]|[+-]{2,}|\.(?:blend|and|swap)\(")


def read_invokeai(values: dict[str, Any], text: str) -> Reading:
    """What `invokeai_metadata` says, of version 3 and later."""
    collector = Collector("InvokeAI", text)
    _take_prompt(collector, to_text(values.get("positive_prompt")), 1.0)
    _take_prompt(collector, to_text(values.get("negative_prompt")), -1.0)
    collector.take_all(values, _KEYS)
    for name in ("model", "vae"):
        entry = to_object(values.get(name))
        said = entry.get("name") or entry.get("model_name") or values.get(name)
        if name == "model" and isinstance(said, str) and said:
            collector.take("model", said)
        elif said:
            collector.leave(name, said)
        if entry.get("hash"):
            collector.tell(f"{name} hash", entry["hash"])
        if entry.get("base") or entry.get("base_model"):
            collector.tell(f"{name} base", entry.get("base") or entry.get("base_model"))
    for lora in to_list(values.get("loras")):
        entry = to_object(lora)
        model = to_object(entry.get("model") or entry.get("lora"))
        name = model.get("name") or model.get("model_name") or "?"
        collector.leave("lora", f"{name}:{entry.get('weight', 1)}")
    return collector.finish()


def read_invokeai_2(values: dict[str, Any], text: str) -> Reading:
    """What `sd-metadata` of the versions 2.x says."""
    collector = Collector("InvokeAI 2", text)
    image = to_object(values.get("image"))
    if not image:
        images = to_list(values.get("images"))
        image = to_object(images[0]) if images else {}
        if len(images) > 1:
            collector.leave("images", images[1:])
            collector.note("The file is a grid: only the first of its images is read.")
    prompt = image.get("prompt")
    for row in [{"prompt": prompt}] if isinstance(prompt, str) else to_list(prompt)[:64]:
        entry = to_object(row)
        weight = to_number(entry.get("weight", 1))
        text_of_row, negatives = _split_old_prompt(to_text(entry.get("prompt")))
        _take_prompt(collector, text_of_row, 1.0 if weight is None else float(weight))
        for negative in negatives:
            _take_prompt(collector, negative, -1.0)
    collector.take_all(image, _OLD_KEYS)
    if values.get("model_weights") or values.get("model_id") or values.get("model"):
        model = values.get("model_weights") or values.get("model_id") or values.get("model")
        collector.take("model", model)
    for name in ("model", "model_id", "model_hash", "app_id", "app_version"):
        collector.tell(name, values.get(name))
    return collector.finish()


def read_dream(text: str) -> Reading | None:
    """What the command line in `Dream` says: `"prompt" -s 50 -S 1 -W 512 -C 7.5 -A k_lms`."""
    if len(text) > 20_000:
        return None
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    collector = Collector("InvokeAI 2", text)
    prompt: list[str] = []
    place, has_options = 0, False
    while place < len(words):
        word = words[place]
        kind, own = _FLAGS.get(word[:2]), word[2:]
        is_option = word.startswith("-") and len(word) > 1 and not word[1].isspace()
        has_options = has_options or is_option
        if kind is None and has_options:
            collector.leave("option", word)
        elif kind is None:
            prompt.append(word)
        elif own:
            collector.take(kind, own.lstrip("="))
        else:
            place += 1
            collector.take(kind, words[place] if place < len(words) else "")
        place += 1
    said, negatives = _split_old_prompt(" ".join(prompt))
    _take_prompt(collector, said, 1.0)
    for negative in negatives:
        _take_prompt(collector, negative, -1.0)
    return None if collector.is_empty else collector.finish()


def _split_old_prompt(text: str) -> tuple[str, list[str]]:
    """A prompt of version 2, and what stands in square brackets in it: that is to be avoided."""
    negatives = _NEGATIVE.findall(text[:20_000])
    return (_NEGATIVE.sub("", text[:20_000]).strip() if negatives else text), negatives


def _take_prompt(collector: Collector, text: str, weight: float) -> None:
    if _SIGNS.search(text):
        collector.note("A prompt is kept as it is written: it has InvokeAI's own emphasis.")
    collector.take_prompt(text, weight)
