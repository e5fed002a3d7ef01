"""What commands print: JSON on standard output, messages and progress on standard error."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import msgspec
import typer

from store.errors import RequestError, SafelightError
from tui.text import show_safely

EXIT_DIFFERENT = 1
EXIT_ERROR = 2


def print_line(text: str = "") -> None:
    """One line on standard output, every control character made visible."""
    typer.echo(_encode(show_safely(text), sys.stdout.encoding))


def print_note(text: str) -> None:
    """One line on standard error, every control character made visible."""
    typer.echo(_encode(show_safely(text), sys.stderr.encoding), err=True)


def _encode(text: str, encoding: str | None) -> str:
    name = encoding or "ascii"
    return text.encode(name, "backslashreplace").decode(name)


def print_json(document: Any) -> None:
    """`document` as one JSON document on standard output."""
    data = msgspec.json.format(msgspec.json.encode(document), indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def end_with_error(error: SafelightError, *, as_json: bool) -> NoReturn:
    """Say what is wrong and what to do, and end with status 2."""
    print_note(f"safelight: {error.message}")
    if error.hint:
        print_note(f"  {error.hint}")
    if as_json:
        field = error.field if isinstance(error, RequestError) else None
        print_json({"error": {"message": error.message, "hint": error.hint, "field": field}})
    raise typer.Exit(EXIT_ERROR)
