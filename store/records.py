"""What the store hands out: immutable values, never rows.

Times are seconds since 1970 in UTC, digests SHA-256 in hexadecimal. Order follows
`number`, never a clock.
"""

from __future__ import annotations

import hashlib
from array import array
from enum import StrEnum
from pathlib import Path

import msgspec

from store.request import (
    Adapter,
    FineTune,
    Guidance,
    InitialImage,
    Mask,
    Parameters,
    Request,
    Variation,
    WeightMethod,
)


class JobState(StrEnum):
    """Where a job is. `waiting` → `running` → one of the others, which are final.

    `unknown`: it was sent to a paid service and no answer was recorded; it may have been
    charged, so it is sent again only when a person says so. `set_aside`: it ended its
    worker twice.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    SET_ASIDE = "set_aside"

    @property
    def is_final(self) -> bool:
        """Whether a worker leaves such a job alone."""
        return self not in (JobState.WAITING, JobState.RUNNING)


class Purpose(StrEnum):
    """Why a job is run: a new image, a child of a past one, a comparison only, a dropped file.

    `import`: nothing was run, the image came in as a file.
    """

    GENERATE = "generate"
    REGENERATE = "regenerate"
    VERIFY = "verify"
    RESTORE = "restore"
    IMPORT = "import"


class Relation(StrEnum):
    """How a new request came from its parent image: changed by hand, or with another seed.

    `initial image`: the parent is what it started from. `upscale`: the parent made larger.
    """

    EDIT = "edit"
    VARIATION = "variation"
    INITIAL_IMAGE = "initial image"
    UPSCALE = "upscale"


class Verdict(StrEnum):
    """What a verification found, in the words that are shown and stored."""

    IDENTICAL = "identical"
    LATENTS_DRIFTED = "pixels identical, latents drifted"
    DIFFERENT = "different"
    CANNOT_RUN = "cannot run"
    NOT_VERIFIABLE = "not verifiable"


class RunState(StrEnum):
    """Where a run of verifications or a series is. The last two are final.

    `preparing`: its images are still being listed.
    """

    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it takes no further image for ever."""
        return self in (RunState.DONE, RunState.CANCELLED)


