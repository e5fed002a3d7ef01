"""Verification: an image against itself made again, and the verdict.

Stages tell where it began to differ; the environment tells what changed around the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engines.base import EngineError, Failure
from engines.pixel_difference import PixelDifference, measure_difference
from store import history
from store.errors import RequestError, SafelightError, StoreError
from store.integrity import check_record, name_changes
from store.metadata.files import digest_body
from store.metadata.intake import explain_foreign
from store.metadata.record import read_record
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


def count_common_stages(then: Sequence[Stage], now: Sequence[Stage]) -> int:
    """How many stages of `then` are on both sides, whatever their digests are."""
    there = {(stage.name, stage.step) for stage in now}
    return sum((stage.name, stage.step) in there for stage in then)


def describe_environment_change(then: EnvironmentRecord, now: EnvironmentRecord) -> str:
    """What changed around the engine, as `name: then → now; …`; empty when nothing did."""
    changes = [
        f"{name}: {then.values.get(name, 'none')} → {now.values.get(name, 'none')}"
        for name in list_changed_around(then, now)
    ]
    return "; ".join(changes)


def list_changed_around(then: EnvironmentRecord, now: EnvironmentRecord) -> list[str]:
    """The names, sorted, whose values are others in two environments or stand in one of them."""
    names = sorted(then.values.keys() | now.values.keys())
    return [name for name in names if then.values.get(name) != now.values.get(name)]


FILE_FINDINGS = frozenset({"file", "pixels_sha256"})
"""Findings that making the image again says more about: is it the file or the record?"""

INPUT_NAMES = {
    "initial_image": "initial image",
    "mask": "mask",
    "upscale": "image to make larger",
}
"""The files that a request starts from, in words."""


def verify_record(database: Database, image: ImageRecord) -> Comparison | None:
    """The verdict when the record was changed after it was written, or cannot be run; else None.

    Nothing is made again then: what would be made is not what was recorded.
    """
    return judge_record(check_record(database, image))


def judge_foreign(image: ImageRecord) -> Comparison | None:
    """The verdict on an image that another program made, None for our own."""
    if image.imported is None or not image.is_foreign:
        return None
    return explain_foreign(image.imported.dialect)


def judge_record(findings: Sequence[str]) -> Comparison | None:
    """The verdict of `verify_record`, from the `findings` of `check_record`."""
    names = name_changes(findings)
    lost = [INPUT_NAMES[name] for name in names if name in INPUT_NAMES]
    if changed := [name for name in names if name not in FILE_FINDINGS | INPUT_NAMES.keys()]:
        return Comparison(
            verdict=Verdict.DIFFERENT,
            first_difference=", ".join([*changed, *lost]),
            detail=f"The record was changed after it was written. {'; '.join(findings)}.",
        )
    if not lost:
        return None
    told = (finding.partition(": ") for finding in findings)
    return Comparison(
        verdict=Verdict.CANNOT_RUN,
        first_difference=", ".join(lost),
        detail=" ".join(f"{INPUT_NAMES.get(name, name)}: {said}" for name, _, said in told),
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
    measured: PixelDifference | None = None,
) -> Comparison:
    """The verdict on an image that was made again.

    `psnr_db` is kept when pixels differ, and told with the rest of what was `measured`.
    """
    difference = find_first_difference(stages_then, stages_now)
    if pixels_then == pixels_now and difference is None:
        said = f"Every pixel {_describe_equal_stages(stages_then, stages_now)}"
        return Comparison(verdict=Verdict.IDENTICAL, pixels_sha256_now=pixels_now, detail=said)
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
        detail=f"The pixels differ{_describe_distance(measured)}; the first difference is at: "
        f"{where}.{because}",
        psnr_db=psnr_db,
    )


def _describe_distance(measured: PixelDifference | None) -> str:
    """How far pixels are apart, in levels of single channels; "" where that is not known."""
    if measured is None or measured.is_equal:
        return ""
    share = f"{100 * measured.share:.3g} %"
    return f" by {measured.mean:.3g} of 255 on average and {measured.maximum} at most, in {share}"


def _describe_equal_stages(then: Sequence[Stage], now: Sequence[Stage]) -> str:
    """`and every recorded stage is the same.`, or how many of them there are on both sides."""
    common = count_common_stages(then, now)
    if not common:
        return "is the same; there was no stage to compare."
    if common < len(then):
        return f"is the same, and so are the {common} of {len(then)} stages that were made again."
    return "and every recorded stage is the same."


def find_obstacle(
    database: Database, registry: EngineRegistry, job: Job, image: ImageRecord
) -> Comparison | None:
    """Why `job` need not make `image` again, None when it should."""
    findings = check_record(database, image)
    if (comparison := judge_record(findings) or judge_foreign(image)) is not None:
        return comparison
    if job.purpose is Purpose.REGENERATE:
        return None
    capabilities = registry.get_capabilities(image.request.engine)
    if capabilities.is_deterministic:
        return None
    if findings:
        # Without another one beside it, this is all that will ever be known of the file.
        return Comparison(
            verdict=Verdict.DIFFERENT,
            first_difference=", ".join(name_changes(findings)),
            detail=f"{'; '.join(findings)}. It cannot be made again: {capabilities.why_not}",
        )
    return Comparison(verdict=Verdict.NOT_VERIFIABLE, detail=capabilities.why_not)


def verify_result(database: Database, image: ImageRecord, result: Result) -> Comparison:
    """How `result` compares with the recorded `image` and its file, unless that was dropped."""
    damage, where, measured = "", "", None
    if not image.is_emptied and (not image.is_thinned or image.path.is_file()):
        damage, where, measured = _check_file(database, image, result)
    comparison = compare(
        pixels_then=image.pixels_sha256,
        pixels_now=result.pixels_sha256,
        stages_then=image.stages,
        stages_now=result.stages,
        environment_then=image.environment,
        environment_now=result.environment,
        psnr_db=None if measured is None else measured.psnr_db,
        measured=measured,
    )
    if not damage:
        return _judge_lossy_copy(database, image, result) or comparison
    is_record = where == "pixels_sha256"
    return Comparison(
        verdict=Verdict.DIFFERENT,
        pixels_sha256_now=result.pixels_sha256,
        first_difference=where,
        detail=damage if is_record else f"{damage} Made again: {comparison.detail}",
    )


def _judge_lossy_copy(database: Database, image: ImageRecord, result: Result) -> Comparison | None:
    """The verdict on an imported lossy copy, when `result` is what it was a copy of."""
    if image.imported is None or result.pixels_sha256 == image.pixels_sha256:
        return None
    try:
        record = read_record(image.imported.text.encode()).record
    except StoreError:
        return None
    if record is None or record.copy is None or record.copy.is_lossless:
        return None
    if record.pixels.sha256 != result.pixels_sha256:
        return None
    if digest_body(history.read_image(database, image)) != record.copy.body_sha256:
        return None  # what was made of the copy is no copy any more
    return Comparison(
        verdict=Verdict.NOT_VERIFIABLE,
        pixels_sha256_now=result.pixels_sha256,
        detail="The imported file is a lossy copy, whose own pixels nobody can make. The image "
        "that its record names was made again, every pixel the same.",
    )


def _check_file(
    database: Database, image: ImageRecord, result: Result
) -> tuple[str, str, PixelDifference | None]:
    """What is wrong with the file ("" for nothing), its name, and how far `result` is from it.

    That is not measured where pixels are the same, or not those of the record.
    """
    try:
        then = open_image(history.read_image(database, image))
    except StoreError as error:
        return str(error), "file", None
    pixels = digest_pixels(then)
    if pixels != image.pixels_sha256:
        return *_find_liar(image.pixels_sha256, pixels, result.pixels_sha256), None
    if pixels == result.pixels_sha256:
        return "", "", None
    return "", "", measure_difference(then, open_image(result.data))


def _find_liar(recorded: str, in_file: str, made: str) -> tuple[str, str]:
    """Whether the record or the file is wrong about the pixels: in a sentence, by name."""
    if made == recorded:
        return "The pixels in the stored file are not those of the record.", "file"
    said = "pixels_sha256 is not the digest of the pixels in the file, which is whole"
    if made == in_file:
        said += " and equal to what is made again"
    return f"The record was changed after it was written: {said}.", "pixels_sha256"


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
