"""Options that are terms of the search language, and how a wrong search is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
import typer
from rich.cells import cell_len

from store.errors import RequestError
from store.search import (
    KEYS,
    NEWEST_FIRST,
    VERDICTS,
    Search,
    SearchError,
    Sort,
    SortKey,
    join_words,
    parse_search,
    parse_sort,
    quote_text,
)
from tui.text import mark_controls

TERMS = "Terms of the search"
_WIDTH = 72
"""Columns of a search in which a place is marked."""


SearchOption = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="TEXT",
        help="Words of the prompts and terms, see below.",
    ),
]
"""A search, as it is typed on the screen."""

SeedTerm = Annotated[
    str | None,
    typer.Option(
        "--seed", metavar="INTEGER", help="Only those of this seed.", rich_help_panel=TERMS
    ),
]
SinceTerm = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Not made before: monday, 3d, 14:30, 2026-11-20.",
        rich_help_panel=TERMS,
    ),
]
BeforeTerm = Annotated[
    str | None,
    typer.Option(
        "--before", metavar="WHEN", help="Made before, as --since.", rich_help_panel=TERMS
    ),
]
EngineTerm = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Of this engine; a part of its name will do.",
        rich_help_panel=TERMS,
    ),
]
ModelTerm = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Of this model; a part of its name will do.",
        rich_help_panel=TERMS,
    ),
]
TagTerm = Annotated[
    str | None,
    typer.Option(
        "--tag", metavar="NAME", help="With this tag; a part of it will do.", rich_help_panel=TERMS
    ),
]
RatingTerm = Annotated[
    str | None,
    typer.Option(
        "--rating", metavar="NUMBER", help="Of this rating: 3, '>=3', 2..4.", rich_help_panel=TERMS
    ),
]
VerdictTerm = Annotated[
    str | None,
    typer.Option(
        "--verdict",
        metavar="WORD",
        help=f"What the newest verification found: {join_words(VERDICTS)}.",
        rich_help_panel=TERMS,
    ),
]
SortTerm = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="ORDER",
        help=f"By {join_words(SortKey)}; -ORDER turns it round.",
        rich_help_panel=TERMS,
    ),
]


def describe_language() -> str:
    """The search language for the help of a command."""
    width = max(len(key.example) for key in KEYS.values())
    terms = [f"  {key.example:<{width}}  {key.sentence}" for key in KEYS.values()]
    return "\n".join(
        (
            # A paragraph that begins so is left as it is.
            "\b",
            "A search holds words of the prompts, in any case, with or without accents, and terms.",
            'An image must fit all. "A text" in quotes is one word; - before one means not.',
            *terms,
        )
    )


def read_search(search: str | None, flags: Mapping[str, str | None]) -> Search:
    """What `search` and the terms of `flags` ask for together; a flag's value stands for itself.

    Raises `SearchError` of the search, or `RequestError` that names the flag.
    """
    found = parse_search(search or "")
    terms = [*found.terms]
    for key, value in flags.items():
        if value is None:
            continue
        is_plain = not any(sign.isspace() or sign == '"' for sign in value)
        text = f"{key}:{value if is_plain else quote_text(value)}"
        try:
            terms += parse_search(text).terms
        except SearchError as error:
            raise RequestError(f"--{key}", value, f"--{key}: {error.message}", error.hint) from None
    return msgspec.structs.replace(found, terms=tuple(terms))


def read_sort(sort: str | None) -> Sort:
    """The order that `--sort` names, newest first without one. Raises `RequestError`."""
    return NEWEST_FIRST if sort is None else parse_sort(sort)


def mark_place(error: SearchError) -> tuple[str, str]:
    """The search, or the part of it that matters, and a line that marks what is wrong in it."""
    text = mark_controls(str(error.value)).replace("\n", " ").replace("\t", " ")
    begin = max(0, min(error.start, len(text) - 1) - _WIDTH // 2)
    shown = text[begin : begin + _WIDTH]
    before, marked = text[begin : error.start], text[error.start : error.end]
    return shown, " " * cell_len(before) + "^" * max(1, min(cell_len(marked), _WIDTH))
