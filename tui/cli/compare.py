"""Commands about two images: diff, bisect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec
import typer

from engines.bisection import TRIALS_AT_MOST, Trial
from engines.changes import Change
from engines.prompt_pairs import PromptPair, compare_words
from store.errors import RequestError
from tui.cli.completing import complete_image
from tui.cli.file_verdicts import find_files
from tui.cli.inputs import LIMIT_MAXIMUM, read_count
from tui.cli.options import JsonOption
from tui.cli.run import (
    EXIT_DIFFERENT,
    find_encoding,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.compare.bisection import BisectRun, Explained
from tui.compare.lines import (
    LABEL,
    Line,
    describe_explanation,
    describe_pair,
    describe_trial,
)
from tui.compare.pair import ImagePair, load_pair

ONE = "The first image: an id or its beginning; @1 is the newest, seed:N of a seed."
OTHER = "The second image."
OR_A_FILE = " Or an image file with its record."


def diff(
    one: Annotated[str, typer.Argument(help=ONE + OR_A_FILE, autocompletion=complete_image)],
    other: Annotated[str, typer.Argument(help=OTHER + OR_A_FILE, autocompletion=complete_image)],
    as_json: JsonOption = False,
) -> None:
    """Print what differs between two images: status 0 when they are equal, 1 when not.

    Requests, stages and pixels decide; the environment is printed too.
    """

    async def work() -> int:
        async with open_darkroom() as darkroom:
            pair = await load_pair(darkroom, _read_source(one), _read_source(other))
        if as_json:
            print_json(describe_json(pair))
        else:
            _print_pair(pair)
        return 0 if pair.differences.is_equal else EXIT_DIFFERENT

    raise typer.Exit(run_command(work(), as_json=as_json))


def _read_source(word: str) -> str | Path:
    """An image file where `word` is one or no id, else the reference as it is."""
    files = find_files([word])
    return files[0] if files else word


def _print_pair(pair: ImagePair) -> None:
    for name, loaded in (("A", pair.one), ("B", pair.other)):
        print_line(f"{name:<{LABEL}}{loaded.image.id}")
    for line in describe_pair(pair, has_unicode=_has_unicode(sys.stdout)):
        print_line(_lay(line))


def _lay(line: Line) -> str:
    return f"{line.label:<{LABEL}}{line.text}"


def _has_unicode(stream: TextIO) -> bool:
    return find_encoding(stream).lower().startswith("utf")


def describe_json(pair: ImagePair) -> dict[str, Any]:
    """What differs, as `diff --json` prints it."""
    found = pair.differences
    return {
        "images": [loaded.image.id for loaded in (pair.one, pair.other)],
        "is_equal": found.is_equal,
        "changes": [describe_change_json(change) for change in found.changes],
        "prompts": [_describe_prompt_json(each) for each in found.pairs if not each.is_equal],
        "environment": msgspec.to_builtins(found.environment),
        "stages": {"parts_at": found.parts_at, "common": found.stages},
        "pixels": {
            "are_equal": found.has_equal_pixels,
            "sizes": msgspec.to_builtins(found.sizes),
            "difference": msgspec.to_builtins(found.pixels),
            "faults": [loaded.fault or None for loaded in (pair.one, pair.other)],
        },
    }


def describe_change_json(change: Change) -> dict[str, Any]:
    """A single change, as documents hold it."""
    return {
        "kind": change.kind,
        "field": change.field,
        "prompt": change.prompt or None,
        "before": msgspec.to_builtins(change.before),
        "after": msgspec.to_builtins(change.after),
    }


def _describe_prompt_json(pair: PromptPair) -> dict[str, Any]:
    was, now = pair.one, pair.other
    return {
        "places": [
            None if place is None else place + 1
            for place in (pair.place_in_one, pair.place_in_other)
        ],
        "is_moved": pair.is_moved,
        "prompts": [msgspec.to_builtins(was), msgspec.to_builtins(now)],
        "words": [{"kind": run.kind, "text": run.text} for run in compare_words(was.text, now.text)]
        if was is not None and now is not None and was.text != now.text
        else [],
    }


def bisect(
    one: Annotated[str, typer.Argument(help=ONE, autocompletion=complete_image)],
    other: Annotated[str, typer.Argument(help=OTHER, autocompletion=complete_image)],
    most: Annotated[
        str,
        typer.Option("--most", metavar="INTEGER", help="Make at most this many images."),
    ] = str(TRIALS_AT_MOST),
    is_paid: Annotated[
        bool, typer.Option("--yes", help="Spend credits on it where the engine takes any.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the change that explains the difference of two images: status 0 when one alone does.

    Status 1 when several explain it only together. It makes images in between, and puts them in
    the trash but for the one that shows it. Changes explain the difference when A with them is
    nearer to B by at least half of the mean difference of the pixels.
    """

    async def work() -> int:
        limit = read_count("--most", most, 1, LIMIT_MAXIMUM)
        async with open_darkroom() as darkroom:
            run = BisectRun(darkroom, await load_pair(darkroom, one, other), limit)
            run.check()
            if price := run.describe_price():
                if not is_paid:
                    raise RequestError(
                        "yes", None, f"It takes {price}.", "Give --yes to spend them."
                    )
                print_note(f"note: it takes {price}")
            trials = []
            async for found in run.search():
                if isinstance(found, Trial):
                    trials.append(found)
                    line = describe_trial(
                        found, *run.requests, has_unicode=_has_unicode(sys.stderr)
                    )
                    print_note(_lay(line))
                else:
                    explained = found
            if as_json:
                print_json(_describe_explained_json(explained, trials, run.made))
            else:
                _print_explained(explained, run)
            return 0 if len(explained.explanation.decisive) == 1 else EXIT_DIFFERENT

    raise typer.Exit(run_command(work(), as_json=as_json))


def _print_explained(explained: Explained, run: BisectRun) -> None:
    lines = describe_explanation(
        explained.explanation, *run.requests, has_unicode=_has_unicode(sys.stdout)
    )
    for line in lines:
        print_line(_lay(line))
    print_line(f"{'image':<{LABEL}}{explained.image.id[:8]}  {explained.image.path}")
    if not explained.explanation.is_complete:
        print_note("The trials were used up before no change could be left out; see --most.")


def _describe_explained_json(
    explained: Explained, trials: list[Trial], made: int
) -> dict[str, Any]:
    found = explained.explanation
    return {
        "changes": [describe_change_json(change) for change in found.decisive],
        "first": [
            describe_change_json(change) for change in found.changes if change not in found.decisive
        ],
        "explained": found.explained,
        "image_id": explained.image.id,
        "is_complete": found.is_complete,
        "images_made": made,
        "trials": [
            {
                "changes": [describe_change_json(change) for change in trial.changes],
                "explained": trial.explained,
            }
            for trial in trials
        ],
    }


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(diff)
    app.command()(bisect)
