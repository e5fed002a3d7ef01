"""How a command runs: its darkroom, the wait for its jobs, what it prints, how it ends.

JSON goes to standard output, messages and progress to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO, TypeVar

import msgspec
import typer

from store.errors import RequestError, SafelightError, StoreError, Unavailable
from store.folder import find_data_directory
from store.known_secrets import conceal
from store.records import Job, VerificationRun
from store.search import SearchError
from tui.cli.searches import mark_place
from tui.darkroom import Darkroom
from tui.text import show_safely
from tui.words import count_things, name_state

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 0.5

QUICK_SECONDS = 2.0
"""For how long the end of jobs is looked for more often: a short one is told at once."""

EXIT_DIFFERENT = 1
EXIT_ERROR = 2


PATIENCE_SECONDS = 30.0
"""How long a command waits while nothing can go on: then it says so, and its jobs stay queued."""

HELD = "the queue is paused; 'safelight resume' goes on with it"

STAYS_QUEUED = "What was queued stays queued, and is made as soon as that can be done."


class QueuedError(Exception):
    """An `error` after jobs were queued or `runs` begun: they are told with it."""

    def __init__(
        self, error: SafelightError, jobs: Sequence[Job], runs: Sequence[VerificationRun]
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.jobs = jobs
        self.runs = runs


class WrongLine(NamedTuple):
    """What is wrong with a line of a list, counted from 1."""

    number: int
    error: SafelightError


class WrongLinesError(RequestError):
    """Lines of a list that cannot be used, each with what is wrong. Nothing of it was queued."""

    def __init__(self, lines: Sequence[WrongLine], total: int) -> None:
        super().__init__(
            "from",
            [line.number for line in lines],
            f"{len(lines):,} of {count_things(total, 'line')} cannot be used, and nothing was "
            "queued.",
            "Mend them, then give the list again.",
        )
        self.lines = lines


class OutputRefused(SafelightError):
    """Standard output takes nothing: its disk is full, or fails."""


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Raises `OutputRefused` where the block cannot write to standard output."""
    try:
        yield
    except BrokenPipeError:
        raise  # who read it has seen enough
    except OSError as error:
        # What is left in it would be tried once more at the end.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        raise OutputRefused(
            f"Standard output cannot be written: {error.strerror or error}.",
            "Nothing that was made is lost.",
        ) from None


@contextlib.asynccontextmanager
async def open_darkroom() -> AsyncIterator[Darkroom]:
    """The darkroom of the data directory that the environment names, open.

    Raises `QueuedError` in place of a `SafelightError` where jobs were queued in it and were not
    told before: `darkroom.queued` is emptied when they are.
    """
    from engines.settings import load_user_settings

    darkroom = Darkroom(find_data_directory(), load_user_settings())
    await darkroom.open()
    try:
        yield darkroom
    except SafelightError as error:
        if not (darkroom.queued or darkroom.begun):
            raise
        jobs = [await _look_again(darkroom, job) for job in darkroom.queued]
        raise QueuedError(error, jobs, darkroom.begun) from error
    finally:
        for note in darkroom.notes:
            print_note(note)
        await darkroom.close()


async def _look_again(darkroom: Darkroom, job: Job) -> Job:
    """The job as it is now; as it was where that cannot be read."""
    try:
        return await darkroom.get_job(job.id)
    except SafelightError:
        return job


