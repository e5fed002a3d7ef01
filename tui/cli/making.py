"""The command that makes images: generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import RequestError
from store.fields import check_seed
from store.records import Draft, DraftPrompt, FinishReason, Image, Job, JobState
from store.request import Prompt
from tui.cli.darkroom import open_darkroom, run_command
from tui.cli.output import EXIT_DIFFERENT, print_json, print_line, print_note
from tui.cli.progress import wait_for_jobs
from tui.darkroom import Darkroom

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def generate(
    prompts: Annotated[
        list[str],
        typer.Argument(
            help="Prompts; '::W' at the end of one is its weight, below 0 to avoid it.",
            show_default=False,
        ),
    ],
    seed: Annotated[
        int | None, typer.Option("--seed", "-S", help="1 to 4294967294; drawn if omitted.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", "-s", help="Sampling steps.")] = None,
    cfg_scale: Annotated[
        float | None,
        typer.Option("--cfg-scale", "--cfg_scale", "-C", help="How closely to follow the prompts."),
    ] = None,
    width: Annotated[int | None, typer.Option("--width", "-W", help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option("--height", "-H", help="Pixels.")] = None,
    sampler: Annotated[str | None, typer.Option("--sampler", "-A", help="See 'engines'.")] = None,
    style_preset: Annotated[
        str | None, typer.Option("--style-preset", "--style_preset", "-y", help="See 'engines'.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", "-e", help="See 'engines'.")] = "builtin",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="What the engine runs.")
    ] = None,
    images: Annotated[
        int, typer.Option("--images", "--num_samples", "-n", help="Images, of seeds that follow.")
    ] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write SEED.png into this folder.")
    ] = None,
    as_json: JsonOption = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Queue the jobs and end at once.")
    ] = False,
) -> None:
    """Make images from prompts. What is omitted takes the engine's default."""

    async def work() -> int:
        draft = Draft(
            prompts=tuple(_parse_prompt(at, text) for at, text in enumerate(prompts, start=1)),
            engine=engine,
            model=model,
            seed=None if seed is None else check_seed(seed),
            steps=steps,
            cfg_scale=cfg_scale,
            sampler=sampler,
            width=width,
            height=height,
            style_preset=style_preset,
            images=images,
        )
        async with open_darkroom() as darkroom:
            darkroom.resolve(draft)
            losses = darkroom.describe_losses(draft)
            for text in losses:
                print_note(f"note: {text}")
            if output is not None:
                _make_folder(output)
            jobs = await darkroom.generate(draft)
            if no_wait:
                _print_queued(jobs, as_json)
                return 0
            jobs = await wait_for_jobs(darkroom, jobs)
            return await _print_made(darkroom, jobs, output, as_json, losses)

    raise typer.Exit(run_command(work(), as_json=as_json))


def _parse_prompt(position: int, argument: str) -> DraftPrompt:
    try:
        prompt = Prompt.parse(argument)
    except RequestError as error:
        raise error.at_prompt(position) from None
    return DraftPrompt(text=prompt.text, weight=prompt.weight, enabled=prompt.enabled)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            "output", str(folder), f"Cannot write into {folder}: {error.strerror}."
        ) from None


def _print_queued(jobs: list[Job], as_json: bool) -> None:
    if as_json:
        rows = [
            {"id": job.id, "request_id": job.request_digest, "seed": job.request.parameters.seed}
            for job in jobs
        ]
        print_json({"jobs": rows})
        return
    for job in jobs:
        print_line(f"queued {job.id[:8]}  seed {job.request.parameters.seed}")


async def _print_made(
    darkroom: Darkroom,
    jobs: list[Job],
    output: Path | None,
    as_json: bool,
    losses: tuple[str, ...],
) -> int:
    images, failed = [], []
    for job in jobs:
        if job.state is JobState.DONE and job.image_id is not None:
            image = await darkroom.get_image(job.image_id)
            path = image.path
            if output is not None:
                path = export_image(await darkroom.read_image(image), output, image)
            images.append((image, path))
        else:
            failed.append(job)
    for image, _ in images:
        warning = image.warning or ""
        for text in losses:  # they were told before
            warning = warning.replace(text, "")
        if image.finish_reason is FinishReason.FILTER:
            print_note(f"warning: {warning.strip() or 'the service blurred this image'}")
        elif warning.strip():
            print_note(f"note: {warning.strip()}")
    for job in failed:
        print_note(f"seed {job.request.parameters.seed}: {job.state.value}: {job.error or ''}")
    if as_json:
        print_json(
            {
                "images": [describe_image(image, path) for image, path in images],
                "failed": [describe_failure(job) for job in failed],
            }
        )
    else:
        for image, path in images:
            print_line(f"{image.id[:8]}  seed {image.seed}  {image.seconds:.1f} s  {path}")
    return EXIT_DIFFERENT if failed else 0


def export_image(data: bytes, folder: Path, image: Image) -> Path:
    """Write `data` as `SEED.png` into `folder`; a name that is taken gets `-2`, `-3` …"""
    suffix = image.path.suffix
    for attempt in range(1, 10_000):
        end = "" if attempt == 1 else f"-{attempt}"
        path = folder / f"{image.seed}{end}{suffix}"
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        except OSError as error:
            raise RequestError(
                "output", str(path), f"Cannot write {path}: {error.strerror}."
            ) from None
        return path.absolute()
    raise RequestError("output", str(folder), f"{folder} is full of images of this seed.")


def describe_image(image: Image, path: Path | None = None) -> dict[str, Any]:
    """The image as `generate --json` prints it."""
    return {
        "id": image.id,
        "request_id": image.request_digest,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "pixels_sha256": image.pixels_sha256,
        "file_sha256": image.file_sha256,
        "path": str(path or image.path),
        "finish_reason": image.finish_reason.value,
        "seconds": image.seconds,
    }


def describe_failure(job: Job) -> dict[str, Any]:
    """A job without an image as `--json` prints it."""
    return {
        "job_id": job.id,
        "request_id": job.request_digest,
        "seed": job.request.parameters.seed,
        "state": job.state.value,
        "kind": job.error_kind,
        "error": job.error,
    }


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(generate)
