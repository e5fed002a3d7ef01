"""Verification of a file by the record that it carries, without a history.

The record is judged first, then the signature, then the file's own pixels; then the image is made
again, in this process and from the file alone. Nothing is stored. Services are never asked: what
they make cannot repeat, and it may cost money.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from engines.base import NO_FILES, InputFiles, Produced, Run, StageReached
from engines.pixel_difference import measure_difference
from engines.registry import EngineRegistry
from engines.verify import INPUT_NAMES, compare, explain_failure
from engines.worker.job import check_produced, make_result
from store.errors import SafelightError, StoreError
from store.metadata.exchange import are_those
from store.metadata.files import CarriedRecord, digest_body, read_file
from store.metadata.record import Record, describe_changes
from store.metadata.signature import SignatureFinding, SignatureState, read_signature
from store.pixels import identify_image, open_image
from store.records import Comparison, Result, Stage, Verdict

if TYPE_CHECKING:
    from PIL.Image import Image

    from engines.settings import Settings

OTHER_PIXELS = "The pixels of the file are not those of its record."
LOSSY = (
    "The file is a lossy copy: its record proves the image, whose pixels are only near those of "
    "the file."
)


class FileVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a file. `record` is None where it can no longer be read.

    `is_lossy`: whether the file's own pixels are not those that were made, as its record says.
    """

    comparison: Comparison
    record: Record | None
    signature: SignatureFinding
    is_lossy: bool = False


class CarriedFiles:
    """The input files that came with a record, and those that are kept here."""

    def __init__(self, carried: Mapping[str, bytes], kept: InputFiles = NO_FILES) -> None:
        self._carried, self._kept = carried, kept

    def read(self, sha256: str) -> bytes:
        """The file. Raises `StoreError`."""
        found = self._carried.get(sha256)
        return self._kept.read(sha256) if found is None else found


class FileVerifier:
    """Verifies files, one after the other, with engines of its own that it keeps warm.

    `kept`: where input files are looked for that came with no record. `signers`: whose keys are
    whose (`read_signers`).
    """

    def __init__(
        self, settings: Settings, kept: InputFiles = NO_FILES, signers: Mapping[str, str] = {}
    ) -> None:
        self._registry = EngineRegistry(settings)
        self._kept = kept
        self._signers = signers

    async def close(self) -> None:
        """Let go of the engines."""
        await self._registry.close()

    async def verify(
        self, data: bytes, inputs: Mapping[str, bytes] | None = None
    ) -> FileVerification:
        """The verdict on the image file `data`, which is made again from the record in it.

        `inputs`: files by their digests that came beside it. Raises `StoreError` where there is no
        record in the file.
        """
        carried = await asyncio.to_thread(read_file, data)
        signature = check_signature(carried, self._signers)
        record = carried.read.record
        if carried.read.changes or record is None:
            changes = carried.read.changes
            where = "record" if changes == ("record",) else f"record: {', '.join(changes)}"
            comparison = _differ(where, describe_changes(changes))
            return FileVerification(comparison=comparison, record=record, signature=signature)
        files = CarriedFiles({**(inputs or {}), **carried.inputs}, self._kept)
        comparison, is_lossy = await _judge(data, record, self._registry, files)
        if signature.state is SignatureState.DOES_NOT_FIT:
            said = comparison.verdict.value
            said = f"{signature.problem} Made again: {said}. {comparison.detail}"
            comparison = _differ("signature", said, comparison.pixels_sha256_now)
        return FileVerification(
            comparison=comparison, record=record, signature=signature, is_lossy=is_lossy
        )


def check_signature(carried: CarriedRecord, signers: Mapping[str, str]) -> SignatureFinding:
    """What the signature beside a record says of it, and by `signers` who says so."""
    if carried.signature is None:
        return SignatureFinding()
    try:
        signature = read_signature(carried.signature)
    except StoreError as error:
        return SignatureFinding(state=SignatureState.DOES_NOT_FIT, problem=error.message)
    fits = signature.fits(carried.text)
    said = f"The signature of {signature.key.fingerprint} does not fit the record."
    return SignatureFinding(
        state=SignatureState.FITS if fits else SignatureState.DOES_NOT_FIT,
        fingerprint=signature.key.fingerprint,
        key=signature.key.line,
        name=signers.get(signature.key.line) if fits else None,
        problem="" if fits else said,
    )


def _differ(where: str, detail: str, now: str | None = None) -> Comparison:
    return Comparison(
        verdict=Verdict.DIFFERENT, first_difference=where, detail=detail, pixels_sha256_now=now
    )


