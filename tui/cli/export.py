"""The command that writes images of the history to files, or into a bundle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import RequestError, StoreError
from store.metadata.bundle import BundleFile, write_bundle
from store.metadata.record import name_program
from store.records import Image
from tui.cli.completing import complete_image
from tui.cli.inputs import LIMIT_MAXIMUM, read_count
from tui.cli.options import RESULT, GroupedCommand, JsonOption, SessionOption
from tui.cli.output import (
    FormatOption,
    NameOption,
    Output,
    QualityOption,
    SidecarOption,
    SignOption,
    StripOption,
    read_output,
)
from tui.cli.run import (
    EXIT_DIFFERENT,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.darkroom import Darkroom
from tui.file_names import DEFAULT_PATTERN, make_name
from tui.saving import make_folder, open_new
from tui.words import count_things

PAGE = 200


def export(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Ids or their beginnings; @1 is the newest.", autocompletion=complete_image
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="QUERY", help="All that this finds.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every image.")] = False,
    last: Annotated[
        str | None, typer.Option("--last", metavar="INTEGER", help="The newest ones.")
    ] = None,
    session: SessionOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write into.", rich_help_panel=RESULT),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Write one ZIP file instead, with records, digests and the files that they start "
            "from.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    name: NameOption = DEFAULT_PATTERN,
    file_format: FormatOption = None,
    quality: QualityOption = None,
    strip: StripOption = False,
    with_inputs: Annotated[
        bool,
        typer.Option(
            "--inputs",
            help="Put the files that a request starts from into the image file too.",
            rich_help_panel=RESULT,
        ),
    ] = False,
    sidecar: SidecarOption = None,
    sign: SignOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write images to files, with their records in them.

    'safelight verify FILE' makes an image again from its file alone. Names are never overwritten.
    Status 1 when an image has no file that could be written.
    """

    async def work() -> int:
        if (output is None) == (bundle is None):
            raise RequestError("output", None, "Say where to: -o DIR, or --bundle FILE.zip.")
        if bundle is not None and (strip or sidecar):
            raise RequestError(
                "bundle",
                str(bundle),
                "A bundle holds the records.",
                "Export with -o to strip them.",
            )
        newest = None if last is None else read_count("--last", last, 1, LIMIT_MAXIMUM)
        target = read_output(
            output if bundle is None else bundle.parent,
            pattern=name,
            file_format=file_format,
            quality=quality,
            strip=strip,
            with_inputs=with_inputs,
            sidecars=sidecar,
            sign=sign,
        )
        assert target is not None
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            found = await _choose(darkroom, images or [], search, session, is_all, newest)
            make_folder(target.folder)
            failed: list[dict[str, str]] = []
            if bundle is not None:
                rows = await _write_bundle(darkroom, found, bundle, target, failed)
            else:
                rows = await _write_files(darkroom, found, target, failed, as_json)
        if as_json:
            where = {"bundle": str(bundle)} if bundle else {}
            print_json({"images": rows, "failed": failed} | where)
        elif bundle is not None:
            print_line(f"{count_things(len(rows), 'image')} in {bundle}")
        if not found:
            print_note("No image found.")
        return EXIT_DIFFERENT if failed else 0

    raise typer.Exit(run_command(work(), as_json=as_json))


async def _choose(
    darkroom: Darkroom,
    references: list[str],
    search: str | None,
    session: str | None,
    is_all: bool,
    last: int | None,
) -> list[Image]:
    """The images that are meant, oldest first where they are not named one by one."""
    if bool(references) == bool(search or session or is_all or last is not None):
        raise RequestError(
            "images", None, "Say which images: ids, or --search, --session, --last N, --all."
        )
    if references:
        return [await darkroom.get_image(reference) for reference in references]
    found: list[Image] = []
    before: int | None = None
    while last is None or len(found) < last:
        limit = PAGE if last is None else min(PAGE, last - len(found))
        page = await darkroom.list_images(
            before=before, limit=limit, search=search, session=session
        )
        if not page:
            break
        found += page
        before = page[-1].number
    return found[::-1]


def _tell_failed(image: Image, error: StoreError) -> dict[str, str]:
    """Say on standard error why an image was left out; the same for a document."""
    print_note(f"{image.id[:8]}: {error}")
    return {"id": image.id, "message": error.message, "hint": error.hint}


async def _write_files(
    darkroom: Darkroom,
    images: list[Image],
    output: Output,
    failed: list[dict[str, str]],
    as_json: bool,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for image in images:
        try:
            path = await output.write(darkroom, image, len(rows) + 1)
        except StoreError as error:
            failed.append(_tell_failed(image, error))
            continue
        rows.append({"id": image.id, "seed": image.seed, "path": str(path)})
        if not as_json:
            print_line(f"{image.id[:8]}  {path}")
    return rows


async def _write_bundle(
    darkroom: Darkroom,
    images: list[Image],
    path: Path,
    output: Output,
    failed: list[dict[str, str]],
) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    written: list[Image] = []

    def read() -> Iterator[BundleFile]:
        """One image at a time, in the thread that writes."""
        for image in images:
            work = darkroom.make_file(image.id, output.choices, output.key)
            try:
                made = asyncio.run_coroutine_threadsafe(work, loop).result()
                reading = darkroom.read_inputs(image)
                inputs = asyncio.run_coroutine_threadsafe(reading, loop).result()
            except StoreError as error:
                failed.append(_tell_failed(image, error))
                continue
            assert made.record is not None
            written.append(image)
            name = make_name(output.pattern, image, len(written)) + made.suffix
            yield BundleFile(name=name, data=made.data, record=made.record, inputs=inputs)

    def write() -> list[str]:
        with open_new(path) as file:
            manifest = write_bundle(file, read(), program=name_program())
        return [one.image.name for one in manifest.images]

    names = await asyncio.to_thread(write)
    return [
        {"id": image.id, "seed": image.seed, "path": name}
        for image, name in zip(written, names, strict=True)
    ]


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command(cls=GroupedCommand)(export)
