"""Records out of one history and into another."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from store import history
from store.database import Database
from store.errors import StoreError
from store.inputs import get_input, store_input
from store.integrity import check_database
from store.metadata.exchange import make_record, store_record
from store.metadata.record import Record
from store.records import Image, Purpose
from store.request import InitialImage
from tests.factories import make_plain, make_request
from tests.store.helpers import make_images

PROGRAM = "Safelight 0"


def take_out(db: Database, image: Image) -> tuple[Record, bytes]:
    whole = history.get_image(db, image.id)
    data = history.read_image(db, whole)
    return make_record(db, whole, data, program=PROGRAM), data


def test_a_record_goes_into_another_history_as_it_was(db: Database, tmp_path: Path) -> None:
    (image,) = make_images(db, [make_request("night sky", "clouds::-1")])
    record, data = take_out(db, image)
    with Database.open(tmp_path / "other") as other:
        stored = store_record(
            other, Record.from_json(record.to_json()), data, inputs={}, file_name="a.png"
        )
        came = history.get_image(other, stored.image.id)
        was = history.get_image(db, image.id)
        assert stored.is_new
        assert came.purpose is Purpose.IMPORT
        for name in (
            "id",
            "request",
            "seed",
            "pixels_sha256",
            "file_sha256",
            "stages",
            "environment",
            "meta",
        ):
            assert getattr(came, name) == getattr(was, name), name
        assert history.read_image(other, came) == data
        assert check_database(other) == []
        assert history.check_image(other, came.id).changes == ()
        again, _ = take_out(other, came)
        assert msgspec.structs.replace(again, purpose=record.purpose) == record


def test_what_is_there_is_not_added_twice(db: Database, tmp_path: Path) -> None:
    (image,) = make_images(db, [make_request()])
    record, data = take_out(db, image)
    assert not store_record(db, record, data, inputs={}, file_name="a.png").is_new
    with Database.open(tmp_path / "other") as other:
        for expected in (True, False):
            stored = store_record(other, record, data, inputs={}, file_name="a.png")
            assert stored.is_new is expected
        assert len(history.list_images(other)) == 1


def test_an_id_that_another_image_has_is_not_taken_over(db: Database, tmp_path: Path) -> None:
    (image,) = make_images(db, [make_request("one")])
    record, data = take_out(db, image)
    with Database.open(tmp_path / "other") as other:
        (there,) = make_images(other, [make_request("two")])
        renamed = msgspec.structs.replace(record, id=there.id)
        for _ in range(2):
            stored = store_record(other, renamed, data, inputs={}, file_name="a.png")
            assert stored.image.id != there.id
        assert len(history.list_images(other)) == 2
        assert check_database(other) == []


def test_other_pixels_are_refused(db: Database) -> None:
    (image,) = make_images(db, [make_request()])
    record, _ = take_out(db, image)
    with pytest.raises(StoreError, match="pixels"):
        store_record(db, record, make_plain("red", (128, 192)), inputs={}, file_name="a.png")


def test_inputs_come_along_or_are_told_missing(db: Database, tmp_path: Path) -> None:
    start = make_plain("green")
    sha256 = store_input(db, start).sha256
    given = InitialImage(sha256=sha256, start_schedule=0.6, end_schedule=0)
    (image,) = make_images(db, [make_request(initial_image=given)])
    record, data = take_out(db, image)
    with Database.open(tmp_path / "without") as other:
        stored = store_record(other, record, data, inputs={}, file_name="a.png")
        assert stored.missing == (sha256,)
    with Database.open(tmp_path / "with") as other:
        stored = store_record(other, record, data, inputs={sha256: start}, file_name="a.png")
        assert stored.missing == ()
        assert get_input(other, sha256) == get_input(db, sha256)
        with pytest.raises(StoreError, match="changed"):
            store_record(other, record, data, inputs={sha256: data}, file_name="a.png")


def test_a_record_names_no_place_of_the_machine(db: Database) -> None:
    (image,) = make_images(db, [make_request()])
    whole = history.get_image(db, image.id)
    told = msgspec.structs.replace(
        whole, warning=f"read {db.vault.directory}/x", meta={"path": str(Path.home() / "y")}
    )
    data = history.read_image(db, image)
    said = make_record(db, told, data, program=PROGRAM).to_json().decode()
    assert str(db.vault.directory) not in said
    assert str(Path.home()) not in said
