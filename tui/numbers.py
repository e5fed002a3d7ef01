"""Numbers as they are typed and stepped. What is wrong with one is a `RequestError`."""

from __future__ import annotations

import math
import re

from engines.base import Span
from store.errors import RequestError


def parse_whole(field: str, text: str) -> int:
    """The whole number in `text`."""
    if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII):
        raise RequestError(field, text, f"{text!r} is not a whole number.")
    return int(text)


def parse_number(field: str, text: str) -> float:
    """The number in `text`; a comma is as good as a point."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(field, text, f"{text!r} is not a number.")
    return number + 0.0


def check_span(field: str, number: float, span: Span) -> float:
    """`number`, when it is in `span`."""
    if not span.low <= number <= span.high:
        raise RequestError(
            field, number, f"{number:g} is out of range.", f"Give {span.low:g} to {span.high:g}."
        )
    return number


def step_number(number: float, steps: int, span: Span) -> float:
    """`number` plus `steps` of the span's steps, as far as the span goes."""
    return min(max(round(number + steps * span.step, 6), span.low), span.high)
