"""Waiting for jobs, with a progress bar where somebody looks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator

from store.records import Job
from tui.darkroom import Darkroom


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
