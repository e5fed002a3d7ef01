"""Whether damage to the database, its files and records is found and named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from PIL import Image as Picture

from store import history, integrity
from store.database import Database
from store.records import Image
from store.request import Parameters, Prompt
from tests.factories import make_request, make_result
from tests.store.helpers import execute, make_images


def test_check_finds_damaged_pages(directory: Path) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request(f"picture {number} " * 30) for number in range(12)])
    path = directory / "history.sqlite3"
    data = bytearray(path.read_bytes())
    place = data.index(b"picture 5 picture 5")
    page = place // 4096 * 4096
    data[page : page + 12] = b"\xff" * 12
    path.write_bytes(data)
    with Database.open(directory) as db:
        assert integrity.check_database(db)


def test_check_names_what_is_missing(db: Database, directory: Path) -> None:
    images = make_images(db, [make_request("one"), make_request("two")])
    assert integrity.check_database(db) == []
    images[0].path.write_bytes(images[0].path.read_bytes()[:-1])
    for image, finding in zip(images, integrity.check_database(db), strict=True):
        assert image.id in finding
        assert f"its record says {image.file_bytes}" in finding
    images[0].path.unlink()
    findings = "\n".join(integrity.check_database(db))
    assert images[0].id in findings
    assert str(images[0].path) in findings

    execute(directory, "DROP TRIGGER image_text_insert")
    assert any("image_text_insert" in finding for finding in integrity.check_database(db))

    execute(directory, "DELETE FROM prompt")
    execute(directory, "DELETE FROM request")
    assert any("refers to a row of request" in finding for finding in integrity.check_database(db))


def test_check_finds_an_index_that_is_out_of_step(db: Database, directory: Path) -> None:
    make_images(db, [make_request("one")])
    execute(directory, "DROP TRIGGER image_search_update")
    execute(directory, "UPDATE image SET prompt_text = 'something else'")
    assert any("search index does not fit" in finding for finding in integrity.check_database(db))


@pytest.fixture
def image(db: Database) -> Image:
    request = make_request("a lighthouse", "fog", seed=11, style_preset="enhance")
    return make_images(db, [request])[0]


def alter(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}-x"


def test_a_whole_record_has_no_findings(db: Database, image: Image) -> None:
    assert integrity.check_record(db, image) == []


@pytest.mark.parametrize("field", Parameters.__struct_fields__)
@pytest.mark.samples(5)
def test_a_changed_column_of_any_parameter_is_named(db: Database, image: Image, field: str) -> None:
    assert field in get_type_hints(Parameters)
    then = json.loads(image.request.to_json())["parameters"][field]
    now = alter(then)
    execute(db.directory, f"UPDATE request SET {field} = ?", now)
    if field == "seed":
        execute(db.directory, "UPDATE image SET seed = ?", now)
    findings = integrity.check_record(db, image)
    expected = [f"request.{field}: the record says {then!r}, the column says {now!r}"]
    if field == "seed":
        expected.append(f"seed: {now!r} is not what was written")
    assert findings == expected
    # The JSON fits its digest, so it is the truth and the record can still be used.
    assert history.get_image(db, image.id).request == image.request


def test_the_sentence_is_the_one_that_people_will_see(db: Database, image: Image) -> None:
    execute(db.directory, "UPDATE request SET cfg_scale = 9")
    [finding] = integrity.check_record(db, image)
    assert finding == "request.cfg_scale: the record says 8.0, the column says 9.0"


@pytest.mark.parametrize("field", Prompt.__struct_fields__)
def test_a_changed_prompt_row_is_named(db: Database, image: Image, field: str) -> None:
    now = alter(getattr(image.request.stack.prompts[1], field))
    execute(db.directory, f"UPDATE prompt SET {field} = ? WHERE position = 2", now)
    [finding] = integrity.check_record(db, image)
    assert finding.startswith(f"request.prompts.2.{field}: the record says")


@pytest.mark.parametrize("field", ["engine", "model"])
def test_a_changed_engine_or_model_is_named(db: Database, image: Image, field: str) -> None:
    execute(db.directory, f"UPDATE request SET {field} = 'other'")
    [finding] = integrity.check_record(db, image)
    assert finding.startswith(f"request.{field}: ")


def test_a_missing_prompt_row_is_named(db: Database, image: Image) -> None:
    execute(db.directory, "DELETE FROM prompt WHERE position = 2")
    [finding] = integrity.check_record(db, image)
    assert finding == "request.prompts: the record says 2, the column says 1"


def test_changed_json_is_told_from_changed_columns(db: Database, image: Image) -> None:
    execute(db.directory, "UPDATE request SET json = replace(json, '8.0', '9.0')")
    findings = integrity.check_record(db, image)
    assert findings == [
        "request: the stored JSON does not fit its digest",
        "request.cfg_scale: the record says 9.0, the column says 8.0",
        "request: the columns still fit the digest, so the JSON was changed",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "'{'",
        "''",
        "x'ff00fe'",
        "'[1, 2]'",
        "'null'",
        "replace(json, 'lighthouse', '')",
        "replace(json, '\"steps\":50', '\"steps\":-1')",
        "substr(json, 1, 60)",
    ],
)
@pytest.mark.samples(3)
def test_a_damaged_request_can_still_be_listed_and_named(
    db: Database, image: Image, damage: str
) -> None:
    [other] = make_images(db, [make_request("untouched", seed=5)])
    execute(
        db.directory,
        f"UPDATE request SET json = {damage} WHERE digest = ?",
        image.request_digest,
    )
    listed = history.list_images(db)
    assert [(seen.id, seen.is_damaged) for seen in listed] == [(other.id, False), (image.id, True)]
    damaged = history.get_image(db, image.id[:9])
    assert damaged.is_damaged
    # The columns are whole, so nothing of it is lost.
    assert damaged.request == image.request
    assert any("the columns still fit" in line for line in integrity.check_record(db, damaged))
    assert integrity.check_record(db, other) == []


def test_a_record_of_which_little_is_left_can_still_be_listed(db: Database, image: Image) -> None:
    execute(db.directory, "UPDATE request SET json = 'x', width = 'wide', sampler = x'ff'")
    execute(db.directory, "UPDATE request SET engine = '', seed = 0, cfg_scale = 7.5")
    execute(db.directory, "DELETE FROM prompt")
    execute(
        db.directory,
        "UPDATE image SET file_sha256 = 'gone', finish_reason = 'odd', purpose = x'ff', meta = '['",
    )
    [listed] = history.list_images(db)
    assert (listed.id, listed.is_damaged) == (image.id, True)
    assert listed.request.parameters.cfg_scale == 7.5
    assert history.get_image(db, image.id).meta == {}
    assert len(integrity.check_record(db, listed)) >= 5
    assert any("names no file" in finding for finding in integrity.check_database(db))


def test_bytes_that_are_no_text_do_not_hide_the_others(db: Database, image: Image) -> None:
    execute(
        db.directory,
        "UPDATE image SET prompt_text = CAST(x'ff41' AS TEXT), session = CAST(x'fe' AS TEXT)",
    )
    assert history.list_images(db)[0].id == image.id
    assert any(line.startswith("prompt_text:") for line in integrity.check_record(db, image))


def test_a_changed_or_missing_file_is_named(db: Database, image: Image) -> None:
    image.path.write_bytes(make_result("red").data)
    [finding] = integrity.check_record(db, image)
    assert finding.startswith(f"file: The image file {image.path} was changed")
    image.path.unlink()
    [finding] = integrity.check_record(db, image)
    assert finding.startswith(f"file: The image file {image.path} is missing")


def test_facts_about_the_pixels_are_checked_against_the_file(db: Database, image: Image) -> None:
    execute(
        db.directory, "UPDATE image SET pixels_sha256 = ?, width = 64, file_bytes = 3", "0" * 64
    )
    findings = integrity.check_record(db, image)
    assert [finding.split(":")[0] for finding in findings] == [
        "width",
        "pixels_sha256",
        "file_bytes",
    ]
    with Picture.open(io.BytesIO(history.read_image(db, image))) as picture:
        assert picture.size == (128, 192)


def test_a_changed_seed_of_the_image_is_named(db: Database, image: Image) -> None:
    execute(db.directory, "UPDATE image SET seed = 12")
    assert integrity.check_record(db, image) == ["seed: the request has 11, the image 12"]


def test_a_changed_environment_or_message_is_named(db: Database, image: Image) -> None:
    execute(db.directory, "UPDATE environment SET json = '{}'")
    execute(db.directory, "UPDATE job SET wire = x'00', wire_sha256 = 'x'")
    assert integrity.check_record(db, image) == [
        "environment: the stored JSON does not fit its digest",
        "job.wire: the stored message does not fit its digest",
        "job.wire_sha256: 'x' is not what was written",
    ]


def test_what_is_found_is_bounded_however_much_is_missing(
    db: Database, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_images(db, [make_request(str(number), seed=number) for number in range(1, 8)])
    for path in {image.path for image in images}:
        path.unlink()
    monkeypatch.setattr(integrity, "MOST_FINDINGS", 3)
    findings = integrity.check_database(db)
    assert sum("is missing:" in finding for finding in findings) == 3
    assert "And 4 more files that are missing or changed." in findings
    execute(directory, "UPDATE image SET session = 'other'")
    assert "And 4 more records of images." in integrity.check_database(db)
