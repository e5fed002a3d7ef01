"""Commands that drop the pixels of images that can be made again, and make them again."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from store.errors import RequestError
from store.records import Image, Job
from tui.cli.chosen_images import choose_images, iterate_images, list_numbers
from tui.cli.completing import complete_image
from tui.cli.options import JsonOption
from tui.cli.run import (
    EXIT_DIFFERENT,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
    wait_for_jobs,
)
from tui.darkroom import Darkroom
from tui.words import count_things

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"([0-9]{1,6})([hdw])")

AT_ONCE = 20
"""Most images that are made again side by side in the queue, so that others get their turn."""

ImagesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Ids or their beginnings; @1 is the newest.", autocompletion=complete_image
    ),
]


def read_age(text: str) -> float:
    """Seconds of an age like `12h`, `30d` or `8w`. Raises `RequestError`."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        raise RequestError(
            "older_than",
            text,
            f"{text!r} is no age.",
            "Write a number and h, d or w: 12h, 30d, 8w.",
        )
    return float(int(match[1]) * _UNITS[match[2]])


def thin(
    images: ImagesArgument = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Made longer ago: 12h, 30d, 8w."),
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Of what this finds.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Of every image.")] = False,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would free.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop the pixels of images that were verified identical here.

    Their records and thumbnails stay, and 'restore' makes the same pixels again. Favourites, images
    in the trash, and those that cannot be made again with this engine on this machine keep theirs.
    """

    async def work() -> None:
        before = None if older_than is None else time.time() - read_age(older_than)
        if not images and search is None and before is None and not is_all:
            raise RequestError(
                "images",
                None,
                "Say of which images: ids, --older-than 30d, --search TEXT or --all.",
            )
        is_rest = is_all or (not images and search is None)
        choice = choose_images(images or [], is_rest, None, search, None, None)
        async with open_darkroom() as darkroom:
            numbers = await list_numbers(darkroom, choice)
            done = await darkroom.thin(numbers, made_before=before, is_rehearsal=is_dry_run)
        if as_json:
            print_json(
                {
                    "images": done.images,
                    "files": done.files,
                    "bytes": done.freed,
                    "kept": done.kept,
                    "is_dry_run": is_dry_run,
                }
            )
            return
        would = "would lose" if is_dry_run else "lost"
        frees = "would free" if is_dry_run else "freed"
        print_line(
            f"{count_things(done.images, 'image')} {would} their pixels, which "
            f"{frees} {decimal(done.freed)}"
        )
        for reason, count in sorted(done.kept.items(), key=lambda each: -each[1]):
            print_line(f"{count:>9,} kept: {reason}")

    run_command(work(), as_json=as_json)


def restore(
    images: ImagesArgument = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Of what this finds.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every image without pixels.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the pixels of thinned images again.

    Only what is the same to the byte is taken; status 1 when one stays without its pixels.
    """

    async def work() -> int:
        choice = choose_images(images or [], is_all, None, search, None, None)
        async with open_darkroom() as darkroom:
            if choice.references:
                found = [await darkroom.get_image(name) for name in choice.references]
            else:
                thinned = set(await darkroom.list_thinned())
                numbers = [n for n in await list_numbers(darkroom, choice) if n in thinned]
                found = [image async for image in iterate_images(darkroom, numbers)]
            rows: list[dict[str, Any]] = []
            for start in range(0, len(found), AT_ONCE):
                rows += await _restore(darkroom, found[start : start + AT_ONCE], as_json)
        if as_json:
            print_json({"results": rows})
        elif not rows:
            print_note("There is no image without its pixels.")
        return 0 if all(row["is_restored"] for row in rows) else EXIT_DIFFERENT

    raise typer.Exit(run_command(work(), as_json=as_json))


async def _restore(
    darkroom: Darkroom, images: Sequence[Image], as_json: bool
) -> list[dict[str, Any]]:
    """Make some images again, and say of each whether it has its pixels."""
    jobs: list[Job | None] = [
        await darkroom.restore(image.id) if image.is_thinned else None for image in images
    ]
    ended = await wait_for_jobs(darkroom, [job for job in jobs if job is not None])
    by_id = {job.id: job for job in ended}
    rows = []
    for image, job in zip(images, jobs, strict=True):
        now = await darkroom.get_image(image.id)
        ended_job = by_id[job.id] if job else None
        why = ""
        if ended_job is not None and now.is_thinned:
            why = ended_job.error or ended_job.warning or "It was not made again."
        rows.append({"image_id": image.id, "is_restored": not now.is_thinned, "reason": why})
        if not as_json:
            said = "restored" if job else "has its pixels"
            print_line(f"{image.id[:8]}  {'stays thinned' if now.is_thinned else said}")
        if why:
            print_note(f"  {why}")
    return rows


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(thin)
    app.command()(restore)
