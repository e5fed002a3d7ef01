"""The images that requests start from: initial images, masks, images to make larger.

Their files are kept by their digest, beside the results, as `store.decoding` gives them: plain ones
untouched. What was kept before that is in any form, and stays so.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlmodel import Session, col, select

from store.errors import NotFound, RequestError, StoreError
from store.seals import seal_input
from store.stored_json import BROKEN_JSON
from store.tables import InputRow
from store.vault import suffix_of

if TYPE_CHECKING:
    from store.database import Database
    from store.decoding import DecodedInput, Input, Role
    from store.request import Request


def store_input(db: Database, data: bytes, role: Role = "initial image") -> Input:
    """Decode the image file `data`, keep it, and give its facts; twice is once.

    Raises `StoreError` when it is no such image or cannot be written.
    """
    from store.decoding import decode_input

    return keep_input(db, decode_input(data, role))


def keep_input(db: Database, decoded: DecodedInput) -> Input:
    """Keep the file of an image that was decoded. Raises `StoreError` when it cannot be written."""
    sha256 = db.vault.put(decoded.data, suffix_of(decoded.mime))
    with db.write() as write:
        db.vault.ensure(decoded.data, suffix_of(decoded.mime))
        row = write.get(InputRow, sha256)
        notes = msgspec.json.encode(decoded.notes).decode() if decoded.notes else None
        is_new = row is None
        if row is None:
            row = InputRow(
                sha256=sha256,
                mime=decoded.mime,
                width=decoded.width,
                height=decoded.height,
                file_bytes=len(decoded.data),
                created_at=time.time(),
            )
        if is_new or (notes and notes != row.notes):
            row.notes = notes
            write.add(row)
            write.flush()
            seal_input(write, sha256)
    from store.decoding import Input

    return Input(
        sha256=sha256,
        mime=decoded.mime,
        width=decoded.width,
        height=decoded.height,
        notes=decoded.notes,
    )


def get_input(db: Database, sha256: str) -> Input:
    """The facts of a kept file, its size as it looks. Raises `NotFound`."""
    with db.read() as read:
        row = read.get(InputRow, sha256)
        if row is None:
            raise NotFound(f"There is no input image {sha256[:8]}.", "Give its file again.")
        facts = (row.mime, _read_notes(row))
    width, height = _measure(db, row)
    from store.decoding import Input

    return Input(sha256=sha256, mime=facts[0], width=width, height=height, notes=facts[1])


def recall_input(db: Database, data: bytes) -> DecodedInput | None:
    """The kept file that is equal to `data`, in whatever form; None when none is."""
    try:
        found = get_input(db, hashlib.sha256(data).hexdigest())
    except NotFound:
        return None
    from store.decoding import DecodedInput

    return DecodedInput(data=data, **msgspec.structs.asdict(found))


def list_notes(db: Database, request: Request) -> tuple[str, ...]:
    """What was changed or lost when the images came in that `request` starts from."""
    wanted = request.parameters.inputs
    if not wanted:
        return ()
    with db.read() as read:
        rows = read.exec(select(InputRow).where(col(InputRow.sha256).in_(wanted))).all()
        notes = {row.sha256: _read_notes(row) for row in rows}
    return tuple(dict.fromkeys(note for sha256 in wanted for note in notes.get(sha256, ())))


def _read_notes(row: InputRow) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(row.notes or "[]", type=tuple[str, ...])
    except BROKEN_JSON:
        return ()


def _measure(db: Database, row: InputRow) -> tuple[int, int]:
    """The size as the image looks; as it is stored where its file cannot be read."""
    stored = (row.width, row.height)
    try:
        from store.decoding import measure_upright

        return measure_upright(db.vault.get(row.sha256, suffix_of(row.mime)), stored)
    except StoreError:
        return stored


def read_input(db: Database, sha256: str) -> bytes:
    """The file of this digest, checked. Raises `StoreError` when it is missing or was changed."""
    found = get_input(db, sha256)
    return db.vault.get(sha256, suffix_of(found.mime))


def find_input(db: Database, sha256: str) -> Path:
    """Where the kept file of this digest lies. Raises `NotFound`."""
    found = get_input(db, sha256)
    return db.vault.path(sha256, suffix_of(found.mime))


def check_inputs(db: Database, session: Session, request: Request) -> None:
    """Raise `RequestError` when a file that `request` needs was never kept or does not fit."""
    wanted = request.parameters.inputs
    statement = select(InputRow).where(col(InputRow.sha256).in_(wanted))
    rows = {row.sha256: row for row in session.exec(statement)}
    for sha256 in wanted:
        if sha256 not in rows:
            raise RequestError(
                "parameters.initial_image",
                sha256,
                f"The image file {sha256[:8]} that this request starts from is not kept here.",
                "Give the file again.",
            )
    start, mask = request.parameters.initial_image, request.parameters.mask
    if start is None or mask is None:
        return
    whole, part = rows[start.sha256], rows[mask.sha256]
    if (whole.width, whole.height) == (part.width, part.height):
        return
    size, other = (f"{w}x{h}" for w, h in (_measure(db, part), _measure(db, whole)))
    if size != other:
        raise RequestError(
            "parameters.mask",
            mask.sha256,
            f"The mask is {size}, the initial image {other}.",
            "Give a mask of the same size.",
        )
