"""The command about the trash: put in, put back, list, empty."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer

from store.errors import RequestError
from store.records import Emptying, Mark
from tui.cli.annotate import say_mark
from tui.cli.completing import complete_image
from tui.cli.history import describe_row
from tui.cli.options import JsonOption
from tui.cli.run import open_darkroom, print_json, print_line, print_note, run_command
from tui.cli.searches import SearchOption
from tui.darkroom import Darkroom
from tui.marks import describe_emptying
from tui.text import show_words
from tui.words import show_moment

_LISTED = 200


def trash(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Ids or their beginnings.", autocompletion=complete_image),
    ] = None,
    is_putting_back: Annotated[
        bool, typer.Option("--put-back", help="Out of the trash again.")
    ] = False,
    is_emptying: Annotated[
        bool, typer.Option("--empty", help="Remove what lies in it, for good.")
    ] = False,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="With --empty: only say what it frees.")
    ] = False,
    is_listing: Annotated[bool, typer.Option("--list", help="List what lies in it.")] = False,
    search: SearchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put images in the trash; lists leave them out until they are put back.

    Emptying removes their files and records. An image that others were made from keeps its
    record, without pixels.
    """
    ways = is_putting_back + is_emptying + is_listing

    async def work() -> None:
        if ways > 1:
            raise RequestError(
                "trash", None, "--put-back, --empty and --list stand alone: give one of them."
            )
        if (is_emptying or is_listing) and (images or search is not None):
            raise RequestError("images", None, "--empty and --list are about the whole trash.")
        if is_dry and not is_emptying:
            raise RequestError("dry-run", None, "--dry-run goes with --empty.")
        async with open_darkroom() as darkroom:
            if is_listing:
                await _list_trash(darkroom, as_json)
            elif is_emptying:
                await _empty(darkroom, is_dry, as_json)
            else:
                mark = Mark(is_trashed=not is_putting_back)
                await say_mark(darkroom, images or [], search, mark, as_json=as_json)

    run_command(work(), as_json=as_json)


async def _list_trash(darkroom: Darkroom, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    before: int | None = None
    count = 0
    while page := await darkroom.list_images(before=before, limit=_LISTED, search="is:trashed"):
        before = page[-1].number
        count += len(page)
        for image in page:
            if as_json:
                rows.append(describe_row(image))
                continue
            moment = show_moment(image.created_at)
            print_line(f"{image.id[:8]}  {moment}  {show_words(image)[:60]}")
    if as_json:
        print_json({"images": rows})
    elif not count:
        print_note("The trash is empty.")


async def _empty(darkroom: Darkroom, is_dry: bool, as_json: bool) -> None:
    if is_dry:
        found = await darkroom.plan_emptying()
    else:
        is_told = sys.stderr.isatty() and not as_json

        def tell(done: int) -> None:
            typer.echo(f"\r{done:,} done", err=True, nl=False)

        found = await darkroom.empty_trash(tell if is_told else None)
        if is_told:
            typer.echo("\r\x1b[K", err=True, nl=False)
    if as_json:
        print_json({"dry_run": is_dry} | msgspec.to_builtins(found))
        return
    for sentence in describe_emptying(found, is_plan=is_dry):
        print_line(sentence)
    if is_dry and found != Emptying():
        print_note("Nothing was changed: safelight trash --empty does it.")


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(trash)
