"""A weight as a number with its sign, and as a bar: right for more, left for less."""

from __future__ import annotations

from textual.content import Content

from tui.terminal.glyphs import Glyphs

SIDE = 5
"""Cells on each side of the middle."""


def write_weight(weight: float, enabled: bool, glyphs: Glyphs) -> str:
    """`+1.0`, `−1.0`, `0.0` or `off`; at least one decimal, at most three."""
    if not enabled:
        return "off"
    digits = f"{abs(weight):.3f}".rstrip("0")
    digits = digits + "0" if digits.endswith(".") else digits
    sign = "" if weight == 0 else glyphs.minus if weight < 0 else "+"
    return sign + digits


def draw_bar(weight: float, full: float, glyphs: Glyphs) -> str:
    """The bar, 2 x `SIDE` + 3 cells wide. `full` is the weight that fills one side."""
    halves = round(min(abs(weight) / full, 1.0) * SIDE * 2)
    if weight and not halves:
        halves = 1
    whole, half = divmod(halves, 2)
    is_beyond = abs(weight) > full
    if weight < 0:
        cells = glyphs.right_half * half + glyphs.full * whole
        cells = glyphs.beyond_left + cells[1:] if is_beyond else cells
        left, right = cells.rjust(SIDE), " " * SIDE
    else:
        cells = glyphs.full * whole + glyphs.left_half * half
        cells = cells[:-1] + glyphs.beyond_right if is_beyond else cells
        left, right = " " * SIDE, cells.ljust(SIDE)
    return f"{glyphs.open}{left}{glyphs.middle}{right}{glyphs.close}"


def show_bar(weight: float, enabled: bool, full: float, glyphs: Glyphs) -> Content:
    """The bar in its colours; empty when the prompt is switched off."""
    bar = draw_bar(weight if enabled else 0, full, glyphs)
    style = "$role-negative" if weight < 0 else "$role-text"
    inner = bar[1:-1]
    return Content.assemble(
        (bar[0], "$role-line"),
        (inner[:SIDE], style),
        (inner[SIDE], "$role-line"),
        (inner[SIDE + 1 :], style),
        (bar[-1], "$role-line"),
    )
