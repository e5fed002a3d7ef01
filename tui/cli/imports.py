"""The command that imports image files: into the history, or into a session's draft."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from store.errors import RequestError, SafelightError
from store.records import Draft, Imported
from tui.cli.history import describe_row
from tui.cli.options import JsonOption, SessionOption
from tui.cli.run import (
    EXIT_DIFFERENT,
    EXIT_ERROR,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.darkroom import Darkroom
from tui.paths import read_image_file
from tui.words import (
    count_things,
    describe_grade,
    describe_unread,
    describe_unsaid,
    write_size,
    write_weight,
)

if TYPE_CHECKING:
    from store.metadata.intake import Arrival

FILES_LIMIT = 10_000
"""Most image files of a folder that are imported in one go."""

_ENTRIES_LIMIT = 100_000
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(help="Image files; of a folder, the PNG, JPEG and WebP files in it."),
    ],
    into_draft: Annotated[
        bool,
        typer.Option(
            "--draft",
            help="Load what one file says into the editor of --session, or of the last session, "
            "instead of adding the image.",
        ),
    ] = False,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add image files to the history, with what their metadata say.

    Of Safelight's own files everything, so that they can be verified here. Of A1111, Forge,
    SD.Next, ComfyUI, InvokeAI, SwarmUI, Fooocus, Easy Diffusion, Draw Things, NovelAI, mold and
    stable-diffusion.cpp what is understood; the rest is kept beside it and told. Status 1 when some
    file could not be imported, 2 when none could.
    """

    async def work() -> int:
        if into_draft and len(files) != 1:
            raise RequestError("files", None, "--draft takes one file.")
        async with open_darkroom() as darkroom:
            if into_draft:
                return await _load(darkroom, files[0], session, as_json)
            await darkroom.check_session(session)
            return await _import(darkroom, _list_files(files), session, as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


def _list_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += _list_folder(path) if path.is_dir() else [path]
    if len(found) > FILES_LIMIT:
        raise RequestError(
            "files", None, f"{len(found):,} files are more than {FILES_LIMIT:,}.", "Give fewer."
        )
    return found


def _list_folder(folder: Path) -> list[Path]:
    """The image files in `folder` itself, by name; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in itertools.islice(entries, _ENTRIES_LIMIT)
                if entry.name.lower().endswith(_SUFFIXES) and entry.is_file(follow_symlinks=False)
            ]
    except OSError as error:
        raise RequestError(
            "files", str(folder), f"The folder {folder} cannot be read: {error.strerror}."
        ) from None
    if not names:
        raise RequestError("files", str(folder), f"There is no image file in {folder}.")
    return [folder / name for name in sorted(names)]


async def _import(
    darkroom: Darkroom, paths: Sequence[Path], session: str | None, as_json: bool
) -> int:
    arrivals: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for path in paths:
        try:
            data = await asyncio.to_thread(read_image_file, path)
            arrival = await darkroom.import_image(data, path.name, session)
        except SafelightError as error:
            print_note(f"{path.name}: {error.message}")
            if error.hint:
                print_note(f"  {error.hint}")
            failed.append({"file": str(path), "message": error.message, "hint": error.hint})
            continue
        arrivals.append(_describe(path, arrival))
        if not as_json:
            _print(path, arrival)
    if as_json:
        print_json({"imported": arrivals, "failed": failed})
    elif len(paths) > 1:
        new = sum(row["is_new"] for row in arrivals)
        print_note(
            f"{count_things(new, 'image')} imported, {len(arrivals) - new:,} there already, "
            f"{len(failed):,} not imported"
        )
    if failed:
        return EXIT_DIFFERENT if arrivals else EXIT_ERROR
    return 0


def _describe(path: Path, arrival: Arrival) -> dict[str, Any]:
    return {
        "file": str(path),
        "is_new": arrival.is_new,
        "missing_inputs": arrival.missing,
        "notes": arrival.notes,
        "image": describe_row(arrival.image)
        | {
            "meta": arrival.image.meta,
            "imported_text": arrival.image.imported.text if arrival.image.imported else None,
        },
    }


def _print(path: Path, arrival: Arrival) -> None:
    image, imported = arrival.image, arrival.image.imported
    if not arrival.is_new:
        print_line(f"{image.id[:8]}  {path.name} is in the history already")
        return
    said = describe_grade(imported) if imported is not None else ""
    print_line(f"{image.id[:8]}  {path.name}  {said}")
    unsaid = imported.unsaid if imported is not None else ()
    _print_request(image.request.stack.prompts, _list_parameters(image, unsaid))
    _print_rest(imported)
    for sha256 in arrival.missing:
        print_note(f"  The input image {sha256[:8]} did not come with it: it cannot be verified.")
    for note in arrival.notes:
        print_note(f"  {note}")


def _print_request(prompts: Sequence[Any], parameters: Sequence[str]) -> None:
    for prompt in prompts:
        weight = write_weight(prompt.weight, prompt.enabled, has_unicode=False, decimals=4)
        print_line(f"  {weight:>5}  {' '.join(prompt.text.split())}")
    if parameters:
        print_line(f"  {', '.join(parameters)}")


def _list_parameters(subject: Any, unsaid: Sequence[str]) -> list[str]:
    """What is known of `subject` (something with a request), in words."""
    parameters = subject.request.parameters
    said = {
        "seed": f"seed {parameters.seed}",
        "steps": f"steps {parameters.steps}",
        "cfg_scale": f"cfg {parameters.cfg_scale:g}",
        "sampler": parameters.sampler,
        "size": write_size(parameters.width, parameters.height),
        "model": f"model {subject.request.model}",
    }
    return [text for name, text in said.items() if name not in unsaid]


def _print_rest(imported: Imported | None) -> None:
    if imported is None:
        return
    if unsaid := describe_unsaid(imported):
        print_line(f"  not known: {unsaid}")
    for text in describe_unread(imported):
        print_line(f"  unread: {text}")


async def _load(darkroom: Darkroom, path: Path, session: str | None, as_json: bool) -> int:
    """Put what a file says into the draft of a session; the draft before is kept beside it."""
    from tui.compose.foreign import merge_adopted

    data = await asyncio.to_thread(read_image_file, path)
    adopted = await darkroom.read_metadata(data)
    found = await darkroom.load_session(session)
    draft, notes = merge_adopted(found.draft, adopted, darkroom.capabilities)
    kept = await _keep_before(darkroom, found.name, found.draft, draft)
    await darkroom.write_draft(found.name, draft)
    if as_json:
        print_json(
            {
                "session": found.name,
                "dialect": adopted.dialect,
                "grade": adopted.grade.value,
                "unsaid": adopted.unsaid,
                "unread": [
                    {"name": name, "value": value}
                    for name, value in adopted.unread
                    if value is not None
                ],
                "notes": notes,
                "kept": kept,
                "draft": msgspec.to_builtins(draft),
            }
        )
        return 0
    imported = Imported(dialect=adopted.dialect, grade=adopted.grade.value, unread=adopted.unread)
    print_line(f"loaded into the session {found.name}: {describe_grade(imported)}")
    _print_request(draft.prompts, [])
    _print_rest(imported)
    for note in notes:
        print_note(f"  {note}")
    if kept is not None:
        print_note(f"  The draft that was there is in the session {kept}.")
    return 0


async def _keep_before(darkroom: Darkroom, name: str, before: Draft, after: Draft) -> str | None:
    """The session that the draft before was put into; None where there was nothing in it."""
    is_empty = not any(prompt.text.strip() for prompt in before.prompts)
    if is_empty or before.prompts == after.prompts:
        return None
    taken = {session.name for session in await darkroom.list_sessions()}
    names = (f"{name[:80]} before {number}" for number in itertools.count(1))
    kept = next(free for free in names if free not in taken)
    await darkroom.write_draft(kept, before)
    return kept


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("import")(import_)
