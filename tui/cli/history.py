"""Commands about what is remembered: history, show, sessions, backup."""

from __future__ import annotations

import base64
import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from store.errors import RequestError
from store.records import Image, Verification
from tui.cli.completing import complete_image
from tui.cli.inputs import LIMIT_MAXIMUM, read_count
from tui.cli.options import JsonOption, SessionOption
from tui.cli.results import describe_image
from tui.cli.run import (
    find_encoding,
    open_darkroom,
    print_command,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.cli.searches import (
    BeforeTerm,
    EngineTerm,
    ModelTerm,
    RatingTerm,
    SearchOption,
    SeedTerm,
    SinceTerm,
    SortTerm,
    TagTerm,
    VerdictTerm,
    describe_language,
    read_search,
    read_sort,
)
from tui.marks import describe_marks
from tui.shell_command import write_command
from tui.text import show_words
from tui.words import (
    LABELS,
    describe_changes,
    describe_extras,
    describe_grade,
    describe_lineage,
    describe_unread,
    describe_verdict,
    find_certainty,
    name_extras,
    name_finish,
    show_moment,
    write_known,
    write_seconds,
    write_seed,
    write_size,
    write_weight,
)


def history(
    search: SearchOption = None,
    limit: Annotated[str, typer.Option("--limit", metavar="INTEGER", help="Most images.")] = "20",
    session: SessionOption = None,
    seed: SeedTerm = None,
    since: SinceTerm = None,
    before: BeforeTerm = None,
    engine: EngineTerm = None,
    model: ModelTerm = None,
    tag: TagTerm = None,
    rating: RatingTerm = None,
    verdict: VerdictTerm = None,
    sort: SortTerm = None,
    as_json: JsonOption = False,
) -> None:
    """List images, newest first; not those in the trash, unless is:trashed is searched for."""
    terms = {
        "seed": seed,
        "since": since,
        "before": before,
        "engine": engine,
        "model": model,
        "tag": tag,
        "rating": rating,
        "verdict": verdict,
    }

    async def work() -> None:
        most = read_count("--limit", limit, 1, LIMIT_MAXIMUM)
        wanted = read_search(search, terms)
        order = read_sort(sort)
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            images = await darkroom.list_images(
                limit=most, search=wanted, session=session, sort=order
            )
        if as_json:
            print_json({"images": [describe_row(image) for image in images]})
            return
        if not images:
            is_searched = bool(wanted.terms or session)
            print_note("No image found." if is_searched else "The history is empty.")
        verdicts = [find_certainty(image).words for image in images]
        column = max(map(len, verdicts), default=0)
        for image, verdict in zip(images, verdicts, strict=True):
            prompt = show_words(image)
            extras = name_extras(image.request.parameters)
            said = describe_marks(image, has_unicode=False)
            if image.imported is not None:
                extras = ", ".join(filter(None, (f"imported: {image.imported.dialect}", extras)))
            print_line(
                f"{image.id[:8]}  {show_moment(image.created_at)}  {verdict:<{column}}  "
                f"{write_seed(image):>10}  {image.request.engine:<14}  {prompt[:60]}"
                f"{f'  [{extras}]' if extras else ''}"
                f"{f'  ({said})' if said else ''}"
            )

    run_command(work(), as_json=as_json)


def describe_row(image: Image) -> dict[str, Any]:
    """An image as `history --json` and `show --json` print it."""
    return describe_image(image) | {
        "number": image.number,
        "is_damaged": image.is_damaged,
        "created_at": write_instant(image.created_at),
        "purpose": image.purpose.value,
        "parent_id": image.parent_id,
        "relation": image.relation.value if image.relation else None,
        "session": image.session,
        "verdict": image.verdict.value if image.verdict else None,
        "warning": image.warning,
        "rating": image.rating,
        "is_favourite": image.is_favourite,
        "tags": image.tags,
        "note": image.note,
        "is_trashed": image.is_trashed,
        "is_emptied": image.is_emptied,
        "is_thinned": image.is_thinned,
        "imported": describe_imported(image),
        "request": msgspec.to_builtins(image.request),
    }


def describe_imported(image: Image) -> dict[str, Any] | None:
    """Where an imported image came from, as documents hold it; None for one that was made here."""
    if (imported := image.imported) is None:
        return None
    read = [(name, value) for name, value in imported.unread if value is not None]
    return {
        "dialect": imported.dialect,
        "grade": imported.grade,
        "file_name": imported.file_name,
        "unread": [{"name": name, "value": value} for name, value in read],
        "unsaid": imported.unsaid,
        "signer": imported.signer,
    }


def write_instant(seconds: float) -> str:
    """A moment as documents hold it: ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def show(
    image: Annotated[
        str,
        typer.Argument(
            help="An id or its beginning; @1 is the newest, seed:N of a seed.",
            autocompletion=complete_image,
        ),
    ],
    as_json: JsonOption = False,
    as_command: Annotated[
        bool, typer.Option("--command", help="Print the line that makes it again.")
    ] = False,
) -> None:
    """Print the whole record of an image."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            record = await darkroom.check_image(image)
            verifications = await darkroom.list_verifications(record.id)
            wire = await darkroom.read_wire(record.job_id)
            command = None
            if as_command:
                command = await write_command(darkroom, record, find_encoding(sys.stdout))
            elif as_json:
                with contextlib.suppress(RequestError):
                    command = await write_command(darkroom, record)
        if as_command and command is not None:
            print_command(command)
        elif as_json:
            print_json(
                describe_row(record)
                | {
                    "mime": record.mime,
                    "file_bytes": record.file_bytes,
                    "job_id": record.job_id,
                    "wire": base64.b64encode(wire).decode() if wire is not None else None,
                    "environment_digest": record.environment_digest,
                    "environment": record.environment.values if record.environment else {},
                    "stages": msgspec.to_builtins(record.stages),
                    "verifications": msgspec.to_builtins(verifications),
                    "meta": record.meta,
                    "imported_text": record.imported.text if record.imported else None,
                    "changes": record.changes,
                    "command": command,
                }
            )
        else:
            _print_record(record, verifications)

    run_command(work(), as_json=as_json)


def _print_record(image: Image, verifications: list[Verification]) -> None:
    parameters = image.request.parameters

    def tell(label: str, text: str) -> None:
        print_line(f"{label:<9} {text}")

    tell("image", image.id)
    if changes := describe_changes(image):
        tell("record", changes)
    if said := describe_marks(image, has_unicode=False):
        tell("marked", said)
    for place, line in enumerate((image.note or "").splitlines()):
        tell("note" if place == 0 else "", line)
    tell("made", f"{show_moment(image.created_at)}, {write_seconds(image.seconds)}")
    tell("lineage", describe_lineage(image))
    if (imported := image.imported) is not None:
        tell("imported", describe_grade(imported))
        for place, text in enumerate(describe_unread(imported)):
            tell("unread" if place == 0 else "", text)
    for place, prompt in enumerate(image.request.stack.prompts):
        weight = write_weight(prompt.weight, prompt.enabled, has_unicode=False, decimals=4)
        tell(LABELS["prompts"] if place == 0 else "", f"{weight:>5}  {prompt.text}")
    values = {
        "seed": str(parameters.seed),
        "steps": str(parameters.steps),
        "cfg_scale": f"{parameters.cfg_scale:g}",
        "sampler": parameters.sampler,
        "size": write_size(parameters.width, parameters.height),
        "style_preset": parameters.style_preset or "none",
    }
    for name, value in values.items():
        tell(LABELS[name], write_known(image, name, value))
    model = write_known(image, "model", image.request.model)
    tell(LABELS["engine"], f"{image.request.engine}, model {model}")
    for label, sentences in describe_extras(parameters):
        for place, sentence in enumerate(sentences):
            tell(label if place == 0 else "", sentence)
    tell("finish", name_finish(image.finish_reason))
    if image.warning:
        tell("warning", image.warning)
    tell("request", image.request_digest)
    tell("pixels", image.pixels_sha256)
    tell("file", image.file_sha256)
    tell("path", str(image.path))
    if image.is_thinned:
        tell("thinned", "its pixels were dropped to save space; 'safelight restore' makes them")
    tell("made by", image.environment_digest)
    for name, value in sorted((image.environment.values if image.environment else {}).items()):
        tell("", f"{name}: {value}")
    for place, (name, value) in enumerate(sorted(image.meta.items())):
        tell("engine's" if place == 0 else "", f"{name}: {value}")
    for row in verifications:
        said = describe_verdict(row.verdict, row.first_difference)
        tell("verified", f"{show_moment(row.created_at)}  {said}")
    if not verifications:
        tell("verified", "never; 'safelight verify' does it")


def sessions(as_json: JsonOption = False) -> None:
    """List sessions; 'safelight --session NAME' opens one."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            rows = await darkroom.list_sessions()
        if as_json:
            print_json(
                {
                    "sessions": [
                        {
                            "name": row.name,
                            "updated_at": write_instant(row.updated_at),
                            "prompts": msgspec.to_builtins(row.draft.prompts),
                            "archived": row.is_archived,
                        }
                        for row in rows
                    ]
                }
            )
            return
        for row in rows:
            text = " ".join(row.draft.prompts[0].text.split()) if row.draft.prompts else ""
            archived = "  (archived)" if row.is_archived else ""
            moment = show_moment(row.updated_at)
            print_line(f"{moment}  {row.name}{archived}  {text[:60]}".rstrip())
        if not rows:
            print_note("There is no session yet.")

    run_command(work(), as_json=as_json)


def backup(
    file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")],
) -> None:
    """Copy the database, checked, to a new file.

    Others may go on working. The image files are not in it: copy the folder `images` too.
    """

    async def work() -> None:
        async with open_darkroom() as darkroom:
            await darkroom.back_up(file.absolute())
            print_line(f"copied to {file}")
            print_note(f"The image files are in {darkroom.directory / 'images'}.")

    run_command(work())


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(epilog=describe_language())(history)
    app.command()(show)
    app.command()(sessions)
    app.command()(backup)
