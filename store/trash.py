"""Emptying the trash: images, their files, and the rows that nothing kept refers to.

An image from which a kept image was made, or that a kept verification speaks of, stays as a record
without pixels. Everything else of an image goes: its row, stages, thumbnail, marks, verifications,
its places in runs of verifications, its job (unless that was charged, as the budget counts those)
and its request, where no other image or job has it.

Rows go first, some images a transaction, and with them it is noted which files are to go. Then
those files, each within a transaction that sees that nothing uses it: a worker that stores an equal
image at that moment finds the file missing when it has its turn, and writes it again
(`Vault.ensure`). Wherever it is interrupted, each image is there whole or not at all, and the next
emptying removes the files that are left over.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from sqlmodel import Session

from store.annotations import count_marks
from store.database import Database
from store.leftovers import remove_files
from store.records import Emptying, JobState, Purpose
from store.seals import is_intact, read_images, seal_image
from store.sqlite import unwrap
from store.tables import REMOVED_KEY

CHUNK = 100
"""Images that one transaction removes."""

_FILES = 200
"""Files that one transaction removes."""

_ACTIVE = tuple(state.value for state in JobState if not state.is_final)

_HELD = (
    "SELECT DISTINCT parent_id FROM job WHERE parent_id IS NOT NULL"
    f" AND state IN ({', '.join(repr(state) for state in _ACTIVE)})"
)
"""Images that jobs are about which wait or run."""

_PLAN = f"""
    WITH RECURSIVE held(id) AS ({_HELD}),
    trash(id, number, is_whole) AS (
        SELECT image.id, image.number, annotation.emptied_at IS NULL
        FROM annotation JOIN image ON image.number = annotation.image_number
        WHERE annotation.trashed_at IS NOT NULL AND image.id NOT IN held
    ),
    needed(id) AS (
        SELECT trash.id FROM trash CROSS JOIN image AS child ON child.parent_id = trash.id
        WHERE child.id IN held OR NOT EXISTS (
            SELECT 1 FROM annotation
            WHERE image_number = child.number AND trashed_at IS NOT NULL)
        UNION
        SELECT trash.id FROM trash
        CROSS JOIN verification ON verification.regenerated_id = trash.id
        JOIN image AS first ON first.id = verification.image_id
        WHERE first.id IN held OR NOT EXISTS (
            SELECT 1 FROM annotation
            WHERE image_number = first.number AND trashed_at IS NOT NULL)
        UNION
        SELECT image.parent_id FROM needed JOIN image ON image.id = needed.id
        WHERE image.parent_id IS NOT NULL
        UNION
        SELECT verification.regenerated_id FROM needed
        JOIN verification ON verification.image_id = needed.id
        WHERE verification.regenerated_id IS NOT NULL
    )
    SELECT count(*) FILTER (WHERE NOT is_needed),
        count(*) FILTER (WHERE is_needed AND is_whole)
    FROM (SELECT is_whole, id IN (SELECT id FROM needed) AS is_needed FROM trash)
"""
"""How many images go, and of how many more the pixels."""

_PLAN_HELD = f"""
    SELECT count(*) FROM annotation JOIN image ON image.number = annotation.image_number
    WHERE annotation.trashed_at IS NOT NULL AND annotation.emptied_at IS NULL
    AND image.id IN ({_HELD})
"""

_PLAN_FILES = f"""
    WITH held(id) AS ({_HELD}),
    file(sha256, bytes) AS (
        SELECT image.file_sha256, max(image.file_bytes)
        FROM annotation JOIN image ON image.number = annotation.image_number
        WHERE annotation.trashed_at IS NOT NULL AND annotation.emptied_at IS NULL
        AND image.id NOT IN held
        AND NOT EXISTS (SELECT 1 FROM thinned WHERE image_number = image.number)
        GROUP BY image.file_sha256
    )
    SELECT count(*), coalesce(sum(bytes), 0) FROM file
    WHERE NOT EXISTS (
        SELECT 1 FROM image AS other
        LEFT JOIN annotation AS said ON said.image_number = other.number
        WHERE substr(other.file_sha256, 1, 16) = substr(file.sha256, 1, 16)
        AND other.file_sha256 = file.sha256 AND (said.trashed_at IS NULL OR other.id IN held)
    ) AND NOT EXISTS (SELECT 1 FROM input WHERE sha256 = file.sha256)