def run_command(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Run `work`; an error meant for the person ends the program with status 2."""
    try:
        return asyncio.run(work)
    except SafelightError as error:
        end_with_error(error, as_json=as_json)
    except QueuedError as told:
        end_with_error(told.error, as_json=as_json, jobs=told.jobs, runs=told.runs)


class Waiting:
    """What stands in the way of a wait: told once, and an error when it lasts too long."""

    def __init__(self, darkroom: Darkroom) -> None:
        self._darkroom = darkroom
        self._told: set[str] = set()
        self._since: float | None = None

    async def read(self, look: Callable[[], Awaitable[T]]) -> T:
        """What `look` reads, as soon as that can be read. Raises `StoreError` after a while."""
        while True:
            try:
                found = await look()
            except Unavailable as error:
                self.hear(str(error))
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            else:
                self.hear(self._darkroom.worker_trouble)
                return found

    def note(self, text: str) -> None:
        """Tell once what is waited for, however long that takes; "" for nothing."""
        if text and text not in self._told:
            self._told.add(text)
            print_note(f"waiting: {text}")

    def hear(self, trouble: str) -> None:
        """Tell `trouble`, "" for none. Raises `StoreError` when there was some for too long."""
        if not trouble:
            self._since = None
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if trouble not in self._told:
            self._told.add(trouble)
            if not any(trouble in note for note in self._darkroom.notes):
                print_note(f"waiting: {trouble}")
        if now - self._since >= PATIENCE_SECONDS:
            raise StoreError(f"Nothing goes on: {trouble}", STAYS_QUEUED)


async def wait_for_jobs(darkroom: Darkroom, jobs: list[Job]) -> list[Job]:
    """The jobs once all have ended, in their order. Interrupted, it cancels them first.

    Raises `StoreError` where nothing can go on for long; the jobs stay queued.
    """
    waiting = Waiting(darkroom)

    async def look() -> list[Job]:
        return await darkroom.follow(jobs)

    try:
        with _show_progress(jobs) as update:
            async for _ in darkroom.watch(quickly=QUICK_SECONDS):
                jobs = await waiting.read(look)
                update(jobs)
                if all(job.state.is_final for job in jobs):
                    break
                if await waiting.read(darkroom.is_queue_paused):
                    waiting.note(HELD)
    except asyncio.CancelledError:
        await darkroom.cancel_jobs([job.id for job in jobs if not job.state.is_final])
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
    with _writing():
        typer.echo(_encode(show_safely(text), find_encoding(sys.stdout)))


def print_note(text: str) -> None:
    """One line on standard error, every control character made visible."""
    typer.echo(_encode(show_safely(text), find_encoding(sys.stderr)), err=True)


def print_command(line: str) -> None:
    """A line that a shell is to read, on standard output and exact.

    It must be in the encoding of standard output, and show no control character.
    """
    with _writing():
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
    with _writing():
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


def describe_queued(job: Job) -> dict[str, Any]:
    """A job that was queued, as `--json` prints it."""
    return {"id": job.id, "request_id": job.request_digest, "seed": job.request.parameters.seed}


def _describe_wrong(line: WrongLine) -> dict[str, Any]:
    error = line.error
    field = error.field if isinstance(error, RequestError) else None
    return {
        "line": line.number,
        "message": error.message,
        "hint": error.hint,
        "field": field,
    }


def end_with_error(
    error: SafelightError,
    *,
    as_json: bool,
    jobs: Sequence[Job] = (),
    runs: Sequence[VerificationRun] = (),
) -> NoReturn:
    """Say what is wrong and what to do, and end with status 2.

    `jobs` and `runs` were queued or begun before that, and are told with their state.
    """
    print_note(f"safelight: {error.message}")
    if isinstance(error, SearchError):
        for line in mark_place(error):
            print_note(f"  {line}")
    if isinstance(error, WrongLinesError):
        for wrong in error.lines:
            print_note(f"  line {wrong.number}: {wrong.error}")
    if error.hint:
        print_note(f"  {error.hint}")
    say = print_note if isinstance(error, OutputRefused) else print_line
    if as_json and say is print_line:
        field = error.field if isinstance(error, RequestError) else None
        document: dict[str, Any] = {
            "error": {"message": error.message, "hint": error.hint, "field": field}
        }
        if isinstance(error, WrongLinesError):
            document["lines"] = [_describe_wrong(line) for line in error.lines]
        if jobs:
            document["jobs"] = [
                describe_queued(job) | {"state": job.state.value, "image_id": job.image_id}
                for job in jobs
            ]
        if runs:
            document["runs"] = [{"id": run.id} for run in runs]
        print_json(document)
    else:
        for job in jobs:
            made = f"  {job.image_id[:8]}" if job.image_id else ""
            seed = job.request.parameters.seed
            say(f"queued {job.id[:8]}  seed {seed}  {name_state(job.state)}{made}")
        for run in runs:
            say(f"run {run.id[:8]}  begun")
    raise typer.Exit(EXIT_ERROR)
