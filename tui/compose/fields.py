"""The parameters as fields: what they show, what they accept, how they step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engines.capabilities import LEFT_TO_SERVER, Capabilities, Span
from store.errors import RequestError
from store.limits import SEED_MINIMUM, check_seed, following_seed
from store.records import Draft
from store.request import Parameters
from tui.compose import origin_fields
from tui.compose.numbers import check_span, parse_number, parse_size, parse_whole, step_number

FIELDS = ("seed", "steps", "cfg", "sampler", "size", "images", "style", "engine", "model")
"""The fields that are always there."""

ALL_FIELDS = (*FIELDS, *origin_fields.FIELDS)
CHOICES = frozenset({"sampler", "style", "engine", "model", *origin_fields.CHOICES})
NO_STYLE = "none"
IMAGES_MAXIMUM = 10

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
    """The draft, what its engine accepts, and the engines there are.

    `sizes`: of the kept image files, as far as they are known (width, height in pixels).
    """

    draft: Draft
    capabilities: Capabilities
    engines: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]] = {}


def list_fields(draft: Draft) -> tuple[str, ...]:
    """The fields that `draft` has, in their order."""
    return (*FIELDS, *origin_fields.list_fields(draft))


def get_label(field: str) -> str:
    """How the field is called on the screen."""
    return origin_fields.LABELS.get(field, field)


def is_removable(field: str, draft: Draft) -> bool:
    """Whether resetting the field leaves a part of the draft out."""
    return origin_fields.read_part(field, draft) is not None


def get_part(field: str) -> str:
    """What a removable field holds, in words."""
    return origin_fields.PARTS[field]


def find_field(name: str) -> str | None:
    """The field that an error's dotted name (`parameters.width`, `model`) is about."""
    return origin_fields.find_field(name) or _FIELD_OF_REQUEST.get(name.rpartition(".")[2])


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
    if field in origin_fields.FIELDS:
        return origin_fields.show_value(field, context.draft)
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
    if field in origin_fields.FIELDS:
        return origin_fields.show_range(field, context.draft, context.sizes)
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
    if field in origin_fields.FIELDS:
        return origin_fields.CHOICES.get(field, ())
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
    if field in origin_fields.FIELDS:
        return origin_fields.parse_value(field, text, context.draft)
    capabilities = context.capabilities
    match field:
        case "seed":
            return {"seed": check_seed(parse_whole(field, text))}
        case "steps":
            return {"steps": int(check_span(field, parse_whole(field, text), capabilities.steps))}
        case "cfg":
            number = parse_number(field, text)
            return {"cfg_scale": check_span(field, number, capabilities.cfg_scale)}
        case "images":
            span = Span(low=1, high=IMAGES_MAXIMUM, step=1, default=1)
            return {"images": int(check_span(field, parse_whole(field, text), span))}
        case "size":
            return parse_size(text, capabilities)
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


def step_value(field: str, steps: int, context: Context) -> Changes:
    """What `steps` steps up or down change: numbers stop at their ends, choices go round."""
    if field in origin_fields.FIELDS:
        return origin_fields.step_value(field, steps, context.draft)
    capabilities = context.capabilities
    match field:
        case "seed":
            seed = context.draft.seed
            return {"seed": SEED_MINIMUM if seed is None else following_seed(seed, steps)}
        case "steps":
            return {
                "steps": int(step_number(read_value(field, context), steps, capabilities.steps))
            }
        case "cfg":
            return {
                "cfg_scale": step_number(read_value(field, context), steps, capabilities.cfg_scale)
            }
        case "images":
            return {"images": min(max(context.draft.images + steps, 1), IMAGES_MAXIMUM)}
    choices = list_choices(field, context)
    now = show_value(field, context)
    if not choices:
        return {}
    at = choices.index(now) if now in choices else (-1 if steps > 0 else 0)
    return parse_value(field, choices[(at + steps) % len(choices)], context)


def reset_value(field: str, draft: Draft) -> Changes:
    """What brings the field back to the engine's default; nothing for seed and engine.

    An initial image, a mask and a variation are left out by it.
    """
    if field in origin_fields.FIELDS:
        return origin_fields.reset_value(field, draft)
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
    if field in origin_fields.FIELDS:
        return False
    changes = reset_value(field, draft)
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
            draft = msgspec.structs.replace(draft, **reset_value(field, draft))
            default = show_value(field, msgspec.structs.replace(context, draft=draft))
            notes.append(f"{field} {shown} is now {default}")
    return _drop_extras(draft, context.capabilities, notes), notes


def _drop_extras(draft: Draft, capabilities: Capabilities, notes: list[str]) -> Draft:
    """Without the optional parameters that the engine does not take."""
    optional = {field.name for field in msgspec.structs.fields(Parameters) if not field.required}
    for field in msgspec.structs.fields(Draft):
        if field.name not in optional or field.name in capabilities.takes:
            continue
        if getattr(draft, field.name) != field.default:
            draft = msgspec.structs.replace(draft, **{field.name: field.default})
            notes.append(f"{field.name.replace('_', ' ')} is left out")
    return draft
