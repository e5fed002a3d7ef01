"""The single changes between two requests, and the requests in between.

A change is the smallest thing that a person would do in the editor: another weight, a prompt
switched off, another size. With all of them `one` becomes `other`, with some of them a request in
between, which no engine need accept.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from engines.prompt_pairs import PromptPair, match_prompts
from store.request import Parameters, Prompt, PromptStack, Request

Kind = Literal["text", "weight", "switch", "added", "removed", "order", "parameter"]

PARTS = ("initial_image", "mask", "variation", "guidance", "adapter", "upscale")
"""Parameters that have fields of their own."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `before` and `after` are values of a request: a weight, a text, a size.

    For prompts: `pair` is its place among `match_prompts`, and `prompt` its text (the new one);
    `added` and `removed` have the `Prompt` as the value, `switch` whether it is on. `order` is
    about all that moved. For parameters `field` is `seed`, `size`, `engine`, `model`,
    `variation.seed` …; a part that came or went is one change, with None where it is not.
    """

    kind: Kind
    field: str = "prompts"
    pair: int | None = None
    prompt: str = ""
    before: Any = None
    after: Any = None


def list_changes(one: Request, other: Request) -> tuple[Change, ...]:
    """What leads from `one` to `other`: prompts in their order, then parameters in theirs.

    Empty where both say the same; the number of the form is no change.
    """
    pairs = match_prompts(one.stack.prompts, other.stack.prompts)
    changes = [change for place, pair in enumerate(pairs) for change in _list_of_pair(place, pair)]
    if any(pair.is_moved for pair in pairs):
        changes.append(Change(kind="order"))
    return (*changes, *list_parameter_changes(one, other))


def list_parameter_changes(one: Request, other: Request) -> tuple[Change, ...]:
    """Those of `list_changes` that are about no prompt: engine and model, then parameters."""
    changes = _list_model(one, other) + _list_parameters(one.parameters, other.parameters)
    return tuple(changes)


def _list_of_pair(place: int, pair: PromptPair) -> list[Change]:
    was, now = pair.one, pair.other
    if was is None:
        assert now is not None
        return [Change(kind="added", pair=place, prompt=now.text, after=now)]
    if now is None:
        return [Change(kind="removed", pair=place, prompt=was.text, before=was)]
    values: tuple[tuple[Kind, Any, Any], ...] = (
        ("text", was.text, now.text),
        ("weight", was.weight, now.weight),
        ("switch", was.enabled, now.enabled),
    )
    return [
        Change(kind=kind, pair=place, prompt=now.text, before=before, after=after)
        for kind, before, after in values
        if before != after
    ]


def _list_model(one: Request, other: Request) -> list[Change]:
    if one.engine != other.engine:
        before, after = ((each.engine, each.model) for each in (one, other))
        return [Change(kind="parameter", field="engine", before=before, after=after)]
    if one.model != other.model:
        return [Change(kind="parameter", field="model", before=one.model, after=other.model)]
    return []


def _list_parameters(one: Parameters, other: Parameters) -> list[Change]:
    changes = []
    for name in Parameters.__struct_fields__:
        before, after = getattr(one, name), getattr(other, name)
        field = name
        if name == "width":
            field = "size"
            before, after = (one.width, one.height), (other.width, other.height)
        if name == "height" or before == after:
            continue
        if name in PARTS and before is not None and after is not None:
            changes += [
                Change(kind="parameter", field=f"{name}.{own}", before=then, after=now)
                for own in before.__struct_fields__
                if (then := getattr(before, own)) != (now := getattr(after, own))
            ]
        else:
            changes.append(Change(kind="parameter", field=field, before=before, after=after))
    return changes


def apply_changes(one: Request, other: Request, changes: Collection[Change]) -> Request:
    """`one` with those of `list_changes(one, other)` that are in `changes`.

    Raises `RequestError` when there is no such request: a mask without an initial image, no prompt
    with a weight above 0.
    """
    every = list_changes(one, other)
    chosen = [change for change in every if change in changes]
    if not chosen:
        return one
    if len(chosen) == len(every):
        return other
    fields = {change.field: change.after for change in chosen if change.kind == "parameter"}
    engine, model = fields.pop("engine", (one.engine, fields.pop("model", one.model)))
    return Request(
        format=max(one.format, other.format),
        engine=engine,
        model=model,
        stack=PromptStack(prompts=_choose_prompts(one, other, chosen)),
        parameters=_choose_parameters(one.parameters, fields),
    )


def _choose_parameters(one: Parameters, fields: dict[str, Any]) -> Parameters:
    values: dict[str, Any] = {}
    for field, after in fields.items():
        part, _, own = field.partition(".")
        if own:
            then = values.get(part, getattr(one, part))
            values[part] = msgspec.structs.replace(then, **{own: after})
        elif field == "size":
            values["width"], values["height"] = after
        else:
            values[field] = after
    return msgspec.structs.replace(one, **values)


def _choose_prompts(one: Request, other: Request, chosen: list[Change]) -> tuple[Prompt, ...]:
    pairs = match_prompts(one.stack.prompts, other.stack.prompts)
    kinds: dict[int, set[Kind]] = {}
    for change in chosen:
        if change.pair is not None:
            kinds.setdefault(change.pair, set()).add(change.kind)
    is_reordered = any(change.kind == "order" for change in chosen)
    places = range(len(pairs)) if is_reordered else _order_as_in_one(pairs)
    prompts = (_choose_prompt(pairs[place], kinds.get(place, set())) for place in places)
    return tuple(prompt for prompt in prompts if prompt is not None)


def _order_as_in_one(pairs: tuple[PromptPair, ...]) -> list[int]:
    """Places among `pairs` in the order of `one`; what was added behind what it stands behind."""
    there = [(pair.place_in_one, at) for at, pair in enumerate(pairs) if pair.one is not None]
    order = [at for _, at in sorted(there)]
    before: int | None = None
    for at, pair in enumerate(pairs):
        if pair.other is None:
            continue
        if pair.one is None:
            order.insert(0 if before is None else order.index(before) + 1, at)
        before = at
    return order


def _choose_prompt(pair: PromptPair, kinds: set[Kind]) -> Prompt | None:
    was, now = pair.one, pair.other
    if was is None:
        return now if "added" in kinds else None
    if now is None:
        return None if "removed" in kinds else was
    return Prompt(
        text=now.text if "text" in kinds else was.text,
        weight=now.weight if "weight" in kinds else was.weight,
        enabled=now.enabled if "switch" in kinds else was.enabled,
    )
