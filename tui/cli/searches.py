"""Options that are terms of the search language, and how a wrong search is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

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


def _make_term(flag: str, metavar: str, help: str) -> Any:  # noqa: A002
    """An option that stands for a term."""
    return typer.Option(flag, metavar=metavar, help=help, rich_help_panel=TERMS)


SeedTerm = Annotated[str | None, _make_term("--seed", "INTEGER", "Only those of this seed.")]
SinceTerm = Annotated[
    str | None,
    _make_term("--since", "WHEN", "Not made before: monday, 3d, 14:30, 2026-11-20."),
]
BeforeTerm = Annotated[str | None, _make_term("--before", "WHEN", "Made before, as --since.")]
EngineTerm = Annotated[
    str | None, _make_term("--engine", "NAME", "Of this engine; a part of its name will do.")
]
ModelTerm = Annotated[
    str | None, _make_term("--model", "NAME", "Of this model; a part of its name will do.")
]
TagTerm = Annotated[str | None, _make_term("--tag", "NAME", "With this tag; a part of it will do.")]
RatingTerm = Annotated[
    str | None, _make_term("--rating", "NUMBER", "Of this rating: 3, '>=3', 2..4.")
]
VerdictTerm = Annotated[
    str | None,
    _make_term("--verdict", "WORD", f"What the newest verification found: {join_words(VERDICTS)}."),
]
SortTerm = Annotated[
    str | None,
    _make_term("--sort", "ORDER", f"By {join_words(SortKey)}; -ORDER turns it round."),
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
