"""What changed from one request to the next, in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.changes import PARTS, Change, list_parameter_changes
from store.records import Image, Purpose, Relation
from store.request import FineTune, Prompt, Request
from tui.text import show_safely
from tui.words import name_parameter, name_step, write_size

_TEXT_LENGTH = 24
_FIRST = ("seed", "size", *PARTS, "fine_tunes")
"""What is told before other parameters."""

_OF_ITS_PART = ("strength", "preset", "cuts", "models", "prompt", "kind", "init")
"""Fields whose name alone does not say of which part they are."""


def describe_change(older: Request, newer: Request, *, has_unicode: bool = True) -> str:
    """`weight 1→1.2`, `cfg 7→8`, `+ fog 0.6` …, joined by commas; `same request` when nothing did.

    Prompts first, then parameters. Plain text without control characters.
    """
    arrow = "→" if has_unicode else "->"
    changes = _list_prompt_changes(older.stack.prompts, newer.stack.prompts, arrow)
    changes += _list_other_changes(older, newer, arrow)
    return ", ".join(changes) or "same request"


def describe_step(parent: Request | None, child: Image, *, has_unicode: bool = True) -> str:
    """How an image came from its parent and what changed on the way: `edited: weight 1→1.2`.

    `parent` is that one's request, None where it is not known.
    """
    step = name_step(child)
    if parent is None or child.purpose is Purpose.REGENERATE:
        return step
    if child.relation is Relation.UPSCALE:
        return f"{step}: {write_size(child.width, child.height)}"
    return f"{step}: {describe_change(parent, child.request, has_unicode=has_unicode)}"


def _list_prompt_changes(
    older: tuple[Prompt, ...], newer: tuple[Prompt, ...], arrow: str
) -> list[str]:
    """Prompts are the same when their texts are; a lone changed text is a rewording."""
    changes: list[str] = []
    is_lone = len(older) == len(newer) == 1
    gone, came = _pair_off(older, newer), _pair_off(newer, older)
    kept_older = [prompt for prompt in older if not _is_among(prompt, gone)]
    kept_newer = [prompt for prompt in newer if not _is_among(prompt, came)]
    if len(gone) == len(came) == 1:
        changes.append(f"{_shorten(gone[0].text)}{arrow}{_shorten(came[0].text)}")
        changes += _list_prompt_edits(gone[0], came[0], arrow, is_lone)
    else:
        changes += [f"+ {_shorten(prompt.text)}{_show_weight(prompt)}" for prompt in came]
        changes += [f"- {_shorten(prompt.text)}" for prompt in gone]
    left = list(kept_older)
    for prompt in kept_newer:
        match = next(other for other in left if other.text == prompt.text)
        left.remove(match)
        changes += _list_prompt_edits(match, prompt, arrow, is_lone)
    if [prompt.text for prompt in kept_older] != [prompt.text for prompt in kept_newer]:
        changes.append("order")
    return changes


def _is_among(prompt: Prompt, prompts: list[Prompt]) -> bool:
    return any(prompt is other for other in prompts)


def _pair_off(these: tuple[Prompt, ...], others: tuple[Prompt, ...]) -> list[Prompt]:
    """Those of `these` whose text no prompt of `others` answers, each answering once."""
    texts = [prompt.text for prompt in others]
    alone = []
    for prompt in these:
        if prompt.text in texts:
            texts.remove(prompt.text)
        else:
            alone.append(prompt)
    return alone


def _list_prompt_edits(older: Prompt, newer: Prompt, arrow: str, is_lone: bool) -> list[str]:
    """What changed of a prompt besides its text; a lone prompt needs no name."""
    name = "weight" if is_lone else _shorten(newer.text)
    edits = []
    if older.weight != newer.weight:
        edits.append(f"{name} {older.weight:g}{arrow}{newer.weight:g}")
    if older.enabled != newer.enabled:
        edits.append(f"{_shorten(newer.text)} {'on' if newer.enabled else 'off'}")
    return edits


def _show_weight(prompt: Prompt) -> str:
    weight = "" if prompt.weight == 1 else f" {prompt.weight:g}"
    return weight if prompt.enabled else f"{weight} off"


def _shorten(text: str) -> str:
    line = show_safely(" ".join(text.split()))
    return line if len(line) <= _TEXT_LENGTH else line[: _TEXT_LENGTH - 1].rstrip() + "…"


def _list_other_changes(older: Request, newer: Request, arrow: str) -> list[str]:
    """Seed and size first, then what an image was made from, then the rest."""
    found = sorted(list_parameter_changes(older, newer), key=_rank)
    return [said for change in found for said in _describe_parameter(change, arrow)]


def _rank(change: Change) -> int:
    part = change.field.partition(".")[0]
    return _FIRST.index(part) if part in _FIRST else len(_FIRST)


def _describe_parameter(change: Change, arrow: str) -> list[str]:
    """A part that came or went is told as one; of one that stayed, each field that changed."""
    before, after = change.before, change.after
    part, _, own = change.field.partition(".")
    name = name_parameter(part)
    if part == "seed" or own in ("sha256", "seed"):
        return [name]
    if own:
        field = name_parameter(own)
        named = f"{name} {field}" if own in _OF_ITS_PART else field
        return [f"{named} {_show(before)}{arrow}{_show(after)}"]
    if part == "size":
        return [f"{name} {arrow.join(f'{width}x{height}' for width, height in (before, after))}"]
    if part == "engine":
        pairs = zip(("engine", "model"), before, after, strict=True)
        return [
            f"{name_parameter(field)} {_show(then)}{arrow}{_show(now)}"
            for field, then, now in pairs
            if then != now
        ]
    if part == "fine_tunes":
        return _list_fine_tune_changes(before, after, arrow)
    if part in PARTS:
        return [f"- {name}" if after is None else f"+ {name}{_describe_share(after)}"]
    return [f"{name} {_show(before)}{arrow}{_show(after)}"]


def _describe_share(part: Any) -> str:
    """What of the new part tells most: its kind, and how strong it is."""
    said = ""
    for field in ("preset", "kind", "start_schedule", "strength"):
        if (value := getattr(part, field, None)) is not None:
            said += f" {_show(value)}"
    return said


def _list_fine_tune_changes(
    older: Sequence[FineTune], newer: Sequence[FineTune], arrow: str
) -> list[str]:
    before = {tune.model: tune.weight for tune in older}
    after = {tune.model: tune.weight for tune in newer}
    changes = []
    for model, weight in after.items():
        name = f"{name_parameter('fine_tunes')} {_shorten(model)}"
        if model not in before:
            changes.append(f"+ {name}{'' if weight is None else f' {weight:g}'}")
        elif before[model] != weight:
            changes.append(f"{name} {_show(before[model])}{arrow}{_show(weight)}")
    gone = [model for model in before if model not in after]
    changes += [f"- {name_parameter('fine_tunes')} {_shorten(model)}" for model in gone]
    is_moved = older != newer and not changes
    return [f"{name_parameter('fine_tunes')} order"] if is_moved else changes


def _show(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return show_safely(", ".join(value))
    return f"{value:g}" if isinstance(value, float) else _shorten(str(value))
