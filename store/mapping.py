"""Rows to values and back, damaged rows too, and how a row is found by its name.

Requests and environments are stored once, by their digest.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from sqlalchemy import exists, func, or_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from store.damage import mend
from store.errors import NotFound, RequestError, StoreError
from store.limits import SEED_MAXIMUM, SEED_MINIMUM
from store.progress import Progress
from store.records import (
    Comparison,
    EnvironmentRecord,
    FinishReason,
    Image,
    Imported,
    Job,
    JobState,
    Purpose,
    Relation,
    Stage,
    Verdict,
    Verification,
)
from store.request import FORMS, REQUEST_FORMAT, Parameters, Prompt, PromptStack, Request
from store.search_index import fold_text
from store.sqlite import unwrap
from store.stored_json import BROKEN_JSON
from store.tables import (
    PAUSED_KEY,
    AnnotationRow,
    EnvironmentRow,
    ImageRow,
    ImportedRow,
    JobRow,
    MetaRow,
    PromptRow,
    RequestRow,
    SeriesRow,
    StageRow,
    TagRow,
    ThinnedRow,
    ThumbnailRow,
    VerificationRow,
    VerificationRunImageRow,
    VerificationRunRow,
)
from store.vault import Vault, suffix_of

_Value = TypeVar("_Value")

ABSENT: dict[str, Any] = {
    field.name: msgspec.json.decode(msgspec.json.encode(field.default))
    for field in msgspec.structs.fields(Parameters)
    if not field.required
}
"""What the record says of an optional parameter that is absent, as in JSON."""

PLACEHOLDER = Request(
    engine="damaged",
    model="damaged",
    stack=PromptStack(prompts=(Prompt(text="(this record is damaged)"),)),
    parameters=Parameters(
        seed=1, steps=1, cfg_scale=0.0, sampler="damaged", width=128, height=128, style_preset=None
    ),
)
"""Stands where nothing of a damaged request can be read, so that its row can still be listed."""


def as_text(stored: object) -> str:
    """A text column, also when somebody wrote bytes into it."""
    if isinstance(stored, bytes):
        return stored.decode("utf-8", "replace")
    return "" if stored is None else str(stored)


def hash_text(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def join_prompts(request: Request) -> str:
    """What the full-text index sees of a request."""
    return "\n".join(prompt.text for prompt in request.stack.prompts)


def store_request(session: Session, request: Request) -> str:
    """Make sure that `request` is stored, and return its digest."""
    text = request.to_json().decode()
    digest = hash_text(text)
    if session.get(RequestRow, digest) is not None:
        return digest
    session.add(
        RequestRow(
            digest=digest,
            json_text=text,
            engine=request.engine,
            model=request.model,
            format=request.format,
            **write_columns(request.parameters),
        )
    )
    session.flush()
    for position, prompt in enumerate(request.stack.prompts, 1):
        session.add(
            PromptRow(request_digest=digest, position=position, **msgspec.structs.asdict(prompt))
        )
    session.flush()
    return digest


def write_columns(parameters: Parameters) -> dict[str, Any]:
    """The parameters as columns: groups as JSON, NULL for what is absent."""
    columns = {}
    for field in msgspec.structs.fields(Parameters):
        value = getattr(parameters, field.name)
        if not field.required and value == field.default:
            value = None
        elif isinstance(value, msgspec.Struct | tuple):
            value = msgspec.json.encode(value, order="sorted").decode()
        columns[field.name] = value
    return columns


def read_columns(row: RequestRow) -> dict[str, Any]:
    """The parameters that the columns tell, as in JSON; a damaged group as its text."""
    values = {}
    for field in msgspec.structs.fields(Parameters):
        value = getattr(row, field.name)
        if not field.required and value is None:
            value = ABSENT[field.name]
        elif not field.required and str(value)[:1] in ("{", "["):
            try:
                value = msgspec.json.decode(as_text(value))
            except BROKEN_JSON:
                value = as_text(value)
        values[field.name] = value
    return values


def store_environment(session: Session, environment: EnvironmentRecord) -> str:
    """Make sure that `environment` is stored, and return its digest."""
    digest = environment.digest
    if session.get(EnvironmentRow, digest) is None:
        session.add(EnvironmentRow(digest=digest, json_text=environment.to_json().decode()))
        session.flush()
    return digest


def store_image(
    write: Session, row: ImageRow, stages: Iterable[Stage], thumbnail: bytes
) -> ImageRow:
    """Add the row of a new image, its stages and its thumbnail, and fold its text for searches.

    It is to be sealed when all else that belongs to it is there; see `store.seals.seal_image`.
    """
    write.add(row)
    write.flush()
    number = row.number or 0
    fold_text(unwrap(write), number, row.prompt_text)
    for position, stage in enumerate(stages, 1):
        values = msgspec.structs.asdict(stage)
        write.add(StageRow(image_number=number, position=position, **values))
    write.add(ThumbnailRow(image_number=number, data=thumbnail))
    return row


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


def load_requests(session: Session, digests: Collection[str]) -> dict[str, tuple[Request, bool]]:
    """For each digest its request, and whether the record is damaged.

    A damaged request is made up of what is left of it; see `salvage`.
    """
    found: dict[str, tuple[Request, bool]] = {}
    damaged: list[RequestRow] = []
    statement = select(RequestRow).where(col(RequestRow.digest).in_(set(digests)))
    for row in session.exec(statement):
        text = as_text(row.json_text)
        try:
            if hash_text(text) != row.digest:
                raise RequestError("request", None, "It does not fit its digest.")
            found[row.digest] = (Request.from_json(text), False)
        except RequestError:
            damaged.append(row)
    for row in damaged:
        found[row.digest] = (salvage(row, load_prompt_rows(session, row.digest)), True)
    for digest in digests:
        found.setdefault(digest, (PLACEHOLDER, True))
    return found


def load_prompt_rows(session: Session, digest: str) -> list[PromptRow]:
    """The prompts of a request in their order."""
    statement = select(PromptRow).where(col(PromptRow.request_digest) == digest)
    return list(session.exec(statement.order_by(col(PromptRow.position))))


def salvage(row: RequestRow, prompts: Sequence[PromptRow]) -> Request:
    """The request that the columns tell, field by field the JSON's where a column is no good."""
    try:
        loose = msgspec.json.decode(as_text(row.json_text))
    except BROKEN_JSON:
        loose = None
    in_json = loose if isinstance(loose, dict) else {}
    stack: PromptStack | None = None
    for candidate in ([_prompt_values(prompt) for prompt in prompts], _dig(in_json, "stack")):
        values = candidate.get("prompts") if isinstance(candidate, dict) else candidate
        stack = stack or _convert({"prompts": values}, PromptStack)
    json_parameters = _dig(in_json, "parameters")
    parameters = PLACEHOLDER.parameters
    columns = read_columns(row)
    for name in Parameters.__struct_fields__:
        for value in (columns[name], _dig(json_parameters, name)):
            changed = {**msgspec.to_builtins(parameters), name: value}
            if (better := _convert(changed, Parameters)) is not None:
                parameters = better
                break
    extras = parameters.list_extras()
    request = Request(
        format=next(
            (form for form, names in FORMS.items() if form == row.format and extras <= set(names)),
            REQUEST_FORMAT,
        ),
        engine=PLACEHOLDER.engine,
        model=PLACEHOLDER.model,
        stack=stack if stack and _fits(stack, parameters) else PLACEHOLDER.stack,
        parameters=parameters,
    )
    for name in ("engine", "model"):
        for value in (getattr(row, name), in_json.get(name)):
            try:
                request = msgspec.structs.replace(request, **{name: value})
            except RequestError:
                continue
            break
    return request


