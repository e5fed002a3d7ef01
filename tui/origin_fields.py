"""What an image starts from, as fields: initial image, mask and variation of a draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engines.capabilities import Span
from engines.resolve import END_SCHEDULE, START_SCHEDULE, VARIATION_STRENGTH
from store.errors import RequestError
from store.fields import check_seed, following_seed
from store.records import Draft
from tui.numbers import check_span, parse_number, parse_whole, step_number
from tui.origins import name_input, remove_initial_image

FIELDS = ("from", "start", "end", "mask", "replaces", "area", "vary", "strength")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "replaces": ("black", "white"),
    "area": ("original", "random", "zero"),
}
FILES = frozenset({"from", "mask"})
"""Fields that hold an image file: they are filled by screens of their own."""

LABELS = {"vary": "vary seed"}
PARTS = {"from": "initial image", "mask": "mask", "vary": "second seed"}
"""Fields that stand for a part of the draft which can be left out."""

NO_MASK = "none"

_STEP = 0.05
_AREA = {"original": "the image", "random": "noise", "zero": "nothing"}
_OTHER = {"black": "white", "white": "black"}
_ATTRIBUTES = {"replaces": "replaces", "area": "area_init"}

Changes = dict[str, Any]


def list_fields(draft: Draft) -> tuple[str, ...]:
    """The fields of what `draft` starts from; none for a draft without."""
    found: tuple[str, ...] = ()
    if draft.initial_image is not None:
        found += FIELDS[:4]
        if draft.mask is not None:
            found += FIELDS[4:6]
    if draft.variation is not None:
        found += FIELDS[6:]
    return found


def read_part(field: str, draft: Draft) -> Any:
    """The part of the draft that leaving `field` out takes away, None when there is none."""
    parts = {"from": draft.initial_image, "mask": draft.mask, "vary": draft.variation}
    return parts.get(field)


def find_field(name: str) -> str | None:
    """The field that an error's dotted name (`parameters.start_schedule`) is about."""
    parts = name.split(".")
    known = {
        "initial_image": "from",
        "start_schedule": "start",
        "end_schedule": "end",
        "mask": "mask",
    }
    if "variation" in parts:
        return "strength" if parts[-1] == "strength" else "vary"
    return known.get(parts[-1])


def read_value(field: str, draft: Draft) -> Any:
    """The value; None where the draft has no such part."""
    initial, mask, variation = draft.initial_image, draft.mask, draft.variation
    match field:
        case "from":
            return initial and name_input(draft, initial.sha256)
        case "start":
            return initial and initial.start_schedule
        case "end":
            return initial and initial.end_schedule
        case "mask":
            return name_input(draft, mask.sha256) if mask is not None else NO_MASK
        case "replaces" | "area":
            return mask and getattr(mask, _ATTRIBUTES[field])
        case "vary":
            return variation and variation.seed
        case "strength":
            return variation and variation.strength
    raise KeyError(field)


def show_value(field: str, draft: Draft) -> str:
    """The value as it is written and can be typed."""
    value = read_value(field, draft)
    if isinstance(value, float):
        return f"{value:.10g}" if round(value, 2) != value else f"{value:.2f}"
    return "" if value is None else str(value)


def show_range(field: str, draft: Draft, sizes: Mapping[str, tuple[int, int]]) -> str:
    """What the field is or accepts, in a few words."""
    match field:
        case "from":
            return _show_size(draft, sizes)
        case "start":
            return "0 keeps, 1 ignores"
        case "end":
            return f"0 to {show_value('start', draft)}"
        case "mask":
            return "enter changes it" if draft.mask is not None else "enter makes one"
        case "replaces":
            return f"{_OTHER.get(read_value(field, draft), '')} stays"
        case "area":
            return f"{_AREA.get(read_value(field, draft), '')} first"
        case "vary":
            return "a second seed   d takes out"
    return "0 nothing of it, 1 it alone"


def _show_size(draft: Draft, sizes: Mapping[str, tuple[int, int]]) -> str:
    initial = draft.initial_image
    if initial is None or initial.sha256 not in sizes:
        return "d takes it out"
    width, height = sizes[initial.sha256]
    return f"{width}x{height}  d takes out"


def parse_value(field: str, text: str, draft: Draft) -> Changes:
    """What `text`, typed into `field`, changes in the draft. Raises `RequestError`."""
    match field:
        case "start" | "end" | "strength":
            return _change(
                field, check_span(field, parse_number(field, text), _span(field, draft)), draft
            )
        case "vary":
            return _change(field, check_seed(parse_whole(field, text), field), draft)
    if text not in CHOICES.get(field, ()):
        raise RequestError(field, text, f"Unknown {field} {text!r}.")
    return _change(field, text, draft)


def step_value(field: str, steps: int, draft: Draft) -> Changes:
    """What `steps` steps change: numbers stop at their ends, choices go round."""
    value = read_value(field, draft)
    if value is None or field in FILES:
        return {}
    if field in CHOICES:
        choices = CHOICES[field]
        return _change(field, choices[(choices.index(value) + steps) % len(choices)], draft)
    if field == "vary":
        return _change(field, following_seed(value, steps), draft)
    return _change(field, step_number(value, steps, _span(field, draft)), draft)


def reset_value(field: str, draft: Draft) -> Changes:
    """What leaves the image, the mask or the variation out, or puts a number back."""
    match field:
        case "from":
            bare = remove_initial_image(draft)
            return {
                name: getattr(bare, name)
                for name in ("initial_image", "mask", "adapter", "parent_id", "relation")
            }
        case "mask":
            return {"mask": None}
        case "vary":
            return {"variation": None}
        case "start":
            return _change(field, START_SCHEDULE, draft)
        case "end":
            return _change(field, END_SCHEDULE, draft)
        case "strength":
            return _change(field, VARIATION_STRENGTH, draft)
    return _change(field, CHOICES[field][0], draft)


def _span(field: str, draft: Draft) -> Span:
    high = 1.0
    if field == "end" and draft.initial_image is not None:
        high = draft.initial_image.start_schedule
    return Span(low=0, high=high, step=_STEP, default=0)


def _change(field: str, value: Any, draft: Draft) -> Changes:
    initial, mask, variation = draft.initial_image, draft.mask, draft.variation
    if field in ("start", "end") and initial is not None:
        start = value if field == "start" else initial.start_schedule
        end = value if field == "end" else min(initial.end_schedule, start)
        changed = msgspec.structs.replace(initial, start_schedule=start, end_schedule=end)
        return {"initial_image": changed}
    if field in _ATTRIBUTES and mask is not None:
        return {"mask": msgspec.structs.replace(mask, **{_ATTRIBUTES[field]: value})}
    if field in ("vary", "strength") and variation is not None:
        name = "seed" if field == "vary" else "strength"
        return {"variation": msgspec.structs.replace(variation, **{name: value})}
    return {}
