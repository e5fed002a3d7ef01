"""Lines that hang: what is too long goes on below, indented."""

from __future__ import annotations

from textual.content import Content

ROOM_MINIMUM = 8


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
