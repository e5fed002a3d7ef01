"""The prompt stack as a text that is edited as a whole: a weight in brackets, then the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

from store.errors import RequestError
from store.limits import PROMPT_LIMIT, check_weight
from store.prompts import clean_text
from store.records import DraftPrompt

HEAD = """\
# The prompt stack. Each prompt begins with its weight in brackets: [1], [-1] means avoid this,
# [off 1] is left out. Lines up to the first weight are no prompts.
"""

_WEIGHT = re.compile(r"\[\s*(off\b)?\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))?\s*\]\s*")
_LIKE_WEIGHT = re.compile(r"\\*\[[^\]]{0,40}\]\s*")


def write_stack(prompts: Sequence[DraftPrompt]) -> str:
    """The prompts, and how they are written. `read_stack` gives the same ones back."""
    parts = [HEAD]
    for prompt in prompts:
        off = "" if prompt.enabled else "off "
        lines = [_escape(line) for line in prompt.text.split("\n")]
        parts.append(f"[{off}{prompt.weight:.10g}]\n" + "\n".join(lines) + "\n")
    return "\n".join(parts).rstrip("\n")


def read_stack(text: str, limit: int = PROMPT_LIMIT) -> tuple[DraftPrompt, ...]:
    """The prompts in `text`. Raises `RequestError` with the line of what is none."""
    found: list[tuple[float, bool, list[str]]] = []
    for number, line in enumerate(clean_text(text).split("\n"), start=1):
        if (match := _WEIGHT.fullmatch(line)) and (match[1] or match[2]):
            found.append((_read_weight(match[2], number), match[1] is None, []))
            if len(found) > limit:
                said = f"Line {number}: these are more than {limit} prompts."
                raise RequestError("prompts", None, said, "Remove some.")
        elif found:
            found[-1][2].append(_unescape(line))
        elif line.strip() and not line.startswith("#"):
            said = f"Line {number}: {line[:40]!r} stands before the first weight."
            raise RequestError("prompts", line[:40], said, "Write [1] in a line above it.")
    if not found:
        raise RequestError("prompts", None, "There is no prompt.", "Begin one with a line [1].")
    return tuple(
        DraftPrompt(text="\n".join(lines).strip("\n"), weight=weight, enabled=enabled)
        for weight, enabled, lines in found
    )


def _read_weight(text: str | None, line: int) -> float:
    try:
        return check_weight(float(text or 1))
    except RequestError as error:
        said = f"Line {line}: {error.message}"
        raise RequestError("weight", text, said, error.hint) from None


def _escape(line: str) -> str:
    """A line of a prompt that looks like a weight gets a backslash before it."""
    return f"\\{line}" if _LIKE_WEIGHT.fullmatch(line) else line


def _unescape(line: str) -> str:
    is_escaped = line.startswith("\\") and _LIKE_WEIGHT.fullmatch(line)
    return line[1:] if is_escaped else line
