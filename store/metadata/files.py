"""Image files that carry their record: made of an image of the history, and read from anywhere."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from PIL import Image as Pillow

from store.errors import StoreError
from store.exif import may_be_turned, read_orientation
from store.inputs import read_input
from store.metadata.choices import JPEG_QUALITY, FileChoices, MadeFile
from store.metadata.containers import (
    Metadata,
    Part,
    list_without_parts,
    read_metadata,
    strip_metadata,
    write_metadata,
)
from store.metadata.exchange import are_those, make_record
from store.metadata.exif_texts import EXIF_HEAD, make_orientation
from store.metadata.parameters_text import write_infotext
from store.metadata.record import CopyFact, ReadRecord, Record, name_program, read_record
from store.metadata.signature import SigningKey
from store.pixels import FILE_LIMIT, identify_image, open_image
from store.vault import suffix_of

if TYPE_CHECKING:
    from PIL.Image import Image as Pixels

    from store.database import Database
    from store.records import Image


def make_file(
    db: Database,
    image: Image,
    data: bytes,
    choices: FileChoices,
    *,
    key: SigningKey | None = None,
) -> MadeFile:
    """The file of `image` (of `history.get_image`), whose file in the vault is `data`.

    `key` signs the record. Raises `StoreError` where the record or a file is damaged.
    """
    program = name_program()
    body, mime = _encode(image, data, choices)
    parameters = write_infotext(image.request, program=program)
    is_ours = image.imported is None or image.imported.is_exact
    if image.imported is not None and not is_ours:
        # The request of an image of another program holds stand-ins: what it said is kept instead.
        parameters = image.imported.text
    if choices.strip:
        bare = strip_metadata(body, _find_orientation(body))
        return MadeFile(data=bare, suffix=suffix_of(mime), parameters=parameters)
    record = make_record(db, image, data, program=program)
    if body is not data:
        copy = CopyFact(
            mime=mime,
            body_sha256=digest_body(body),
            is_lossless=are_those(open_image(body), record.pixels),
        )
        record = msgspec.structs.replace(record, copy=copy)
    text = record.to_json()
    signature = None if key is None else key.sign(text)
    parts = [Part("record", text)]
    if signature is not None:
        parts.append(Part("signature", signature.encode()))
    if choices.with_inputs:
        parts += [
            Part("input", read_input(db, sha256)) for sha256 in image.request.parameters.inputs
        ]
    return MadeFile(
        data=write_metadata(body, parts, parameters if is_ours else None),
        suffix=suffix_of(mime),
        parameters=parameters,
        record=text,
        signature=signature,
    )


def _encode(image: Image, data: bytes, choices: FileChoices) -> tuple[bytes, str]:
    """The image in the chosen format, `data` itself where it has that already; its media type."""
    wanted = choices.format and choices.format.upper()
    if wanted is None or (wanted == identify_image(data)[0] and choices.quality is None):
        return data, Pillow.MIME[identify_image(data)[0]]
    pixels = open_image(data)
    options: dict[str, object] = {}
    if profile := pixels.info.get("icc_profile"):
        options["icc_profile"] = profile
    if (orientation := _find_orientation(data)) != 1:
        options["exif"] = EXIF_HEAD + make_orientation(orientation)
    file = io.BytesIO()
    if wanted == "PNG":
        pixels.save(file, "PNG", **options)
    elif wanted == "JPEG":
        quality = JPEG_QUALITY if choices.quality is None else choices.quality
        subsampling = 0 if quality >= JPEG_QUALITY else 2
        _flatten(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling, **options)
    elif choices.quality is None:
        pixels.save(file, "WEBP", lossless=True, exact=True, quality=80, method=4, **options)
    else:
        pixels.save(file, "WEBP", quality=choices.quality, method=4, **options)
    if file.tell() > FILE_LIMIT:
        raise StoreError(
            f"As {wanted} the image {image.id[:8]} has more than {FILE_LIMIT:,} bytes."
        )
    return file.getvalue(), Pillow.MIME[wanted]


def _flatten(pixels: Pixels) -> Pixels:
    """What a JPEG file can hold: transparent places white."""
    if not pixels.has_transparency_data:
        return pixels if pixels.mode in ("L", "RGB", "CMYK") else pixels.convert("RGB")
    full = pixels.convert("RGBA")
    return Pillow.alpha_composite(Pillow.new("RGBA", full.size, "white"), full).convert("RGB")


def _find_orientation(data: bytes) -> int:
    return read_orientation(open_image(data))[0] if may_be_turned(data) else 1


def digest_body(data: bytes) -> str:
    """SHA-256 of an image file without its metadata."""
    return hashlib.sha256(strip_metadata(data)).hexdigest()


# Reading


class CarriedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file with a record in it, as they were found: nothing is checked but what `read` says.

    `text`: the record's bytes. `signature`: as it was found, None for none. `inputs`: files by
    their digests.
    """

    data: bytes
    text: bytes
    read: ReadRecord
    signature: bytes | None = None
    inputs: Mapping[str, bytes] = {}


def read_file(data: bytes) -> CarriedRecord:
    """The record in an image file and what lies beside it.

    Raises `StoreError` where there is none, or more than one, or of a form that is not known here.
    """
    return find_record(data, read_metadata(data))


def find_record(data: bytes, metadata: Metadata) -> CarriedRecord:
    """As `read_file`, of a file whose metadata were read already."""
    by_kind: dict[str, list[bytes]] = {"record": [], "signature": [], "input": []}
    for part in metadata.parts:
        by_kind[part.kind].append(part.data)
    if not by_kind["record"]:
        notes = " ".join(metadata.notes)
        raise StoreError(
            f"There is no record of Safelight in the file. {notes}".strip(),
            "It may have been stripped, or written by another program.",
        )
    if len(by_kind["record"]) > 1 or len(by_kind["signature"]) > 1:
        raise StoreError("There is more than one record or signature of Safelight in the file.")
    (text,) = by_kind["record"]
    return CarriedRecord(
        data=data,
        text=text,
        read=read_record(text),
        signature=next(iter(by_kind["signature"]), None),
        inputs={hashlib.sha256(part).hexdigest(): part for part in by_kind["input"]},
    )


def find_engine_file(carried: CarriedRecord, record: Record) -> bytes | None:
    """The file as the engine gave it, where taking out what was written into it gives it back."""
    for bare in (carried.data, *list_without_parts(carried.data)):
        if hashlib.sha256(bare).hexdigest() == record.file.sha256:
            return bare
    return None
