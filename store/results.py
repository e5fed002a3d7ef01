"""What a worker hands in: images and comparisons.

The order is what keeps promises through a power cut: first the file and the names that lead
to it, then the row and the end of its job in one transaction, then the word that it is saved.
"""

from __future__ import annotations

import time
import uuid

import msgspec
from sqlmodel import Session, col, select

from store.database import Database
from store.epochs import hold
from store.errors import NotFound, StoreError
from store.records import (
    Comparison,
    Image,
    Job,
    JobState,
    Purpose,
    Result,
    Verification,
)
from store.rows import join_prompts, store_environment
from store.tables import ImageRow, JobRow, StageRow, ThumbnailRow, VerificationRow
from store.values import suffix_of, to_images, to_verification


def finish(db: Database, job: Job, epoch: int, result: Result) -> Image:
    """Store the image that a job made and end the job; on disk when this returns.

    Raises `StoreError` when the job is no longer this worker's; nothing is recorded then.
    """
    sha256 = db.vault.put(result.data, suffix_of(result.mime))
    with db.write() as write:
        row = hold(write, job.id, epoch)
        image = _store_image(write, job, row, result, sha256)
        _end(write, row, result.warning)
        stored = to_images(db, write, [image])[0]
    _forget(db, job)
    return stored


def finish_comparison(
    db: Database,
    job: Job,
    epoch: int,
    comparison: Comparison,
    *,
    result: Result | None,
    warning: str | None = None,
) -> Verification:
    """Store what a comparison found and end its job.

    The image in `result` is kept as a child of the original when the job's purpose is to
    regenerate. `warning`: what the engine said meanwhile. Raises `StoreError` when the job is no
    longer this worker's.
    """
    keeps = result is not None and job.purpose is Purpose.REGENERATE
    sha256 = db.vault.put(result.data, suffix_of(result.mime)) if result and keeps else ""
    with db.write() as write:
        row = hold(write, job.id, epoch)
        if row.parent_id is None:
            raise StoreError(f"The job {job.id} compares nothing: it has no parent image.")
        child = _store_image(write, job, row, result, sha256) if result and keeps else None
        verification = store_verification(
            write,
            row.parent_id,
            comparison,
            job_id=row.id,
            regenerated_id=child.id if child else None,
            environment_digest=store_environment(write, result.environment) if result else None,
        )
        row.verification_number = verification.number
        _end(write, row, warning or (result.warning if result else None))
        stored = to_verification(verification)
    _forget(db, job)
    return stored


def store_verification(
    write: Session,
    image_id: str,
    comparison: Comparison,
    *,
    job_id: str | None = None,
    regenerated_id: str | None = None,
    environment_digest: str | None = None,
) -> VerificationRow:
    """Add the row of a comparison of this image."""
    original = write.exec(select(ImageRow).where(col(ImageRow.id) == image_id)).first()
    if original is None:
        raise NotFound(f"There is no image {image_id}.")
    row = VerificationRow(
        image_id=image_id,
        job_id=job_id,
        verdict=comparison.verdict.value,
        pixels_sha256_then=original.pixels_sha256,
        pixels_sha256_now=comparison.pixels_sha256_now,
        first_difference=comparison.first_difference,
        detail=comparison.detail,
        psnr_db=comparison.psnr_db,
        regenerated_id=regenerated_id,
        environment_digest=environment_digest,
        created_at=time.time(),
    )
    write.add(row)
    write.flush()
    return row


def _store_image(
    write: Session, job: Job, row: JobRow, result: Result, file_sha256: str
) -> ImageRow:
    image = ImageRow(
        id=uuid.uuid4().hex,
        job_id=row.id,
        request_digest=row.request_digest,
        environment_digest=store_environment(write, result.environment),
        parent_id=row.parent_id,
        relation=row.relation,
        purpose=row.purpose,
        session=row.session,
        seed=result.seed,
        width=result.width,
        height=result.height,
        mime=result.mime,
        pixels_sha256=result.pixels_sha256,
        file_sha256=file_sha256,
        file_bytes=len(result.data),
        finish_reason=result.finish_reason.value,
        warning=result.warning,
        seconds=result.seconds,
        created_at=time.time(),
        meta=msgspec.json.encode(result.meta, order="sorted").decode(),
        prompt_text=join_prompts(job.request),
    )
    write.add(image)
    write.flush()
    number = image.number or 0
    for position, stage in enumerate(result.stages, 1):
        values = msgspec.structs.asdict(stage)
        write.add(StageRow(image_number=number, position=position, **values))
    write.add(ThumbnailRow(image_number=number, data=result.thumbnail))
    row.image_id = image.id
    return image


def _end(write: Session, row: JobRow, warning: str | None) -> None:
    row.state = JobState.DONE.value
    row.warning = warning
    row.finished_at = time.time()
    write.add(row)
    write.flush()


def _forget(db: Database, job: Job) -> None:
    """After the commit only: until then the spool is all there is."""
    db.vault.clear_spool(job.id)
    db.live.remove(job.id)
