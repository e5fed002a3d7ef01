"""What differs between two images, in lines of words: for the screen and the command line.

Text from outside is made safe here. Signs say what colours repeat: `[-gone-]` and `{+come+}` around
words, `+` and `-` before prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from engines.bisection import Explanation, Trial
from engines.changes import PARTS, Change
from engines.differences import Differences, find_equal_fields
from engines.pixel_difference import PEAK, PixelDifference
from engines.prompt_pairs import PromptPair, compare_words
from store.request import Parameters, Prompt, Request
from tui.compare.pair import ImagePair
from tui.text import shorten_middle, show_safely
from tui.words import (
    LABELS,
    count_things,
    describe_changes,
    describe_extras,
    name_parameter,
    write_size,
    write_weight,
)

Role = Literal["", "quiet", "removed", "added", "proven"]
Part = tuple[str, Role]

LABEL = 10
"""Cells of a label, and of what stands below it."""

_DESCRIBED = (*PARTS, "fine_tunes", "content_credentials")
_DIGEST_SHOWN = 8

SAME_SHOWN = 160
"""Characters of words that are the same on both sides, at most."""


class Line(NamedTuple):
    """One entry: a label, what it labels, and how many more cells wrapped lines are indented."""

    label: str
    parts: tuple[Part, ...]
    indent: int = 0

    @property
    def text(self) -> str:
        """What it says, without its label."""
        return "".join(text for text, _ in self.parts)


def describe_pair(pair: ImagePair, *, has_unicode: bool = True) -> list[Line]:
    """All that differs: pixels, stages, prompts, parameters, environment; then what is the same."""
    found = pair.differences
    arrow = " → " if has_unicode else " -> "
    one, other = pair.one.image.request, pair.other.image.request
    lines = [_tell("pixels", _describe_pixels(found))]
    for name, loaded in (("A", pair.one), ("B", pair.other)):
        if loaded.fault:
            lines.append(_tell("", f"the file of {name} cannot be read: {loaded.fault}"))
        if changes := describe_changes(loaded.image):
            lines.append(_tell("record", f"that of {name} was {show_safely(changes)}"))
    lines.append(_tell("stages", _describe_stages(found)))
    lines += _describe_prompts(found.pairs, arrow, has_unicode)
    lines += [
        _describe_parameter(change, one.parameters, other.parameters, arrow)
        for change in found.changes
        if change.kind == "parameter"
    ]
    for place, change in enumerate(found.environment):
        values = arrow.join(show_safely(value or "none") for value in (change.one, change.other))
        lines.append(_tell("around" if place == 0 else "", f"{show_safely(change.name)}: {values}"))
    lines.append(Line("the same", ((_describe_equal(found, one, other), "quiet"),)))
    return lines


def _tell(label: str, text: str, role: Role = "") -> Line:
    return Line(label, ((text, role),))


# Pixels and stages


def _describe_pixels(found: Differences) -> str:
    if found.has_equal_pixels:
        return "every pixel is the same"
    if found.sizes[0] != found.sizes[1]:
        sizes = " and ".join(write_size(*size) for size in found.sizes)
        return f"other sizes: {sizes}; neither is scaled, so pixels are not compared"
    if found.pixels is None:
        return "they differ, by the record"
    if found.pixels.is_equal:
        return "every colour is the same; the files hold them in another form"
    return describe_measure(found.pixels)


def describe_measure(measured: PixelDifference) -> str:
    """How far two images are apart: `mean 3.2 of 255, largest 120, 14.2 dB, 43 % of the pixels`."""
    mean = "below 0.01" if 0 < measured.mean < 0.01 else f"{measured.mean:.2f}"
    return (
        f"mean {mean} of {PEAK}, largest {measured.maximum}, "
        f"{measured.psnr_db:.1f} dB, {write_share(measured.share)} of the pixels"
    )


def write_share(share: float) -> str:
    """A share of 0 to 1 in per cent; what is not all or nothing is never shown as that."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    if 0.999 < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _describe_stages(found: Differences) -> str:
    if found.parts_at is not None:
        return f"they part at {show_safely(found.parts_at)}"
    if not found.stages:
        return "none is recorded on both sides"
    return f"all {found.stages} that both have are the same"


