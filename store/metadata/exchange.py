"""Records out of the history and into it.

A record leaves without the place, the session and the notes of who made the image. One that comes
in becomes an image of its own with a job that is done; nothing is added twice.
"""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from PIL import Image as Pillow
from sqlmodel import Session, col, select

from store.decoding import DecodedInput
from store.errors import NotFound, StoreError
from store.history import list_verifications
from store.inputs import get_input, keep_input
from store.mapping import (
    join_prompts,
    store_environment,
    store_image,
    store_request,
    to_images,
)
from store.metadata.record import (
    VERIFICATIONS_LIMIT,
    FileFact,
    ImportedFact,
    InputFact,
    PixelsFact,
    Record,
    VerificationFact,
)
from store.pixels import digest_pixels, identify_image, make_thumbnail, open_image
from store.records import EnvironmentRecord, Image, JobState, Purpose, Stage
from store.request import Request
from store.seals import seal_image
from store.tables import ImageRow, ImportedRow, JobRow
from store.vault import suffix_of

if TYPE_CHECKING:
    from PIL.Image import Image as Pixels

    from store.database import Database

DIALECT, GRADE = "safelight", "exact"
_ID_DIGITS = frozenset("0123456789abcdef")


# Out


def make_record(db: Database, image: Image, data: bytes, *, program: str) -> Record:
    """The record of `image`, whose file as the engine gave it is `data`.

    `image` comes from `history.get_image`. Raises `StoreError` where that, or the file, is damaged.
    """
    if image.is_damaged:
        raise StoreError(
            f"The record of the image {image.id[:8]} is damaged, so it proves nothing.",
            "Its record in the history shows which fields differ.",
        )
    pixels = open_image(data)
    environment = image.environment or EnvironmentRecord(values={})
    places = (str(db.vault.directory), str(Path.home()))
    verifications = list_verifications(db, image.id)[:VERIFICATIONS_LIMIT]
    return Record(
        program=program,
        id=image.id,
        created_at=image.created_at,
        request=image.request,
        request_sha256=image.request_digest,
        seed=image.seed,
        purpose=image.purpose,
        relation=image.relation,
        parent_id=image.parent_id,
        pixels=PixelsFact(
            sha256=image.pixels_sha256, mode=pixels.mode, width=image.width, height=image.height
        ),
        file=FileFact(sha256=image.file_sha256, mime=image.mime, size=image.file_bytes),
        imported=_describe_import(image),
        finish_reason=image.finish_reason,
        warning=None if image.warning is None else _hide(image.warning, places),
        seconds=image.seconds,
        environment=environment.values,
        stages=image.stages,
        inputs=tuple(_list_inputs(db, image)),
        verifications=tuple(
            VerificationFact(
                verdict=found.verdict,
                first_difference=found.first_difference,
                psnr_db=found.psnr_db,
                created_at=found.created_at,
            )
            for found in verifications
        ),
        meta={name: _hide(value, places) for name, value in image.meta.items()},
    )


def _describe_import(image: Image) -> ImportedFact | None:
    """What is known of an image of another program; None for our own, wherever it was made."""
    found = image.imported
    if found is None or found.is_exact:
        return None
    return ImportedFact(dialect=found.dialect, grade=found.grade, unread=found.unread)


def _hide(text: str, places: Iterable[str]) -> str:
    """`text` without the names of folders on this machine."""
    for place in places:
        if len(place) > 1:
            text = text.replace(place, "~")
    return text


def _list_inputs(db: Database, image: Image) -> Iterable[InputFact]:
    for sha256 in image.request.parameters.inputs:
        try:
            found = get_input(db, sha256)
        except NotFound:
            continue  # the request names it all the same
        yield InputFact(**msgspec.structs.asdict(found))


