"""The images that were made: pages, search, records, verdicts."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Integer, column, func, table, text
from sqlmodel import Session, col, select

from store.database import Database
from store.errors import NotFound, StoreError
from store.fulltext import parse_search
from store.integrity import find_changes, name_changes
from store.mapping import (
    as_text,
    find_row,
    is_trashed,
    store_verification,
    to_images,
    to_verification,
)
from store.records import Comparison, EnvironmentRecord, Image, Imported, Stage, Verification
from store.seals import seal_verification
from store.tables import (
    AnnotationRow,
    EnvironmentRow,
    ImageRow,
    ImportedRow,
    StageRow,
    ThumbnailRow,
    VerificationRow,
)
from store.vault import suffix_of


def list_images(
    db: Database,
    *,
    before: int | None = None,
    limit: int = 50,
    search: str | None = None,
    session: str | None = None,
) -> list[Image]:
    """Up to `limit` images, newest first: those with a number below `before`.

    `search`: all its words must begin words of the prompts; any text may be given. `session`:
    only those of that session. A damaged record is listed too, marked `is_damaged`; what lies in
    the trash is not.
    """
    statement, number = _match(select(ImageRow), search)
    statement = statement.where(~is_trashed(number))
    if before is not None:
        statement = statement.where(number < before)
    if session is not None:
        statement = statement.where(col(ImageRow.session) == session)
    statement = statement.order_by(number.desc()).limit(limit)
    with db.read() as read:
        return to_images(db.vault, read, read.exec(statement).all())


def list_trash(db: Database, *, before: int | None = None, limit: int = 50) -> list[Image]:
    """Up to `limit` images that lie in the trash, newest first, with a number below `before`."""
    statement = (
        select(ImageRow)
        .join(AnnotationRow, col(AnnotationRow.image_number) == col(ImageRow.number))
        .where(col(AnnotationRow.trashed_at).is_not(None), col(AnnotationRow.emptied_at).is_(None))
        .order_by(col(ImageRow.number).desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(col(ImageRow.number) < before)
    with db.read() as read:
        return to_images(db.vault, read, read.exec(statement).all())


def list_image_numbers(db: Database, *, search: str | None = None) -> array[int]:
    """The numbers of all images that match `search` as in `list_images`, newest first.

    Eight bytes an image: a list of any length knows its end and every place in it.
    """
    statement, number = _match(select(ImageRow.number), search)
    statement = statement.where(~is_trashed(number))
    with db.read() as read:
        return array("q", read.exec(statement.order_by(number.desc())))


def _match(statement: Any, search: str | None) -> tuple[Any, Any]:
    """`statement` for the images that match, and the column of numbers to order it by."""
    number: Any = col(ImageRow.number)
    if search is None or not search.strip():
        return statement, number
    phrases, literals = parse_search(search)
    if phrases:
        # In the index's own order: by rank, or by a column of the other table, all hits
        # would be read before the first is shown.
        index = table("image_text", column("rowid", Integer))
        statement = statement.select_from(index).join(ImageRow, number == index.c.rowid)
        statement = statement.where(text("image_text MATCH :phrases")).params(phrases=phrases)
        number = index.c.rowid
    for part in literals:
        statement = statement.where(func.instr(col(ImageRow.prompt_text), part) > 0)
    return statement, number


def get_image(db: Database, reference: str) -> Image:
    """The whole record of the image whose id begins with `reference` (`@1` is the newest).

    Stages, environment, meta and the text that came with it are filled. Raises `NotFound`.
    """
    with db.read() as read:
        row = find_row(read, ImageRow, reference)
        image = to_images(db.vault, read, [row])[0]
        meta = _read_values(row.meta)
        return msgspec.structs.replace(
            image,
            stages=_load_stages(read, image.number),
            environment=_load_environment(read, image.environment_digest),
            meta=meta or {},
            imported=_load_imported(read, image),
            is_damaged=image.is_damaged or meta is None,
        )


def get_image_at(db: Database, number: int) -> Image:
    """The image with this number, as lists have it. Raises `NotFound`."""
    with db.read() as read:
        row = read.get(ImageRow, number)
        if row is None:
            raise NotFound(f"There is no image of the number {number}.")
        return to_images(db.vault, read, [row])[0]


def has_image(db: Database, image_id: str) -> bool:
    """Whether there is an image of this whole id."""
    with db.read() as read:
        return (
            read.exec(select(ImageRow.number).where(col(ImageRow.id) == image_id)).first()
            is not None
        )


def get_images(db: Database, numbers: Collection[int]) -> list[Image]:
    """The images with these numbers, a few hundred at most, as lists have them, newest first."""
    statement = select(ImageRow).where(col(ImageRow.number).in_(list(numbers)))
    with db.read() as read:
        rows = read.exec(statement.order_by(col(ImageRow.number).desc())).all()
        return to_images(db.vault, read, rows)


def check_image(db: Database, reference: str) -> Image:
    """As `get_image`, with the names of what was changed in the record after it was written."""
    image = get_image(db, reference)
    with db.read() as read:
        findings = find_changes(read, find_row(read, ImageRow, image.id))
    return msgspec.structs.replace(image, changes=tuple(name_changes(findings)))


def find_neighbour(db: Database, number: int, *, is_newer: bool) -> Image | None:
    """The image made next after the one with this number, or last before it; None at an end.

    What lies in the trash is passed by.
    """
    own = col(ImageRow.number)
    statement = (
        select(ImageRow).where(own > number).order_by(own)
        if is_newer
        else select(ImageRow).where(own < number).order_by(own.desc())
    )
    statement = statement.where(~is_trashed(own))
    with db.read() as read:
        rows = read.exec(statement.limit(1)).all()
        return to_images(db.vault, read, rows)[0] if rows else None


def list_made(db: Database, request_digest: str) -> list[Image]:
    """The images of the request with this digest, newest first; those in the trash too."""
    statement = select(ImageRow).where(col(ImageRow.request_digest) == request_digest)
    with db.read() as read:
        rows = read.exec(statement.order_by(col(ImageRow.number).desc())).all()
        return to_images(db.vault, read, rows)


def get_thumbnails(db: Database, numbers: Collection[int]) -> dict[int, bytes]:
    """The thumbnails of these images, by number; those that have none are left out."""
    wanted = col(ThumbnailRow.image_number).in_(set(numbers))
    with db.read() as read:
        rows = read.exec(select(ThumbnailRow).where(wanted)).all()
        return {row.image_number: row.data for row in rows}


def read_image(db: Database, image: Image) -> bytes:
    """The file of an image as the engine gave it, checked. Raises `StoreError` naming it."""
    if image.is_emptied:
        raise StoreError(
            "The pixels of this image were removed with the trash; only its record is left.",
            "Regenerating makes it again.",
        )
    if image.is_thinned and not image.path.is_file():
        raise StoreError(
            f"The pixels of the image {image.id[:8]} were dropped to save space.",
            f"'safelight restore {image.id[:8]}' makes them again.",
        )
    return db.vault.get(image.file_sha256, suffix_of(image.mime))


def get_environment(db: Database, digest: str) -> EnvironmentRecord | None:
    """What images were made or verified with, by its digest; None where it is not kept."""
    with db.read() as read:
        return _load_environment(read, digest)


def list_verifications(db: Database, image_id: str) -> list[Verification]:
    """All comparisons of an image, newest first. Raises `NotFound`."""
    with db.read() as read:
        image = find_row(read, ImageRow, image_id)
        statement = select(VerificationRow).where(col(VerificationRow.image_id) == image.id)
        rows = read.exec(statement.order_by(col(VerificationRow.number).desc())).all()
        return [to_verification(row) for row in rows]


def add_verification(db: Database, image_id: str, comparison: Comparison) -> Verification:
    """Add a comparison that no job made (a check of the record and file alone)."""
    with db.write() as write:
        image = find_row(write, ImageRow, image_id)
        row = store_verification(write, image.id, comparison)
        seal_verification(write, row.number or 0)
        return to_verification(row)


def _load_stages(read: Session, number: int) -> tuple[Stage, ...]:
    statement = select(StageRow).where(col(StageRow.image_number) == number)
    rows = read.exec(statement.order_by(col(StageRow.position))).all()
    return tuple(Stage(name=row.name, step=row.step, sha256=row.sha256) for row in rows)


def _load_imported(read: Session, image: Image) -> Imported | None:
    """Where it came from, with the text of its metadata."""
    if image.imported is None:
        return None
    row = read.get(ImportedRow, image.number)
    return msgspec.structs.replace(image.imported, text=as_text(row.text) if row else "")


def _load_environment(read: Session, digest: str) -> EnvironmentRecord | None:
    row = read.get(EnvironmentRow, digest)
    values = _read_values(row.json_text) if row else None
    return None if values is None else EnvironmentRecord(values=values)


def _read_values(stored: object) -> dict[str, str] | None:
    try:
        return msgspec.json.decode(as_text(stored), type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError):
        return None
