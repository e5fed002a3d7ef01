"""The images that requests start from: initial images, masks, images to make larger.

Their files are kept untouched, by their digest, beside the results.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from PIL import Image as PillowImage
from sqlmodel import Session, col, select

from store.errors import NotFound, RequestError
from store.pixels import open_image
from store.tables import InputRow

if TYPE_CHECKING:
    from store.database import Database
    from store.request import Request

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


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
    sha256 = db.vault.put(data, _SUFFIXES[mime])
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
    return db.vault.get(sha256, _SUFFIXES.get(found.mime, ".bin"))


def check_inputs(session: Session, request: Request) -> None:
    """Raise `RequestError` when a file that `request` needs was never kept."""
    wanted = request.parameters.inputs
    statement = select(InputRow.sha256).where(col(InputRow.sha256).in_(wanted))
    known = set(session.exec(statement)) if wanted else set()
    for sha256 in wanted:
        if sha256 not in known:
            raise RequestError(
                "parameters.initial_image",
                sha256,
                f"The image file {sha256[:8]} that this request starts from is not kept here.",
                "Give the file again.",
            )
