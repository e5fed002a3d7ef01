"""What an image started from and by what it was steered, in plain words. Pure text."""

from __future__ import annotations

from typing import Any

from store.request import Guidance, InitialImage, Mask, Parameters
from tui.text import show_safely

_SHOWN = 8
_AREAS = {
    "original": "from the image that lies there",
    "random": "from noise",
    "zero": "from nothing",
}

NAMES = {
    "cfg_scale": "cfg",
    "style_preset": "style",
    "initial_image": "initial image",
    "start_schedule": "start",
    "end_schedule": "end",
    "area_init": "mask area",
    "replaces": "mask replaces",
    "weight_method": "weights by",
    "fine_tunes": "tuned by",
    "content_credentials": "credentials",
    "upscaler": "enlarged by",
    "upscale": "made larger",
}
"""How a field of a request is called where a word of its own is not enough."""


def describe_extras(parameters: Parameters) -> list[tuple[str, list[str]]]:
    """The optional parameters that are set: a label, and sentences about it."""
    found: list[tuple[str, list[str]]] = []
    if (initial := parameters.initial_image) is not None:
        found.append(("from", _describe_initial(initial)))
    if (mask := parameters.mask) is not None:
        found.append(("mask", _describe_mask(mask)))
    if (upscale := parameters.upscale) is not None:
        size = f"{parameters.width} x {parameters.height}"
        found.append(("larger", [f"the image {_shorten(upscale.sha256)} made {size}"]))
    if (variation := parameters.variation) is not None:
        share = f"{variation.strength:g} of it mixed in"
        found.append(("vary seed", [f"{variation.seed}, {share}"]))
    if (guidance := parameters.guidance) is not None:
        found.append(("guidance", _describe_guidance(guidance)))
    if parameters.weight_method != "text_encoder":
        found.append(("weights", [f"by {parameters.weight_method.replace('_', ' ')}"]))
    if (adapter := parameters.adapter) is not None:
        kind = f"{adapter.kind} of the initial image, strength {adapter.strength:g}"
        found.append(("adapter", [kind]))
    if parameters.fine_tunes:
        found.append(
            (
                "tuned by",
                [
                    show_safely(tune.model)
                    + ("" if tune.weight is None else f", weight {tune.weight:g}")
                    for tune in parameters.fine_tunes
                ],
            )
        )
    if parameters.content_credentials is not None:
        found.append(("signed", [show_safely(parameters.content_credentials.replace("_", " "))]))
    return found


def _shorten(sha256: str) -> str:
    return sha256[:_SHOWN]


def _describe_initial(initial: InitialImage) -> list[str]:
    kept = f"start {initial.start_schedule:g} (0 keeps it, 1 ignores it)"
    if initial.end_schedule:
        kept += f", end {initial.end_schedule:g}"
    return [f"the image file {_shorten(initial.sha256)}", kept]


def _describe_mask(mask: Mask) -> list[str]:
    area = _AREAS[mask.area_init]
    return [f"{_shorten(mask.sha256)}: {mask.replaces} is made anew, {area}"]


def _describe_guidance(guidance: Guidance) -> list[str]:
    parts = [guidance.preset.replace("_", " ")]
    if guidance.strength is not None:
        parts.append(f"strength {guidance.strength:g}")
    if guidance.cuts is not None:
        parts.append(f"{guidance.cuts} cuts")
    lines = [", ".join(parts)]
    if guidance.models:
        lines.append(show_safely(", ".join(guidance.models)))
    if guidance.prompt is not None:
        lines.append(f"prompt: {show_safely(guidance.prompt)}")
    return lines


def describe_extra_changes(older: Parameters, newer: Parameters, arrow: str) -> list[str]:
    """What changed in initial image, mask, variation and upscale, in a few words each."""
    changes: list[str] = []
    for name, said in (
        ("initial_image", "initial image"),
        ("mask", "mask"),
        ("variation", "vary seed"),
        ("upscale", "made larger"),
    ):
        before, after = getattr(older, name), getattr(newer, name)
        if before != after:
            changes += _describe_change(said, before, after, arrow)
    return changes


def _describe_change(said: str, before: Any, after: Any, arrow: str) -> list[str]:
    if before is None:
        return [f"+ {said}{_describe_share(after)}"]
    if after is None:
        return [f"- {said}"]
    changes = []
    for field in after.__struct_fields__:
        then, now = getattr(before, field), getattr(after, field)
        if then == now:
            continue
        if field in ("sha256", "seed"):
            changes.append(said)
            continue
        shown = [f"{each:g}" if isinstance(each, float) else str(each) for each in (then, now)]
        changes.append(f"{NAMES.get(field, field)} {shown[0]}{arrow}{shown[1]}")
    return changes


def _describe_share(part: Any) -> str:
    for field in ("start_schedule", "strength"):
        if hasattr(part, field):
            return f" {getattr(part, field):g}"
    return ""