def describe_single(
    change: Change, one: Request, other: Request, *, has_unicode: bool = True
) -> Line:
    """One change between two requests: its label, and what becomes what."""
    arrow = " → " if has_unicode else " -> "
    if change.kind == "parameter":
        return _describe_parameter(change, one.parameters, other.parameters, arrow)
    if change.kind == "order":
        return _tell("prompts", "their order")
    if change.kind == "text":
        was, now = Prompt(text=change.before), Prompt(text=change.after)
        return Line("prompts", _mark_text(PromptPair(was, now, 0, 0), has_unicode))
    text: Part = (f"  {_shorten(change.prompt, has_unicode)}", "")
    if change.kind in ("added", "removed"):
        there = change.after if change.kind == "added" else change.before
        weight = write_weight(there.weight, there.enabled, has_unicode=has_unicode, decimals=4)
        sign: Part = ("+ ", "added") if change.kind == "added" else ("- ", "removed")
        return Line("prompts", (sign, (weight, ""), text))
    if change.kind == "switch":
        return Line("prompts", ((f"off{arrow}on" if change.after else f"on{arrow}off", ""), text))
    weights = (
        write_weight(weight, has_unicode=has_unicode, decimals=4)
        for weight in (change.before, change.after)
    )
    return Line("prompts", ((arrow.join(weights), ""), text))


def describe_explanation(
    found: Explanation, one: Request, other: Request, *, has_unicode: bool = True
) -> list[Line]:
    """What was found: in a sentence, then the changes by their names."""
    share = write_share(found.explained)
    trials = count_things(found.trials, "trial")
    if len(found.decisive) == 1:
        said = f"one change alone explains {share} of the difference ({trials})"
    else:
        alone = "none alone explains it" if found.is_complete else "the smallest set so far"
        said = f"{alone}; {len(found.decisive)} together explain {share} ({trials})"
    lines = [_tell("bisect", said)]
    for change in found.decisive:
        line = describe_single(change, one, other, has_unicode=has_unicode)
        lines.append(_name_change(line, "decides"))
    for change in found.changes:
        if change not in found.decisive:
            line = describe_single(change, one, other, has_unicode=has_unicode)
            lines.append(_name_change(line, "first"))
    return lines


def describe_trial(trial: Trial, one: Request, other: Request, *, has_unicode: bool = True) -> Line:
    """One trial: what it explained, and with which changes."""
    if trial.explained is None:
        share = "no image"
    elif trial.explained < 0:
        share = "leads away"
    else:
        share = write_share(trial.explained)
    names = []
    for change in trial.changes:
        line = describe_single(change, one, other, has_unicode=has_unicode)
        names.append(f"{line.label} {line.text}")
    return Line(f"trial {trial.number}", ((f"{share}: {'; '.join(names)}", "quiet"),))


def _name_change(line: Line, label: str) -> Line:
    return Line(label, ((f"{line.label}  ", "quiet"), *line.parts))


# Prompts


def _describe_prompts(pairs: Sequence[PromptPair], arrow: str, has_unicode: bool) -> list[Line]:
    """A line for each prompt that differs: its place, its weight, its words."""
    rows = [
        (_name_place(pair), _write_weights(pair, arrow, has_unicode), _mark_text(pair, has_unicode))
        for pair in pairs
        if not pair.is_equal
    ]
    place_width = max((len(place) for place, _, _ in rows), default=0)
    weight_width = max((len(weight) for _, weight, _ in rows), default=0)
    lines = []
    for number, (place, weight, text) in enumerate(rows):
        role: Role = {"+": "added", "-": "removed"}.get(place[0], "")  # type: ignore[assignment]
        head = f"{place:<{place_width}}  {weight:<{weight_width}}  "
        label = LABELS["prompts"] if number == 0 else ""
        lines.append(Line(label, ((head, role), *text), min(len(head), 24)))
    return lines


