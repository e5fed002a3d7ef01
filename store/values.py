"""Rows as the values that others get, damaged ones too, and how a row is found by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from sqlmodel import Session, col, select

from store.errors import NotFound, StoreError
from store.live import Progress
from store.records import (
    FinishReason,
    Image,
    Job,
    JobState,
    Purpose,
    Relation,
    Verdict,
    Verification,
)
from store.request import Request
from store.rows import as_text, load_requests
from store.tables import ImageRow, JobRow, VerificationRow

if TYPE_CHECKING:
    from store.database import Database

_Word = TypeVar("_Word", bound=StrEnum)

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


def suffix_of(mime: str) -> str:
    """The ending of a file of this media type."""
    return _SUFFIXES.get(mime, ".bin")


def to_word(kind: type[_Word], stored: object, otherwise: _Word) -> _Word:
    """The member of `kind` that a column names, `otherwise` when it names none."""
    try:
        return kind(as_text(stored))
    except ValueError:
        return otherwise


def _to_relation(stored: object) -> Relation | None:
    return None if stored is None else to_word(Relation, stored, Relation.EDIT)


def to_jobs(
    session: Session, rows: Sequence[JobRow], progress: Mapping[str, Progress]
) -> list[Job]:
    """`rows` as values, with the progress that is known."""
    requests = load_requests(session, [row.request_digest for row in rows])
    jobs = []
    for row in rows:
        request, is_damaged = requests[row.request_digest]
        live = progress.get(row.id)
        jobs.append(
            Job(
                number=row.number or 0,
                id=row.id,
                request=request,
                request_digest=row.request_digest,
                purpose=to_word(Purpose, row.purpose, Purpose.GENERATE),
                state=to_word(JobState, row.state, JobState.SET_ASIDE),
                created_at=row.created_at,
                started_at=row.started_at,
                finished_at=row.finished_at,
                attempts=row.attempts,
                session=row.session,
                parent_id=row.parent_id,
                relation=_to_relation(row.relation),
                step=live.step if live else 0,
                steps=live.steps if live else request.parameters.steps,
                seconds_left=live.seconds_left if live else None,
                preview=live.preview if live else None,
                cancel_requested=row.cancel_requested,
                error_kind=row.error_kind,
                error=row.error,
                warning=row.warning,
                image_id=row.image_id,
                verification_number=row.verification_number,
                wire_sha256=row.wire_sha256,
                profile=row.profile,
                is_damaged=is_damaged,
            )
        )
    return jobs


def to_images(database: Database, session: Session, rows: Sequence[ImageRow]) -> list[Image]:
    """`rows` as values, each with its newest verdict, without stages and environment."""
    requests = load_requests(session, [row.request_digest for row in rows])
    newest: dict[str, VerificationRow] = {}
    statement = (
        select(VerificationRow)
        .where(col(VerificationRow.image_id).in_([row.id for row in rows]))
        .order_by(col(VerificationRow.number))
    )
    for verification in session.exec(statement):
        newest[verification.image_id] = verification
    return [
        _to_image(database, row, *requests[row.request_digest], newest.get(row.id)) for row in rows
    ]


def _to_image(
    database: Database,
    row: ImageRow,
    request: Request,
    is_damaged: bool,
    newest: VerificationRow | None,
) -> Image:
    try:
        path = database.vault.path(row.file_sha256, suffix_of(row.mime))
    except (StoreError, TypeError):
        path, is_damaged = database.directory / "images" / "unknown", True
    return Image(
        number=row.number or 0,
        id=row.id,
        job_id=row.job_id,
        request=request,
        request_digest=row.request_digest,
        seed=row.seed,
        width=row.width,
        height=row.height,
        mime=row.mime,
        pixels_sha256=row.pixels_sha256,
        file_sha256=row.file_sha256,
        file_bytes=row.file_bytes,
        path=path,
        finish_reason=to_word(FinishReason, row.finish_reason, FinishReason.ERROR),
        warning=row.warning,
        seconds=row.seconds,
        created_at=row.created_at,
        purpose=to_word(Purpose, row.purpose, Purpose.GENERATE),
        session=row.session,
        parent_id=row.parent_id,
        relation=_to_relation(row.relation),
        environment_digest=row.environment_digest,
        verdict=to_word(Verdict, newest.verdict, Verdict.CANNOT_RUN) if newest else None,
        first_difference=newest.first_difference if newest else None,
        is_damaged=is_damaged,
    )


def to_verification(row: VerificationRow) -> Verification:
    """`row` as a value."""
    return Verification(
        number=row.number or 0,
        image_id=row.image_id,
        verdict=to_word(Verdict, row.verdict, Verdict.CANNOT_RUN),
        pixels_sha256_then=row.pixels_sha256_then,
        pixels_sha256_now=row.pixels_sha256_now,
        first_difference=row.first_difference,
        detail=row.detail,
        psnr_db=row.psnr_db,
        regenerated_id=row.regenerated_id,
        environment_digest=row.environment_digest,
        created_at=row.created_at,
    )


_Row = TypeVar("_Row", JobRow, ImageRow)


def find_row(session: Session, table: type[_Row], reference: str) -> _Row:
    """The job or image whose id begins with `reference`, or the n-th newest for `@n`.

    Raises `NotFound` when there is none, when several begin so, or it is no id at all.
    """
    what = "image" if table is ImageRow else "job"
    wanted = reference.strip().lower()
    numbers = col(table.number).desc()
    if wanted.startswith("@") and wanted[1:].isascii() and wanted[1:].isdigit():
        place = int(wanted[1:])
        if not 1 <= place < 2**31:
            raise NotFound(f"There is no {what} {wanted}.", "The newest is @1.")
        row = session.exec(select(table).order_by(numbers).offset(place - 1).limit(1)).first()
        if row is None:
            raise NotFound(f"There is no {what} {wanted}: there are fewer than that.")
        return row
    if not wanted or len(wanted) > 32 or set(wanted) - set("0123456789abcdef"):
        raise NotFound(
            f"{reference!r} is not the id of a {what}.".replace("a image", "an image"),
            "Give the beginning of an id (0-9, a-f), or @1 for the newest.",
        )
    statement = select(table).where(col(table.id) >= wanted, col(table.id) < wanted + "g")
    rows = session.exec(statement.order_by(col(table.id)).limit(2)).all()
    if not rows:
        raise NotFound(f"There is no {what} whose id begins with {wanted}.")
    if len(rows) > 1:
        raise NotFound(
            f"More than one {what} has an id that begins with {wanted}.", "Give more of it."
        )
    return rows[0]
