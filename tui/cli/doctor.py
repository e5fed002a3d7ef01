"""The command `doctor`: what Safelight stands on, and what is wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engines.base import EngineError
from store.errors import SafelightError
from store.folder import check_place, find_config_file, find_data_directory
from store.records import JobState
from tui.cli.options import JsonOption
from tui.cli.run import (
    EXIT_DIFFERENT,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.terminal.answers import NO_ANSWERS
from tui.terminal.detect import Surroundings, describe_terminal
from tui.terminal.probe import Probe
from tui.words import count_things

if TYPE_CHECKING:
    from engines.settings import Settings

PACKAGES = (
    "safelight",
    "textual",
    "numpy",
    "sqlmodel",
    "stability-sdk",
    "grpcio",
    "protobuf",
    "tokenizers",
    "httpx",
    "textual-image",
)


ANSWER_SECONDS = 1.0
"""How long the terminal is waited for: it may be far away."""

OPTIONAL = ("stability-sdk",)
"""What is missing with newer versions of Python, and nothing here needs."""


def doctor(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Make the search index anew where it does not fit."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check what Safelight stands on.

    Makes and changes nothing without --repair. Status 1 when something is wrong.
    """

    async def work() -> int:
        if repair:
            await _repair_index()
        facts, problems = await diagnose()
        if as_json:
            print_json({"facts": facts, "problems": problems})
        else:
            _print_facts(facts)
            for problem in problems:
                print_note(f"problem: {problem}")
            if not problems:
                print_line("no problem found")
        return EXIT_DIFFERENT if problems else 0

    raise typer.Exit(run_command(work(), as_json=as_json))


async def _repair_index() -> None:
    from store.integrity import repair_index

    async with open_darkroom() as darkroom:
        faults = await asyncio.to_thread(repair_index, darkroom.database)
    for fault in faults:
        print_note(fault)
    print_note("The search index was made anew." if faults else "The search index needs no repair.")


def _print_facts(facts: dict[str, dict[str, Any]]) -> None:
    for section, rows in facts.items():
        print_line(section)
        for name, value in rows.items():
            print_line(f"  {name:<22} {value}")


async def diagnose() -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Facts by section, and problems as sentences. Makes and changes nothing.

    What cannot be found or read is a problem, and the rest is looked at all the same.
    """
    problems: list[str] = []
    facts: dict[str, dict[str, Any]] = {
        "program": _describe_program(problems),
        "terminal": {},
        "history": {},
        "engines": {},
    }
    settings = _read_settings(problems)
    facts["terminal"] = await asyncio.to_thread(_describe_terminal, settings)
    with _noting(problems):
        directory = find_data_directory()
        facts["history"]["folder"] = str(directory)
        await _examine_history(directory, settings, facts["history"], problems)
    _examine_engines(settings, facts["engines"], problems)
    return facts, problems


@contextlib.contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    """What is wrong within the block becomes a problem, once."""
    try:
        yield
    except SafelightError as error:
        if str(error) not in problems:
            problems.append(str(error))


def _read_settings(problems: list[str]) -> Settings:
    """The settings of this user, the defaults where they cannot be read."""
    from engines.settings import Settings, load_user_settings

    with _noting(problems):
        return load_user_settings()
    return Settings()


def _describe_terminal(settings: Settings) -> dict[str, Any]:
    interface = settings.interface
    answers, tmux = NO_ANSWERS, None
    if interface.ask_terminal and os.isatty(0) and os.isatty(1):
        with Probe(0, os.environ) as probe:
            answers, _ = probe.finish(ANSWER_SECONDS)
            tmux = probe.tmux
    around = Surroundings(
        images=interface.images, colours=interface.colours, answers=answers, tmux=tmux
    )
    return dict(describe_terminal(around))


def _describe_program(problems: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processor": platform.machine(),
        "sqlite": sqlite3.sqlite_version,
    }
    with _noting(problems):
        facts["configuration"] = str(find_config_file())
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            is_needed = package not in OPTIONAL
            facts[package] = f"not installed{' as a package' if is_needed else ' (not needed)'}"
    return facts


async def _examine_history(
    directory: Path, settings: Settings, facts: dict[str, Any], problems: list[str]
) -> None:
    """Raises `SafelightError` where there is none that can be opened."""
    from engines.worker.process import check_locks, list_faults
    from store.database import find_form
    from store.integrity import check_database
    from store.migrations import VERSION
    from tui.darkroom import Darkroom

    form = find_form(directory)
    if form is None:
        check_place(directory)
        facts["state"] = "nothing is there yet; the first image makes it"
        return
    if form < VERSION:
        facts["state"] = (
            f"form {form}, this program has {VERSION}: the next command brings it up to date, "
            "and keeps a copy"
        )
        return
    check_locks(directory)
    problems.extend(list_faults(directory))
    darkroom = Darkroom(directory, settings)
    await darkroom.open()
    try:
        database = darkroom.database
        status = await darkroom.get_worker_status()
        facts["journal"] = database.journal_mode
        facts["read only"] = "yes" if database.is_read_only else "no"
        facts["worker"] = f"process {status.process_id}" if status.is_running else "none runs"
        facts["unfinished jobs"] = status.jobs
        if await darkroom.is_queue_paused():
            facts["queue"] = "paused; 'safelight resume' goes on with it"
        if status.trouble:
            problems.append(f"The worker waits: {status.trouble}")
        waiting = await darkroom.list_jobs([JobState.WAITING, JobState.RUNNING], limit=1000)
        if count := sum(job.has_no_worker for job in waiting):
            problems.append(
                f"{count_things(count, 'job')} wait{'s' * (count == 1)} and no worker runs. Open "
                "the darkroom, or run 'safelight worker'."
            )
        problems.extend(check_database(database))
    finally:
        await darkroom.close()


def _examine_engines(settings: Settings, facts: dict[str, Any], problems: list[str]) -> None:
    from engines.registry import EngineRegistry

    registry = EngineRegistry(settings)
    if profiles := sorted(name for name in settings.profiles if name):
        facts["profiles"] = ", ".join(
            f"{name} (chosen)" if name == settings.profile else name for name in profiles
        )
    names: tuple[str, ...] = (registry.default_engine,)
    with _noting(problems):
        names = tuple(registry.list_engines())
    problems.extend(registry.problems.values())
    for name in names:
        try:
            facts[name] = registry.examine(name)
        except EngineError as error:
            facts[name] = "damaged"
            problems.append(str(error))


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(doctor)
