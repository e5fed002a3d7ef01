"""Series: images that are made until a moment; begun by `generate --until`, and `series`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from store.errors import RequestError
from store.records import Draft, RunState, Series
from tui.cli.history import write_instant
from tui.cli.options import JsonOption
from tui.cli.run import open_darkroom, print_json, print_line, print_note, run_command
from tui.darkroom import Darkroom
from tui.words import count_things, name_run_state, show_moment

_HINT = "Write 07:00, 8h, 90min, tomorrow, or 2026-11-29T07:00."


async def begin_series(
    darkroom: Darkroom,
    drafts: Sequence[Draft],
    until: float,
    session: str | None,
    *,
    as_json: bool,
) -> int:
    """Begin a series and print it; nobody waits for it. The exit status."""
    found = await darkroom.begin_series(drafts, until, session)
    if as_json:
        print_json({"series": _describe(found)})
        return 0
    what = count_things(found.requests, "image")
    print_line(f"series {found.id[:8]}  until {show_moment(found.until)}  {what} a round")
    print_note("'safelight series' shows how far it is, 'safelight report' what became of it.")
    return 0


def read_until(text: str, now: datetime) -> float:
    """The moment in `text` (seconds of 1970): the next such time of day, or so long from now.

    Raises `RequestError` where it is none, or has passed.
    """
    from store.search import parse_moment

    word = text.strip().lower()
    try:
        if word == "tomorrow":
            moment = parse_moment("today", now) + timedelta(days=1)
        elif ":" in word and "-" not in word:
            moment = parse_moment(word, now)
            moment += timedelta(days=moment <= now)
        elif word[:1].isdigit() and not word.replace("-", "").isdigit() and "t" not in word:
            # An age in the search language is so long ago.
            moment = now + (now - parse_moment(word, now))
        else:
            moment = datetime.fromisoformat(text.strip().upper())
        if moment.tzinfo is not None:
            moment = moment.astimezone().replace(tzinfo=None)
        seconds = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise RequestError("until", text, f"{text[:40]!r} is no moment.", _HINT) from None
    if moment <= now:
        raise RequestError("until", text, f"{text[:40]!r} has passed.", _HINT)
    return seconds


def series(
    pause: Annotated[
        str | None, typer.Option("--pause", metavar="SERIES", help="Begin no further image of it.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="SERIES", help="Go on with it.")
    ] = None,
    cancel: Annotated[
        str | None, typer.Option("--cancel", metavar="SERIES", help="End it; images are kept.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List series, newest first, or pause, resume or cancel one.

    'generate --until' begins one: its images are made one after the other, when no other job waits.
    """

    async def work() -> None:
        if sum(each is not None for each in (pause, resume, cancel)) > 1:
            raise RequestError("series", None, "Do one thing to one series at a time.")
        async with open_darkroom() as darkroom:
            if pause is not None:
                found = [await darkroom.pause_series(pause)]
            elif resume is not None:
                found = [await darkroom.resume_series(resume)]
            elif cancel is not None:
                found = [await darkroom.cancel_series(cancel)]
            else:
                found = await darkroom.list_series()
            if await darkroom.is_queue_paused():
                print_note("The queue is paused: 'safelight resume' goes on with it.")
        if as_json:
            print_json({"series": [_describe(each) for each in found]})
            return
        for each in found:
            prompt = each.first.stack.prompts[0].text
            error = f"  {each.error}" if each.error else ""
            print_line(
                f"{each.id[:8]}  {name_run_state(each.state):<9}  until {show_moment(each.until)}"
                f"  {count_things(each.taken, 'job')}  {prompt[:40]}{error}"
            )
            if each.error and each.state is RunState.PAUSED:
                print_note(f"'safelight series --resume {each.id[:8]}' goes on with it.")

    run_command(work(), as_json=as_json)


def _describe(found: Series) -> dict[str, Any]:
    return {
        "id": found.id,
        "state": found.state.value,
        "until": write_instant(found.until),
        "created_at": write_instant(found.created_at),
        "finished_at": None if found.finished_at is None else write_instant(found.finished_at),
        "requests": found.requests,
        "taken": found.taken,
        "error": found.error or None,
    }


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(series)
