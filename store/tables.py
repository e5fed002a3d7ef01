"""The tables. Rows stay inside `store`; others get the values of `store.records`.

The schema itself is made by `store.migrations`; a test holds both together. Where order
matters it follows `number`, which grows with each row, never a clock.
"""

from __future__ import annotations

from store.rows import Field, Index, Row

MARKS_KEY = "marks"
"""The key in `meta` of a number that grows with each transaction that says something of images,
drops their files or puts them back."""


REMOVED_KEY = "removed verification"
"""The key in `meta` of the highest number of a verification that was removed with its image."""


class RequestRow(Row):
    """One request. `json` is the truth, over which the digest is taken; the rest is for search.

    NULL in a column after `style_preset` means that the parameter is absent; groups of values
    are JSON.
    """

    table = "request"

    digest: str = Field(primary_key=True)
    json_text: str = Field(name="json")
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


class PromptRow(Row):
    """One prompt of a request; `position` counts from 1."""

    table = "prompt"

    request_digest: str = Field(primary_key=True, foreign_key="request.digest")
    position: int = Field(primary_key=True)
    text: str
    weight: float
    enabled: bool


class InputRow(Row):
    """The file of an image that requests start from: initial image, mask, image to enlarge.

    `notes`: what was changed or lost when it came in, a JSON list of sentences, NULL for nothing.
    """

    table = "input"

    sha256: str = Field(primary_key=True)
    mime: str
    width: int
    height: int
    file_bytes: int
    created_at: float
    notes: str | None = None
    seal: bytes | None = None


class EnvironmentRow(Row):
    """What else decided the pixels, shared by digest."""

    table = "environment"

    digest: str = Field(primary_key=True)
    json_text: str = Field(name="json")


class JobRow(Row):
    """One image to be made. `wire` is the exact message that was about to be sent.

    It has megabytes where images are sent along, so it is read only where somebody asks for it.

    `epoch` is the fencing token of the worker that has or had it, 0 before the first. `program` is
    the number of the program that queued it, None where that was not recorded.
    """

    table = "job"
    is_numbered = True
    indexes = (Index("ix_job_parent_id", "parent_id", where="verification_number IS NOT NULL"),)

    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    request_digest: str = Field(foreign_key="request.digest", index=True)
    purpose: str
    state: str = Field(index=True)
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    epoch: int = 0
    attempts: int = 0
    cancel_requested: bool = False
    session: str | None = None
    parent_id: str | None = None
    relation: str | None = None
    wire: bytes | None = Field(default=None, is_deferred=True)
    wire_sha256: str | None = None
    error_kind: str | None = None
    error: str | None = None
    warning: str | None = None
    image_id: str | None = None
    verification_number: int | None = None
    profile: str | None = None
    program: int | None = None


class ProgramRow(Row):
    """A program that queued or ran jobs; a higher `number` is newer here. `digest`: of its code."""

    table = "program"
    is_numbered = True

    number: int | None = Field(default=None, primary_key=True)
    digest: str = Field(unique=True)
    created_at: float


class ChargeRow(Row):
    """What one sending of a job cost or may have cost, in credits; 0 when it cost nothing."""

    table = "charge"
    is_numbered = True

    number: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    credits: float
    created_at: float = Field(index=True)