async def _judge(
    data: bytes, record: Record, registry: EngineRegistry, files: CarriedFiles
) -> tuple[Comparison, bool]:
    """The verdict, and whether the file is a lossy copy."""
    is_lossy = record.copy is not None and not record.copy.is_lossless
    damage, then = await asyncio.to_thread(_check_pixels, data, record)
    if obstacle := _find_obstacle(record, registry, files):
        if damage:
            detail = f"{damage} It was not made again: {obstacle.detail}"
            obstacle = _differ("pixels", detail)
        return obstacle, is_lossy
    try:
        result, now = await _make(record, registry, files)
    except SafelightError as error:
        comparison = _differ("pixels", damage) if damage else explain_failure(error)
        return comparison, is_lossy
    measured = None if then is None else await asyncio.to_thread(measure_difference, then, now)
    psnr = None if measured is None else measured.psnr_db
    comparison = compare(
        pixels_then=record.pixels.sha256,
        pixels_now=result.pixels_sha256,
        stages_then=record.stages,
        stages_now=result.stages,
        environment_then=record.environment_record,
        environment_now=result.environment,
        psnr_db=None if is_lossy or damage else psnr,
    )
    if damage:
        detail = f"{damage} Made again: {comparison.detail}"
        comparison = _differ("pixels", detail, result.pixels_sha256)
        comparison = msgspec.structs.replace(comparison, psnr_db=psnr)
    elif is_lossy:
        far = f" The file is {psnr:g} dB (PSNR) from it." if psnr is not None else ""
        detail = f"{comparison.detail} {LOSSY}{far}"
        comparison = msgspec.structs.replace(comparison, detail=detail)
    return comparison, is_lossy


def _check_pixels(data: bytes, record: Record) -> tuple[str, Image | None]:
    """What is wrong with the file's own pixels, "" for nothing; and these."""
    try:
        if identify_image(data)[1] != (record.pixels.width, record.pixels.height):
            return OTHER_PIXELS, None  # nothing that large need be decoded to know
        pixels = open_image(data)
    except StoreError as error:
        return f"The pixels of the file cannot be read. {error.message}", None
    if record.copy is not None and not record.copy.is_lossless:
        fits = digest_body(data) == record.copy.body_sha256
    else:
        fits = are_those(pixels, record.pixels)
    return ("" if fits else OTHER_PIXELS), pixels


def _find_obstacle(
    record: Record, registry: EngineRegistry, files: CarriedFiles
) -> Comparison | None:
    """Why the image is not made again, None where it can be."""
    if record.imported is not None:
        return Comparison(
            verdict=Verdict.NOT_VERIFIABLE,
            detail=f"Another program made it ({record.imported.dialect}): its metadata do not say "
            "all that decided the pixels.",
        )
    parameters = record.request.parameters
    lost: dict[str, str] = {}
    for name, said in INPUT_NAMES.items():
        part = getattr(parameters, name)
        if part is None:
            continue
        try:
            files.read(part.sha256)
        except StoreError:
            lost[said] = part.sha256
    if lost:
        named = " and ".join(f"{said} ({sha256[:8]})" for said, sha256 in lost.items())
        return Comparison(
            verdict=Verdict.CANNOT_RUN,
            first_difference=", ".join(lost),
            detail=f"The {named} is neither in the file nor kept here.",
        )
    try:
        capabilities = registry.get_capabilities(record.request.engine)
    except SafelightError as error:
        return explain_failure(error)
    if capabilities.is_deterministic and not capabilities.is_paid:
        return None
    why = capabilities.why_not or "it may cost money"
    return Comparison(verdict=Verdict.NOT_VERIFIABLE, detail=why)


async def _make(
    record: Record, registry: EngineRegistry, files: CarriedFiles
) -> tuple[Result, Image]:
    """The image of a record, made now, and its pixels. Raises `SafelightError`."""
    request = registry.pin(record.request, record.environment_record)
    engine = registry.get_engine(request.engine)
    engine.capabilities.check(request)
    began = time.monotonic()
    environment = await asyncio.to_thread(engine.environment)
    stages: list[Stage] = []
    produced: Produced | None = None
    run = Run(id=uuid.uuid4().hex, inputs=files)
    async with contextlib.aclosing(engine.generate(request, run)) as events:
        async for event in events:
            if isinstance(event, StageReached):
                stages.append(Stage(name=event.name, step=event.step, sha256=event.sha256))
            elif isinstance(event, Produced):
                produced = event
    image = await asyncio.to_thread(check_produced, produced, is_paid=False)
    assert produced is not None
    result = await asyncio.to_thread(
        make_result,
        produced,
        image,
        warning=None,
        seconds=time.monotonic() - began,
        environment=produced.environment or environment,
        stages=tuple(stages),
        meta={},
    )
    return result, image