class FinishReason(StrEnum):
    """How an engine ended an image; `filter` means blurred on purpose or withheld."""

    SUCCESS = "success"
    FILTER = "filter"
    ERROR = "error"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of one intermediate result of an image.

    `name`: `text`, `noise`, `latent`, `final latent`, `pixels` … `step` counts from 1 where
    a name occurs at each step, and prompts from 1 for `text`; 0 where it occurs once.
    """

    name: str
    step: int
    sha256: str


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What else decided the pixels: names and values (`engine revision`, `kernels` …)."""

    values: dict[str, str]

    def to_json(self) -> bytes:
        """Canonical JSON, over which the digest is taken."""
        return msgspec.json.encode(self.values, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One image to be made: a request with its seed, in the queue.

    `id` is also the request id that goes over the wire. `parent_id` is the image that it
    came from, `relation` how. `step` of `steps` and `preview` (PNG or None) are the last
    progress seen. `error_kind` and `error` say why it failed, `warning` what a person should
    know. `profile` names the host to ask (None: the usual one). `is_damaged`: the stored request
    no longer matches its digest, so `request` is only the best guess from what is left.
    `is_for_others`: it waits for other settings, or a newer program, than those of who asks.
    `has_no_worker`: it waits, or was left running, and no worker lives.
    `is_background`: it is of a run of verifications, which had its turn as nothing else waited.
    `is_paused`: it waits because the queue is paused. `place`: its place among those that wait, 1
    for the next one, where that was asked for.
    """

    number: int
    id: str
    request: Request
    request_digest: str
    purpose: Purpose
    state: JobState
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    attempts: int = 0
    session: str | None = None
    parent_id: str | None = None
    relation: Relation | None = None
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    preview: bytes | None = None
    cancel_requested: bool = False
    error_kind: str | None = None
    error: str | None = None
    warning: str | None = None
    image_id: str | None = None
    verification_number: int | None = None
    wire_sha256: str | None = None
    profile: str | None = None
    is_damaged: bool = False
    is_for_others: bool = False
    has_no_worker: bool = False
    is_background: bool = False
    is_paused: bool = False
    place: int | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Where new jobs come in the queue: before those of a lower `priority`, -100 to 100.

    `is_next`: before all that wait now, whatever their priority.
    """

    priority: int = 0
    is_next: bool = False


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a process runs jobs with, or wants its jobs to be run with.

    `program`: a digest of its code. `settings`: by engine a digest of what its settings come from;
    nothing can be read back from it. Engines without settings are not in it.
    """

    program: str
    settings: dict[str, str] = {}


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a past image with itself made again. Never changed afterwards.

    `first_difference` says where it began to differ (`step 7`, `model`, `file`, the names of what
    was changed in the record, the input that is missing …), `detail` the same in a sentence.
    `psnr_db` compares the pixels (None when they are equal or one side is missing).
    `regenerated_id` is the child that was made, if one was kept.
    """

    number: int
    image_id: str
    verdict: Verdict
    pixels_sha256_then: str
    pixels_sha256_now: str | None
    first_difference: str | None
    detail: str
    psnr_db: float | None
    regenerated_id: str | None
    environment_digest: str | None
    created_at: float


class VerificationRun(msgspec.Struct, frozen=True, kw_only=True):
    """Many images that are verified one after the other, behind the jobs of people.

    `search` says what chose them. `done` of `total` images have had their turn.
    """

    number: int
    id: str
    search: str
    state: RunState
    created_at: float
    finished_at: float | None
    total: int
    done: int


class SeriesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a series, whose seed is `stride` places further in each round.

    `parent_id` is the image that it came from, `relation` how, `profile` the host to ask.
    """

    request: Request
    stride: int = 1
    parent_id: str | None = None
    relation: Relation | None = None
    profile: str | None = None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Images that are made one after the other until a moment, when no other job waits.

    `until`: that moment, in seconds of 1970. `requests` take turns; `first` is the first of them.
    `taken`: how many jobs it had. `error`: why it paused by itself, "" where it did not.
    """

    number: int
    id: str
    state: RunState
    until: float
    created_at: float
    finished_at: float | None
    requests: int
    first: Request
    taken: int
    error: str = ""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a run; `position` counts from 1. `pixels_sha256` is what is recorded of it.

    `state` is that of its job, None before it and where none was needed. Without a `verification`
    it is still to come, or its job ended by an `error`.
    """

    position: int
    image_number: int
    image_id: str
    pixels_sha256: str
    state: JobState | None
    error: str | None
    verification: Verification | None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image came from that came in as a file.

    `dialect`: whose metadata it had (`safelight`, `A1111`, `ComfyUI` …), `grade`: how much of it is
    in the request. `unread`: names and values that were not understood or have no place in a
    request; the value is None for what the file does not say, and there the request holds a
    stand-in. `text`: the metadata as they were, filled by `history.get_image` only. `file_name`: of
    the file, without its folder. `signer`: the public key of who signed the record.
    """

    dialect: str
    grade: str
    unread: tuple[tuple[str, str | None], ...] = ()
    text: str = ""
    file_name: str = ""
    signer: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether our own record came with it, so that it can be made again."""
        return self.grade == "exact"

    @property
    def unsaid(self) -> tuple[str, ...]:
        """The names of what the request holds stand-ins for."""
        return tuple(name for name, value in self.unread if value is None)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One result, with everything that a list or a record shows except its bytes.

    `number` grows with time; `id` is 32 hexadecimal digits. `path` is the stored file.
    `parent_id` is the image that it was made from, `purpose` why. `verdict` is the newest
    verification's, None when it was never verified; `comparison` is what comparing it with its
    parent found, where it was made again from it. `stages`, `environment` and `meta` (what
    the engine said besides) are filled by `history.get_image` only. `is_damaged`: the stored
    record does not fit its own digest, so `request` is only the best guess from what is left;
    `changes` names all that was changed in the record after it was written, and is filled by
    `history.check_image` only. `is_thinned`: its file was dropped, as it can be made again.
    `rating` (0 to 5, None for none), `is_favourite`, `tags` (by name)
    and `note` are what a person said of it, `is_trashed` whether it lies in the trash.
    `is_emptied`: its pixels were removed with the trash, and its record is kept for the images
    that were made from it. `imported` says where an image that came in came from.
    """

    number: int
    id: str
    job_id: str
    request: Request
    request_digest: str
    seed: int
    width: int
    height: int
    mime: str
    pixels_sha256: str
    file_sha256: str
    file_bytes: int
    path: Path
    finish_reason: FinishReason
    warning: str | None
    seconds: float
    created_at: float
    purpose: Purpose
    session: str | None = None
    parent_id: str | None = None
    relation: Relation | None = None
    environment_digest: str
    verdict: Verdict | None = None
    first_difference: str | None = None
    comparison: Verdict | None = None
    comparison_difference: str | None = None
    stages: tuple[Stage, ...] = ()
    environment: EnvironmentRecord | None = None
    meta: dict[str, str] = {}
    is_damaged: bool = False
    is_thinned: bool = False
    changes: tuple[str, ...] = ()
    rating: int | None = None
    is_favourite: bool = False
    tags: tuple[str, ...] = ()
    note: str | None = None
    is_trashed: bool = False
    is_emptied: bool = False
    imported: Imported | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether another program made it, so that nothing here can make it again."""
        return self.imported is not None and self.imported.dialect != "safelight"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of images anew; what is not set stays as it is.

    `rating`: 0 to 5, None takes it away. `note`: None takes it away. `add` and `remove` are tags.
    """

    rating: int | msgspec.UnsetType | None = msgspec.UNSET
    is_favourite: bool | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType | None = msgspec.UNSET
    is_trashed: bool | msgspec.UnsetType = msgspec.UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """What a mark did: how many images it found, how many of them it changed.

    `before` undoes it: marks with the numbers of the images that each is for, eight bytes an image.
    """

    found: int = 0
    changed: int = 0
    before: tuple[tuple[Mark, array[int]], ...] = ()


class Emptying(msgspec.Struct, frozen=True, kw_only=True):
    """What emptying the trash does or did.

    `images` are removed altogether; of `records` more only the pixels, because images that are
    kept were made from them; `held` stay in the trash, because jobs are about them. `file_bytes`
    and `files`: what becomes free of the disk.
    """

    images: int = 0
    records: int = 0
    held: int = 0
    files: int = 0
    file_bytes: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker hands over to be stored for one job: the engine's bytes and its facts.

    `data` is stored untouched. `thumbnail` is a small PNG or WebP. `meta` holds what the
    engine said besides (answer ids, engine revision of the server …).
    """

    data: bytes
    mime: str
    seed: int
    width: int
    height: int
    pixels_sha256: str
    thumbnail: bytes
    finish_reason: FinishReason
    warning: str | None
    seconds: float
    environment: EnvironmentRecord
    stages: tuple[Stage, ...]
    meta: dict[str, str] = {}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker found when it compared; becomes a `Verification`."""

    verdict: Verdict
    pixels_sha256_now: str | None = None
    first_difference: str | None = None
    detail: str = ""
    psnr_db: float | None = None


class DraftPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as it stands in the editor; the text may be empty or not yet valid."""

    text: str = ""
    weight: float = 1.0
    enabled: bool = True


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in the editor of one session, to the character.

    None in a parameter means: the engine's default. `seed` is what the seed field shows
    (None before the first); `seed_locked` keeps it for the next run. `previous_seeds` are
    the ones before, newest last. `parent_id` is the image that this comes from, `relation` how.
    `pending` holds half-typed values by field. `place` holds
    where the person was (focus, row, cursor, screen, selected image).
    """

    prompts: tuple[DraftPrompt, ...] = (DraftPrompt(),)
    engine: str = "builtin"
    model: str | None = None
    seed: int | None = None
    seed_locked: bool = False
    previous_seeds: tuple[int, ...] = ()
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    width: int | None = None
    height: int | None = None
    style_preset: str | None = None
    initial_image: InitialImage | None = None
    mask: Mask | None = None
    variation: Variation | None = None
    guidance: Guidance | None = None
    weight_method: WeightMethod | None = None
    adapter: Adapter | None = None
    fine_tunes: tuple[FineTune, ...] = ()
    content_credentials: str | None = None
    images: int = 1
    parent_id: str | None = None
    relation: Relation | None = None
    pending: dict[str, str] = {}
    place: dict[str, str | int | bool | None] = {}


EXTRAS = tuple(
    field.name
    for field in msgspec.structs.fields(Parameters)
    if not field.required and field.name in Draft.__struct_fields__
)
"""The optional parameters that a draft holds too, by the same names."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A named piece of work with its draft. One that is archived is listed last, opened by name."""

    name: str
    draft: Draft
    updated_at: float
    is_archived: bool = False
