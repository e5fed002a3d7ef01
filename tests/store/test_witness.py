"""A history file that was emptied, replaced or restored, or is gone beside its images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from store import history, integrity
from store.database import Database, find_form
from store.errors import StoreError
from store.witness import NAME
from tests.factories import make_request
from tests.store.helpers import make_images


@pytest.fixture
def path(directory: Path, tmp_path: Path) -> Path:
    """A history with two images, of which a copy was put aside after the first."""
    with Database.open(directory) as db:
        make_images(db, [make_request("first")])
        db.back_up(tmp_path / "copy.sqlite3")
        make_images(db, [make_request("second")])
    return directory / "history.sqlite3"


def list_files(directory: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(directory)): each.read_bytes()
        for each in directory.rglob("*")
        if each.is_file()
    }


@pytest.mark.parametrize("is_emptied", [True, False])
def test_a_history_that_is_gone_or_empty_beside_its_images_is_not_begun_anew(
    path: Path, tmp_path: Path, is_emptied: bool
) -> None:
    if is_emptied:
        path.write_bytes(b"")
    else:
        path.unlink()
    before = list_files(path.parent)
    for look in (Database.open, find_form):
        with pytest.raises(StoreError) as caught:
            look(path.parent)
        said = str(caught.value)
        assert f"{path} is {'empty' if is_emptied else 'gone'}, but there are image files" in said
        assert f"The newest copy is {tmp_path / 'copy.sqlite3'} (of 2" in said
    assert list_files(path.parent) == before
    # What it says to do helps.
    shutil.copy(tmp_path / "copy.sqlite3", path)
    (path.parent / NAME).unlink()
    with Database.open(path.parent) as db:
        assert not db.is_read_only
        assert len(history.list_images(db)) == 1


def test_to_begin_anew_the_images_are_moved_away(path: Path) -> None:
    path.unlink()
    shutil.move(path.parent / "images", path.parent.parent / "old")
    for _ in range(2):
        with Database.open(path.parent) as db:
            assert not db.is_read_only
            make_images(db, [make_request("anew")])


def test_an_older_copy_in_its_place_is_told_and_not_written_to(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, path.parent / "kept.sqlite3")
    shutil.copy(tmp_path / "copy.sqlite3", path)
    for _ in range(2):
        with Database.open(path.parent) as db:
            assert db.is_read_only
            assert [image.number for image in history.list_images(db)] == [1]
            [told] = integrity.check_database(db)
            with pytest.raises(StoreError) as caught:
                make_images(db, [make_request("third")])
        assert told in str(caught.value)
        assert "older than the one that was here: it lacks the newest rows (1 image, 1 job)" in told
        assert f"The newest copy is {path.parent / 'kept.sqlite3'}" in told
    (path.parent / NAME).unlink()
    with Database.open(path.parent) as db:
        make_images(db, [make_request("third")])


def test_another_history_in_its_place_is_told(path: Path, tmp_path: Path) -> None:
    with Database.open(tmp_path / "another") as db:
        make_images(db, [make_request(str(number)) for number in range(4)])
    shutil.copy(tmp_path / "another" / "history.sqlite3", path)
    with Database.open(path.parent) as db:
        assert db.is_read_only
        assert "is another one than the one that was here" in db.warnings[0]


def test_one_that_is_put_there_while_it_is_in_use_is_told_the_next_time(
    path: Path, tmp_path: Path
) -> None:
    with Database.open(path.parent):
        shutil.copy(tmp_path / "copy.sqlite3", tmp_path / "new")
        (tmp_path / "new").replace(path)
    with Database.open(path.parent) as db:
        assert "older than the one" in db.warnings[0]


@pytest.mark.parametrize("note", [b"", b"{", b"[" * 100_000, b'{"identity": 3}', None])
def test_without_a_note_nothing_is_told(path: Path, note: bytes | None) -> None:
    witness = path.parent / NAME
    witness.unlink()
    if note is not None:
        witness.write_bytes(note)
    with Database.open(path.parent) as db:
        assert not db.is_read_only
        assert integrity.check_database(db) == []
    assert witness.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_moved_or_copied_whole_is_as_it_was(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path.parent, tmp_path / "elsewhere")
    with Database.open(tmp_path / "elsewhere") as db:
        make_images(db, [make_request("there")])
        assert integrity.check_database(db) == []
