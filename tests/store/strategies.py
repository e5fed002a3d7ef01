"""Values of any of our structs, made from the types of its fields.

A field that is added later is covered by itself; a type that is not known here fails.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from store import limits, request
from store.errors import RequestError
from store.request import (
    REQUEST_FORMAT,
    Adapter,
    FineTune,
    Guidance,
    InitialImage,
    Mask,
    Parameters,
    Prompt,
    PromptStack,
    Request,
    Upscale,
    Variation,
)

Value = TypeVar("Value")

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
TEXTS = st.text(min_size=1, max_size=60).filter(
    lambda text: bool(text.strip()) and not limits._CONTROL.search(text)
)
SIDES = st.integers(
    limits.SIZE_MINIMUM // limits.SIZE_MULTIPLE, limits.SIZE_MAXIMUM // limits.SIZE_MULTIPLE
).map(lambda count: count * limits.SIZE_MULTIPLE)
SEEDS = st.integers(limits.SEED_MINIMUM, limits.SEED_MAXIMUM)
SHARES = st.floats(0, 1)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)

LIMITED: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (Prompt, "text"): TEXTS,
    (Prompt, "weight"): st.floats(limits.WEIGHT_MINIMUM, limits.WEIGHT_MAXIMUM),
    (Parameters, "seed"): SEEDS,
    (Parameters, "steps"): st.integers(1, limits.STEPS_MAXIMUM),
    (Parameters, "cfg_scale"): st.floats(0, limits.CFG_SCALE_MAXIMUM),
    (Parameters, "sampler"): NAMES,
    (Parameters, "width"): SIDES,
    (Parameters, "height"): SIDES,
    (Parameters, "style_preset"): st.none() | NAMES,
    (Request, "format"): st.just(REQUEST_FORMAT),
    (InitialImage, "sha256"): DIGESTS,
    (Mask, "sha256"): DIGESTS,
    (Upscale, "sha256"): DIGESTS,
    (Upscale, "upscaler"): st.sampled_from(request.UPSCALERS),
    (InitialImage, "start_schedule"): SHARES,
    (InitialImage, "end_schedule"): SHARES,
    (Variation, "seed"): SEEDS,
    (Variation, "strength"): SHARES,
    (Guidance, "preset"): st.sampled_from(request.GUIDANCE_PRESETS),
    (Guidance, "strength"): st.none() | SHARES,
    (Guidance, "cuts"): st.none() | st.integers(1, 1024),
    (Guidance, "models"): st.lists(TEXTS, max_size=2).map(tuple),
    (Guidance, "prompt"): st.none() | TEXTS,
    (Adapter, "kind"): st.sampled_from(request.ADAPTERS),
    (Adapter, "strength"): SHARES,
    (FineTune, "model"): TEXTS,
    (FineTune, "weight"): st.none() | SHARES,
    (Parameters, "content_credentials"): st.none() | st.sampled_from(request.CONTENT_CREDENTIALS),
    (Request, "engine"): NAMES,
    (Request, "model"): NAMES,
}
"""Where a field accepts less than its type."""

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=40),
    bool: st.booleans(),
    type(None): st.none(),
}


def make_strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as it stands in an annotation."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return make_struct(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([make_strategy(argument) for argument in arguments])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return st.lists(make_strategy(arguments[0]), max_size=4).map(tuple)
    if origin is dict and arguments[0] is str:
        return st.dictionaries(st.text(max_size=8), make_strategy(arguments[1]), max_size=4)
    raise TypeError(f"no values are known for {kind!r}: add them here")


def make_struct(kind: type[Value]) -> st.SearchStrategy[Value]:
    """Valid values of a struct."""
    hints = get_type_hints(kind)
    fields = {
        name: LIMITED[kind, name] if (kind, name) in LIMITED else make_strategy(hints[name])
        for name in kind.__struct_fields__  # type: ignore[attr-defined]
    }

    def build(values: dict[str, Any]) -> Value | None:
        try:
            return kind(**REPAIRS.get(kind, dict)(values))
        except RequestError:
            return None

    made = st.fixed_dictionaries(fields).map(build)
    return made.filter(lambda value: value is not None)  # type: ignore[return-value]


def _order_schedule(values: dict[str, Any]) -> dict[str, Any]:
    end, start = sorted((values["start_schedule"], values["end_schedule"]))
    return values | {"start_schedule": start, "end_schedule": end}


def _drop_orphans(values: dict[str, Any]) -> dict[str, Any]:
    return values if values["initial_image"] else values | {"mask": None, "adapter": None}


def _add_prompt(values: dict[str, Any]) -> dict[str, Any]:
    stack: PromptStack = values["stack"]
    if any(prompt.is_active and prompt.weight > 0 for prompt in stack.prompts):
        return values
    return values | {"stack": PromptStack(prompts=(*stack.prompts, Prompt(text="night sky")))}


REPAIRS: dict[type, Callable[[dict[str, Any]], dict[str, Any]]] = {
    InitialImage: _order_schedule,
    Parameters: _drop_orphans,
    Request: _add_prompt,
}
"""Rules over several fields: Hypothesis gives up where too much of what it makes is refused."""


STRUCTS = (Prompt, PromptStack, Parameters, Request)