class ImageRow(Row):
    """One result. `prompt_text` is all its prompts, one a line, for the full-text index."""

    table = "image"
    is_numbered = True
    indexes = (
        Index("ix_image_parent_id", "parent_id", where="parent_id IS NOT NULL"),
        # A part of a digest tells files apart as well, in a third of the room.
        Index("ix_image_file_sha256", "substr(file_sha256, 1, 16)"),
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


class StageRow(Row):
    """The digest of one intermediate result; `position` counts from 1."""

    table = "stage"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    position: int = Field(primary_key=True)
    name: str
    step: int
    sha256: str


class ThumbnailRow(Row):
    """A thumbnail of an image (PNG or WebP)."""

    table = "thumbnail"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    data: bytes


class VerificationRow(Row):
    """One comparison. Rows are added, never changed."""

    table = "verification"
    is_numbered = True
    indexes = (
        Index("ix_verification_job_id", "job_id", where="job_id IS NOT NULL"),
        Index(
            "ix_verification_regenerated_id",
            "regenerated_id",
            where="regenerated_id IS NOT NULL",
        ),
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


class AnnotationRow(Row):
    """What a person said about an image. No row is as one that says nothing.

    `rating` is 0 to 5, NULL for none. `trashed_at`: when it was put in the trash, NULL while it
    is not there. `emptied_at`: when its pixels were removed with the trash; of the image only the
    record is left then, because something refers to it.
    """

    table = "annotation"
    indexes = (
        Index("ix_annotation_rating", "rating", where="rating IS NOT NULL"),
        Index("ix_annotation_is_favourite", "is_favourite", where="is_favourite"),
        Index("ix_annotation_trashed_at", "trashed_at", where="trashed_at IS NOT NULL"),
    )

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    rating: int | None = None
    is_favourite: bool = False
    note: str | None = None
    trashed_at: float | None = None
    emptied_at: float | None = None


class RemovalRow(Row):
    """The file of an image that was removed: it goes too, unless something else uses it."""

    table = "removal"

    file_sha256: str = Field(primary_key=True)
    mime: str


class TagRow(Row):
    """A word that a person gave to an image."""

    table = "tag"

    name: str = Field(primary_key=True)
    image_number: int = Field(primary_key=True, foreign_key="image.number", index=True)


class ThinnedRow(Row):
    """An image whose file was dropped, and the verification that found it identical before."""

    table = "thinned"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    verification_number: int = Field(foreign_key="verification.number", index=True)
    thinned_at: float


class VerificationRunRow(Row):
    """Many images that are verified one after the other. `search`: what chose them, as typed."""

    table = "verification_run"
    is_numbered = True

    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    search: str
    state: str
    created_at: float
    finished_at: float | None = None


class VerificationRunImageRow(Row):
    """One image of a run, which are taken in the order of `position`, from 1 on.

    `job_id`: what verifies it, and holds the number of its verification. `verification_number`: of
    a verdict for which no job was needed. With neither it is still to come.
    """

    table = "verification_run_image"
    indexes = (
        Index("ix_verification_run_image_job_id", "job_id", where="job_id IS NOT NULL"),
        Index(
            "ix_verification_run_image_verification_number",
            "verification_number",
            where="verification_number IS NOT NULL",
        ),
    )

    run_number: int = Field(primary_key=True, foreign_key="verification_run.number")
    position: int = Field(primary_key=True)
    image_number: int = Field(foreign_key="image.number", index=True)
    job_id: str | None = Field(default=None, foreign_key="job.id")
    verification_number: int | None = Field(default=None, foreign_key="verification.number")


class ImportedRow(Row):
    """Where an imported image came from.

    `dialect`: whose metadata it had, `grade`: how much of it is in the request. `text` is the
    metadata as it was, `unread` a JSON list of what was not understood. `signer`: the public key
    of who signed the record, NULL for nobody.
    """

    table = "imported"

    image_number: int = Field(primary_key=True, foreign_key="image.number")
    dialect: str
    grade: str
    text: str
    unread: str
    file_name: str
    signer: str | None = None


class SessionRow(Row):
    """A named piece of work. `used` is highest in the one used last."""

    table = "session"

    number: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    draft: str
    used: int
    updated_at: float


class MetaRow(Row):
    """Facts about the database itself: `schema_version`, `min_reader_version`, `epoch` …

    `epoch` is the newest worker's fencing token, or one higher where it was fenced off. `worker` is
    what the newest worker runs jobs with, `settings of ENGINE` what its jobs ask for, `preference
    NAME` what is remembered of the people who use it.
    """

    table = "meta"

    key: str = Field(primary_key=True)
    value: str


class MigrationRow(Row):
    """Which changes of the schema were applied, and when."""

    table = "migration"

    number: int = Field(primary_key=True)
    name: str
    applied_at: float
