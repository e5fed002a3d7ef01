"""Image files of other programs into the history.

Such an image gets a request that is filled as far as the file says what it was made of, a job that
is done, and a verification at once: nothing here can make it again. What the request cannot hold
is kept beside it, in the row of `imported`. An image file that is there already is not added again.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import TYPE_CHECKING

import msgspec
from PIL import Image as Pillow
from sqlalchemy import text
from sqlmodel import Session, col, select

from store.errors import StoreError
from store.history import get_image
from store.leftovers import OF_FILE
from store.limits import SIZE_MAXIMUM, SIZE_MINIMUM, SIZE_MULTIPLE
from store.mapping import store_environment, store_verification, to_images
from store.metadata import files
from store.metadata.bounded_json import JsonError, read_object
from store.metadata.containers import identify_format, read_metadata, strip_metadata
from store.metadata.dialects import read_texts
from store.metadata.exchange import DIALECT, Stored, add_import, store_record
from store.metadata.files import CarriedRecord
from store.metadata.foreign import Grade, Reading
from store.metadata.record import Record, describe_changes
from store.metadata.sampler_names import make_name
from store.metadata.signature import read_signature
from store.metadata.stealth import read_stealth
from store.pixels import digest_pixels, identify_image, make_thumbnail, open_image
from store.records import (
    Comparison,
    EnvironmentRecord,
    FinishReason,
    Image,
    Verdict,
)
from store.request import Parameters, Prompt, PromptStack, Request
from store.seals import seal_verification
from store.tables import ImageRow, ImportedRow
from store.vault import suffix_of

if TYPE_CHECKING:
    from store.database import Database

NO_PROMPT = "(the file says no prompt)"
UNKNOWN = "unknown"
NAME_LIMIT = 255

DENSE_PIXELS = 16 * 1024 * 1024
"""A file of more pixels than this has to have a byte for every 33 of them: others are bombs."""

_BYTES_A_PIXEL = 0.03


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of an image file say.

    `record`: ours, where it is whole, and `carried` all that lies beside it. `reading`: what else
    is said, None for nothing. `notes`: what could not be read.
    """

    carried: CarriedRecord | None = None
    record: Record | None = None
    reading: Reading | None = None
    notes: tuple[str, ...] = ()


def read_file(data: bytes) -> Found:
    """What the metadata of an image file say, in whatever dialect.

    A record of ours that was changed is not taken for one. Raises `StoreError` for what is no PNG,
    JPEG or WebP file.
    """
    metadata = read_metadata(data)
    reading = read_texts((field.key, field.text) for field in metadata.fields)
    if reading is None and not metadata.parts:
        reading = _read_hidden(data)
    notes = metadata.notes
    if all(part.kind != "record" for part in metadata.parts):
        return Found(reading=reading, notes=notes)
    try:
        carried = files.find_record(data, metadata)
    except StoreError as error:
        return Found(reading=reading, notes=(*notes, error.message))
    if carried.read.changes or carried.read.record is None:
        said = describe_changes(carried.read.changes)
        return Found(reading=reading, notes=(*notes, said))
    return Found(carried=carried, record=carried.read.record, reading=reading, notes=notes)


def _read_hidden(data: bytes) -> Reading | None:
    """What is hidden in the pixels of a file that says nothing else."""
    bare = strip_metadata(data)
    _check_density(bare)
    text = read_stealth(open_image(bare))
    if text is None:
        return None
    try:
        values = read_object(text)
    except JsonError:
        return read_texts([("parameters", text)])
    named = [(name, value) for name, value in values.items() if isinstance(value, str)]
    return read_texts([*named, ("parameters", text)])


def adopt_file(data: bytes) -> Adopted:
    """The request that the metadata of an image file make; nothing is stored.

    Raises `StoreError` for what is no image, and for one without metadata that are understood.
    """
    found = read_file(data)
    if found.record is not None:
        return _adopt_record(found.record)
    return _choose_subject(found, data).adopted


