"""Commands about two images: diff, bisect."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer

from engines.changes import Change
from engines.prompt_pairs import PromptPair, compare_words
from tui.cli.options import JsonOption
from tui.cli.run import (
    EXIT_DIFFERENT,
    find_encoding,
    open_darkroom,
    print_json,
    print_line,
    run_command,
)
from tui.compare.lines import LABEL, describe_pair
from tui.compare.pair import ImagePair, load_pair

ONE = "The first image: an id or its beginning; @1 is the newest."
OTHER = "The second image."


def diff(
    one: Annotated[str, typer.Argument(help=ONE)],
    other: Annotated[str, typer.Argument(help=OTHER)],
    as_json: JsonOption = False,
) -> None:
    """Print what differs between two images: status 0 when they are equal, 1 when not.

    Requests, stages and pixels decide; the environment is printed too.
    """

    async def work() -> int:
        async with open_darkroom() as darkroom:
            pair = await load_pair(darkroom, one, other)
        if as_json:
            print_json(describe_json(pair))
        else:
            _print_pair(pair)
        return 0 if pair.differences.is_equal else EXIT_DIFFERENT

    raise typer.Exit(run_command(work(), as_json=as_json))


def _print_pair(pair: ImagePair) -> None:
    has_unicode = find_encoding(sys.stdout).lower().startswith("utf")
    for name, loaded in (("A", pair.one), ("B", pair.other)):
        print_line(f"{name:<{LABEL}}{loaded.image.id}")
    for line in describe_pair(pair, has_unicode=has_unicode):
        print_line(f"{line.label:<{LABEL}}{line.text}")


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


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(diff)
