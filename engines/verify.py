"""Verification: an image against itself made again, and the verdict.

Stages tell where it began to differ; the environment tells what changed around the engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageStat

from engines.base import EngineError, Failure
from store import history
from store.errors import RequestError, SafelightError, StoreError
from store.pixels import digest_pixels, open_image
from store.records import Comparison, EnvironmentRecord, Job, Purpose, Result, Stage, Verdict
from store.records import Image as ImageRecord

if TYPE_CHECKING:
    from engines.registry import EngineRegistry
    from store.database import Database


def name_stage(stage: Stage) -> str:
    """How a stage is called in a verdict: `step 7`, `text of prompt 2`, `noise`."""
    if stage.name == "latent":
        return f"step {stage.step}"
    if stage.name == "text":
        return f"text of prompt {stage.step}" if stage.step else "text of the empty prompt"
    return stage.name


def find_first_difference(then: Sequence[Stage], now: Sequence[Stage]) -> str | None:
    """The name of the first stage whose digests differ; None when none does.

    Only stages that both sides have are compared; an engine without stages gives None.
    """
    digests = {(stage.name, stage.step): stage.sha256 for stage in now}
    for stage in then:
        digest = digests.get((stage.name, stage.step))
        if digest is not None and digest != stage.sha256:
            return name_stage(stage)
    return None


def measure_psnr(then: Image.Image, now: Image.Image) -> float | None:
    """Peak signal-to-noise ratio in dB of 8-bit RGB; None when the sizes differ or all is equal."""
    if then.size != now.size:
        return None
    difference = ImageChops.difference(then.convert("RGB"), now.convert("RGB"))
    error = sum(ImageStat.Stat(difference).sum2) / (3 * then.width * then.height)
    return round(10 * math.log10(255**2 / error), 2) if error else None


def describe_environment_change(then: EnvironmentRecord, now: EnvironmentRecord) -> str:
    """What changed around the engine, as `name: then → now; …`; empty when nothing did."""
    names = sorted(then.values.keys() | now.values.keys())
    changes = [
        f"{name}: {then.values.get(name, 'none')} → {now.values.get(name, 'none')}"
        for name in names
        if then.values.get(name) != now.values.get(name)
    ]
    return "; ".join(changes)


FILE_FINDINGS = frozenset({"file", "file_bytes", "size", "pixels_sha256"})
"""Findings about the stored file: the record may still be proven without it."""


def verify_record(database: Database, image: ImageRecord) -> Comparison | None:
    """The verdict when the record itself was changed after it was written; else None.

    Nothing is made again then: what would be made is not what was recorded.
    """
    from store import integrity

    findings = [
        finding
        for finding in integrity.check_record(database, image)
        if finding.partition(":")[0] not in FILE_FINDINGS
    ]
    if not findings:
        return None
    named = [finding.partition(":")[0] for finding in findings]
    fields = [name for name in named if name != "request"]
    return Comparison(
        verdict=Verdict.DIFFERENT,
        first_difference=f"request: {', '.join(fields)}" if fields else named[0],
        detail="The record was changed after it was written. " + "; ".join(findings) + ".",
    )


def compare(
    *,
    pixels_then: str,
    pixels_now: str,
    stages_then: Sequence[Stage],
    stages_now: Sequence[Stage],
    environment_then: EnvironmentRecord | None,
    environment_now: EnvironmentRecord,
    psnr_db: float | None,
) -> Comparison:
    """The verdict on an image that was made again. `psnr_db` is kept when pixels differ."""
    difference = find_first_difference(stages_then, stages_now)
    if pixels_then == pixels_now and difference is None:
        return Comparison(
            verdict=Verdict.IDENTICAL,
            pixels_sha256_now=pixels_now,
            detail="Every pixel and every recorded stage is the same.",
        )
    change = ""
    if environment_then is not None:
        change = describe_environment_change(environment_then, environment_now)
    because = f" Changed around it: {change}." if change else " The environment is the same."
    if pixels_then == pixels_now:
        return Comparison(
            verdict=Verdict.LATENTS_DRIFTED,
            pixels_sha256_now=pixels_now,
            first_difference=difference,
            detail=f"Every pixel is the same, but {difference} is not.{because}",
        )
    where = difference or "pixels"
    return Comparison(
        verdict=Verdict.DIFFERENT,
        pixels_sha256_now=pixels_now,
        first_difference=where,
        detail=f"The pixels differ; the first difference is at: {where}.{because}",
        psnr_db=psnr_db,
    )


def find_obstacle(
    database: Database, registry: EngineRegistry, job: Job, image: ImageRecord
) -> Comparison | None:
    """Why `job` need not make `image` again, None when it should."""
    if (comparison := verify_record(database, image)) is not None:
        return comparison
    if job.purpose is Purpose.REGENERATE:
        return None
    capabilities = registry.get_capabilities(image.request.engine)
    if capabilities.is_deterministic:
        return None
    return Comparison(verdict=Verdict.NOT_VERIFIABLE, detail=capabilities.why_not)


def verify_result(database: Database, image: ImageRecord, result: Result) -> Comparison:
    """How `result` compares with the recorded `image` and its file."""
    now = open_image(result.data)
    damage = ""
    try:
        then = open_image(history.read_image(database, image))
    except StoreError as error:
        then, damage = now, str(error)
    else:
        if digest_pixels(then) != image.pixels_sha256:
            damage = "The pixels in the stored file are not those of the record."
    comparison = compare(
        pixels_then=image.pixels_sha256,
        pixels_now=result.pixels_sha256,
        stages_then=image.stages,
        stages_now=result.stages,
        environment_then=image.environment,
        environment_now=result.environment,
        psnr_db=None if damage else measure_psnr(then, now),
    )
    if not damage:
        return comparison
    return Comparison(
        verdict=Verdict.DIFFERENT,
        pixels_sha256_now=result.pixels_sha256,
        first_difference="file",
        detail=f"{damage} Made again: {comparison.detail}",
    )


def explain_failure(error: SafelightError) -> Comparison:
    """The verdict when the image could not be made again."""
    where = "request"
    if isinstance(error, EngineError) or (
        isinstance(error, RequestError) and error.field == "model"
    ):
        where = "model"
    if isinstance(error, EngineError) and error.kind not in (
        Failure.DAMAGED_MODEL,
        Failure.MODEL_GONE,
    ):
        where = "engine"
    return Comparison(verdict=Verdict.CANNOT_RUN, first_difference=where, detail=str(error))