"""


class _Image(NamedTuple):
    """What is needed of an image that lies in the trash, or whose record was kept after it."""

    number: int
    id: str
    job_id: str
    request_digest: str
    file_sha256: str
    mime: str
    is_emptied: bool


def plan_emptying(db: Database) -> Emptying:
    """What emptying the trash would do now. Changes nothing."""
    with db.read() as read:
        connection = unwrap(read)
        images, records = connection.execute(_PLAN).fetchone()
        (held,) = connection.execute(_PLAN_HELD).fetchone()
        files, file_bytes = connection.execute(_PLAN_FILES).fetchone()
    return Emptying(images=images, records=records, held=held, files=files, file_bytes=file_bytes)


def empty_trash(db: Database, tell: Callable[[int], object] | None = None) -> Emptying:
    """Remove what lies in the trash, for good; what it did.

    `tell` is called with the number of images done so far, and ends it there by returning False.
    Images that were put in the trash meanwhile may stay. Raises `StoreError`; what was done before
    stays done.
    """
    images = records = done = 0
    before = 2**63 - 1
    # From the newest to the oldest, as what was made from an image is newer than it.
    while numbers := _list_trash(db, before):
        before = numbers[-1]
        with db.write() as write:
            emptier = _Emptier(write)
            for number in numbers:
                emptier.remove(number)
            emptier.finish()
        images += emptier.images
        records += emptier.records
        done += len(numbers)
        if tell is not None and tell(done) is False:
            break
    files, file_bytes = remove_noted_files(db)
    with db.read() as read:
        (held,) = unwrap(read).execute(_PLAN_HELD).fetchone()
    return Emptying(images=images, records=records, held=held, files=files, file_bytes=file_bytes)


def _list_trash(db: Database, before: int) -> list[int]:
    with db.read() as read:
        rows = unwrap(read).execute(
            "SELECT image_number FROM annotation WHERE trashed_at IS NOT NULL"
            " AND image_number < ? ORDER BY image_number DESC LIMIT ?",
            (before, CHUNK),
        )
        return [number for (number,) in rows]


class _Emptier:
    """Removes images within one transaction; counts those removed, and those kept as records."""

    def __init__(self, write: Session) -> None:
        self.images = 0
        self.records = 0
        self._write = write
        self._connection = unwrap(write)
        self._held = {held for (held,) in self._connection.execute(_HELD)}
        # Whichever of two rows that refer to each other goes first, both are gone at the end.
        self._connection.execute("PRAGMA defer_foreign_keys = ON")

    def remove(self, number: int) -> None:
        """Remove the image, or its pixels where something refers to it.

        One that a verification of another image in the trash speaks of goes with that one.
        """
        image = self._find("number", number)
        if image is None or image.id in self._held:
            return
        firsts = [self._find("id", first) for first in self._list_firsts(image.id)]
        if any(first and first.id not in self._held for first in firsts):
            return
        group = self._gather(image)
        if not firsts and self._is_free(group):
            for one in group:
                self._delete(one)
        else:
            for one in group:
                self._strip(one)

    def finish(self) -> None:
        """Tell those who watch."""
        if self.images or self.records:
            count_marks(self._connection)

    def _find(self, column: str, value: object) -> _Image | None:
        """The image, if it lies in the trash or did."""
        row = self._connection.execute(
            "SELECT image.number, id, job_id, request_digest, file_sha256, mime,"
            " annotation.emptied_at IS NOT NULL"
            " FROM image JOIN annotation ON annotation.image_number = image.number"
            f" WHERE annotation.trashed_at IS NOT NULL AND image.{column} = ?",
            (value,),
        ).fetchone()
        return None if row is None else _Image(*row)

    def _list_firsts(self, image_id: str) -> list[str]:
        """The images whose verification made this one again."""
        rows = self._connection.execute(
            "SELECT DISTINCT image_id FROM verification WHERE regenerated_id = ?", (image_id,)
        )
        return [first for (first,) in rows]

    def _gather(self, image: _Image) -> list[_Image]:
        """The image, and those in the trash that were made when it was verified."""
        group = {image.id: image}
        waiting = [image.id]
        while waiting:
            rows = self._connection.execute(
                "SELECT regenerated_id FROM verification"
                " WHERE image_id = ? AND regenerated_id IS NOT NULL",
                (waiting.pop(),),
            ).fetchall()
            for (again,) in rows:
                found = None if again in group else self._find("id", again)
                if found is not None and again not in self._held:
                    group[again] = found
                    waiting.append(again)
        return list(group.values())

    def _is_free(self, group: Sequence[_Image]) -> bool:
        """Whether nothing outside of it refers to it."""
        ids = [image.id for image in group]
        marks = ", ".join("?" * len(ids))
        (count,) = self._connection.execute(
            f"SELECT (SELECT count(*) FROM image"
            f" WHERE parent_id IN ({marks}) AND id NOT IN ({marks}))"
            f" + (SELECT count(*) FROM verification"
            f" WHERE image_id IN ({marks}) AND regenerated_id NOT IN ({marks}))"
            f" + (SELECT count(*) FROM verification"
            f" WHERE regenerated_id IN ({marks}) AND image_id NOT IN ({marks}))",
            ids * 6,
        ).fetchone()
        return not count

    def _delete(self, image: _Image) -> None:
        run = self._connection.execute
        numbers = run(
            "SELECT number, job_id FROM verification WHERE image_id = ?", (image.id,)
        ).fetchall()
        run("DELETE FROM verification_run_image WHERE image_number = ?", (image.number,))
        for table in ("thinned", "imported", "stage", "thumbnail", "annotation", "tag"):
            run(f"DELETE FROM {table} WHERE image_number = ?", (image.number,))
        if numbers:
            highest = max(number for number, _ in numbers)
            run(
                "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key)"
                " DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(?2 AS INTEGER))",
                (REMOVED_KEY, str(highest)),
            )
            run("DELETE FROM verification WHERE image_id = ?", (image.id,))
        run("DELETE FROM image WHERE number = ?", (image.number,))
        jobs = {job for _, job in numbers if job is not None} | {image.job_id}
        # Comparisons that came to nothing.
        others = run(
            "SELECT id FROM job WHERE request_digest = ? AND parent_id = ? AND purpose <> ?",
            (image.request_digest, image.id, Purpose.GENERATE.value),
        )
        jobs |= {job for (job,) in others.fetchall()}
        self._delete_jobs(jobs)
        self._delete_request(image.request_digest)
        if not image.is_emptied:
            self._note_file(image)
        self.images += 1

    def _delete_jobs(self, jobs: Collection[str]) -> None:
        """Those that were not charged; what was, is needed to know what was spent."""
        for job in jobs:
            self._connection.execute(
                "UPDATE job SET image_id = NULL, verification_number = NULL, parent_id = NULL"
                " WHERE id = ? AND EXISTS (SELECT 1 FROM charge WHERE job_id = job.id)",
                (job,),
            )
            self._connection.execute(
                "DELETE FROM job WHERE id = ?"
                " AND NOT EXISTS (SELECT 1 FROM charge WHERE job_id = job.id)"
                " AND NOT EXISTS (SELECT 1 FROM image WHERE job_id = job.id)"
                " AND NOT EXISTS (SELECT 1 FROM verification WHERE job_id = job.id)",
                (job,),
            )

    def _delete_request(self, digest: str) -> None:
        for table, key in (("prompt", "request_digest"), ("request", "digest")):
            self._connection.execute(
                f"DELETE FROM {table} WHERE {key} = ?1"
                " AND NOT EXISTS (SELECT 1 FROM image WHERE request_digest = ?1)"
                " AND NOT EXISTS (SELECT 1 FROM job WHERE request_digest = ?1)",
                (digest,),
            )

    def _strip(self, image: _Image) -> None:
        """Remove the pixels and what was said of it; the rest of the record stays, sealed anew."""
        if image.is_emptied:
            return
        run = self._connection.execute
        sealed = next(read_images(self._connection, image.number, image.number))
        for table in ("thinned", "thumbnail", "tag"):
            run(f"DELETE FROM {table} WHERE image_number = ?", (image.number,))
        run(
            "UPDATE annotation SET rating = NULL, is_favourite = 0, note = NULL, emptied_at = ?"
            " WHERE image_number = ?",
            (time.time(), image.number),
        )
        if is_intact(sealed):
            # Where it was changed before, the old seal goes on saying so.
            seal_image(self._write, image.number)
        self._note_file(image)
        self.records += 1

    def _note_file(self, image: _Image) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO removal VALUES (?, ?)", (image.file_sha256, image.mime)
        )


def remove_noted_files(db: Database) -> tuple[int, int]:
    """Remove the files of images that were removed, which nothing else needs: how many, bytes."""
    files = file_bytes = 0
    while True:
        with db.write() as write:
            connection = unwrap(write)
            rows = connection.execute(
                "SELECT file_sha256, mime FROM removal LIMIT ?", (_FILES,)
            ).fetchall()
            if not rows:
                return files, file_bytes
            removed = remove_files(db.vault, connection, rows)
            connection.executemany(
                "DELETE FROM removal WHERE file_sha256 = ?", [(row[0],) for row in rows]
            )
        files, file_bytes = files + removed[0], file_bytes + removed[1]


def list_leftovers(connection: sqlite3.Connection) -> list[str]:
    """What an interrupted emptying left over, a sentence; empty when there is nothing."""
    (count,) = connection.execute("SELECT count(*) FROM removal").fetchone()
    if not count:
        return []
    files = "1 file" if count == 1 else f"{count:,} files"
    return [f"{files} of removed images may be left over; safelight trash --empty removes them."]
