"""The parameters as fields: what they show, what they accept, how they step."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from engines.base import LEFT_TO_SERVER, Capabilities, Span
from store.errors import RequestError
from store.fields import SEED_MINIMUM, check_seed, check_side, following_seed
from store.records import Draft

FIELDS = ("seed", "steps", "cfg", "sampler", "size", "images", "style", "engine", "model")
CHOICES = frozenset({"sampler", "style", "engine", "model"})
NO_STYLE = "none"
IMAGES_MAXIMUM = 10

_SIZE = re.compile(r"\s*(\d{1,6})\s*[x×*, ]\s*(\d{1,6})\s*", re.IGNORECASE)
_FIELD_OF_REQUEST = {
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "cfg",
    "sampler": "sampler",
    "width": "size",
    "height": "size",
    "size": "size",
    "style_preset": "style",
    "images": "images",
    "engine": "engine",
    "model": "model",
}

Changes = dict[str, Any]
"""Fields of a `Draft` and their new values."""


class Context(msgspec.Struct, frozen=True):
    """The draft, what its engine accepts, and the engines there are."""

    draft: Draft
    capabilities: Capabilities
    engines: tuple[str, ...]


def find_field(name: str) -> str | None:
    """The field that an error's dotted name (`parameters.width`, `model`) is about."""
    return _FIELD_OF_REQUEST.get(name.rpartition(".")[2])


def read_value(field: str, context: Context) -> Any:
    """The value in effect: the draft's, or the engine's default."""
    draft, capabilities = context.draft, context.capabilities
    match field:
        case "seed":
            return draft.seed
        case "steps":
            return int(capabilities.steps.default) if draft.steps is None else draft.steps
        case "cfg":
            return capabilities.cfg_scale.default if draft.cfg_scale is None else draft.cfg_scale
        case "sampler":
            return draft.sampler or capabilities.default_sampler
        case "size":
            width, height = capabilities.sizes.default
            return (draft.width or width, draft.height or height)
        case "images":
            return draft.images
        case "style":
            return draft.style_preset or NO_STYLE
        case "engine":
            return draft.engine
        case "model":
            return draft.model or capabilities.default_model
    raise KeyError(field)


def show_value(field: str, context: Context) -> str:
    """The value in effect, as it is written and can be typed."""
    value = read_value(field, context)
    match field:
        case "seed":
            return "" if value is None else str(value)
        case "cfg":
            return f"{value:.10g}" if value % 1 else f"{value:.1f}"
        case "size":
            return f"{value[0]}x{value[1]}"
    return str(value)


def show_range(field: str, context: Context) -> str:
    """What the field accepts, in a few words."""
    capabilities = context.capabilities
    match field:
        case "seed":
            lock = "locked" if context.draft.seed_locked else "l lock"
            return f"{lock}   n new   p previous"
        case "steps":
            return capabilities.steps.words
        case "cfg":
            return capabilities.cfg_scale.words
        case "images":
            return f"1 to {IMAGES_MAXIMUM}"
        case "size":
            return _show_sizes(capabilities)
    number = len(list_choices(field, context))
    if field == "sampler" and capabilities.samplers == (LEFT_TO_SERVER,):
        return "the server decides"
    return "the only one" if number == 1 else f"{number} to choose from"


def _show_sizes(capabilities: Capabilities) -> str:
    sizes = capabilities.sizes
    if sizes.only:
        return f"{len(sizes.only)} to choose from" if len(sizes.only) > 1 else "the only one"
    return f"sides {sizes.low} to {sizes.high} by {sizes.multiple}"


def list_choices(field: str, context: Context) -> tuple[str, ...]:
    """The values that the field offers, as they are shown; empty for a plain number."""
    capabilities = context.capabilities
    match field:
        case "sampler":
            return capabilities.samplers
        case "style":
            return (NO_STYLE, *capabilities.style_presets)
        case "engine":
            return context.engines
        case "model":
            return capabilities.models
        case "size":
            sizes = capabilities.sizes.only or capabilities.sizes.suggested
            return tuple(f"{width}x{height}" for width, height in sizes)
    return ()