def _fits(stack: PromptStack, parameters: Parameters) -> bool:
    if parameters.upscale is not None:
        return True
    try:
        stack.check_drawable()
    except RequestError:
        return False
    return True


def _prompt_values(row: PromptRow) -> dict[str, Any]:
    return {name: getattr(row, name, None) for name in Prompt.__struct_fields__}


def _dig(values: object, name: str) -> Any:
    return values.get(name) if isinstance(values, dict) else None


def _convert(values: Any, kind: type[_Value]) -> _Value | None:
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, RequestError, TypeError):
        return None


_Word = TypeVar("_Word", bound=StrEnum)


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
    background = _list_background(session, rows)
    waiting = JobState.WAITING.value
    # Whoever looks at what does not go on sees why.
    is_held = any(row.state == waiting for row in rows) and (
        session.get(MetaRow, PAUSED_KEY) is not None
    )
    jobs = []
    for stored in rows:
        row, damaged = mend(stored)
        request, is_damaged = requests[stored.request_digest]
        known = progress.get(row.id)
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
                step=known.step if known else 0,
                steps=known.steps if known else request.parameters.steps,
                seconds_left=known.seconds_left if known else None,
                preview=known.preview if known else None,
                cancel_requested=row.cancel_requested,
                error_kind=row.error_kind,
                error=row.error,
                warning=row.warning,
                image_id=row.image_id,
                verification_number=row.verification_number,
                wire_sha256=row.wire_sha256,
                profile=row.profile,
                is_damaged=is_damaged or bool(damaged),
                is_background=row.id in background,
                is_paused=is_held and row.state == waiting,
            )
        )
    return jobs


