"""Prompts as people write them: cleaned, weighed by `::`, several of them in one text.

`TEXT::W` is how users of the Stability API and of Midjourney write a weight. There a text may hold
several prompts, each ended by its weight: `a cat::2 a dog::-1`.
"""

from __future__ import annotations

import itertools
import re

from store.errors import RequestError
from store.limits import PROMPT_LIMIT, check_weight
from store.request import Prompt

_NUMBER = r"[+\-\u2212]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)"
_END = re.compile(rf"::({_NUMBER})\s*\Z")
_MARK = re.compile(rf"(?<!:)::(?:({_NUMBER})(?:,|\s*\|)?)?(?=\s|\Z)")
_COLONS = re.compile("[:\uff1a]{2,}")
_WIDE_WEIGHT = re.compile(r"\s*[+\-\u2212\uff0d]?[0-9\uff10-\uff19.]+(?=\s|\Z)")
_ADDRESS = re.compile(
    r"\[?(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})+|(?=.*[0-9])(?=.*[A-Fa-f])[0-9A-Fa-f]{4})"
)

_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029]")
_QUOTED = 24
"""Most characters of a text that an error repeats."""

_KEEP = "To keep the '::' in the text, end it in ::1."
_SPACE = "For a weight put a space before the '::'."
_SEVERAL = "For several prompts end each in its weight, as in 'hot::1 dog::1'."


class UnclearPrompts(RequestError):
    """A text that may be one prompt or several."""


def clean_text(text: str) -> str:
    r"""`text` with `\n` for every line end, and without a byte order mark at its beginning.

    Line ends are `\r\n`, `\r`, and Unicode's line and paragraph separators. Nothing else changes.
    """
    return _LINE_ENDS.sub("\n", text.removeprefix("\ufeff"))


def has_marks(text: str) -> bool:
    """Whether `text` holds what `parse_prompts` might read as a weight."""
    return "::" in text or "\uff1a" in text


def parse_prompt(text: str) -> Prompt:
    """The one prompt that `text` stands for, to the character: `TEXT::W`, or `TEXT` of weight 1.

    Only a plain number behind the last `::` is a weight. Raises `RequestError`.
    """
    end = _END.search(text)
    if end is None:
        return Prompt(text=text)
    return Prompt(text=text[: end.start()], weight=_read_weight(end[1]))


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """The prompts that a person means by `text`, once it is clean; at least one.

    `a cat::2 a dog::-1` are two, each ended by `::` and its weight, a plain decimal number; what
    follows the last weight has the weight 1. With one weight, at its end, `text` is one prompt to
    the character, also where it holds `::` between letters (`std::vector::1`). A comma or a bar
    behind a weight is left out. Raises `RequestError`, as `UnclearPrompts` where it might mean
    something else: nothing that looks like a weight becomes part of a text, and no address or
    time becomes a weight.
    """
    text = clean_text(text)
    _refuse_full_width(text)
    if "::" not in text:
        return (Prompt(text=text),)
    end = _END.search(text)
    last = len(text) if end is None else end.start()
    found = itertools.takewhile(lambda mark: mark.start() < last, _MARK.finditer(text))
    marks = list(itertools.islice(found, PROMPT_LIMIT + 1))
    if len(marks) > PROMPT_LIMIT:
        raise RequestError(
            "prompts", None, f"The text is more than {PROMPT_LIMIT} prompts.", "Remove some."
        )
    if not marks:
        if end is None:
            raise _explain_weight(text.rpartition("::")[2])
        part = text[: end.start()]
        if _is_address(part):
            said = _explain_address(part, end[1])
            raise RequestError("weight", part, said, f"{_SPACE} {_KEEP}")
        return (Prompt(text=part, weight=_read_weight(end[1], _KEEP)),)
    return _split(text, [*marks, end] if end is not None else marks)


def _split(text: str, marks: list[re.Match[str]]) -> tuple[Prompt, ...]:
    """One prompt for each of `marks`, and one for what follows the last."""
    if not any(mark[1] for mark in marks):
        mark = marks[0]
        said = _quote(text, mark.start() - _QUOTED // 2, mark.start() + _QUOTED // 2)
        raise UnclearPrompts("text", text, f"No weight stands after the '::' in {said}.", _SEVERAL)
    prompts, start = [], 0
    for mark in marks:
        part = text[start : mark.start()].strip()
        if mark[1] and _is_address(text[start : mark.start()]):
            said = _explain_address(part, mark[1])
            raise UnclearPrompts("weight", part, said, f"{_SPACE} {_SEVERAL}")
        prompts.append((part, 1.0 if mark[1] is None else _read_weight(mark[1], _SEVERAL)))
        start = mark.end()
    if rest := text[start:].strip():
        prompts.append((rest, 1.0))
    for part, _ in prompts:
        if not part:
            said = _quote(text, 0, _QUOTED)
            raise UnclearPrompts("text", text, f"A prompt in {said} is empty.", _SEVERAL)
        if "::" in part:
            at = part.index("::")
            said = _quote(part, at - _QUOTED // 2, at + _QUOTED // 2)
            raise UnclearPrompts(
                "text", text, f"The '::' in {said} is not followed by a weight.", _SEVERAL
            )
    return tuple(Prompt(text=part, weight=weight) for part, weight in prompts)


def _read_weight(number: str, hint: str = "") -> float:
    """The weight in `number`; one that is out of range is none, and `hint` what to do then too."""
    try:
        return check_weight(float(number.replace("\u2212", "-")))
    except RequestError as error:
        raise RequestError("weight", number, error.message, f"{error.hint} {hint}") from None


def _explain_weight(after: str) -> RequestError:
    """What is wrong with `after`, which follows the last `::` and is no weight."""
    said = _quote(after, 0, _QUOTED)
    is_like = any(sign.isdigit() for sign in after)
    what = "no weight: that is a plain number like 1.5 or -1" if is_like else "not a number"
    return RequestError(
        "weight",
        after,
        f"{said} after '::' is {what}.",
        f"Write for example 'clouds::-1'. {_KEEP}",
    )


def _is_address(part: str) -> bool:
    """Whether what `part` ends in goes on with `::` and a number as addresses and times do."""
    word = part.split()[-1] if part.strip() and not part[-1].isspace() else ""
    return "::" not in word and ("://" in word or _ADDRESS.fullmatch(word) is not None)


def _explain_address(part: str, number: str) -> str:
    said = _quote(f"{part.split()[-1]}::{number}", 0, _QUOTED)
    return f"{said} looks like an address or a time, not like a text and its weight."


def _refuse_full_width(text: str) -> None:
    """Raise `RequestError` for a weight behind the wide colons of an East Asian keyboard."""
    for colons in _COLONS.finditer(text):
        number = _WIDE_WEIGHT.match(text, colons.end())
        if "\uff1a" in colons[0] and number is not None:
            said = _quote(colons[0] + number[0], 0, _QUOTED)
            raise RequestError(
                "weight", number[0], f"{said} has wide colons; a weight is written ::2.", _KEEP
            )


def _quote(text: str, start: int, end: int) -> str:
    """Some of `text`, on one line and quoted."""
    start, end = max(0, start), min(len(text), end)
    part = " ".join(text[start:end].split())
    return repr(f"{'…' if start else ''}{part}{'…' if end < len(text) else ''}")
