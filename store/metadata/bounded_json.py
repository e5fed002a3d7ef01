"""JSON from outside: read only where it is small, flat and has few values.

A few megabytes of brackets make hundreds of megabytes of objects, and some thousands of them one in
the other end a program. So brackets, commas and colons are counted before anything is made.
"""

from __future__ import annotations

import json
import re
from typing import Any

TEXT_LIMIT = 16 * 1024 * 1024
DEPTH_LIMIT = 64
VALUE_LIMIT = 300_000

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{},:]', re.DOTALL)


class JsonError(ValueError):
    """A text that is no JSON, or more of it than is read; says which."""


def read_json(text: str) -> Any:
    """The value in `text`. Numbers as Python has them, also `NaN`. Raises `JsonError`."""
    check_size(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"it is no JSON ({_shorten(error)})") from None


def read_object(text: str) -> dict[str, Any]:
    """The object in `text`. Raises `JsonError` also where it is another value."""
    value = read_json(text)
    if not isinstance(value, dict):
        raise JsonError("it is no JSON object")
    return value


def read_leading(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at `start` in `text`, and where it ends. Raises `JsonError`."""
    end = _find_end(text, start)
    return read_json(text[start:end]), end


def check_size(text: str) -> None:
    """Raise `JsonError` where `text` would make more than is read."""
    if len(text) > TEXT_LIMIT:
        raise JsonError(f"its JSON has {len(text):,} characters, more than {TEXT_LIMIT:,}")
    depth = values = 0
    for token in _TOKEN.finditer(text):
        match token[0][0]:
            case "[" | "{":
                depth += 1
                values += 1
                if depth > DEPTH_LIMIT:
                    raise JsonError(f"its JSON is nested more than {DEPTH_LIMIT} deep")
            case "]" | "}":
                depth -= 1
            case "," | ":":
                values += 1
        if values > VALUE_LIMIT:
            raise JsonError(f"its JSON has more than {VALUE_LIMIT:,} values")


def _find_end(text: str, start: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
            if depth <= 0:
                return token.end()
        elif depth > DEPTH_LIMIT:
            break
    raise JsonError("its JSON does not end")


def _shorten(error: Exception) -> str:
    return str(error).partition("\n")[0][:80]