# In


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An image that came in. `is_new`: False where it was there. `missing`: digests of inputs."""

    image: Image
    is_new: bool
    missing: tuple[str, ...] = ()


def store_record(
    db: Database,
    record: Record,
    data: bytes,
    *,
    inputs: Mapping[str, bytes],
    file_name: str,
    session: str | None = None,
    signer: str | None = None,
) -> Stored:
    """Add the image of `record` to the history as an imported one, with its sealed record.

    `data`: its file (`files.read_file` gives the engine's where it can be had), whose pixels must
    be those of the record. `inputs`: files that it starts from, by their digests; what is neither
    there nor kept is told. `session`: where it is shown. `signer`: whose signature was checked.
    The verifications in the record are what somebody else found, so they stay in its text. An
    image that is there already is given back. Raises `StoreError`.
    """
    pixels = open_image(data)
    if not are_those(pixels, record.pixels):
        raise StoreError("The pixels of the file are not those of its record.")
    if digest_pixels(pixels) != record.pixels.sha256:
        # Its format has no such mode, so it cannot be the file of these pixels.
        pixels = pixels.convert(record.pixels.mode)
        pixels.save(file := io.BytesIO(), "PNG")
        data = file.getvalue()
    kept = [_decode(record, sha256, inputs[sha256]) for sha256 in _list_given(record, inputs)]
    with db.read() as read:
        if (row := _find(read, record)) is not None:
            image = to_images(db.vault, read, [row])[0]
            return Stored(image=image, is_new=False)
    for decoded in kept:
        keep_input(db, decoded)
    mime = Pillow.MIME[identify_image(data)[0]]
    sha256 = db.vault.put(data, suffix_of(mime))
    thumbnail = make_thumbnail(pixels)
    origin = record.imported or ImportedFact(dialect=DIALECT, grade=GRADE)
    with db.write() as write:
        if (row := _find(write, record)) is not None:
            return Stored(image=to_images(db.vault, write, [row])[0], is_new=False)
        db.vault.ensure(data, suffix_of(mime))
        parent_id = _find_parent(write, record.parent_id)
        facts = {
            "id": record.id if _is_free(write, record.id) else uuid.uuid4().hex,
            "environment_digest": store_environment(write, record.environment_record),
            "parent_id": parent_id,
            "relation": record.relation.value if record.relation and parent_id else None,
            "session": session,
            "seed": record.seed,
            "width": pixels.width,
            "height": pixels.height,
            "mime": mime,
            "pixels_sha256": record.pixels.sha256,
            "file_sha256": sha256,
            "file_bytes": len(data),
            "finish_reason": record.finish_reason.value,
            "warning": record.warning,
            "seconds": record.seconds,
            "created_at": record.created_at,
            "meta": msgspec.json.encode(record.meta, order="sorted").decode(),
        }
        imported = {
            "dialect": origin.dialect,
            "grade": origin.grade,
            "text": record.to_json().decode(),
            "unread": msgspec.json.encode(origin.unread).decode(),
            "file_name": file_name,
            "signer": signer,
        }
        row = add_import(write, record.request, facts, imported, thumbnail, record.stages)
        image = to_images(db.vault, write, [row])[0]
    return Stored(image=image, is_new=True, missing=tuple(list_missing(db, record)))


def add_import(
    write: Session,
    request: Request,
    facts: Mapping[str, Any],
    imported: Mapping[str, Any],
    thumbnail: bytes,
    stages: Iterable[Stage] = (),
) -> ImageRow:
    """Add an image of `request` that came in, with a job that is done, and seal it.

    `facts`: the columns of its row that follow from nothing else here. `imported`: those of the
    row that says where it came from.
    """
    now, digest = time.time(), store_request(write, request)
    shared = {
        "request_digest": digest,
        "purpose": Purpose.IMPORT.value,
        "session": facts["session"],
        "parent_id": facts.get("parent_id"),
        "relation": facts.get("relation"),
    }
    job = JobRow(
        id=uuid.uuid4().hex,
        state=JobState.DONE.value,
        created_at=now,
        finished_at=now,
        image_id=facts["id"],
        **shared,
    )
    write.add(job)
    write.flush()
    row = ImageRow(job_id=job.id, prompt_text=join_prompts(request), **{**shared, **facts})
    store_image(write, row, stages, thumbnail)
    write.add(ImportedRow(image_number=row.number or 0, **imported))
    write.flush()
    seal_image(write, row.number or 0)
    return row


def list_missing(db: Database, record: Record) -> list[str]:
    """The digests of files that the record's request starts from and that are not kept here."""
    missing = []
    for sha256 in record.request.parameters.inputs:
        try:
            get_input(db, sha256)
        except NotFound:
            missing.append(sha256)
    return missing


def are_those(pixels: Pixels, fact: PixelsFact) -> bool:
    """Whether decoded pixels are those of a record; a format may have no such mode as theirs."""
    if digest_pixels(pixels) == fact.sha256:
        return True
    if pixels.mode == fact.mode or (pixels.width, pixels.height) != (fact.width, fact.height):
        return False
    try:
        return digest_pixels(pixels.convert(fact.mode)) == fact.sha256
    except ValueError:  # a mode that Pillow does not know or convert to
        return False


def _list_given(record: Record, inputs: Mapping[str, bytes]) -> list[str]:
    return [sha256 for sha256 in record.request.parameters.inputs if sha256 in inputs]


def _decode(record: Record, sha256: str, data: bytes) -> DecodedInput:
    """An input's file as it is, looked at but not changed: its digest is in the request."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"The input image {sha256[:8]} in it was changed.")
    image = open_image(data)
    notes = next((fact.notes for fact in record.inputs if fact.sha256 == sha256), ())
    return DecodedInput(
        data=data,
        sha256=sha256,
        mime=Pillow.MIME[identify_image(data)[0]],
        width=image.width,
        height=image.height,
        notes=notes,
    )


def _find(session: Session, record: Record) -> ImageRow | None:
    """The image of this record: of its id, or made of the same request with the same pixels."""
    same = select(ImageRow).where(
        col(ImageRow.request_digest) == record.request_sha256,
        col(ImageRow.pixels_sha256) == record.pixels.sha256,
    )
    if (row := session.exec(same.where(col(ImageRow.id) == record.id)).first()) is not None:
        return row
    imported = same.join(ImportedRow, col(ImportedRow.image_number) == col(ImageRow.number))
    return session.exec(imported).first()


def _find_parent(session: Session, parent_id: str | None) -> str | None:
    if parent_id is None:
        return None
    return session.exec(select(ImageRow.id).where(col(ImageRow.id) == parent_id)).first()


def _is_free(session: Session, image_id: str) -> bool:
    """Whether an image may have this id: it is one, and no other image has it."""
    if len(image_id) != 32 or not set(image_id) <= _ID_DIGITS:
        return False
    return session.exec(select(ImageRow.id).where(col(ImageRow.id) == image_id)).first() is None
