"""The images that requests start from: initial images, masks, images to make larger.

Their files are kept untouched, by their digest, beside the results.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from PIL import Image as PillowImage
from sqlmodel import Session, col, select

from store.errors import NotFound, RequestError
from store.pixels import open_image
from store.seals import seal_input
from store.tables import InputRow
from store.vault import suffix_of

if TYPE_CHECKING:
    from store.database import Database
    from store.request import Request


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The file of an image that a request starts from: digest, media type, size in pixels."""

    sha256: str
    mime: str
    width: int
    height: int


def store_input(db: Database, data: bytes) -> Input:
    """Keep the image file `data` (PNG, JPEG or WebP) and give its facts; twice is once.

    Raises `StoreError` when it is no such image or cannot be written.
    """
    image = open_image(data)
    mime = PillowImage.MIME[image.format or "PNG"]
    sha256 = db.vault.put(data, suffix_of(mime))
    with db.write() as write:
        if write.get(InputRow, sha256) is None:
            write.add(
                InputRow(
                    sha256=sha256,
                    mime=mime,
                    width=image.width,
                    height=image.height,
                    file_bytes=len(data),
                    created_at=time.time(),
                )
            )
            write.flush()
            seal_input(write, sha256)
    return Input(sha256=sha256, mime=mime, width=image.width, height=image.height)


def get_input(db: Database, sha256: str) -> Input:
    """The facts of a kept file. Raises `NotFound`."""
    with db.read() as read:
        row = read.get(InputRow, sha256)
        if row is None:
            raise NotFound(f"There is no input image {sha256[:8]}.", "Give its file again.")
        return Input(sha256=row.sha256, mime=row.mime, width=row.width, height=row.height)


def read_input(db: Database, sha256: str) -> bytes:
    """The file of this digest, checked. Raises `StoreError` when it is missing or was changed."""
    found = get_input(db, sha256)
    return db.vault.get(sha256, suffix_of(found.mime))


def find_input(db: Database, sha256: str) -> Path:
    """Where the kept file of this digest lies. Raises `NotFound`."""
    found = get_input(db, sha256)
    return db.vault.path(sha256, suffix_of(found.mime))


def check_inputs(session: Session, request: Request) -> None:
    """Raise `RequestError` when a file that `request` needs was never kept or does not fit."""
    wanted = request.parameters.inputs
    statement = select(InputRow).where(col(InputRow.sha256).in_(wanted))
    sizes = {row.sha256: (row.width, row.height) for row in session.exec(statement)}
    for sha256 in wanted:
        if sha256 not in sizes:
            raise RequestError(
                "parameters.initial_image",
                sha256,
                f"The image file {sha256[:8]} that this request starts from is not kept here.",
                "Give the file again.",
            )
    start, mask = request.parameters.initial_image, request.parameters.mask
    if start and mask and sizes[start.sha256] != sizes[mask.sha256]:
        size, other = (
            f"{width}x{height}" for width, height in (sizes[mask.sha256], sizes[start.sha256])
        )
        raise RequestError(
            "parameters.mask",
            mask.sha256,
            f"The mask is {size}, the initial image {other}.",
            "Give a mask of the same size.",
        )
