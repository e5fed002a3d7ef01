"""How an image that was made again compares with the recorded one, or why it was not made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import EngineError, Failure
from engines.verify import compare, judge_record, measure_psnr
from store import history
from store.errors import SafelightError, StoreError
from store.pixels import digest_pixels, open_image
from store.records import Comparison, Image, Job, Purpose, Result, Verdict

if TYPE_CHECKING:
    from engines.registry import EngineRegistry
    from store.database import Database


def find_obstacle(
    database: Database, registry: EngineRegistry, job: Job, image: Image
) -> Comparison | None:
    """Why `job` need not make `image` again, None when it should."""
    if (comparison := judge_record(database, image)) is not None:
        return comparison
    if job.purpose is Purpose.REGENERATE:
        return None
    capabilities = registry.get_capabilities(image.request.engine)
    if capabilities.is_deterministic:
        return None
    return Comparison(verdict=Verdict.NOT_VERIFIABLE, detail=capabilities.why_not)


def judge(database: Database, image: Image, result: Result) -> Comparison:
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
    where = "model" if isinstance(error, EngineError) else "request"
    if isinstance(error, EngineError) and error.kind not in (
        Failure.DAMAGED_MODEL,
        Failure.MODEL_GONE,
    ):
        where = "engine"
    return Comparison(verdict=Verdict.CANNOT_RUN, first_difference=where, detail=str(error))
