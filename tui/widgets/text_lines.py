"""Pieces of lines that several widgets draw."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui.words import ROLES


def fit_text(text: str, width: int) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text + " " * (width - cell_len(text))
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)


def mark_classes() -> set[str]:
    """The component classes for the verdicts' marks."""
    return {f"verdict--{role}" for role in ROLES.values()}
