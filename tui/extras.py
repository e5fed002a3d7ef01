"""What a request has beyond prompts and the plain parameters, in words. Pure."""

from __future__ import annotations

from store.request import Parameters

_AREA = {"zero": "nothing", "random": "noise", "original": "the image itself"}
_SHORT = (
    "initial_image",
    "mask",
    "variation",
    "guidance",
    "adapter",
    "fine_tunes",
    "content_credentials",
    "upscale",
)


def list_extras(parameters: Parameters) -> list[tuple[str, str]]:
    """A label of at most 9 characters and a text for each optional parameter that is set."""
    rows: list[tuple[str, str]] = []
    if upscale := parameters.upscale:
        rows.append(("larger", f"{upscale.sha256[:8]}, upscaler {upscale.upscaler}"))
    if start := parameters.initial_image:
        span = f"schedule from {start.start_schedule:g} to {start.end_schedule:g}"
        rows.append(("start", f"{start.sha256[:8]}, {span}"))
    if mask := parameters.mask:
        before = f"there first: {_AREA[mask.area_init]}"
        rows.append(("mask", f"{mask.sha256[:8]}, {mask.replaces} is made anew, {before}"))
    if variation := parameters.variation:
        rows.append(("variation", f"seed {variation.seed}, strength {variation.strength:g}"))
    if guidance := parameters.guidance:
        parts = [guidance.preset]
        if guidance.strength is not None:
            parts.append(f"strength {guidance.strength:g}")
        if guidance.cuts is not None:
            parts.append(f"{guidance.cuts} cuts")
        parts += [f"model {model}" for model in guidance.models]
        if guidance.prompt is not None:
            parts.append(f"prompt {guidance.prompt!r}")
        rows.append(("guidance", ", ".join(parts)))
    if parameters.weight_method != "text_encoder":
        rows.append(("weighing", parameters.weight_method))
    if adapter := parameters.adapter:
        kind = f"{adapter.kind}, strength {adapter.strength:g}, from {adapter.init}"
        rows.append(("adapter", kind))
    for tune in parameters.fine_tunes:
        weight = "" if tune.weight is None else f", weight {tune.weight:g}"
        rows.append(("fine tune", f"{tune.model}{weight}"))
    if parameters.content_credentials is not None:
        rows.append(("signed by", parameters.content_credentials))
    return rows


def name_extras(parameters: Parameters) -> str:
    """The optional parameters that are set, by name, joined by commas; empty without any."""
    return ", ".join(name.replace("_", " ") for name in _SHORT if getattr(parameters, name))
