"""Lines of text that several widgets draw: cut to a width, or hanging below each other."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from tui.words import ROLES

ROOM_MINIMUM = 8


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


def hang(text: Content, width: int, indent: int) -> list[Content]:
    """`text` in lines of at most `width` cells, those after the first one indented.

    The first `indent` characters stay as they are and are never wrapped.
    """
    head, rest = text[:indent], text[indent:]
    pieces = rest.wrap(max(ROOM_MINIMUM, width - indent)) or [Content("")]
    space = " " * indent
    return [
        Content.assemble(head, pieces[0]),
        *(Content.assemble(space, piece) for piece in pieces[1:]),
    ]
