"""Commands that read the record: history, show, jobs."""

from __future__ import annotations

import base64
import contextlib
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from store.errors import NotFound
from store.records import Image, Relation, Verification
from tui.cli.darkroom import open_darkroom, run_command
from tui.cli.options import JsonOption
from tui.cli.output import print_json, print_line, print_note
from tui.cli.results import describe_image
from tui.darkroom import Darkroom
from tui.extras import list_extras, name_extras
from tui.shell_command import make_command


def history(
    search: Annotated[
        str | None, typer.Option("--search", help="Words that the prompts hold.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most images.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List images, newest first."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            images = await darkroom.list_images(limit=limit, search=search)
        if as_json:
            print_json({"images": [describe_row(image) for image in images]})
            return
        if not images:
            print_note("No image found." if search else "The history is empty.")
        for image in images:
            prompts = image.request.stack.prompts
            prompt = " ".join(prompts[0].text.split()) if prompts else ""
            extras = name_extras(image.request.parameters)
            verdict = image.verdict.value if image.verdict else "unverified"
            print_line(
                f"{image.id[:8]}  {format_time(image.created_at)}  {verdict:<10}  "
                f"{image.seed:>10}  {image.request.engine:<14}  {prompt[:60]}"
                f"{f'  [{extras}]' if extras else ''}"
            )

    run_command(work(), as_json=as_json)


def describe_row(image: Image) -> dict[str, Any]:
    """An image as `history --json` and `show --json` print it."""
    return describe_image(image) | {
        "number": image.number,
        "created_at": datetime.fromtimestamp(image.created_at, UTC).isoformat(),
        "purpose": image.purpose.value,
        "parent_id": image.parent_id,
        "relation": image.relation.value if image.relation else None,
        "session": image.session,
        "verdict": image.verdict.value if image.verdict else None,
        "warning": image.warning,
        "request": msgspec.to_builtins(image.request),
    }


def format_time(seconds: float) -> str:
    """Local date and time to the minute."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def show(
    image: Annotated[str, typer.Argument(help="An id or its beginning; @1 is the newest.")],
    as_json: JsonOption = False,
    as_command: Annotated[
        bool, typer.Option("--command", help="Print the line that makes it again.")
    ] = False,
) -> None:
    """Print the whole record of an image."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            record = await darkroom.get_image(image)
            verifications = await darkroom.list_verifications(record.id)
            wire = await darkroom.read_wire(record.job_id)
            command = make_command(record.request, await name_inputs(darkroom, record))
        if as_command:
            print_line(command)
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
                    "command": command,
                }
            )
        else:
            _print_record(record, verifications)

    run_command(work(), as_json=as_json)


async def name_inputs(darkroom: Darkroom, image: Image) -> dict[str, str]:
    """How a command calls the files that the image's request starts from, by digest.

    By the id of the image that it came from where that is one of them, else by their paths.
    """
    names: dict[str, str] = {}
    for sha256 in image.request.parameters.inputs:
        with contextlib.suppress(NotFound):
            names[sha256] = str(await darkroom.find_input(sha256))
    if image.parent_id and image.relation in (Relation.INITIAL_IMAGE, Relation.UPSCALE):
        parent = await darkroom.get_image(image.parent_id)
        if parent.file_sha256 in names:
            names[parent.file_sha256] = parent.id
    return names


def _print_record(image: Image, verifications: list[Verification]) -> None:
    parameters = image.request.parameters
    print_line(f"image     {image.id}")
    print_line(f"made      {format_time(image.created_at)}, {image.seconds:.1f} s")
    if image.parent_id:
        print_line(f"from      {image.parent_id[:8]} ({(image.relation or image.purpose).value})")
    for prompt in image.request.stack.prompts:
        weight = f"{prompt.weight:+.1f}" if prompt.enabled else "off"
        print_line(f"prompt    {weight:>5}  {prompt.text}")
    print_line(f"seed      {parameters.seed}")
    print_line(f"steps     {parameters.steps}")
    print_line(f"cfg scale {parameters.cfg_scale:g}")
    print_line(f"sampler   {parameters.sampler}")
    print_line(f"size      {parameters.width}x{parameters.height}")
    print_line(f"style     {parameters.style_preset or 'none'}")
    for label, text in list_extras(parameters):
        print_line(f"{label:<9} {text}")
    print_line(f"engine    {image.request.engine}, model {image.request.model}")
    print_line(f"finish    {image.finish_reason.value}")
    if image.warning:
        print_line(f"warning   {image.warning}")
    print_line(f"request   {image.request_digest}")
    print_line(f"pixels    {image.pixels_sha256}")
    print_line(f"file      {image.file_sha256}")
    print_line(f"path      {image.path}")
    for name, value in sorted((image.environment.values if image.environment else {}).items()):
        print_line(f"around it {name}: {value}")
    for name, value in sorted(image.meta.items()):
        print_line(f"engine's  {name}: {value}")
    for row in verifications:
        where = f" at {row.first_difference}" if row.first_difference else ""
        print_line(f"verified  {format_time(row.created_at)}  {row.verdict.value}{where}")
    if not verifications:
        print_line("verified  never; 'safelight verify' does it")


def jobs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most jobs.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first, with why they failed."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            rows = await darkroom.list_jobs(limit=limit)
        if as_json:
            print_json({"jobs": [_describe_job(row) for row in rows]})
            return
        for row in rows:
            done = f" {row.step}/{row.steps}" if row.steps and not row.state.is_final else ""
            print_line(
                f"{row.id[:8]}  {row.state.value}{done}  {row.purpose.value}  "
                f"seed {row.request.parameters.seed}  {row.error or ''}".rstrip()
            )

    def _describe_job(row: Any) -> dict[str, Any]:
        return {
            "id": row.id,
            "state": row.state.value,
            "purpose": row.purpose.value,
            "request_id": row.request_digest,
            "request": msgspec.to_builtins(row.request),
            "parent_id": row.parent_id,
            "relation": row.relation.value if row.relation else None,
            "seed": row.request.parameters.seed,
            "step": row.step,
            "steps": row.steps,
            "kind": row.error_kind,
            "error": row.error,
            "image_id": row.image_id,
        }

    run_command(work(), as_json=as_json)


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
                            "updated_at": datetime.fromtimestamp(row.updated_at, UTC).isoformat(),
                            "prompts": msgspec.to_builtins(row.draft.prompts),
                        }
                        for row in rows
                    ]
                }
            )
            return
        for row in rows:
            text = " ".join(row.draft.prompts[0].text.split()) if row.draft.prompts else ""
            print_line(f"{format_time(row.updated_at)}  {row.name}  {text[:60]}".rstrip())
        if not rows:
            print_note("There is no session yet.")

    run_command(work(), as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(history)
    app.command()(show)
    app.command()(jobs)
    app.command()(sessions)
