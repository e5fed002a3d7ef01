"""What commands print of the images that they asked for, and where they write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.cost import describe_cost
from store.records import FinishReason, Image, Job, JobState
from store.request import Request
from tui.cli.output import Output
from tui.cli.run import (
    EXIT_DIFFERENT,
    describe_queued,
    print_json,
    print_line,
    print_note,
    wait_for_jobs,
)
from tui.darkroom import Darkroom
from tui.words import WITHHELD, name_state, write_seconds


async def finish_jobs(
    darkroom: Darkroom,
    jobs: list[Job],
    output: Output | None,
    *,
    no_wait: bool,
    as_json: bool,
    losses: Sequence[str] = (),
) -> int:
    """Wait for the jobs and print what became of them; the status to end with.

    With `no_wait` only what was queued is printed. The images are also written to `output`.
    `losses` were told before and are not told again.
    """
    if no_wait:
        _print_queued(jobs, as_json)
        darkroom.queued.clear()
        return 0
    jobs = await wait_for_jobs(darkroom, jobs)
    status = await _print_made(darkroom, jobs, output, as_json, losses)
    darkroom.queued.clear()
    return status


def print_cost(darkroom: Darkroom, requests: Sequence[Request]) -> None:
    """Say on standard error what `requests` may cost, where images cost anything."""
    price = darkroom.estimate_cost(requests)
    if price != 0:
        print_note(f"note: {requests[0].engine} takes {describe_cost(price)}")


def _print_queued(jobs: list[Job], as_json: bool) -> None:
    if as_json:
        print_json({"jobs": [describe_queued(job) for job in jobs]})
        return
    for job in jobs:
        print_line(f"queued {job.id[:8]}  seed {job.request.parameters.seed}")


async def _print_made(
    darkroom: Darkroom,
    jobs: list[Job],
    output: Output | None,
    as_json: bool,
    losses: Sequence[str],
) -> int:
    images: list[tuple[Image, Path]] = []
    failed = []
    for job in jobs:
        if job.state is JobState.DONE and job.image_id is not None:
            image = await darkroom.get_image(job.image_id)
            path = image.path
            if output is not None:
                path = await output.write(darkroom, image, len(images) + 1)
            images.append((image, path))
        else:
            failed.append(job)
    noted: set[str] = set()
    for image, _ in images:
        warning = image.warning or ""
        for text in losses:
            warning = warning.replace(text, "")
        if image.finish_reason is FinishReason.FILTER:
            print_note(f"warning: {warning.strip() or WITHHELD}")
        elif (note := warning.strip()) and note not in noted:
            noted.add(note)
            print_note(f"note: {note}")
    for job in failed:
        print_note(
            f"seed {job.request.parameters.seed}: {name_state(job.state)}: {job.error or ''}"
        )
    if as_json:
        print_json(
            {
                "images": [describe_image(image, path) for image, path in images],
                "failed": [describe_failure(job) for job in failed],
            }
        )
    else:
        for image, path in images:
            print_line(f"{image.id[:8]}  seed {image.seed}  {write_seconds(image.seconds)}  {path}")
    return EXIT_DIFFERENT if failed else 0


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
        "warning": image.warning,
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
