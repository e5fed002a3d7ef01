"""The report of what became of jobs: what was made, verified, failed, and what it cost."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from store.errors import RequestError
from tui.cli.history import write_instant
from tui.cli.options import JsonOption
from tui.cli.results import describe_failure
from tui.cli.run import open_darkroom, print_json, print_line, run_command
from tui.words import (
    advise,
    count_things,
    describe_counts,
    name_kind,
    show_moment,
    write_duration,
)

if TYPE_CHECKING:
    from store.outcomes import Outcome

SHEET_IMAGES = 200
"""Most images on a contact sheet, the newest ones."""

_SINCE_HINT = "Write yesterday, today, monday, 22:00, 8h, 3d, or 2026-11-20T22:00."


def report(
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="WHEN", help="yesterday, 22:00, 8h, 3d, monday, 2026-11-20 …"
        ),
    ] = "yesterday",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write a contact sheet of the images (PNG)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of the jobs that ended since then: the report in the morning."""

    async def work() -> None:
        moment = read_since(since, datetime.now())
        if output is not None:
            _check_output(output)
        async with open_darkroom() as darkroom:
            wanted = 0 if output is None else SHEET_IMAGES
            outcome = await darkroom.read_outcome(moment, images=wanted)
            status = await darkroom.get_worker_status()
            is_paused = await darkroom.is_queue_paused()
            path = None
            if output is not None and outcome.newest:
                from tui.cli.contact_sheet import write_contact_sheet

                path = await write_contact_sheet(darkroom, outcome.newest, output)
        if as_json:
            document = _describe(outcome) | {"waiting": status.jobs, "is_paused": is_paused}
            print_json(document | {"contact_sheet": None if path is None else str(path)})
            return
        for line in _list_lines(outcome, status.jobs, is_paused):
            print_line(line)
        if output is not None:
            print_line(f"sheet      {'no image to show' if path is None else path}")

    run_command(work(), as_json=as_json)


def read_since(text: str, now: datetime) -> float:
    """The moment in `text` (seconds of 1970); a time of day is the last one. Raises `RequestError`.

    Durations are those of the search language (`3d`), and hours and minutes.
    """
    from store.search import parse_moment

    try:
        moment = parse_moment(text, now)
    except (ValueError, OverflowError):
        raise RequestError("since", text, f"{text[:40]!r} is no moment.", _SINCE_HINT) from None
    if moment > now and ":" in text and "-" not in text:
        moment -= timedelta(days=1)
    if moment > now:
        raise RequestError("since", text, f"{text[:40]!r} is still to come.", _SINCE_HINT)
    try:
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise RequestError("since", text, f"{text[:40]!r} is no moment.", _SINCE_HINT) from None


def _check_output(path: Path) -> None:
    """Raise `RequestError` where nothing could be written, before anything is read."""
    if path.exists():
        raise RequestError("output", str(path), f"{path} is there already: give another name.")
    if not path.absolute().parent.is_dir():
        raise RequestError("output", str(path), f"There is no folder for {path}.")


def _list_lines(outcome: Outcome, waiting: int, is_paused: bool) -> list[str]:
    ended = outcome.ended
    lines = [f"since      {show_moment(outcome.since)}"]
    lines.append(f"made       {count_things(ended.made, 'image')}")
    if outcome.verdicts:
        total = sum(outcome.verdicts.values())
        lines.append(f"verified   {total:,}: {describe_counts(outcome.verdicts)}")
    failed = f"failed     {ended.failed:,}"
    if outcome.reasons:
        parts = (f"{count:,} {name_kind(kind)}" for kind, count in sorted(outcome.reasons.items()))
        failed += f": {', '.join(parts)}"
    lines.append(failed)
    if ended.cancelled:
        lines.append(f"cancelled  {ended.cancelled:,}")
    lines.append(f"took       {write_duration(outcome.seconds)}")
    if outcome.credits:
        from engines.cost import describe_cost

        lines.append(f"cost       {describe_cost(outcome.credits)}")
    if waiting:
        held = ", the queue is paused: 'safelight resume' goes on" if is_paused else ""
        lines.append(f"in queue   {count_things(waiting, 'job')}{held}")
    if outcome.failures:
        lines += ["", "the last failures"]
    for job in outcome.failures:
        when = show_moment(job.finished_at or time.time())
        seed = job.request.parameters.seed
        lines.append(f"  {job.id[:8]}  {when}  seed {seed}  {job.error or name_kind('unknown')}")
        lines.append(f"            {advise(job.state, retry=f'safelight retry {job.id[:8]}:')}")
    return lines


def _describe(outcome: Outcome) -> dict[str, Any]:
    ended = outcome.ended
    return {
        "since": write_instant(outcome.since),
        "made": ended.made,
        "failed": ended.failed,
        "cancelled": ended.cancelled,
        "reasons": outcome.reasons,
        "verdicts": outcome.verdicts,
        "seconds": round(outcome.seconds, 3),
        "credits": outcome.credits,
        "failures": [describe_failure(job) for job in outcome.failures],
    }


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(report)
