"""Commands that prove images: regenerate, verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from store.errors import RequestError
from store.records import Image, Job, Verdict
from tui.cli.inputs import LIMIT_MAXIMUM, read_count
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
from tui.words import describe_verdict


def regenerate(
    images: Annotated[
        list[str],
        typer.Argument(help="Ids or their beginnings; @1 is the newest, seed:N of a seed."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Make images again, as children, and compare."""

    async def work() -> int:
        async with open_darkroom() as darkroom:
            found = [await darkroom.get_image(reference) for reference in images]
            jobs = [await darkroom.regenerate(image.id) for image in found]
            return await _print_compared(darkroom, found, jobs, as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


def verify(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Ids or their beginnings; @1 is the newest, seed:N of a seed."),
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every image.")] = False,
    last: Annotated[
        str | None, typer.Option("--last", metavar="INTEGER", help="The newest ones.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove images: status 0 when all are identical.

    Each is made again from its record and compared; status 1 when one is not identical.
    """

    async def work() -> int:
        newest = None if last is None else read_count("--last", last, 1, LIMIT_MAXIMUM)
        async with open_darkroom() as darkroom:
            found = await _choose_images(darkroom, images or [], is_all, newest)
            jobs = [await darkroom.verify(image.id) for image in found]
            return await _print_compared(darkroom, found, jobs, as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


async def _choose_images(
    darkroom: Darkroom, references: list[str], is_all: bool, last: int | None
) -> list[Image]:
    if bool(references) + is_all + (last is not None) != 1:
        raise RequestError(
            "images", None, "Say which images: ids, or --all, or --last N (one of the three)."
        )
    if references:
        return [await darkroom.get_image(reference) for reference in references]
    found: list[Image] = []
    before: int | None = None
    while last is None or len(found) < last:
        page = await darkroom.list_images(before=before, limit=min(last or 200, 200))
        if not page:
            break
        found += page
        before = page[-1].number
    return found if last is None else found[:last]


async def _print_compared(
    darkroom: Darkroom, images: list[Image], jobs: Sequence[Job | None], as_json: bool
) -> int:
    ended = await wait_for_jobs(darkroom, [job for job in jobs if job is not None])
    by_id = {job.id: job for job in ended}
    results, is_all_identical = [], True
    for image, job in zip(images, jobs, strict=True):
        row = await _read_verdict(darkroom, image, by_id[job.id] if job else None)
        detail = row.pop("detail")
        results.append(row)
        is_identical = row["verdict"] == Verdict.IDENTICAL.value
        is_all_identical = is_all_identical and is_identical
        if not as_json:
            said = describe_verdict(Verdict(row["verdict"]), row["first_difference"])
            child = f", kept as {row['regenerated_id'][:8]}" if row["regenerated_id"] else ""
            print_line(f"{image.id[:8]}  {said}{child}")
        if not is_identical and detail:
            print_note(f"  {detail}")
    if as_json:
        print_json({"results": results})
    elif not results:
        print_note("There is no image to verify.")
    return 0 if is_all_identical else EXIT_DIFFERENT


async def _read_verdict(darkroom: Darkroom, image: Image, job: Job | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image_id": image.id,
        "verdict": Verdict.CANNOT_RUN.value,
        "pixels_sha256_then": image.pixels_sha256,
        "pixels_sha256_now": None,
        "first_difference": None,
        "psnr_db": None,
        "regenerated_id": None,
        "detail": (job.error if job else None) or "",
    }
    for verification in await darkroom.list_verifications(image.id):
        if job is None or verification.number == job.verification_number:
            row |= {
                "verdict": verification.verdict.value,
                "pixels_sha256_now": verification.pixels_sha256_now,
                "first_difference": verification.first_difference,
                "psnr_db": verification.psnr_db,
                "regenerated_id": verification.regenerated_id,
                "detail": verification.detail,
            }
            break
    return row


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(regenerate)
    app.command()(verify)
