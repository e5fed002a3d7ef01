"""What changed from one request to the next, in a few words."""

from __future__ import annotations

from typing import Any

from store.request import Prompt, Request, list_differences
from tui.origin_words import NAMES, describe_extra_changes
from tui.text import show_safely

_TEXT_LENGTH = 24
_OF_THEIR_OWN = ("initial_image", "mask", "variation", "upscale")
"""Parts of the parameters whose changes are told as one."""


def describe_change(older: Request, newer: Request, *, has_unicode: bool = True) -> str:
    """`cfg 7→8`, `+ fog 0.6`, `seed` …, joined by commas; `same request` when nothing did.

    Prompts first, then parameters. Plain text without control characters.
    """
    arrow = "→" if has_unicode else "->"
    changes = _list_prompt_changes(older.stack.prompts, newer.stack.prompts, arrow)
    changes += _list_other_changes(older, newer, arrow)
    return ", ".join(changes) or "same request"


def _list_prompt_changes(
    older: tuple[Prompt, ...], newer: tuple[Prompt, ...], arrow: str
) -> list[str]:
    """Prompts are the same when their texts are; a lone changed text is a rewording."""
    changes: list[str] = []
    gone, came = _pair_off(older, newer), _pair_off(newer, older)
    kept_older = [prompt for prompt in older if not _is_among(prompt, gone)]
    kept_newer = [prompt for prompt in newer if not _is_among(prompt, came)]
    if len(gone) == len(came) == 1:
        changes.append(f"{_shorten(gone[0].text)}{arrow}{_shorten(came[0].text)}")
        changes += _list_prompt_edits(gone[0], came[0], arrow)
    else:
        changes += [f"+ {_shorten(prompt.text)}{_show_weight(prompt)}" for prompt in came]
        changes += [f"- {_shorten(prompt.text)}" for prompt in gone]
    left = list(kept_older)
    for prompt in kept_newer:
        match = next(other for other in left if other.text == prompt.text)
        left.remove(match)
        changes += _list_prompt_edits(match, prompt, arrow)
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


def _list_prompt_edits(older: Prompt, newer: Prompt, arrow: str) -> list[str]:
    name = _shorten(newer.text)
    edits = []
    if older.weight != newer.weight:
        edits.append(f"{name} {older.weight:g}{arrow}{newer.weight:g}")
    if older.enabled != newer.enabled:
        edits.append(f"{name} {'on' if newer.enabled else 'off'}")
    return edits


def _show_weight(prompt: Prompt) -> str:
    weight = "" if prompt.weight == 1 else f" {prompt.weight:g}"
    return weight if prompt.enabled else f"{weight} off"


def _shorten(text: str) -> str:
    line = show_safely(" ".join(text.split()))
    return line if len(line) <= _TEXT_LENGTH else line[: _TEXT_LENGTH - 1].rstrip() + "…"


def _list_other_changes(older: Request, newer: Request, arrow: str) -> list[str]:
    changes: list[str] = []
    differences = {
        name.rpartition(".")[2]: (before, after)
        for name, before, after in list_differences(older, newer)
        if not name.startswith(("stack.", *(f"parameters.{part}" for part in _OF_THEIR_OWN)))
    }
    # The form of a request follows from what it holds.
    differences.pop("format", None)
    if differences.pop("seed", None):
        changes.append("seed")
    if differences.keys() & {"width", "height"}:
        for side in ("width", "height"):
            differences.pop(side, None)
        sizes = [f"{each.parameters.width}x{each.parameters.height}" for each in (older, newer)]
        changes.append(f"size {arrow.join(sizes)}")
    changes += describe_extra_changes(older.parameters, newer.parameters, arrow)
    for name, (before, after) in differences.items():
        changes.append(
            f"{NAMES.get(name, name.replace('_', ' '))} {_show(before)}{arrow}{_show(after)}"
        )
    return changes


def _show(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else show_safely(str(value))
