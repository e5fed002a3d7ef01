"""How images leave: what is chosen of format and metadata, and what comes of it."""

from __future__ import annotations

from typing import Literal

import msgspec

FileFormat = Literal["png", "jpeg", "webp"]
FILE_FORMATS: tuple[FileFormat, ...] = ("png", "jpeg", "webp")
QUALITIES = (1, 100)
JPEG_QUALITY = 95


class FileChoices(msgspec.Struct, frozen=True, kw_only=True):
    """How an image leaves.

    `format`: None keeps the engine's bytes as they are. `quality`, 1 to 100, of JPEG and WebP; None
    is 95 for JPEG, and WebP without loss. `strip`: no metadata at all. `with_inputs`: the files
    that the request starts from lie in the file too.
    """

    format: FileFormat | None = None
    quality: int | None = None
    strip: bool = False
    with_inputs: bool = False


class MadeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be written, with what lies in it, which may go beside it too.

    `suffix`: `.png`, `.jpg` or `.webp`. `record` and `signature` are None where it is stripped.
    """

    data: bytes
    suffix: str
    parameters: str
    record: bytes | None = None
    signature: str | None = None
