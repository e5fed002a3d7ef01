"""The tables. Rows stay inside `store`; others get the values of `store.records`.

The schema itself is made by `store.migrations`; a test holds both together. Where order
matters it follows `number`, which grows with each row, never a clock.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Column, Index, LargeBinary, text
from sqlalchemy.orm import deferred
from sqlmodel import Field, SQLModel

_NUMBERED: dict[str, Any] = {"sqlite_autoincrement": True}
"""Numbers are never given twice, even when the newest row was deleted."""


MARKS_KEY = "marks"
"""The key in `meta` of a number that grows with each transaction that says something of images,
drops their files or puts them back."""


PAUSED_KEY = "queue paused"
"""The key in `meta` of the moment at which the queue was paused, which is there while it is."""


REMOVED_KEY = "removed verification"
"""The key in `meta` of the highest number of a verification that was removed with its image."""


class RequestRow(SQLModel, table=True):
    """One request. `json` is the truth, over which the digest is taken; the rest is for search.

    NULL in a column after `style_preset` means that the parameter is absent; groups of values
    are JSON.
    """

    __tablename__: ClassVar[Any] = "request"

    digest: str = Field(primary_key=True)
    json_text: str = Field(sa_column_kwargs={"name": "json"})
    engine: str
    model: str
    seed: int
    steps: int
    cfg_scale: float
    sampler: str
    width: int
    height: int
    style_preset: str | None = None
    format: int = 1
    initial_image: str | None = None
    mask: str | None = None
    variation: str | None = None
    guidance: str | None = None
    weight_method: str | None = None
    adapter: str | None = None
    fine_tunes: str | None = None
    content_credentials: str | None = None
    upscale: str | None = None


class PromptRow(SQLModel, table=True):
    """One prompt of a request; `position` counts from 1."""

    __tablename__: ClassVar[Any] = "prompt"

    request_digest: str = Field(primary_key=True, foreign_key="request.digest")
    position: int = Field(primary_key=True)
    text: str
    weight: float
    enabled: bool


class InputRow(SQLModel, table=True):
    """The file of an image that requests start from: initial image, mask, image to enlarge.

    `notes`: what was changed or lost when it came in, a JSON list of sentences, NULL for nothing.
    """

    __tablename__: ClassVar[Any] = "input"

    sha256: str = Field(primary_key=True)
    mime: str
    width: int
    height: int
    file_bytes: int
    created_at: float
    notes: str | None = None
    seal: bytes | None = None


class EnvironmentRow(SQLModel, table=True):
    """What else decided the pixels, shared by digest."""

    __tablename__: ClassVar[Any] = "environment"

    digest: str = Field(primary_key=True)
    json_text: str = Field(sa_column_kwargs={"name": "json"})


_WIRE: Column[bytes] = Column("wire", LargeBinary, nullable=True)


class JobRow(SQLModel, table=True):
    """One image to be made. `wire` is the exact message that was about to be sent.

    It has megabytes where images are sent along, so it is read only where somebody asks for it.

    `epoch` is the fencing token of the worker that has or had it, 0 before the first. `program` is
    the number of the program that queued it, None where that was not recorded. `rank`: what waits
    is taken in its order, then in that of `number`.
    """

    __tablename__: ClassVar[Any] = "job"
    __table_args__ = (
        Index(
            "ix_job_parent_id", "parent_id", sqlite_where=text("verification_number IS NOT NULL")
        ),
        Index("ix_job_state", "state", "rank"),
        Index("ix_job_finished_at", "finished_at", sqlite_where=text("finished_at IS NOT NULL")),
        _NUMBERED,
    )
    __mapper_args__: ClassVar[Any] = {"properties": {"wire": deferred(_WIRE)}}

    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    request_digest: str = Field(foreign_key="request.digest", index=True)
    purpose: str
    state: str
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    epoch: int = 0
    attempts: int = 0
    cancel_requested: bool = False
    session: str | None = None
    parent_id: str | None = None
    relation: str | None = None
    wire: bytes | None = Field(default=None, sa_column=_WIRE)
    wire_sha256: str | None = None
    error_kind: str | None = None
    error: str | None = None
    warning: str | None = None
    image_id: str | None = None
    verification_number: int | None = None
    profile: str | None = None
    program: int | None = None
    rank: int | None = None


class ProgramRow(SQLModel, table=True):
    """A program that queued or ran jobs; a higher `number` is newer here. `digest`: of its code."""

    __tablename__: ClassVar[Any] = "program"
    __table_args__ = _NUMBERED

    number: int | None = Field(default=None, primary_key=True)
    digest: str = Field(unique=True)
    created_at: float


class ChargeRow(SQLModel, table=True):
    """What one sending of a job cost or may have cost, in credits; 0 when it cost nothing."""

    __tablename__: ClassVar[Any] = "charge"
    __table_args__ = _NUMBERED

    number: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    credits: float
    created_at: float = Field(index=True)


class ImageRow(SQLModel, table=True):
    """One result. `prompt_text` is all its prompts, one a line, for the full-text index."""

    __tablename__: ClassVar[Any] = "image"
    __table_args__ = (
        Index("ix_image_parent_id", "parent_id", sqlite_where=text("parent_id IS NOT NULL")),
        # A part of a digest tells files apart as well, in a third of the room.
        Index("ix_image_file_sha256", text("substr(file_sha256, 1, 16)")),
        _NUMBERED,
    )

    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    request_digest: str = Field(foreign_key="request.digest", index=True)
    environment_digest: str = Field(foreign_key="environment.digest")
    parent_id: str | None = Field(default=None, foreign_key="image.id")
    relation: str | None = None
    purpose: str
    session: str | None = None
    seed: int
    width: int
    height: int
    mime: str
    pixels_sha256: str
    file_sha256: str
    file_bytes: int
    finish_reason: str
    warning: str | None = None
    seconds: float
    created_at: float
    meta: str
    prompt_text: str
    seal: bytes | None = None


class StageRow(SQLModel, table=True):
    """The digest of one intermediate result; `position` counts from 1."""

    __tablename__: ClassVar[Any] = "stage"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    position: int = Field(primary_key=True)
    name: str
    step: int
    sha256: str


class ThumbnailRow(SQLModel, table=True):
    """A thumbnail of an image (PNG or WebP)."""

    __tablename__: ClassVar[Any] = "thumbnail"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    data: bytes


class VerificationRow(SQLModel, table=True):
    """One comparison. Rows are added, never changed."""

    __tablename__: ClassVar[Any] = "verification"
    __table_args__ = (
        Index("ix_verification_job_id", "job_id", sqlite_where=text("job_id IS NOT NULL")),
        Index(
            "ix_verification_regenerated_id",
            "regenerated_id",
            sqlite_where=text("regenerated_id IS NOT NULL"),
        ),
        _NUMBERED,
    )

    number: int | None = Field(default=None, primary_key=True)
    image_id: str = Field(foreign_key="image.id", index=True)
    job_id: str | None = Field(default=None, foreign_key="job.id")
    verdict: str
    pixels_sha256_then: str
    pixels_sha256_now: str | None = None
    first_difference: str | None = None
    detail: str
    psnr_db: float | None = None
    regenerated_id: str | None = Field(default=None, foreign_key="image.id")
    environment_digest: str | None = Field(default=None, foreign_key="environment.digest")
    created_at: float
    seal: bytes | None = None


class AnnotationRow(SQLModel, table=True):
    """What a person said about an image. No row is as one that says nothing.

    `rating` is 0 to 5, NULL for none. `trashed_at`: when it was put in the trash, NULL while it
    is not there. `emptied_at`: when its pixels were removed with the trash; of the image only the
    record is left then, because something refers to it.
    """

    __tablename__: ClassVar[Any] = "annotation"
    __table_args__ = (
        Index("ix_annotation_rating", "rating", sqlite_where=text("rating IS NOT NULL")),
        Index("ix_annotation_is_favourite", "is_favourite", sqlite_where=text("is_favourite")),
        Index(
            "ix_annotation_trashed_at", "trashed_at", sqlite_where=text("trashed_at IS NOT NULL")
        ),
    )

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    rating: int | None = None
    is_favourite: bool = False
    note: str | None = None
    trashed_at: float | None = None
    emptied_at: float | None = None


class RemovalRow(SQLModel, table=True):
    """The file of an image that was removed: it goes too, unless something else uses it."""

    __tablename__: ClassVar[Any] = "removal"

    file_sha256: str = Field(primary_key=True)
    mime: str


class TagRow(SQLModel, table=True):
    """A word that a person gave to an image."""

    __tablename__: ClassVar[Any] = "tag"

    name: str = Field(primary_key=True)
    image_number: int = Field(primary_key=True, foreign_key="image.number", index=True)


class ThinnedRow(SQLModel, table=True):
    """An image whose file was dropped, and the verification that found it identical before."""

    __tablename__: ClassVar[Any] = "thinned"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    verification_number: int = Field(foreign_key="verification.number", index=True)
    thinned_at: float


class VerificationRunRow(SQLModel, table=True):
    """Many images that are verified one after the other. `search`: what chose them, as typed."""

    __tablename__: ClassVar[Any] = "verification_run"
    __table_args__ = _NUMBERED

    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    search: str
    state: str
    created_at: float
    finished_at: float | None = None


class VerificationRunImageRow(SQLModel, table=True):
    """One image of a run, which are taken in the order of `position`, from 1 on.

    `job_id`: what verifies it, and holds the number of its verification. `verification_number`: of
    a verdict for which no job was needed. With neither it is still to come.
    """

    __tablename__: ClassVar[Any] = "verification_run_image"
    __table_args__ = (
        Index(
            "ix_verification_run_image_job_id", "job_id", sqlite_where=text("job_id IS NOT NULL")
        ),
        Index(
            "ix_verification_run_image_verification_number",
            "verification_number",
            sqlite_where=text("verification_number IS NOT NULL"),
        ),
    )

    run_number: int = Field(primary_key=True, foreign_key="verification_run.number")
    position: int = Field(primary_key=True)
    image_number: int = Field(foreign_key="image.number", index=True)
    job_id: str | None = Field(default=None, foreign_key="job.id")
    verification_number: int | None = Field(default=None, foreign_key="verification.number")


class ImportedRow(SQLModel, table=True):
    """Where an imported image came from.

    `dialect`: whose metadata it had, `grade`: how much of it is in the request. `text` is the
    metadata as it was, `unread` a JSON list of what was not understood. `signer`: the public key
    of who signed the record, NULL for nobody.
    """

    __tablename__: ClassVar[Any] = "imported"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    dialect: str
    grade: str
    text: str
    unread: str
    file_name: str
    signer: str | None = None


class SessionRow(SQLModel, table=True):
    """A named piece of work. `used` is highest in the one used last."""

    __tablename__: ClassVar[Any] = "session"

    number: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    draft: str
    used: int
    updated_at: float


class MetaRow(SQLModel, table=True):
    """Facts about the database itself: `schema_version`, `min_reader_version`, `epoch` …

    `epoch` is the newest worker's fencing token, or one higher where it was fenced off. `worker` is
    what the newest worker runs jobs with, `settings of ENGINE` what its jobs ask for, `preference
    NAME` what is remembered of the people who use it.
    """

    __tablename__: ClassVar[Any] = "meta"

    key: str = Field(primary_key=True)
    value: str


class MigrationRow(SQLModel, table=True):
    """Which changes of the schema were applied, and when."""

    __tablename__: ClassVar[Any] = "migration"

    number: int = Field(primary_key=True)
    name: str
    applied_at: float


class SeriesRow(SQLModel, table=True):
    """Images that are made one after the other until a moment.

    `taken`: how many jobs it had, the last of them `job_id`, at `taken_at`; `failures`: how many of
    the last ones made nothing. `error`: why it paused by itself.
    """

    __tablename__: ClassVar[Any] = "series"
    __table_args__ = _NUMBERED

    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    state: str
    until: float
    created_at: float
    finished_at: float | None = None
    taken: int = 0
    taken_at: float | None = None
    failures: int = 0
    job_id: str | None = None
    session: str | None = None
    error: str | None = None


class SeriesRequestRow(SQLModel, table=True):
    """A request of a series; they take turns in the order of `position`, from 0 on.

    In each round its seed is `stride` places further.
    """

    __tablename__: ClassVar[Any] = "series_request"

    series_number: int = Field(primary_key=True, foreign_key="series.number")
    position: int = Field(primary_key=True)
    json_text: str = Field(sa_column_kwargs={"name": "json"})
    engine: str
    stride: int
    parent_id: str | None = None
    relation: str | None = None
    profile: str | None = None
