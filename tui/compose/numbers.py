"""Numbers as they are typed and stepped. What is wrong with one is a `RequestError`."""

from __future__ import annotations

import math
import re

from engines.capabilities import Capabilities, Span
from store.errors import RequestError
from store.limits import check_side

_SIZE = re.compile(r"\s*(\d{1,6})\s*[x×*, ]\s*(\d{1,6})\s*", re.IGNORECASE)


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


def parse_size(text: str, capabilities: Capabilities) -> dict[str, int]:
    """Width and height in `text`, when the engine makes that size."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise RequestError("size", text, f"{text!r} is not a size.", "Write it like 192x128.")
    width, height = int(match[1]), int(match[2])
    sizes = capabilities.sizes
    if sizes.only and (width, height) not in sizes.only:
        known = ", ".join(f"{w}x{h}" for w, h in sizes.only)
        raise RequestError(
            "size", text, "The engine does not make this size.", f"It makes {known}."
        )
    if not sizes.only:
        for side in (width, height):
            if not sizes.low <= side <= sizes.high or side % sizes.multiple:
                raise RequestError(
                    "size",
                    text,
                    f"{side} does not fit.",
                    f"Sides are {sizes.low} to {sizes.high} in steps of {sizes.multiple}.",
                )
        if not sizes.pixels_low <= width * height <= sizes.pixels_high:
            raise RequestError(
                "size",
                text,
                f"{width * height:,} pixels do not fit.",
                f"Give {sizes.pixels_low:,} to {sizes.pixels_high:,}.",
            )
    return {"width": check_side("width", width), "height": check_side("height", height)}