def _adopt_record(record: Record) -> Adopted:
    """The request of a record; of an image of another program with what that did not say."""
    origin = record.imported
    if origin is None:
        return Adopted(dialect=DIALECT, request=record.request, grade=Grade.EXACT)
    grade = Grade(origin.grade) if origin.grade in list(Grade) else Grade.PARTIAL
    return Adopted(
        dialect=origin.dialect, request=record.request, grade=grade, unread=origin.unread
    )


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was imported.

    `is_new`: False where it was there already. `missing`: digests of files that its request starts
    from and that did not come with it. `notes`: what is to be known besides, a sentence each.
    """

    image: Image
    is_new: bool
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def import_file(
    db: Database, data: bytes, *, file_name: str, session: str | None = None
) -> Arrival:
    """Add the image file `data` to the history, with all that its metadata say of it.

    Raises `StoreError` for what is no image, and for one without metadata that are understood.
    """
    _check_density(data)
    found = read_file(data)
    notes, why = [*found.notes], ""
    name = clean_name(file_name)
    if found.carried is not None and found.record is not None:
        try:
            stored = _store_ours(db, found.carried, found.record, name, session)
        except StoreError as error:
            why = error.message
        else:
            return _arrive(db, stored, notes)
    subject = _choose_subject(found, data, why)
    stored = store_subject(db, subject, data, file_name=name, session=session)
    return _arrive(db, stored, notes)


def _store_ours(
    db: Database, carried: CarriedRecord, record: Record, file_name: str, session: str | None
) -> Stored:
    """Add the image of our record, its file as the engine gave it where that can be had.

    Raises `StoreError` for a signature that does not fit, too: somebody changed something then.
    """
    signer = None
    if carried.signature is not None:
        signature = read_signature(carried.signature)
        if not signature.fits(carried.text):
            raise StoreError("The signature in the file is not one of its record.")
        signer = signature.key.line
    return store_record(
        db,
        record,
        files.find_engine_file(carried, record) or carried.data,
        inputs=carried.inputs,
        file_name=file_name,
        session=session,
        signer=signer,
    )


def _arrive(db: Database, stored: Stored, notes: list[str]) -> Arrival:
    return Arrival(
        image=get_image(db, stored.image.id),
        is_new=stored.is_new,
        missing=stored.missing,
        notes=tuple(notes),
    )


def _choose_subject(found: Found, data: bytes, why: str = "") -> Subject:
    """What is stored of a file that is not ours to the byte; `why` it is not taken for ours."""
    if found.record is not None:
        # As in a lossy copy: what was asked for is known all the same.
        adopted = _adopt_record(found.record)
        grade = Grade.MAPPED if adopted.is_ours else adopted.grade
        unread = (*adopted.unread, ("record", why or "not taken over"))
        return Subject(
            adopted=msgspec.structs.replace(adopted, grade=grade, unread=unread),
            facts=found.record.meta,
            environment=found.record.environment,
            text=found.record.to_json().decode(),
        )
    if found.reading is None:
        raise StoreError(
            "The file has no metadata that are understood here.",
            "To start from the image, give it as the initial image.",
        )
    _, size = identify_image(strip_metadata(data))
    reading = found.reading
    return Subject(
        adopted=make_request(reading, size),
        facts=reading.facts | ({"model": reading.model} if reading.model else {}),
        environment={"program": reading.dialect},
        text=reading.text,
    )


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """The request that was made of a reading, with how much of it that is.

    `unread` is as in `store.records.Imported`: what has no place in the request, and, with the
    value None, what is not said.
    """

    dialect: str
    request: Request
    grade: Grade
    unread: tuple[tuple[str, str | None], ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether the request is that of a record of ours."""
        return self.dialect == DIALECT

    @property
    def unsaid(self) -> tuple[str, ...]:
        """The names of what the request holds stand-ins for."""
        return tuple(name for name, value in self.unread if value is None)


def make_request(reading: Reading, size: tuple[int, int]) -> Adopted:
    """A complete request of what was read. `size`: of the image file, (width, height).

    Sides become multiples of 32. What is not said gets the lowest value, the size that of the file,
    and is named.
    """
    unsaid = list(reading.missing)
    unread: list[tuple[str, str | None]] = [(item.name, item.value) for item in reading.unread]
    prompts = reading.prompts
    if not any(prompt.weight > 0 for prompt in prompts):
        prompts = (Prompt(text=NO_PROMPT), *prompts[: 64 - 1])
        unsaid.insert(0, "prompts")
    said = (reading.width, reading.height)
    width, height = (side or own for side, own in zip(said, size, strict=True))
    held = (_fit(width), _fit(height))
    if held != (width, height):
        unread.append(("size", f"{width} x {height}, here {held[0]} x {held[1]}"))
    elif "size" not in unsaid and (width, height) != size:
        unread.append(("size of the file", f"{size[0]} x {size[1]}"))
    request = Request(
        engine=make_name(reading.dialect, UNKNOWN),
        model=make_name(reading.model or "", UNKNOWN),
        stack=PromptStack(prompts=prompts),
        parameters=Parameters(
            seed=reading.seed or 1,
            steps=reading.steps or 1,
            cfg_scale=reading.cfg_scale or 0.0,
            sampler=reading.sampler or UNKNOWN,
            width=held[0],
            height=held[1],
            style_preset=None,
        ),
    )
    unread += [("note", note) for note in reading.notes]
    unread += [(name, None) for name in unsaid]
    is_lessened = reading.grade is Grade.MAPPED and bool(unread)
    return Adopted(
        dialect=reading.dialect,
        request=request,
        grade=Grade.PARTIAL if is_lessened else reading.grade,
        unread=tuple(unread),
    )


