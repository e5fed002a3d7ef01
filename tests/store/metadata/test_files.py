"""Files that carry their record, made of images of every kind and read again."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image as Pillow

from store import history, queue
from store.database import Database
from store.metadata.choices import FILE_FORMATS, FileChoices, FileFormat
from store.metadata.containers import read_metadata
from store.metadata.exchange import are_those
from store.metadata.files import digest_body, find_engine_file, make_file, read_file
from store.pixels import digest_pixels, open_image
from store.records import Image
from tests.factories import encode_image, make_request, make_result
from tests.store.metadata.image_files import find_text


def store(db: Database, data: bytes, mime: str = "image/png") -> Image:
    """An image whose engine gave `data`."""
    queue.enqueue(db, [make_request()])
    job = queue.claim(db, token := queue.recover(db, paid_engines=()))
    assert job is not None
    pixels = open_image(data)
    facts: dict[str, Any] = {"width": pixels.width, "height": pixels.height}
    digest = digest_pixels(pixels)
    result = make_result(data=data, mime=mime, seed=7, pixels_sha256=digest, **facts)
    return history.get_image(db, queue.finish(db, job, token, result).id)


def draw(mode: str) -> Pillow.Image:
    image = Pillow.linear_gradient("L").resize((64, 32)).rotate(3)
    if mode == "P":
        return image.convert("RGB").quantize(16)
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", FILE_FORMATS)
@pytest.mark.parametrize("quality", [None, 60])
@pytest.mark.samples(9)
def test_every_mode_goes_into_every_format_and_says_whether_pixels_are_those(
    db: Database, mode: str, kind: FileFormat, quality: int | None
) -> None:
    image = store(db, encode_image(draw(mode)))
    data = history.read_image(db, image)
    choices = FileChoices(format=kind, quality=quality if kind != "png" else None)
    made = make_file(db, image, data, choices)
    record = read_file(made.data).read.record
    assert record is not None
    assert record.pixels.sha256 == image.pixels_sha256
    fits = are_those(open_image(made.data), record.pixels)
    if record.copy is None:
        assert fits
    else:
        assert record.copy.is_lossless is fits
        assert record.copy.body_sha256 == digest_body(made.data)
    if kind == "png" or (kind == "webp" and quality is None and mode != "P"):
        assert fits  # WebP knows no palette, which the digest is of
    assert history.read_image(db, image) == data


def make_service_file(orientation: int = 1) -> bytes:
    """A JPEG as a service may give it, with metadata of its own."""
    exif = Pillow.Exif()
    exif[0x0131] = "a service"
    if orientation != 1:
        exif[0x0112] = orientation
    draw("RGB").save(file := io.BytesIO(), "JPEG", exif=exif.tobytes(), comment="by a service")
    return file.getvalue()


def test_what_a_service_wrote_stays_beside_ours(db: Database) -> None:
    image = store(db, data := make_service_file(), "image/jpeg")
    made = make_file(db, image, data, FileChoices())
    found = read_metadata(made.data)
    assert made.suffix == ".jpg"
    assert find_text(found, "Software") == "a service"
    assert find_text(found, "Comment") == "by a service"
    assert find_text(found, "UserComment") == made.parameters
    stripped = make_file(db, image, data, FileChoices(strip=True))
    assert read_metadata(stripped.data).fields == ()
    assert b"service" not in stripped.data
    assert history.read_image(db, image) == data


@pytest.mark.parametrize("choices", [*[FileChoices(format=kind) for kind in FILE_FORMATS]])
@pytest.mark.parametrize("strip", [False, True])
def test_an_image_that_is_stored_turned_looks_the_same_everywhere(
    db: Database, choices: FileChoices, strip: bool
) -> None:
    image = store(db, data := make_service_file(6), "image/jpeg")
    made = make_file(db, image, data, FileChoices(format=choices.format, strip=strip))
    with Pillow.open(io.BytesIO(made.data)) as found:
        assert found.getexif().get(0x0112) == 6


@pytest.mark.parametrize(("kind", "mime"), [("PNG", "image/png"), ("WEBP", "image/webp")])
def test_the_engines_file_is_had_back_from_one_that_carries_its_record(
    db: Database, kind: str, mime: str
) -> None:
    image = store(db, data := encode_image(draw("RGB"), kind), mime)
    made = make_file(db, image, data, FileChoices())
    carried = read_file(made.data)
    assert carried.read.record is not None
    assert find_engine_file(carried, carried.read.record) == data
    encoded = read_file(make_file(db, image, data, FileChoices(format="jpeg")).data)
    assert encoded.read.record is not None
    assert find_engine_file(encoded, encoded.read.record) is None