def _list_background(session: Session, rows: Sequence[JobRow]) -> set[str]:
    """The ids of those that are of a run of verifications."""
    ids = [row.id for row in rows if row.purpose == Purpose.VERIFY]
    job_id = col(VerificationRunImageRow.job_id)
    statement = select(VerificationRunImageRow.job_id).where(job_id.is_not(None), job_id.in_(ids))
    return {found for found in session.exec(statement).all() if found} if ids else set()


def to_images(vault: Vault, session: Session, rows: Sequence[ImageRow]) -> list[Image]:
    """`rows` as values, each with its newest verdict, without stages and environment.

    `vault` tells where the files lie."""
    requests = load_requests(session, [row.request_digest for row in rows])
    thinned = _list_thinned(session, rows)
    newest: dict[str, VerificationRow] = {}
    compared: dict[str, VerificationRow] = {}
    parents = {row.parent_id for row in rows if row.parent_id and row.purpose == Purpose.REGENERATE}
    statement = (
        select(VerificationRow)
        .where(col(VerificationRow.image_id).in_([*{row.id for row in rows} | parents]))
        .order_by(col(VerificationRow.number))
    )
    for verification in session.exec(statement):
        newest[verification.image_id] = verification
        if verification.regenerated_id:
            compared[verification.regenerated_id] = verification
    imported = _load_imported(session, rows)
    numbers = [row.number or 0 for row in rows]
    said, tags = _load_annotations(session, numbers), _load_tags(session, numbers)
    return [
        _annotate(
            _to_image(
                vault,
                row,
                *requests[row.request_digest],
                newest.get(row.id),
                compared.get(row.id),
                row.number in thinned,
                imported.get(row.number),
            ),
            said.get(row.number or 0),
            tags.get(row.number or 0, ()),
        )
        for row in rows
    ]


def is_trashed(number: Any) -> Any:
    """The condition that the image with this number (a column) lies in the trash, or did so when
    it was emptied: lists leave it out."""
    return exists().where(
        col(AnnotationRow.image_number) == number, col(AnnotationRow.trashed_at).is_not(None)
    )


def _load_annotations(session: Session, numbers: Collection[int]) -> dict[int, AnnotationRow]:
    """The annotations of these images; those that nothing was said of are left out."""
    statement = select(AnnotationRow).where(col(AnnotationRow.image_number).in_(set(numbers)))
    return {row.image_number: row for row in session.exec(statement)}