def _fit(side: int) -> int:
    nearest = round(side / SIZE_MULTIPLE) * SIZE_MULTIPLE
    return min(SIZE_MAXIMUM, max(SIZE_MINIMUM, nearest))


def explain_foreign(dialect: str) -> Comparison:
    """The verdict on an image that another program made."""
    return Comparison(
        verdict=Verdict.CANNOT_RUN,
        first_difference="engine",
        detail=f"It came in as a file of {dialect}: no engine here is the one that made it.",
    )


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored beside an image file that is not ours to the byte.

    `text`: its metadata as they are, `facts`: what they say besides, `environment`: what is known
    of what else decided the pixels.
    """

    adopted: Adopted
    facts: dict[str, str]
    environment: dict[str, str]
    text: str


def store_subject(
    db: Database, subject: Subject, data: bytes, *, file_name: str, session: str | None = None
) -> Stored:
    """Add the image file `data` to the history; one that is there already is given back.

    `file_name`: without its folder. `session`: where it is shown. Raises `StoreError` where the
    image cannot be decoded or kept.
    """
    pixels = open_image(strip_metadata(data))
    sha256 = hashlib.sha256(data).hexdigest()
    with db.read() as read:
        if (row := _find(db, read, sha256)) is not None:
            return Stored(image=to_images(db.vault, read, [row])[0], is_new=False)
    mime = Pillow.MIME[identify_format(data)]
    pixels_sha256, thumbnail = digest_pixels(pixels), make_thumbnail(pixels)
    adopted = subject.adopted
    db.vault.put(data, suffix_of(mime))
    with db.write() as write:
        if (row := _find(db, write, sha256)) is not None:
            return Stored(image=to_images(db.vault, write, [row])[0], is_new=False)
        db.vault.ensure(data, suffix_of(mime))
        around = EnvironmentRecord(values=subject.environment)
        facts = {
            "id": uuid.uuid4().hex,
            "environment_digest": store_environment(write, around),
            "session": session,
            "seed": adopted.request.parameters.seed,
            "width": pixels.width,
            "height": pixels.height,
            "mime": mime,
            "pixels_sha256": pixels_sha256,
            "file_sha256": sha256,
            "file_bytes": len(data),
            "finish_reason": FinishReason.SUCCESS.value,
            "seconds": 0.0,
            "created_at": time.time(),
            "meta": msgspec.json.encode(subject.facts, order="sorted").decode(),
        }
        imported = {
            "dialect": adopted.dialect,
            "grade": adopted.grade.value,
            "text": subject.text,
            "unread": msgspec.json.encode(adopted.unread).decode(),
            "file_name": file_name,
        }
        row = add_import(write, adopted.request, facts, imported, thumbnail)
        if not adopted.is_ours:
            verification = store_verification(write, row.id, explain_foreign(adopted.dialect))
            seal_verification(write, verification.number or 0)
        image = to_images(db.vault, write, [row])[0]
    return Stored(image=image, is_new=True)


def _check_density(data: bytes) -> None:
    """Raise `StoreError` for a file of many more pixels than its bytes can have been made of."""
    _, (width, height) = identify_image(strip_metadata(data))
    pixels = width * height
    if pixels > DENSE_PIXELS and len(data) < pixels * _BYTES_A_PIXEL:
        raise StoreError(
            f"{len(data):,} bytes cannot hold an image of {width} x {height} pixels.",
            "It was made to fill the memory, or is all of one colour.",
        )


def clean_name(name: str) -> str:
    """The name of a file as a record may hold it: without its folder, and of a length."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    return plain.encode("utf-8", "replace").decode().replace("\0", "")[:NAME_LIMIT]


def _find(db: Database, session: Session, sha256: str) -> ImageRow | None:
    """The imported image of this file; not looked for where the vault has no such file."""
    if db.vault.locate(sha256) is None:
        return None
    statement = (
        select(ImageRow)
        .join(ImportedRow, col(ImportedRow.image_number) == col(ImageRow.number))
        .where(text(OF_FILE).bindparams(sha256=sha256))
    )
    return session.exec(statement).first()
