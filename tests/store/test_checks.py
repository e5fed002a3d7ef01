"""What the check of a history finds."""

from __future__ import annotations

from pathlib import Path

from store.database import Database
from tests.factories import make_request
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
        assert db.check()


def test_check_names_what_is_missing(db: Database, directory: Path) -> None:
    images = make_images(db, [make_request("one"), make_request("two")])
    assert db.check() == []
    images[0].path.unlink()
    findings = "\n".join(db.check())
    assert images[0].id in findings
    assert str(images[0].path) in findings

    execute(directory, "DROP TRIGGER image_text_insert")
    assert any("image_text_insert" in finding for finding in db.check())

    execute(directory, "DELETE FROM prompt")
    execute(directory, "DELETE FROM request")
    assert any("refers to a row of request" in finding for finding in db.check())


def test_check_finds_an_index_that_is_out_of_step(db: Database, directory: Path) -> None:
    make_images(db, [make_request("one")])
    execute(directory, "DROP TRIGGER image_text_update")
    execute(directory, "UPDATE image SET prompt_text = 'something else'")
    assert any("search index does not fit" in finding for finding in db.check())
