"""Thinned images: their file was dropped, as they can be made again; all else of them is kept.

A file is dropped in two steps. First the rows that say so are committed, each in a transaction that
sees that nothing has changed since the image was looked at. Then the file is removed, within a
transaction of its own that sees that nothing else uses it: who stores an equal image at that moment
finds the file missing when it has its turn, and writes it again (`Vault.ensure`). Wherever it is
interrupted, an image has its file or a row that says that it was dropped; files that were left over
by that are removed the next time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Collection, Sequence

import msgspec
from sqlmodel import Session, col, select

from store.annotations import count_marks
from store.batches import divide
from store.database import Database
from store.errors import StoreError
from store.leftovers import count_users, find_file, remove_files
from store.mapping import as_text, to_images, to_verification
from store.records import Image, Verdict, Verification
from store.sqlite import unwrap
from store.tables import AnnotationRow, ImageRow, ThinnedRow, VerificationRow
from store.vault import suffix_of

CHUNK = 100
"""Images that one transaction thins, and files that one removes."""


class FileState(msgspec.Struct, frozen=True, kw_only=True):
    """An image, and what decides whether its file may be dropped.

    `newest` is its newest verification. `users`: how many images and inputs need its file.
    """

    image: Image
    newest: Verification | None
    is_input: bool
    users: int


def list_states(
    db: Database, numbers: Collection[int], *, made_before: float | None = None
) -> list[FileState]:
    """What there is to know of the files of these images, which were made before a moment.

    Those that have no pixels any more are left out.
    """
    statement = select(ImageRow).where(col(ImageRow.number).in_(list(numbers)))
    if made_before is not None:
        statement = statement.where(col(ImageRow.created_at) < made_before)
    with db.read() as read:
        rows = read.exec(statement.order_by(col(ImageRow.number).desc())).all()
        images = to_images(db.vault, read, rows)
        return [
            _read_state(read, image)
            for image in images
            if not image.is_thinned and not image.is_emptied
        ]


def _read_state(read: Session, image: Image) -> FileState:
    newest = _find_newest(read, image.id)
    connection = unwrap(read)
    (inputs,) = connection.execute(
        "SELECT count(*) FROM input WHERE sha256 = ?", (image.file_sha256,)
    ).fetchone()
    return FileState(
        image=image,
        newest=None if newest is None else to_verification(newest),
        is_input=bool(inputs),
        users=count_users(connection, image.file_sha256),
    )


def _find_newest(session: Session, image_id: str) -> VerificationRow | None:
    statement = select(VerificationRow).where(col(VerificationRow.image_id) == image_id)
    return session.exec(statement.order_by(col(VerificationRow.number).desc()).limit(1)).first()


def thin_images(db: Database, states: Sequence[FileState]) -> tuple[int, int, int]:
    """Drop the files of these images: how many images were thinned, files removed, bytes freed.

    An image about which something has changed since its state was read is left as it is, and so is
    one that shares its file with an image that stays. Raises `StoreError`; what was done before
    stays done.
    """
    images = files = freed = 0
    by_file: dict[str, list[FileState]] = {}
    for state in states:
        by_file.setdefault(state.image.file_sha256, []).append(state)
    for chunk in divide(by_file.values(), CHUNK):
        with db.write() as write:
            if thinned := sum(_thin_file(write, sharing) for sharing in chunk):
                count_marks(unwrap(write))
            images += thinned
        removed = _remove_files(
            db, [(group[0].image.file_sha256, group[0].image.mime) for group in chunk]
        )
        files, freed = files + removed[0], freed + removed[1]
    return images, files, freed


def _thin_file(write: Session, sharing: Sequence[FileState]) -> int:
    """Thin the images that share a file, all or none; how many."""
    sha256 = sharing[0].image.file_sha256
    if count_users(unwrap(write), sha256) != len(sharing):
        return 0
    for state in sharing:
        now = _find_newest(write, state.image.id)
        said = write.get(AnnotationRow, state.image.number)
        is_kept = said is not None and (said.is_favourite or said.trashed_at is not None)
        if state.newest is None or now is None or now.number != state.newest.number or is_kept:
            return 0
    for state in sharing:
        assert state.newest is not None
        write.add(
            ThinnedRow(
                image_number=state.image.number,
                verification_number=state.newest.number,
                thinned_at=time.time(),
            )
        )
    return len(sharing)


def remove_leftovers(db: Database) -> tuple[int, int]:
    """Remove files of thinned images that an interruption left there: how many, bytes."""
    statement = select(ImageRow.file_sha256, ImageRow.mime).join(
        ThinnedRow, col(ThinnedRow.image_number) == col(ImageRow.number)
    )
    with db.read() as read:
        named = sorted(set(read.exec(statement).all()))
    files = freed = 0
    left = [each for each in named if find_file(db.vault, *each)]
    for chunk in divide(left, CHUNK):
        removed = _remove_files(db, chunk)
        files, freed = files + removed[0], freed + removed[1]
    return files, freed


def _remove_files(db: Database, named: Sequence[tuple[str, str]]) -> tuple[int, int]:
    with db.write() as write:
        return remove_files(db.vault, unwrap(write), named)


def restore_file(db: Database, write: Session, image: ImageRow, data: bytes) -> None:
    """An image has its file again, which `data` is and which was put into the vault before.

    Raises `StoreError` when `data` is not the file of the record.
    """
    if hashlib.sha256(data).hexdigest() != image.file_sha256:
        raise StoreError(f"What was made is not the file of the image {image.id[:8]}.")
    db.vault.ensure(data, suffix_of(image.mime))
    if (row := write.get(ThinnedRow, image.number)) is not None:
        write.delete(row)
        write.flush()
        count_marks(unwrap(write))


def list_thinned(db: Database) -> list[int]:
    """The numbers of all images whose file was dropped, newest first."""
    statement = select(ThinnedRow.image_number).order_by(col(ThinnedRow.image_number).desc())
    with db.read() as read:
        return list(read.exec(statement).all())


def check_thinned(connection: sqlite3.Connection, image_number: int | None = None) -> list[str]:
    """The ids of images that are said to be thinned and were never found identical before.

    Of all images, or of one.
    """
    condition, values = (
        ("", ()) if image_number is None else (" AND image.number = ?", (image_number,))
    )
    rows = connection.execute(
        "SELECT image.id FROM thinned JOIN image ON image.number = thinned.image_number"
        " LEFT JOIN verification ON verification.number = thinned.verification_number"
        " AND verification.image_id = image.id"
        f" WHERE coalesce(verification.verdict, '') <> ?{condition}",
        (Verdict.IDENTICAL.value, *values),
    )
    return [as_text(image_id) for (image_id,) in rows]
