"""Commands that prove images: regenerate, verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from store.errors import RequestError
from store.records import Image, Job, Verification
from tui.cli.chosen_images import choose_images
from tui.cli.completing import complete_image
from tui.cli.file_verdicts import SignersOption, find_files, verify_files
from tui.cli.options import JsonOption, OutputOption
from tui.cli.output import (
    FormatOption,
    NameOption,
    Output,
    SidecarOption,
    SignOption,
    StripOption,
    read_output,
)
from tui.cli.preflight import print_outlooks
from tui.cli.report_file import ReportFile, ReportOption
from tui.cli.run import open_darkroom, run_command, wait_for_jobs
from tui.cli.runs import run_choice
from tui.cli.verdicts import VerdictPrinter
from tui.darkroom import Darkroom
from tui.file_names import DEFAULT_PATTERN
from tui.saving import make_folder


def regenerate(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Ids or their beginnings; @1 is the newest, seed:N of a seed.",
            autocompletion=complete_image,
        ),
    ],
    output: OutputOption = None,
    name: NameOption = DEFAULT_PATTERN,
    file_format: FormatOption = None,
    strip: StripOption = False,
    sidecar: SidecarOption = None,
    sign: SignOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make images again, as children, and compare."""

    async def work() -> int:
        target = read_output(
            output,
            pattern=name,
            file_format=file_format,
            strip=strip,
            sidecars=sidecar,
            sign=sign,
        )
        async with open_darkroom() as darkroom:
            found = [await darkroom.get_image(reference) for reference in images]
            if target is not None:
                make_folder(target.folder)
            jobs = [await darkroom.regenerate(image.id) for image in found]
            page = ReportFile(None, "")
            return await _print_compared(darkroom, found, jobs, page, as_json, target)

    raise typer.Exit(run_command(work(), as_json=as_json))


def verify(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Ids or their beginnings; @1 is the newest, seed:N of a seed. Or files with a "
            "record in them, and bundles.",
            autocompletion=complete_image,
        ),
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every image.")] = False,
    last: Annotated[
        str | None, typer.Option("--last", metavar="INTEGER", help="The newest ones.")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="All that this finds.")
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option("--sample", metavar="INTEGER", help="So many of them, or of all, by chance."),
    ] = None,
    sample_seed: Annotated[
        str | None,
        typer.Option("--sample-seed", metavar="INTEGER", help="Choose the sample as with this."),
    ] = None,
    is_background: Annotated[
        bool,
        typer.Option("--background", help="End at once; the worker does it when nothing else is."),
    ] = False,
    is_dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Make nothing: say what is other now than when they were made. Status 0 when "
            "nothing of it decides pixels, 1 when something does, 2 when one cannot be made.",
        ),
    ] = False,
    report: ReportOption = None,
    signers: SignersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove images: status 0 when all are identical.

    Each is made again from its record and compared; status 1 when one is not identical. Images
    that are not named one by one have their turn when no other job waits; see 'runs'. A file is
    proven from the record in it alone, and added to no history.
    """

    async def work() -> int:
        if paths := find_files(images or []):
            if is_dry_run or is_background or report is not None:
                raise RequestError(
                    "images",
                    None,
                    "--dry-run, --background and --report are for images of the history, not for "
                    "files.",
                    "Add the file to the history with 'safelight import' first.",
                )
            return await verify_files(paths, signers, as_json)
        choice = choose_images(images or [], is_all, last, search, sample, sample_seed)
        async with open_darkroom() as darkroom:
            if is_dry_run:
                return await print_outlooks(darkroom, choice, as_json)
            if report is not None and is_background:
                raise RequestError(
                    "report",
                    str(report),
                    "A report is written at the end.",
                    "'safelight runs @1 --report FILE' writes it then.",
                )
            page = ReportFile(report, choice.words)
            if choice.references and not is_background:
                found = [await darkroom.get_image(reference) for reference in choice.references]
                jobs = [await darkroom.verify(image.id) for image in found]
                return await _print_compared(darkroom, found, jobs, page, as_json)
            return await run_choice(darkroom, choice, is_background, page, as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


async def _print_compared(
    darkroom: Darkroom,
    images: list[Image],
    jobs: Sequence[Job | None],
    page: ReportFile,
    as_json: bool,
    output: Output | None = None,
) -> int:
    ended = await wait_for_jobs(darkroom, [job for job in jobs if job is not None])
    by_id = {job.id: job for job in ended}
    verdicts = VerdictPrinter(as_json)
    for place, (image, queued) in enumerate(zip(images, jobs, strict=True), 1):
        job = by_id[queued.id] if queued else None
        verification = await _find_verification(darkroom, image, job)
        path = None
        if output is not None and verification is not None and verification.regenerated_id:
            child = await darkroom.get_image(verification.regenerated_id)
            path = await output.write(darkroom, child, place)
        error = (job.error if job else None) or ""
        verdicts.add(image.id, image.pixels_sha256, verification, error, path)
        page.add(image.id, verification, error)
    await page.write(darkroom)
    return verdicts.end()


async def _find_verification(
    darkroom: Darkroom, image: Image, job: Job | None
) -> Verification | None:
    for verification in await darkroom.list_verifications(image.id):
        if job is None or verification.number == job.verification_number:
            return verification
    return None


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(regenerate)
    app.command()(verify)
