"""Commands about the queue and who works it off: jobs, cancel, pause, move, retry, worker …"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated, Any

import msgspec
import typer

from store.errors import RequestError
from store.folder import find_data_directory
from store.records import Job
from tui.cli.completing import complete_job
from tui.cli.inputs import LIMIT_MAXIMUM, read_count
from tui.cli.options import JsonOption
from tui.cli.run import open_darkroom, print_json, print_line, print_note, run_command
from tui.darkroom import WorkerStatus
from tui.words import (
    NO_WORKER,
    count_things,
    describe_cancelled,
    explain_wait,
    name_purpose,
    name_state,
    write_ordinal,
)

JobArgument = Annotated[
    str,
    typer.Argument(
        help="A job's id or its beginning; 'jobs' lists them.", autocompletion=complete_job
    ),
]


def jobs(
    limit: Annotated[str, typer.Option("--limit", metavar="INTEGER", help="Most jobs.")] = "20",
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first, with why they failed."""

    async def work() -> None:
        most = read_count("--limit", limit, 1, LIMIT_MAXIMUM)
        async with open_darkroom() as darkroom:
            rows = await darkroom.list_jobs(limit=most)
            is_paused = await darkroom.is_queue_paused()
            if any(not row.state.is_final for row in rows):
                _tell_trouble(await darkroom.get_worker_status())
        if as_json:
            print_json({"is_paused": is_paused, "jobs": [_describe_job(row) for row in rows]})
            return
        if is_paused:
            print_note("The queue is paused: 'safelight resume' goes on with it.")
        for row in rows:
            done = f" {row.step}/{row.steps}" if row.steps and not row.state.is_final else ""
            print_line(
                f"{row.id[:8]}  {name_state(row.state)}{done}  {name_purpose(row.purpose)}  "
                f"seed {row.request.parameters.seed}  {_say_why(row)}".rstrip()
            )

    run_command(work(), as_json=as_json)


def _say_why(row: Job) -> str:
    if row.is_damaged:
        return f"(damaged) {row.error or ''}"
    if row.has_no_worker:
        return NO_WORKER
    return explain_wait(row) or row.error or ""


def _tell_trouble(status: WorkerStatus) -> None:
    if status.trouble:
        print_note(f"the worker waits: {status.trouble}")


def _describe_job(row: Job) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state.value,
        "purpose": row.purpose.value,
        "request_id": row.request_digest,
        "request": msgspec.to_builtins(row.request),
        "parent_id": row.parent_id,
        "relation": row.relation.value if row.relation else None,
        "seed": row.request.parameters.seed,
        "step": row.step,
        "steps": row.steps,
        "kind": row.error_kind,
        "error": row.error,
        "is_for_others": row.is_for_others,
        "is_damaged": row.is_damaged,
        "is_paused": row.is_paused,
        "has_no_worker": row.has_no_worker,
        "image_id": row.image_id,
    }


def cancel(
    job: Annotated[
        str | None,
        typer.Argument(
            help="A job's id or its beginning; 'jobs' lists them.", autocompletion=complete_job
        ),
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="All that waits and runs, runs of verifications too.")
    ] = False,
) -> None:
    """Stop a job within one step, or all of them."""

    async def work() -> None:
        if is_all is (job is not None):
            raise RequestError(
                "job",
                job,
                "Say which job is meant: its id, or --all.",
                "'safelight jobs' lists them.",
            )
        async with open_darkroom() as darkroom:
            if job is None:
                print_line(describe_cancelled(*await darkroom.cancel_all()))
                return
            found = await darkroom.get_job(job)
            if found.state.is_final:
                print_note("There was nothing left to stop.")
            found = await darkroom.cancel(found.id)
        print_line(f"{found.id[:8]}  {name_state(found.state)}")

    run_command(work())


def pause() -> None:
    """Pause the queue: what runs is ended, nothing else is begun before 'resume'.

    It stays paused until then, whoever looks at it and from where.
    """

    async def work() -> None:
        async with open_darkroom() as darkroom:
            if not await darkroom.pause_queue():
                print_note("It was paused already.")
            status = await darkroom.get_worker_status()
        print_line(f"the queue is paused, {count_things(status.jobs, 'job')} in it")
        print_note("'safelight resume' goes on with it.")

    run_command(work())


def resume() -> None:
    """Go on with a paused queue."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            if not await darkroom.resume_queue():
                print_note("It was not paused.")
            status = await darkroom.get_worker_status()
        print_line(f"the queue goes on, {count_things(status.jobs, 'job')} in it")

    run_command(work())


def move(
    jobs: Annotated[
        list[str],
        typer.Argument(
            help="Ids of jobs that wait, or their beginnings, in order.",
            autocompletion=complete_job,
        ),
    ],
    is_first: Annotated[bool, typer.Option("--first", help="They come next.")] = False,
    is_last: Annotated[bool, typer.Option("--last", help="They come behind all others.")] = False,
    before: Annotated[
        str | None,
        typer.Option(
            "--before",
            metavar="JOB",
            help="They come before this one.",
            autocompletion=complete_job,
        ),
    ] = None,
) -> None:
    """Change the order in which jobs are made."""

    async def work() -> None:
        if is_first + is_last + (before is not None) != 1:
            raise RequestError(
                "move", None, "Say where to: --first, --last or --before JOB, one of them."
            )
        async with open_darkroom() as darkroom:
            if before is not None:
                moved = await darkroom.move_before(jobs, before)
            elif is_first:
                moved = await darkroom.move_first(jobs)
            else:
                moved = await darkroom.move_last(jobs)
            for each in await darkroom.list_queue(limit=LIMIT_MAXIMUM):
                if each.id in moved and each.place is not None:
                    print_line(f"{each.id[:8]}  {write_ordinal(each.place)} in the queue")

    run_command(work())


def retry(
    job: JobArgument,
) -> None:
    """Queue an ended job again, with its id and seed.

    Also one that may have been charged: this is how to say that it shall be sent again.
    """

    async def work() -> None:
        async with open_darkroom() as darkroom:
            found = await darkroom.get_job(job)
            found = await darkroom.retry(found.id)
        print_line(f"{found.id[:8]}  {name_state(found.state)}")

    run_command(work())


def worker(
    is_status: Annotated[bool, typer.Option("--status", help="Say whether one runs.")] = False,
    is_stop: Annotated[bool, typer.Option("--stop", help="Ask it to leave after its job.")] = False,
) -> None:
    """Run jobs in this terminal.

    A worker is started by itself when there is work; this is for those who want to watch one.
    """
    from engines.worker.process import find_worker

    directory = find_data_directory()
    if is_status or is_stop:
        status = find_worker(directory)
        if not status.is_running:
            print_line("no worker runs")
        elif status.process_id is None:
            print_line("a worker runs; its lock does not say which process it is")
        elif is_stop:
            # It may have left in this moment.
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.process_id, signal.SIGTERM)
            print_line(f"asked worker {status.process_id} to leave after its job")
        else:
            print_line(f"worker {status.process_id} runs")
            if status.trouble:
                print_note(f"it waits: {status.trouble}")
        return

    async def prepare() -> None:
        async with open_darkroom():
            pass

    run_command(prepare())
    command = [sys.executable, "-P", "-m", "engines.worker", "--directory", str(directory)]
    os.execv(sys.executable, command)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(jobs)
    app.command()(cancel)
    app.command()(pause)
    app.command()(resume)
    app.command()(move)
    app.command()(retry)
    app.command()(worker)
