"""Image files of others into the history, and of ours with everything."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Pillow

from store import history
from store.database import Database
from store.errors import StoreError
from store.integrity import check_database
from store.metadata.choices import FileChoices
from store.metadata.containers import make_png_chunk
from store.metadata.files import make_file
from store.metadata.foreign import Grade
from store.metadata.infotext import read_infotext
from store.metadata.intake import NO_PROMPT, adopt_file, import_file
from store.metadata.parameters_text import write_infotext
from store.metadata.signature import SigningKey
from store.records import Image, Purpose, Verdict
from store.request import InitialImage
from tests.factories import make_plain, make_request
from tests.store.helpers import make_images
from tests.store.metadata.dialect_files import (
    A1111,
    EXAMPLES,
    make_commented,
    make_png,
)
from tests.store.metadata.image_files import STATUS
from tests.store.metadata.records import draw_records
from tests.store.metadata.test_records import lose

ROOT = Path(__file__).parents[3]
PROGRAM = "Safelight 0"


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.samples(6)
def test_a_file_of_each_dialect_becomes_an_image_that_cannot_run(db: Database, name: str) -> None:
    texts, size, dialect, grade = EXAMPLES[name]
    data = make_png(texts, size)
    arrival = import_file(db, data, file_name=f"/home/somebody/{name}.png", session="past")
    image = arrival.image
    assert arrival.is_new
    assert image.imported is not None
    assert (image.imported.dialect, image.imported.grade) == (dialect, grade), image.imported
    assert image.imported.file_name == f"{name}.png"
    assert image.imported.text
    assert (image.purpose, image.session) == (Purpose.IMPORT, "past")
    assert (image.width, image.height) == size
    assert image.is_foreign
    assert image.verdict is Verdict.CANNOT_RUN
    assert dialect in history.list_verifications(db, image.id)[0].detail
    assert history.read_image(db, image) == data
    assert history.check_image(db, image.id).changes == ()
    assert check_database(db) == []
    (listed,) = history.list_images(db)
    assert listed.imported is not None
    assert listed.imported.dialect == dialect
    if grade == Grade.MAPPED:
        assert image.imported.unread == ()
        assert (image.request.parameters.width, image.request.parameters.height) == size


def test_the_same_file_is_added_once(db: Database) -> None:
    data = make_png([("parameters", A1111)], (512, 768))
    first = import_file(db, data, file_name="a.png")
    again = import_file(db, data, file_name="b.png")
    assert (again.is_new, again.image.id) == (False, first.image.id)
    assert len(history.list_images(db)) == 1
    assert again.image.imported == first.image.imported


def test_what_the_file_does_not_say_is_told_and_only_stands_in(db: Database) -> None:
    image = import_file(db, make_png([("Description", "a cat")]), file_name="a.png").image
    assert image.imported is not None
    assert image.imported.unsaid == ("seed", "steps", "cfg_scale", "sampler", "model", "size")
    assert image.request.stack.prompts[0].text == "a cat"
    graph = '{"1": {"class_type": "LoadImage", "inputs": {"image": "/etc/passwd"}}}'
    bare = import_file(db, make_png([("prompt", graph)]), file_name="b.png").image
    assert bare.imported is not None
    assert bare.imported.unsaid[0] == "prompts"
    assert bare.request.stack.prompts[0].text == NO_PROMPT
    assert ("node 1", "LoadImage(image=/etc/passwd)") in bare.imported.unread


def test_a_size_that_no_request_has_is_the_nearest_and_told(db: Database) -> None:
    text = A1111.replace("512x768", "500x905")
    image = import_file(db, make_png([("parameters", text)], (500, 905)), file_name="a.png").image
    assert image.imported is not None
    assert (image.request.parameters.width, image.request.parameters.height) == (512, 896)
    assert image.imported.unread == (("size", "500 x 905, here 512 x 896"),)
    assert image.imported.grade == Grade.PARTIAL
    larger = make_png([("parameters", A1111)], (1024, 1536))
    image = import_file(db, larger, file_name="b.png").image
    assert image.imported is not None
    assert image.imported.unread == (("size of the file", "1024 x 1536"),)


def test_nothing_is_taken_of_an_image_that_says_nothing(db: Database) -> None:
    for data in (make_png([]), make_png([("Software", "GIMP")]), b"GIF89a", b""):
        with pytest.raises(StoreError):
            import_file(db, data, file_name="a.png")
    assert history.list_images(db) == []
    assert list((db.directory / "images").rglob("*.png")) == []


def test_names_of_folders_and_control_signs_do_not_come_in(db: Database) -> None:
    text = A1111.replace("a cat", "a \x1b[31mcat\x9b, C:\\tabby")
    image = import_file(
        db, make_commented(text, "JPEG", size=(512, 768)), file_name="C:\\secret\\\x00a.jpg"
    ).image
    assert image.imported is not None
    assert image.imported.file_name == "a.jpg"
    assert "\x1b" not in image.request.stack.prompts[0].text
    assert image.imported.grade == Grade.PARTIAL


def hide(text: str, magic: bytes = b"stealth_pngcomp", size: tuple[int, int] = (96, 128)) -> bytes:
    """A PNG file with `text` in the lowest bits of its transparency, down the columns."""
    data = gzip.compress(text.encode()) if magic.endswith(b"comp") else text.encode()
    hidden = magic + (8 * len(data)).to_bytes(4) + data
    image = Pillow.new("RGBA", size, (9, 9, 9, 254))
    for place in range(8 * len(hidden)):
        bit = hidden[place // 8] >> (7 - place % 8) & 1
        image.putpixel(divmod(place, size[1]), (9, 9, 9, 254 | bit))
    image.save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def test_what_is_hidden_in_the_pixels_is_read_where_nothing_else_is_said(db: Database) -> None:
    texts = dict(EXAMPLES["NovelAI"][0])
    image = import_file(db, hide(json.dumps(texts)), file_name="a.png").image
    assert image.imported is not None
    assert (image.imported.dialect, image.seed) == ("NovelAI", 3071474384)
    plain = import_file(db, hide(A1111, b"stealth_pnginfo"), file_name="b.png").image
    assert plain.imported is not None
    assert (plain.imported.dialect, plain.seed) == ("A1111", 1229080980)
    for damaged in (hide("x" * 50, b"stealth_pngcamp"), hide("", b"stealth_pnginfo")):
        with pytest.raises(StoreError):
            import_file(db, damaged, file_name="c.png")


# Our own


def export(db: Database, image: Image, **choices: object) -> bytes:
    whole = history.get_image(db, image.id)
    wanted = FileChoices(**choices)  # type: ignore[arg-type]
    return make_file(db, whole, history.read_image(db, whole), wanted).data


def test_our_own_file_comes_in_with_everything(db: Database, tmp_path: Path) -> None:
    (image,) = make_images(db, [make_request("night sky", "clouds::-1")])
    data = export(db, image)
    with Database.open(tmp_path / "other") as other:
        arrival = import_file(other, data, file_name="7.png")
        was, came = history.get_image(db, image.id), arrival.image
        for name in ("id", "request", "seed", "pixels_sha256", "stages", "environment", "meta"):
            assert getattr(came, name) == getattr(was, name), name
        assert came.imported is not None
        assert (came.imported.dialect, came.imported.grade) == ("safelight", Grade.EXACT)
        assert not came.is_foreign
        assert came.verdict is None
        assert not import_file(other, data, file_name="7.png").is_new
        assert check_database(other) == []
    assert not import_file(db, data, file_name="7.png").is_new


def test_what_came_in_is_found_by_its_words_without_their_accents(
    db: Database, tmp_path: Path
) -> None:
    (image,) = make_images(db, [make_request("Zürich bei Nacht")])
    theirs = make_png([("parameters", "Café\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5")])
    with Database.open(tmp_path / "other") as other:
        ours = import_file(other, export(db, image), file_name="7.png").image
        foreign = import_file(other, theirs, file_name="8.png").image
        for words, found in (("zurich", ours), ("ZÜRI", ours), ("cafe", foreign)):
            assert [each.id for each in history.list_images(other, search=words)] == [found.id]
        assert check_database(other) == []


def test_input_files_come_with_it_or_are_told(db: Database, tmp_path: Path) -> None:
    from store.inputs import store_input

    start = store_input(db, make_plain("red")).sha256
    initial = InitialImage(sha256=start, start_schedule=0.6, end_schedule=0.0)
    (image,) = make_images(db, [make_request("a town", initial_image=initial)])
    with Database.open(tmp_path / "without") as other:
        assert import_file(other, export(db, image), file_name="a.png").missing == (start,)
    with Database.open(tmp_path / "with") as other:
        data = export(db, image, with_inputs=True)
        assert import_file(other, data, file_name="a.png").missing == ()


def test_a_lossy_copy_is_not_taken_for_the_image(db: Database, tmp_path: Path) -> None:
    (image,) = make_images(db, [make_request("night sky")])
    data = export(db, image, format="jpeg", quality=60)
    with Database.open(tmp_path / "other") as other:
        came = import_file(other, data, file_name="a.jpg").image
        assert came.request == image.request
        assert came.imported is not None
        assert came.imported.grade == Grade.MAPPED
        assert "pixels" in dict(came.imported.unread)["record"]  # type: ignore[operator]
        assert came.environment == history.get_image(db, image.id).environment
        assert adopt_file(data).request == image.request


def test_what_others_made_stays_theirs_on_its_way_through_a_history(
    db: Database, tmp_path: Path
) -> None:
    texts = [("parameters", A1111 + ", Clip skip: 2")]
    was = import_file(db, make_png(texts, (512, 768)), file_name="a.png").image
    data = export(db, was)
    with Database.open(tmp_path / "other") as other:
        came = import_file(other, data, file_name="b.png").image
        assert was.imported is not None
        assert came.imported is not None
        assert came.is_foreign
        assert came.imported.unread == was.imported.unread
        assert came.imported.dialect == "A1111"
    adopted = adopt_file(data)
    assert (adopted.is_ours, adopted.dialect, adopted.grade) == (False, "A1111", "partial")


def test_a_record_that_was_changed_is_none(db: Database, tmp_path: Path) -> None:
    (image,) = make_images(db, [make_request("night sky")])
    data = export(db, image)
    start = data.index(b"slRc") + 4
    length = int.from_bytes(data[start - 8 : start - 4])
    record = data[start : start + length].replace(b"night", b"light")
    changed = data[: start - 8] + make_png_chunk(b"slRc", record) + data[start + length + 4 :]
    with Database.open(tmp_path / "other") as other:
        arrival = import_file(other, changed, file_name="a.png")
        assert arrival.image.imported is not None
        assert arrival.image.imported.dialect == "Safelight text"
        assert any("changed" in note for note in arrival.notes)
        assert arrival.image.is_foreign


def test_who_signed_it_is_kept(db: Database, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = SigningKey(Ed25519PrivateKey.generate())
    (image,) = make_images(db, [make_request("night sky")])
    whole = history.get_image(db, image.id)
    data = history.read_image(db, whole)
    made = make_file(db, whole, data, FileChoices(), key=key).data
    with Database.open(tmp_path / "other") as other:
        came = import_file(other, made, file_name="a.png").image
        assert came.imported is not None
        assert came.imported.signer == key.public.line


# As text


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.exhaustive)])
def test_hostile_records_come_back_out_of_the_text_for_others(count: int) -> None:
    """Parameters always; of the prompts what `lose` says, the list in `docs/metadata.md`."""
    for record in draw_records(count):
        request = record.request
        reading = read_infotext(write_infotext(request, program=PROGRAM))
        if not request.stack.active:
            continue
        assert reading is not None
        parameters = request.parameters
        assert reading.dialect == "Safelight text"
        assert (reading.seed, reading.steps) == (parameters.seed, parameters.steps)
        assert reading.cfg_scale == pytest.approx(parameters.cfg_scale)
        assert (reading.width, reading.height) == (parameters.width, parameters.height)
        assert reading.sampler == parameters.sampler
        assert reading.model == request.model
        for sign in (1, -1):
            rows = [row for row in reading.prompts if row.weight * sign > 0]
            said = [(row.text.strip(" ,"), abs(row.weight)) for row in rows]
            assert said == [(text, float(f"{weight:.9g}")) for text, weight in lose(request, sign)]


# What is wrong on purpose


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell what a process took")
def test_malformed_files_are_not_imported_and_do_no_harm(tmp_path: Path) -> None:
    """In a process of its own, whose memory is measured and whose files are limited."""
    code = f"from tests.store.metadata.hostile_files import *; import_malformed({str(tmp_path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stderr
    count, kept, peak = map(int, done.stdout.split())
    assert count >= 300
    assert peak <= 200 * 1024 * 1024
    with Database.open(tmp_path / "data") as db:
        assert check_database(db) == []
        images = history.list_images(db, limit=1000)
        assert len(images) == kept
        assert all(image.imported is not None for image in images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