def parse_value(field: str, text: str, context: Context) -> Changes:
    """What `text`, typed into `field`, changes in the draft. Raises `RequestError`."""
    text = text.strip()
    capabilities = context.capabilities
    match field:
        case "seed":
            return {"seed": check_seed(_parse_whole(field, text))}
        case "steps":
            return {"steps": int(_check_span(field, _parse_whole(field, text), capabilities.steps))}
        case "cfg":
            number = _parse_number(field, text)
            return {"cfg_scale": _check_span(field, number, capabilities.cfg_scale)}
        case "images":
            span = Span(low=1, high=IMAGES_MAXIMUM, step=1, default=1)
            return {"images": int(_check_span(field, _parse_whole(field, text), span))}
        case "size":
            return _parse_size(text, capabilities)
    choices = list_choices(field, context)
    if text not in choices:
        raise RequestError(
            field, text, f"Unknown {field} {text!r}.", f"Known: {', '.join(choices)}."
        )
    match field:
        case "style":
            return {"style_preset": None if text == NO_STYLE else text}
        case "engine":
            return {"engine": text, "model": None}
    return {field: text}


def _parse_whole(field: str, text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII):
        raise RequestError(field, text, f"{text!r} is not a whole number.")
    return int(text)


def _parse_number(field: str, text: str) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(field, text, f"{text!r} is not a number.")
    return number + 0.0


def _check_span(field: str, number: float, span: Span) -> float:
    if not span.low <= number <= span.high:
        raise RequestError(
            field, number, f"{number:g} is out of range.", f"Give {span.low:g} to {span.high:g}."
        )
    return number


def _parse_size(text: str, capabilities: Capabilities) -> Changes:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise RequestError("size", text, f"{text!r} is not a size.", "Write it like 192x128.")
    width, height = int(match[1]), int(match[2])
    sizes = capabilities.sizes
    if sizes.only and (width, height) not in sizes.only:
        known = ", ".join(f"{w}x{h}" for w, h in sizes.only)
        raise RequestError(
            "size", text, "The engine does not make this size.", f"It makes {known}."
        )
    if not sizes.only:
        for side in (width, height):
            if not sizes.low <= side <= sizes.high or side % sizes.multiple:
                raise RequestError(
                    "size",
                    text,
                    f"{side} does not fit.",
                    f"Sides are {sizes.low} to {sizes.high} in steps of {sizes.multiple}.",
                )
        if not sizes.pixels_low <= width * height <= sizes.pixels_high:
            raise RequestError(
                "size",
                text,
                f"{width * height:,} pixels do not fit.",
                f"Give {sizes.pixels_low:,} to {sizes.pixels_high:,}.",
            )
    return {"width": check_side("width", width), "height": check_side("height", height)}


def step_value(field: str, steps: int, context: Context) -> Changes:
    """What `steps` steps up or down change: numbers stop at their ends, choices go round."""
    capabilities = context.capabilities
    match field:
        case "seed":
            seed = context.draft.seed
            return {"seed": SEED_MINIMUM if seed is None else following_seed(seed, steps)}
        case "steps":
            return {"steps": int(_step(read_value(field, context), steps, capabilities.steps))}
        case "cfg":
            return {"cfg_scale": _step(read_value(field, context), steps, capabilities.cfg_scale)}
        case "images":
            return {"images": min(max(context.draft.images + steps, 1), IMAGES_MAXIMUM)}
    choices = list_choices(field, context)
    now = show_value(field, context)
    if not choices:
        return {}
    at = choices.index(now) if now in choices else (-1 if steps > 0 else 0)
    return parse_value(field, choices[(at + steps) % len(choices)], context)


def _step(number: float, steps: int, span: Span) -> float:
    return min(max(round(number + steps * span.step, 6), span.low), span.high)


def reset_value(field: str) -> Changes:
    """What brings the field back to the engine's default; nothing for seed and engine."""
    defaults: dict[str, Changes] = {
        "steps": {"steps": None},
        "cfg": {"cfg_scale": None},
        "sampler": {"sampler": None},
        "size": {"width": None, "height": None},
        "images": {"images": 1},
        "style": {"style_preset": None},
        "model": {"model": None},
    }
    return defaults.get(field, {})


def is_default(field: str, draft: Draft) -> bool:
    """Whether the field follows the engine's default."""
    changes = reset_value(field)
    return bool(changes) and all(getattr(draft, name) == value for name, value in changes.items())


def fit_draft(context: Context) -> tuple[Draft, list[str]]:
    """The draft with what its engine does not accept set to the default, and what that was."""
    draft, notes = context.draft, []
    for field in ("model", "steps", "cfg", "sampler", "size", "style"):
        if is_default(field, draft):
            continue
        now = msgspec.structs.replace(context, draft=draft)
        shown = show_value(field, now)
        try:
            parse_value(field, shown, now)
        except RequestError:
            draft = msgspec.structs.replace(draft, **reset_value(field))
            default = show_value(field, msgspec.structs.replace(context, draft=draft))
            notes.append(f"{field} {shown} is now {default}")
    return draft, notes
