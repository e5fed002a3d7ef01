"""How a command runs: its darkroom, the wait for its jobs, what it prints, how it ends.

JSON goes to standard output, messages and progress to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, NoReturn, TextIO, TypeVar

import msgspec
import typer

from store.errors import RequestError, SafelightError
from store.folder import find_data_directory
from store.known_secrets import conceal
from store.records import Job
from store.search import SearchError
from tui.cli.searches import mark_place
from tui.darkroom import Darkroom
from tui.text import show_safely

T = TypeVar("T")

EXIT_DIFFERENT = 1
EXIT_ERROR = 2


@contextlib.asynccontextmanager
async def open_darkroom() -> AsyncIterator[Darkroom]:
    """The darkroom of the data directory that the environment names, open."""
    from engines.settings import load_user_settings

    darkroom = Darkroom(find_data_directory(), load_user_settings())
    await darkroom.open()
    try:
        yield darkroom
    finally:
        for note in darkroom.notes:
            print_note(note)
        await darkroom.close()


def run_command(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Run `work`; an error meant for the person ends the program with status 2."""
    try:
        return asyncio.run(work)
    except SafelightError as error:
        end_with_error(error, as_json=as_json)


async def wait_for_jobs(darkroom: Darkroom, jobs: list[Job]) -> list[Job]:
    """The jobs once all have ended, in their order. Interrupted, it cancels them first."""
    try:
        with _show_progress(jobs) as update:
            async for _ in darkroom.watch():
                jobs = [
                    job if job.state.is_final else await darkroom.get_job(job.id) for job in jobs
                ]
                update(jobs)
                if all(job.state.is_final for job in jobs):
                    break
    except asyncio.CancelledError:
        for job in jobs:
            if not job.state.is_final:
                await darkroom.cancel(job.id)
        raise
    return jobs


@contextlib.contextmanager
def _show_progress(jobs: list[Job]) -> Iterator[Callable[[list[Job]], None]]:
    if not sys.stderr.isatty() or not jobs:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("waiting", total=float(len(jobs)))

        def update(rows: list[Job]) -> None:
            ended = sum(row.state.is_final for row in rows)
            partly = sum(
                row.step / row.steps for row in rows if not row.state.is_final and row.steps
            )
            text = f"{ended} of {len(rows)}"
            progress.update(task, completed=ended + partly, description=text)

        yield update


def print_line(text: str = "") -> None:
    """One line on standard output, every control character made visible."""
    typer.echo(_encode(show_safely(text), find_encoding(sys.stdout)))


def print_note(text: str) -> None:
    """One line on standard error, every control character made visible."""
    typer.echo(_encode(show_safely(text), find_encoding(sys.stderr)), err=True)


def print_command(line: str) -> None:
    """A line that a shell is to read, on standard output and exact.

    It must be in the encoding of standard output, and show no control character.
    """
    typer.echo(line)


def find_encoding(stream: TextIO) -> str:
    """The encoding of what is printed to `stream`."""
    return stream.encoding or "ascii"


def _encode(text: str, encoding: str) -> str:
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_json(document: Any) -> None:
    """`document` as one JSON document on standard output, without secrets.

    What is no visible character, or none in the encoding of standard output, is escaped.
    """
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        # Half a character, as the name of a file may hold, is none in JSON.
        encoded = msgspec.json.encode(_spell_halves(msgspec.to_builtins(document)))
    text = conceal(msgspec.json.format(encoded, indent=2).decode())
    encoding = find_encoding(sys.stdout)
    lines = (
        line
        if line.isprintable() and _encode(line, encoding) == line
        else "".join(_escape(sign, encoding) for sign in line)
        for line in text.split("\n")
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _spell_halves(value: Any) -> Any:
    """`value` with half characters in its texts as they are written in code: `\\udcff`."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_spell_halves(name): _spell_halves(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_spell_halves(each) for each in value]
    return value


def _escape(sign: str, encoding: str) -> str:
    """`sign` of a JSON text, which can only stand in a string where it is not visible ASCII."""
    if sign.isprintable() and _encode(sign, encoding) == sign:
        return sign
    return json.dumps(sign)[1:-1] if sign > "\x7f" else f"\\u{ord(sign):04x}"


def end_with_error(error: SafelightError, *, as_json: bool) -> NoReturn:
    """Say what is wrong and what to do, and end with status 2."""
    print_note(f"safelight: {error.message}")
    if isinstance(error, SearchError):
        for line in mark_place(error):
            print_note(f"  {line}")
    if error.hint:
        print_note(f"  {error.hint}")
    if as_json:
        field = error.field if isinstance(error, RequestError) else None
        print_json({"error": {"message": error.message, "hint": error.hint, "field": field}})
    raise typer.Exit(EXIT_ERROR)
