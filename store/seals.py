"""Seals: over each row that is never changed, one digest of its facts and a short check a fact.

The digest tells that something was changed, the checks tell what. They find accidents and edits by
hand; whoever knows this module can make a seal anew, so they prove nothing against a forger.

A seal is one byte for its form, the SHA-256, and the last three bytes of the CRC-32 of each fact.
The SHA-256 is taken over all facts, followed by the checks. Facts are hashed as MessagePack: NULL
as nil, whole numbers in the shortest form, FLOAT as 64 bits, text as str, BLOB as bin, rows as
arrays; stages as lines `position step sha256 name` in the order of characters, the columns of a
request as a map of those that are not NULL, by name.

The lists of facts only grow, at their end: a seal covers as many as it has checks for, so those
that were made before a fact was known stay whole. A column of a request joins by itself where it
is NULL in the rows that are there.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from store.sqlite import unwrap

if TYPE_CHECKING:
    from sqlmodel import Session

FORM = 1
HEAD = 1 + hashlib.sha256().digest_size
CHECK_BYTES = 3

IMAGE = (
    "number",
    "id",
    "job_id",
    "request_digest",
    "environment_digest",
    "parent_id",
    "relation",
    "purpose",
    "session",
    "seed",
    "width",
    "height",
    "mime",
    "pixels_sha256",
    "file_sha256",
    "file_bytes",
    "finish_reason",
    "warning",
    "seconds",
    "created_at",
    "meta",
    "prompt_text",
)
JOB = (
    "number",
    "id",
    "request_digest",
    "purpose",
    "state",
    "created_at",
    "started_at",
    "finished_at",
    "epoch",
    "attempts",
    "cancel_requested",
    "session",
    "parent_id",
    "relation",
    "wire",
    "wire_sha256",
    "error_kind",
    "error",
    "warning",
    "image_id",
    "verification_number",
    "profile",
    "program",
)
PROMPT = ("position", "text", "weight", "enabled")
CHARGE = ("number", "credits", "created_at")
VERIFICATION = (
    "number",
    "image_id",
    "job_id",
    "verdict",
    "pixels_sha256_then",
    "pixels_sha256_now",
    "first_difference",
    "detail",
    "psnr_db",
    "regenerated_id",
    "environment_digest",
    "created_at",
)
INPUT = ("sha256", "mime", "width", "height", "file_bytes", "created_at", "notes")

_OF_JOB = tuple(f"job.{name}" for name in JOB)
IMAGE_FACTS = (*IMAGE, "stages", "thumbnail", "request", *_OF_JOB, "charges")
"""What the seal of an image covers: its row, its stages, its thumbnail, its request with columns
and prompts, its job, and what that cost."""
VERIFICATION_FACTS = (*VERIFICATION, "previous", *_OF_JOB)
"""`previous`: the number of the verification of the same image that came before."""


class Sealed(NamedTuple):
    """A row with its seal (as it is stored, so None or anything) and its facts in their order.

    `key`: the number of an image or verification, the digest of an input.
    """

    key: Any
    seal: Any
    facts: list[Any]


def _columns(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


_IMAGES = (
    f"SELECT image.seal, {_columns('image', IMAGE)}, thumbnail.data, {_columns('job', JOB)},"
    " request.* FROM image"
    " LEFT JOIN thumbnail ON thumbnail.image_number = image.number"
    " LEFT JOIN request ON request.digest = image.request_digest"
    " LEFT JOIN job ON job.id = image.job_id"
    " WHERE image.number BETWEEN ? AND ? ORDER BY image.number"
)
_STAGES = (
    # By far the most rows: joined where they are read, which spares making a tuple of each.
    "SELECT image_number, group_concat(position || ' ' || step || ' ' || sha256 || ' ' || name,"
    " char(10)) FROM stage WHERE image_number BETWEEN ? AND ? GROUP BY image_number"
)
_PROMPTS = (
    f"SELECT image.number, {_columns('prompt', PROMPT)} FROM image"
    " JOIN prompt ON prompt.request_digest = image.request_digest"
    " WHERE image.number BETWEEN ? AND ? ORDER BY image.number, prompt.position"
)
_CHARGES = (
    f"SELECT image.number, {_columns('charge', CHARGE)} FROM image"
    " JOIN charge ON charge.job_id = image.job_id"
    " WHERE image.number BETWEEN ? AND ? ORDER BY image.number, charge.number"
)
_VERIFICATIONS = (
    f"SELECT verification.seal, {_columns('verification', VERIFICATION)},"
    " (SELECT max(earlier.number) FROM verification AS earlier"
    " WHERE earlier.image_id = verification.image_id AND earlier.number < verification.number),"
    f" {_columns('job', JOB)} FROM verification LEFT JOIN job ON job.id = verification.job_id"
)
_INPUTS = f"SELECT seal, {_columns('input', INPUT)} FROM input"


def read_images(connection: sqlite3.Connection, first: int, last: int) -> Iterator[Sealed]:
    """The images with these numbers and all between, in their order; a thousand a call at most."""
    span = (first, last)
    stages = dict(connection.execute(_STAGES, span).fetchall())
    prompts = _gather(connection, _PROMPTS, span)
    charges = _gather(connection, _CHARGES, span)
    cursor = connection.execute(_IMAGES, span)
    data = 1 + len(IMAGE)
    request = data + 1 + len(JOB)
    columns = sorted(
        (column[0], place) for place, column in enumerate(cursor.description) if place >= request
    )
    for row in cursor:
        number = row[1]
        # In which order SQLite joins them is not promised.
        lines = sorted((stages.get(number) or "").split("\n"))
        asked = {name: row[place] for name, place in columns if row[place] is not None}
        facts = [*row[1:data], "\n".join(lines), row[data], (asked, prompts.get(number, ()))]
        facts += row[data + 1 : request]
        facts.append(charges.get(number, ()))
        yield Sealed(number, row[0], facts)


def _gather(
    connection: sqlite3.Connection, statement: str, span: tuple[int, int]
) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in connection.execute(statement, span).fetchall():
        found[row[0]].append(row[1:])
    return found


def read_verifications(
    connection: sqlite3.Connection, *, image_id: str | None = None, number: int | None = None
) -> Iterator[Sealed]:
    """Verifications in the order of their numbers: all, those of an image, or one."""
    condition = ""
    values: tuple[str | int, ...] = ()
    if image_id is not None:
        condition, values = " WHERE verification.image_id = ?", (image_id,)
    elif number is not None:
        condition, values = " WHERE verification.number = ?", (number,)
    statement = f"{_VERIFICATIONS}{condition} ORDER BY verification.number"
    for seal, *facts in connection.execute(statement, values):
        yield Sealed(facts[0], seal, facts)


def read_inputs(connection: sqlite3.Connection, sha256: str | None = None) -> Iterator[Sealed]:
    """Kept files that requests start from: all, or that of one digest."""
    condition, values = (" WHERE sha256 = ?", (sha256,)) if sha256 is not None else ("", ())
    for seal, *facts in connection.execute(_INPUTS + condition, values):
        yield Sealed(facts[0], seal, facts)


def make_seal(facts: Sequence[Any]) -> bytes:
    """The seal of a row with these facts."""
    checks = b"".join(_check(fact) for fact in facts)
    return bytes((FORM,)) + _digest(facts, checks) + checks


def is_intact(sealed: Sealed) -> bool:
    """Whether all facts are those that were sealed, and the seal is whole. Microseconds."""
    seal = sealed.seal
    if not isinstance(seal, bytes) or seal[:1] != bytes((FORM,)):
        return False
    return seal[1:HEAD] == _digest(sealed.facts[: _count(seal)], seal[HEAD:])


def list_changes(names: Sequence[str], sealed: Sealed) -> list[str]:
    """The names of the facts that are not those that were sealed; `seal` for the seal itself.

    `names` are those of the facts, in their order. Empty when nothing was changed. `seal` too
    when something was changed and no check tells what.
    """
    if is_intact(sealed):
        return []
    seal = sealed.seal
    if not isinstance(seal, bytes) or len(seal) < HEAD or seal[0] != FORM:
        return ["seal"]
    now = make_seal(sealed.facts[: _count(seal)])
    if len(seal) != len(now) or seal[1:HEAD] == now[1:HEAD]:
        # Where the facts give the digest, it is the checks that were changed.
        return ["seal"]
    changed = [
        name
        for name, place in zip(names, range(HEAD, len(now), CHECK_BYTES), strict=False)
        if seal[place : place + CHECK_BYTES] != now[place : place + CHECK_BYTES]
    ]
    return changed or ["seal"]


def _count(seal: bytes) -> int:
    """How many facts the seal covers."""
    return (len(seal) - HEAD) // CHECK_BYTES


def _digest(facts: Sequence[Any], checks: bytes) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode(facts) + checks).digest()


def _check(fact: Any) -> bytes:
    return zlib.crc32(msgspec.msgpack.encode(fact)).to_bytes(4)[-CHECK_BYTES:]


# Sealing


def seal_image(write: Session, number: int) -> None:
    """Seal the image with this number: the last thing in the transaction that stores it."""
    connection = unwrap(write)
    for sealed in read_images(connection, number, number):
        _write(connection, "image", "number", sealed)


def seal_verification(write: Session, number: int) -> None:
    """Seal this verification: the last thing in the transaction that stores it."""
    connection = unwrap(write)
    for sealed in read_verifications(connection, number=number):
        _write(connection, "verification", "number", sealed)


def seal_input(write: Session, sha256: str) -> None:
    """Seal the row of a kept file."""
    connection = unwrap(write)
    for sealed in read_inputs(connection, sha256):
        _write(connection, "input", "sha256", sealed)


def seal_all(connection: sqlite3.Connection) -> None:
    """Seal every row as it is now, for the change that brings seals to a history."""
    for first, last in list_spans(connection):
        for sealed in list(read_images(connection, first, last)):
            _write(connection, "image", "number", sealed)
    for sealed in list(read_verifications(connection)):
        _write(connection, "verification", "number", sealed)
    for sealed in list(read_inputs(connection)):
        _write(connection, "input", "sha256", sealed)


def list_spans(connection: sqlite3.Connection, size: int = 500) -> Iterator[tuple[int, int]]:
    """The numbers of all images in spans of at most `size` images: first and last."""
    last: int | None = -(2**63)
    while last is not None:
        first, last = connection.execute(
            "SELECT min(number), max(number) FROM"
            " (SELECT number FROM image WHERE number > ? ORDER BY number LIMIT ?)",
            (last, size),
        ).fetchone()
        if last is not None:
            yield first, last


def _write(connection: sqlite3.Connection, table: str, key: str, sealed: Sealed) -> None:
    connection.execute(
        f"UPDATE {table} SET seal = ? WHERE {key} = ?", (make_seal(sealed.facts), sealed.key)
    )