def _name_place(pair: PromptPair) -> str:
    if pair.place_in_one is None:
        return f"+ {(pair.place_in_other or 0) + 1}"
    if pair.place_in_other is None:
        return f"- {pair.place_in_one + 1}"
    moved = f", was {pair.place_in_one + 1}" if pair.is_moved else ""
    return f"{pair.place_in_other + 1}{moved}"


def _write_weights(pair: PromptPair, arrow: str, has_unicode: bool) -> str:
    def write(prompt: Prompt, *, is_on: bool | None = None) -> str:
        enabled = prompt.enabled if is_on is None else is_on
        return write_weight(prompt.weight, enabled, has_unicode=has_unicode, decimals=4)

    was, now = pair.one, pair.other
    if was is None or now is None:
        there = now if was is None else was
        assert there is not None
        return write(there)
    if not was.enabled and not now.enabled and was.weight != now.weight:
        return f"off, {write(was, is_on=True)}{arrow}{write(now, is_on=True)}"
    before, after = write(was), write(now)
    return before if before == after else f"{before}{arrow}{after}"


def _mark_text(pair: PromptPair, has_unicode: bool) -> tuple[Part, ...]:
    was, now = pair.one, pair.other
    if was is None or now is None:
        there = now if was is None else was
        assert there is not None
        return ((show_safely(there.text), "removed" if now is None else "added"),)
    if was.text == now.text:
        return ((_shorten(now.text, has_unicode), ""),)
    parts: list[Part] = []
    for run in compare_words(was.text, now.text):
        words = run.text.rstrip()
        text, space = show_safely(words), show_safely(run.text[len(words) :])
        match run.kind:
            case "same":
                parts.append((_shorten(words, has_unicode) + space, ""))
            case "removed":
                parts += [(f"[-{text}-]", "removed"), (space, "")]
            case "added":
                parts += [(f"{{+{text}+}}", "added"), (space, "")]
    if all(role == "" for _, role in parts):
        parts.append(("  (only its spaces differ)", "quiet"))
    return tuple(part for part in parts if part[0])


def _shorten(text: str, has_unicode: bool) -> str:
    """Words that are the same on both sides, without the middle where there are many."""
    return show_safely(shorten_middle(text, SAME_SHOWN, " … " if has_unicode else " ... "))


# Parameters


def _describe_parameter(change: Change, one: Parameters, other: Parameters, arrow: str) -> Line:
    field, _, own = change.field.partition(".")
    if not own and field in _DESCRIBED:
        before, after = (_describe_part(field, each) for each in (one, other))
    else:
        before, after = write_value(change.before), write_value(change.after)
    name = f"{name_parameter(own) if own != 'sha256' else 'image file'} " if own else ""
    return _tell(LABELS.get(field, name_parameter(field)), f"{name}{before}{arrow}{after}")


def _describe_part(field: str, parameters: Parameters) -> str:
    sentences = dict(describe_extras(parameters)).get(LABELS[field], [])
    return "; ".join(sentences) or "none"


def write_value(value: Any) -> str:
    """A value of a request in few words: `7.5`, `128 x 192`, `none`."""
    match value:
        case None | ():
            return "none"
        case float():
            return f"{value:g}"
        case (int() as width, int() as height):
            return write_size(width, height)
        case (str() as engine, str() as model):
            return show_safely(f"{engine}, model {model}")
        case tuple():
            return show_safely(", ".join(map(str, value)))
    text = str(value)
    is_digest = len(text) == 64 and not set(text) - set("0123456789abcdef")
    return text[:_DIGEST_SHOWN] if is_digest else show_safely(text)


def _describe_equal(found: Differences, one: Request, other: Request) -> str:
    prompts = sum(pair.is_equal for pair in found.pairs)
    said = [count_things(prompts, "prompt")] if prompts else []
    own = one.parameters
    for field in find_equal_fields(one, other):
        if field in ("engine", "model"):
            value = write_value(getattr(one, field))
        elif field == "size":
            value = write_size(own.width, own.height)
        elif field in _DESCRIBED:
            value = _describe_part(field, own)
        else:
            value = write_value(getattr(own, field))
        said.append(f"{name_parameter(field)} {value}")
    return ", ".join(said) or "nothing"
