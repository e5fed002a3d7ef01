"""Runs of verifications: begun over the images that are meant, and the command `runs`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import typer

from store.errors import RequestError
from store.records import RunResult, RunState, VerificationRun
from tui.cli.chosen_images import Choice, list_numbers
from tui.cli.history import write_instant
from tui.cli.options import JsonOption
from tui.cli.report_file import ReportFile, ReportOption
from tui.cli.run import (
    HELD,
    Waiting,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.cli.verdicts import VerdictPrinter
from tui.darkroom import Darkroom
from tui.words import count_things, describe_counts, name_run_state, show_moment


async def run_choice(
    darkroom: Darkroom, choice: Choice, is_background: bool, page: ReportFile, as_json: bool
) -> int:
    """Begin a run over the images, and print its verdicts once it has ended; the exit status."""
    numbers = await list_numbers(darkroom, choice)
    if not numbers:
        return VerdictPrinter(as_json).end(run=None)
    run = await darkroom.begin_run(choice.words, numbers)
    if is_background:
        if as_json:
            print_json({"run": describe_run(run, {})})
        else:
            print_line(f"run {run.id[:8]}  {count_things(run.total, 'image')}  {run.search}")
            print_note("'safelight runs' shows how far it is.")
        return 0
    run = await wait_for_run(darkroom, run)
    return await print_results(darkroom, run, page, as_json)


async def wait_for_run(darkroom: Darkroom, run: VerificationRun) -> VerificationRun:
    """The run once it has ended or is paused. Interrupted, it cancels it first."""
    try:
        with _show_progress(run) as update:
            waiting = Waiting(darkroom)
            read = functools.partial(darkroom.get_run, run.id)
            async for _ in darkroom.watch():
                run = await waiting.read(read)
                update(run.done)
                if run.state not in (RunState.PREPARING, RunState.RUNNING):
                    break
                if await waiting.read(darkroom.is_queue_paused):
                    waiting.note(HELD)
    except asyncio.CancelledError:
        await darkroom.cancel_run(run.id)
        raise
    return run


@contextlib.contextmanager
def _show_progress(run: VerificationRun) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=run.total)
        yield lambda done: progress.update(task, completed=done)


async def iterate_results(darkroom: Darkroom, run: VerificationRun) -> AsyncIterator[RunResult]:
    """The images of a run that had their turn, in their order."""
    after = 0
    while after < run.done and (page := await darkroom.list_results(run, after)):
        for result in page:
            if result.position <= run.done:
                yield result
        after = page[-1].position


async def print_results(
    darkroom: Darkroom, run: VerificationRun, page: ReportFile, as_json: bool
) -> int:
    """Print the verdicts of a run so far; the exit status."""
    verdicts = VerdictPrinter(as_json)
    async for result in iterate_results(darkroom, run):
        error = result.error or ""
        verdicts.add(result.image_id, result.pixels_sha256, result.verification, error)
        page.add(result.image_id, result.verification, error)
    await page.write(darkroom)
    if run.done < run.total:
        print_note(
            f"The run {run.id[:8]} is {name_run_state(run.state)}: {run.done:,} of "
            f"{run.total:,} images had their turn."
        )
    status = verdicts.end(run=describe_run(run, await darkroom.count_verdicts(run)))
    return status if run.state is RunState.DONE else max(status, 1)


def describe_run(run: VerificationRun, counted: dict[str, int]) -> dict[str, Any]:
    """The run as `--json` prints it; `counted`: how many images have which verdict."""
    return {
        "id": run.id,
        "search": run.search,
        "state": run.state.value,
        "created_at": write_instant(run.created_at),
        "finished_at": None if run.finished_at is None else write_instant(run.finished_at),
        "total": run.total,
        "done": run.done,
        "verdicts": counted,
    }


def runs(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's id or its beginning, @1 for the newest: print its verdicts."),
    ] = None,
    pause: Annotated[
        str | None, typer.Option("--pause", metavar="RUN", help="Take no further image of it.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with it.")
    ] = None,
    cancel: Annotated[
        str | None, typer.Option("--cancel", metavar="RUN", help="End it; verdicts are kept.")
    ] = None,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs of verifications, newest first, or print, pause, resume or cancel one.

    A run goes through its images when no other job waits. Status 1 for one with an image that is
    not identical, or that has not ended.
    """

    async def work() -> int:
        if sum(each is not None for each in (run, pause, resume, cancel)) > 1:
            raise RequestError("run", None, "Do one thing to one run at a time.")
        if report is not None and run is None:
            raise RequestError("report", str(report), "Say of which run: 'safelight runs @1 …'.")
        async with open_darkroom() as darkroom:
            if run is not None:
                chosen = await darkroom.get_run(run)
                page = ReportFile(report, chosen.search)
                return await print_results(darkroom, chosen, page, as_json)
            if pause is not None:
                found = [await darkroom.pause_run(pause)]
            elif resume is not None:
                found = [await darkroom.resume_run(resume)]
            elif cancel is not None:
                found = [await darkroom.cancel_run(cancel)]
            else:
                found = await darkroom.list_runs()
            counted = [(each, await darkroom.count_verdicts(each)) for each in found]
            if as_json:
                print_json({"runs": [describe_run(*each) for each in counted]})
                return 0
            for each, verdicts in counted:
                print_line(
                    f"{each.id[:8]}  {name_run_state(each.state):<9}  {each.done:,}/{each.total:,}"
                    f"  {show_moment(each.created_at)}  {describe_counts(verdicts)}  {each.search}"
                )
            return 0

    raise typer.Exit(run_command(work(), as_json=as_json))


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(runs)
