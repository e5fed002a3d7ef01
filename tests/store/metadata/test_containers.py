"""Metadata in the bytes of image files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image as Pillow

from store.errors import StoreError
from store.metadata.containers import (
    Part,
    list_without_parts,
    make_png_chunk,
    read_metadata,
    strip_metadata,
    write_metadata,
)
from store.metadata.files import read_file
from tests.store.metadata.image_files import (
    FORMATS,
    STATUS,
    find_text,
    make_file,
    make_malformed,
    measure_peak,
    read_pixels,
)

ROOT = Path(__file__).parents[3]
PARTS = [Part("record", b"r" * 150_000), Part("input", b"i" * 70_000), Part("input", b"")]
TEXT = "a café 猫 😀\nNegative prompt: x\nSteps: 3"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("has_exif", [False, True])
def test_what_is_written_is_read_and_no_pixel_changes(name: str, has_exif: bool) -> None:
    exif = Pillow.Exif()
    exif[0x0131] = "a camera"
    data = make_file(name, **({"exif": exif.tobytes()} if has_exif else {}))
    written = write_metadata(data, PARTS, TEXT)
    found = read_metadata(written)
    assert list(found.parts) == PARTS
    assert TEXT in (find_text(found, "parameters"), find_text(found, "UserComment"))
    assert find_text(found, "Software") == ("a camera" if has_exif else None)
    assert found.notes == ()
    assert read_pixels(written) == read_pixels(data)
    with Pillow.open(io.BytesIO(written)) as image:
        image.load()
        assert image.getexif().get(0x0131) == ("a camera" if has_exif else None)


@pytest.mark.parametrize("name", FORMATS)
def test_writing_again_replaces_ours_and_keeps_what_others_wrote(name: str) -> None:
    written = write_metadata(make_file(name), PARTS, TEXT)
    again = read_metadata(write_metadata(written, [Part("record", b"new")], "another"))
    assert again.parts == (Part("record", b"new"),)
    assert TEXT in (find_text(again, "parameters"), find_text(again, "UserComment"))


@pytest.mark.parametrize("name", FORMATS)
def test_taking_ours_out_gives_the_same_file(name: str) -> None:
    data = make_file(name)
    written = write_metadata(data, PARTS, TEXT)
    assert data in list(list_without_parts(written))
    assert data in list(list_without_parts(write_metadata(data, PARTS)))


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_left_when_stripped(name: str) -> None:
    exif = Pillow.Exif()
    exif[0x0131] = "a camera"
    data = make_file(name, exif=exif.tobytes())
    written = write_metadata(data, PARTS, TEXT)
    if name == "PNG":
        written = written[:33] + make_png_chunk(b"tEXt", b"Comment\0secret") + written[33:]
    if name.startswith("JPEG"):
        written = written[:2] + b"\xff\xfe\0\x08secret" + written[2:]
    stripped = strip_metadata(written + b"secret behind the end")
    for text in (
        b"secret",
        b"camera",
        b"safelight",
        b"slRc",
        b"Steps",
        "Steps".encode("utf-16-be"),
    ):
        assert text not in stripped
    assert read_metadata(stripped).fields == ()
    assert read_pixels(stripped) == read_pixels(data)
    assert strip_metadata(make_file(name)) == strip_metadata(stripped)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP"])
def test_a_stripped_file_stays_turned(name: str) -> None:
    stripped = strip_metadata(make_file(name), orientation=6)
    with Pillow.open(io.BytesIO(stripped)) as image:
        assert dict(image.getexif()) == {0x0112: 6}


def test_texts_of_each_kind_are_read() -> None:
    png = make_file()
    chunks = (
        make_png_chunk(b"tEXt", "Title\0caf\xe9".encode("latin-1")),
        make_png_chunk(b"tEXt", b"Comment\0" + "猫".encode()),
        make_png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"{}")),
        make_png_chunk(b"iTXt", "prompt\0\1\0de\0Wörter\0".encode() + zlib.compress("ü".encode())),
        make_png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
    )
    late = png[:33] + b"".join(chunks[:2]) + png[33:-12] + b"".join(chunks[2:]) + png[-12:]
    assert [tuple(field) for field in read_metadata(late).fields] == [
        ("tEXt", "Title", "café"),
        ("tEXt", "Comment", "猫"),
        ("zTXt", "workflow", "{}"),
        ("iTXt", "prompt", "ü"),
        ("XMP", "XMP", "<x/>"),
    ]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("text_order", ["utf-16-le", "utf-16-be"])
def test_a_user_comment_is_read_in_each_order_of_bytes(order: str, text_order: str) -> None:
    sign, mark = ("<", b"II*\0") if order == "little" else (">", b"MM\0*")
    comment = b"UNICODE\0" + "Steps: 3, Seed: 7".encode(text_order)
    own = struct.pack(f"{sign}HHHII", 1, 0x9286, 7, len(comment), 44) + b"\0" * 4
    main = struct.pack(f"{sign}HHHIII", 1, 0x8769, 4, 1, 26, 0)
    exif = mark + struct.pack(f"{sign}I", 8) + main + own + comment
    found = read_metadata(make_file("JPEG", exif=b"Exif\0\0" + exif))
    assert find_text(found, "UserComment") == "Steps: 3, Seed: 7"


def test_parts_of_a_jpeg_that_are_not_all_there_are_told() -> None:
    written = write_metadata(make_file("JPEG"), [Part("record", b"r" * 150_000)])
    place = written.index(b"safelight\0slRc\0\0\0\1") - 4
    length = int.from_bytes(written[place + 2 : place + 4])
    found = read_metadata(written[:place] + written[place + 2 + length :])
    assert found.parts == ()
    assert "not complete" in " ".join(found.notes)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(StoreError, match="more than"):
        write_metadata(make_file(), [Part("input", bytes(49 * 1024 * 1024))])


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell what a process took")
def test_malformed_files_do_no_harm() -> None:
    """In a process of its own, as what it takes is measured: its start, then all the files."""
    code = "from tests.store.metadata.test_containers import read_malformed; read_malformed(300)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    count, peak = map(int, ended.stdout.split())
    assert count == 300
    assert peak <= 200 * 1024 * 1024


def read_malformed(count: int) -> None:
    """Read, write and strip malformed files; print how many, and the most memory it took."""
    seen = set()
    for name, data in make_malformed(count):
        seen.add((name, hashlib.sha256(data).digest()))
        for work in (read_metadata, read_file, strip_metadata, _write, _list):
            with contextlib.suppress(StoreError):
                work(data)
    print(len(seen), measure_peak())


def _write(data: bytes) -> None:
    write_metadata(data, [Part("record", b"{}")], "Steps: 1")


def _list(data: bytes) -> None:
    for _ in list_without_parts(data):
        pass