def _load_tags(session: Session, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The tags of these images, by name."""
    statement = select(TagRow).where(col(TagRow.image_number).in_(set(numbers)))
    found: dict[int, list[str]] = {}
    for row in session.exec(statement.order_by(col(TagRow.name))):
        found.setdefault(row.image_number, []).append(as_text(row.name))
    return {number: tuple(names) for number, names in found.items()}


def _annotate(image: Image, said: AnnotationRow | None, tags: tuple[str, ...]) -> Image:
    if said is None and not tags:
        return image
    said = said and mend(said)[0]
    rating = said.rating if said else None
    return msgspec.structs.replace(
        image,
        rating=rating,
        is_favourite=bool(said and said.is_favourite),
        tags=tags,
        note=as_text(said.note) if said and said.note is not None else None,
        is_trashed=bool(said and said.trashed_at is not None and said.emptied_at is None),
        is_emptied=bool(said and said.emptied_at is not None),
    )


def _list_thinned(session: Session, rows: Sequence[ImageRow]) -> set[int]:
    """The numbers of those whose file was dropped."""
    numbers = [row.number for row in rows]
    statement = select(ThinnedRow.image_number).where(col(ThinnedRow.image_number).in_(numbers))
    return set(session.exec(statement).all())


def _load_imported(session: Session, rows: Sequence[ImageRow]) -> dict[int | None, Imported]:
    """Where those that came in came from, by number, without the text of their metadata."""
    wanted = {row.number for row in rows if row.purpose == Purpose.IMPORT.value}
    if not wanted:
        return {}
    statement = (
        select(ImportedRow)
        .where(col(ImportedRow.image_number).in_(wanted))
        .options(defer(ImportedRow.text))  # type: ignore[arg-type]
    )
    return {
        row.image_number: Imported(
            dialect=as_text(row.dialect),
            grade=as_text(row.grade),
            unread=_read_unread(row.unread),
            file_name=as_text(row.file_name),
            signer=None if row.signer is None else as_text(row.signer),
        )
        for row in session.exec(statement)
    }


def _read_unread(stored: object) -> tuple[tuple[str, str | None], ...]:
    try:
        return msgspec.json.decode(as_text(stored), type=tuple[tuple[str, str | None], ...])
    except BROKEN_JSON:
        return ()


def _to_image(
    vault: Vault,
    stored: ImageRow,
    request: Request,
    is_damaged: bool,
    newest: VerificationRow | None,
    compared: VerificationRow | None,
    is_thinned: bool,
    imported: Imported | None,
) -> Image:
    row, damaged = mend(stored)
    is_damaged = is_damaged or bool(damaged)
    newest = newest and mend(newest)[0]
    compared = compared and mend(compared)[0]
    try:
        path = vault.path(row.file_sha256, suffix_of(row.mime))
    except StoreError:
        path, is_damaged = vault.directory / "images" / "unknown", True
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
        comparison=to_word(Verdict, compared.verdict, Verdict.CANNOT_RUN) if compared else None,
        comparison_difference=compared.first_difference if compared else None,
        is_damaged=is_damaged,
        is_thinned=is_thinned,
        imported=imported,
    )


def to_verification(row: VerificationRow) -> Verification:
    """`row` as a value."""
    row = mend(row)[0]
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
_Background = TypeVar("_Background", VerificationRunRow, SeriesRow)


def find_row(session: Session, table: type[_Row], reference: str) -> _Row:
    """The job or image whose id begins with `reference`, the n-th newest for `@n`, or the newest
    of a seed for `seed:N`.

    Images in the trash are not counted by `@n`, and of one seed come after the others. Raises
    `NotFound` when there is none, when several begin so, or it is no id at all.
    """
    what = "image" if table is ImageRow else "job"
    wanted = reference.strip().lower()
    if wanted.startswith("@") and wanted[1:].isascii() and wanted[1:].isdigit():
        return _find_place(session, table, wanted, what)
    if wanted.startswith("seed:"):
        return _find_seed(session, table, wanted, what)
    if not wanted or len(wanted) > 32 or set(wanted) - set("0123456789abcdef"):
        if (damaged := _find_damaged(session, table, reference)) is not None:
            return damaged
        raise NotFound(
            f"{reference!r} is not the id of a {what}.".replace("a image", "an image"),
            "Give the beginning of an id (0-9, a-f), @1 for the newest, or seed:N.",
        )
    statement = select(table).where(col(table.id) >= wanted, col(table.id) < wanted + "g")
    rows = session.exec(statement.order_by(col(table.id)).limit(2)).all()
    if not rows:
        raise NotFound(
            f"There is no {what} whose id begins with {wanted}.", _hint_at_seed(session, wanted)
        )
    if len(rows) > 1:
        raise NotFound(
            f"More than one {what} has an id that begins with {wanted}.",
            _hint_at_seed(session, wanted) or "Give more of it.",
        )
    return rows[0]


def find_background(
    session: Session, table: type[_Background], reference: str, what: str, command: str
) -> _Background:
    """The run of verifications or the series whose id begins so, or the n-th newest: `@n`.

    `what` is how one is called, `command` what lists them. Raises `NotFound`.
    """
    wanted = reference.strip().lower()
    statement = select(table)
    if wanted.startswith("@") and wanted[1:].isascii() and wanted[1:].isdigit():
        place = int(wanted[1:])
        if not 1 <= place < 2**31:
            raise NotFound(f"There is no {what} {wanted}.", "The newest is @1.")
        newest = statement.order_by(col(table.number).desc())
        rows = session.exec(newest.offset(place - 1).limit(1)).all()
    elif not wanted or len(wanted) > 32 or set(wanted) - set("0123456789abcdef"):
        raise NotFound(
            f"{reference!r} is not the id of a {what}.",
            "Give the beginning of an id (0-9, a-f), or @1 for the newest.",
        )
    else:
        fits = statement.where(col(table.id) >= wanted, col(table.id) < wanted + "g")
        rows = session.exec(fits.limit(2)).all()
    if not rows:
        raise NotFound(f"There is no {what} {wanted}.", f"'safelight {command}' lists them.")
    if len(rows) > 1:
        raise NotFound(f"More than one {what} has an id that begins with {wanted}.", "Give more.")
    return rows[0]


def _find_damaged(session: Session, table: type[_Row], reference: str) -> _Row | None:
    """The row whose id was damaged, by what is shown of it; None for none."""
    stored = col(table.id)
    is_odd = func.typeof(stored) != "text"
    rows = session.exec(select(table).where(or_(stored == reference, is_odd)).limit(100)).all()
    return next((row for row in rows if as_text(row.id) == reference), None)


def _find_place(session: Session, table: type[_Row], wanted: str, what: str) -> _Row:
    place = int(wanted[1:])
    if not 1 <= place < 2**31:
        raise NotFound(f"There is no {what} {wanted}.", "The newest is @1.")
    statement = select(table).order_by(col(table.number).desc()).offset(place - 1).limit(1)
    if table is ImageRow:
        statement = statement.where(~is_trashed(col(ImageRow.number)))
    row = session.exec(statement).first()
    if row is None:
        raise NotFound(f"There is no {what} {wanted}: there are fewer than that.")
    return row


def _find_seed(session: Session, table: type[_Row], wanted: str, what: str) -> _Row:
    seed = read_seed(wanted)
    if seed is None:
        raise NotFound(
            f"{wanted!r} names no seed.", f"Write seed:N with a number up to {SEED_MAXIMUM}."
        )
    found = find_seed(session, seed)
    if table is ImageRow:
        row = session.get(table, found[0]) if found else None
    else:
        row = _find_job_of_seed(session, seed, found)
    if row is None:
        raise NotFound(f"There is no {what} of the seed {seed}.")
    return row


def _find_job_of_seed(session: Session, seed: int, images: Sequence[int]) -> Any:
    """The newest job: of the newest image, or of those without one, which are few."""
    jobs = list(
        session.exec(
            select(JobRow)
            .join(RequestRow, col(RequestRow.digest) == JobRow.request_digest)
            .where(RequestRow.seed == seed, JobRow.state != JobState.DONE)
            .order_by(col(JobRow.number).desc())
            .limit(1)
        )
    )
    if images:
        statement = select(JobRow).join(ImageRow, col(ImageRow.job_id) == JobRow.id)
        jobs += session.exec(statement.where(col(ImageRow.number).in_(images)))
    return max(jobs, key=lambda job: job.number or 0, default=None)


def read_seed(reference: str) -> int | None:
    """The seed that `seed:N` names, None where it names none."""
    digits = reference.strip().lower().removeprefix("seed:").strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        return None
    return int(digits) if SEED_MINIMUM <= int(digits) <= SEED_MAXIMUM else None


def find_seed(session: Session, seed: int) -> list[int]:
    """The numbers of the images of a seed, newest first, those in the trash last; some at most."""
    rows = unwrap(session).execute(
        "SELECT number FROM image_search WHERE seed = ? ORDER BY is_trashed, number DESC"
        " LIMIT 1000",
        (seed,),
    )
    return [number for (number,) in rows]


def _hint_at_seed(session: Session, wanted: str) -> str:
    seed = read_seed(wanted)
    if seed is None or not find_seed(session, seed):
        return ""
    return f"There is an image with that seed: seed:{seed}."
