"""Opening a history: who may, what is there, what is refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import pytest

from store import database, history, integrity, queue
from store.database import Database
from store.errors import HistoryUnavailable, StoreError
from store.folder import create_file
from store.migrations import VERSION
from store.sqlite import ROLLBACK, WAL, connect, inspect
from tests.factories import make_request
from tests.store.helpers import execute, make_images, run_python


def read_tree(directory: Path) -> dict[str, bytes]:
    """All files but those that hold nothing and that any reader of a database makes."""
    files = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(directory)): data
        for path, data in files.items()
        if not path.name.endswith("-shm") and not (path.name.endswith("-wal") and not data)
    }


def test_nobody_else_may_look_whatever_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        with Database.open(tmp_path / "new" / "data") as db:
            make_images(db, [make_request()])
            db.vault.spool("a" * 32, b"answer")
            db.back_up(db.directory / "copy.sqlite3")
            places = [db.directory, *db.directory.rglob("*")]
            modes = {place: place.stat().st_mode & 0o777 for place in places}
    finally:
        os.umask(previous)
    assert len(modes) > 8
    for place, mode in modes.items():
        assert mode == (0o700 if place.is_dir() else 0o600), place


def test_a_folder_that_others_may_read_becomes_private(directory: Path) -> None:
    Database.open(directory).close()
    directory.chmod(0o755)
    (directory / "history.sqlite3").chmod(0o644)
    Database.open(directory).close()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "history.sqlite3").stat().st_mode & 0o777 == 0o600


def test_what_was_stored_is_there_after_opening_again(directory: Path) -> None:
    with Database.open(directory) as db:
        [image] = make_images(db, [make_request("old house")])
    with Database.open(directory, create=False) as db:
        assert history.get_image(db, image.id).request == make_request("old house")
        assert integrity.check_database(db) == []


def test_without_create_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no history"):
        Database.open(tmp_path / "none", create=False)
    with pytest.raises(StoreError, match="no history"):
        Database.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        other = tmp_path / "theirs"
        other.mkdir()
        os.chown(other, 12345, 12345)
    else:
        other = Path("/")
    with pytest.raises(StoreError, match="somebody else"):
        Database.open(other)


def test_a_path_that_cannot_be_a_folder_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for place in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(StoreError) as caught:
            Database.open(place)
        assert "SAFELIGHT_HOME" in caught.value.hint


def test_a_newer_history_is_refused_and_untouched(directory: Path) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    execute(directory, "UPDATE meta SET value = '99' WHERE key LIKE '%version'")
    execute(directory, "PRAGMA user_version = 99")
    before = read_tree(directory)
    with pytest.raises(StoreError, match="newer Safelight") as caught:
        Database.open(directory)
    assert "Update" in caught.value.hint
    assert read_tree(directory) == before


def test_a_newer_history_that_can_be_read_is_opened_for_reading(directory: Path) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    execute(directory, "UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    execute(directory, "PRAGMA user_version = 99")
    before = read_tree(directory)
    with Database.open(directory) as db:
        assert db.is_read_only
        assert len(history.list_images(db)) == 1
        with pytest.raises(StoreError, match="reading only") as caught:
            queue.enqueue(db, [make_request()])
        assert "newer" in caught.value.hint
    after = read_tree(directory)
    assert after["history.sqlite3"] == before["history.sqlite3"]


def test_other_files_in_its_place_are_refused_and_untouched(directory: Path) -> None:
    directory.mkdir()
    path = directory / "history.sqlite3"
    path.write_bytes(b"this is not a database, but a letter to a friend. " * 40)
    letter = path.read_bytes()
    with pytest.raises(StoreError, match="not a database"):
        Database.open(directory)
    assert path.read_bytes() == letter
    path.unlink()
    execute(directory, "CREATE TABLE recipes (name)")
    foreign = path.read_bytes()
    with pytest.raises(StoreError, match="not one of Safelight"):
        Database.open(directory)
    assert path.read_bytes() == foreign


def test_a_damaged_history_is_named_and_not_replaced(directory: Path) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    path = directory / "history.sqlite3"
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * 3996
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        Database.open(directory)
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("name", [b"copy\xff.sqlite3", b"\xed\xa0\x80", "猫.sqlite3".encode()])
def test_a_copy_may_have_any_name_that_the_system_takes(directory: Path, name: bytes) -> None:
    target = directory.parent / os.fsdecode(name)
    with Database.open(directory) as db:
        make_images(db, [make_request()])
        db.back_up(target)
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM image").fetchone() == (1,)
    assert target.exists()


def test_a_copy_is_whole_and_never_overwrites(db: Database, tmp_path: Path) -> None:
    [image] = make_images(db, [make_request("copied")])
    target = tmp_path / "elsewhere" / "history.sqlite3"
    with pytest.raises(StoreError, match="Cannot write the copy"):
        db.back_up(target)
    target.parent.mkdir()
    db.back_up(target)
    with pytest.raises(StoreError, match="exists already"):
        db.back_up(target)
    shutil.copytree(db.directory / "images", target.parent / "images")
    with Database.open(target.parent, create=False) as copy:
        assert history.get_image(copy, image.id).pixels_sha256 == image.pixels_sha256
        assert integrity.check_database(copy) == []


def test_data_version_changes_with_each_commit_of_anybody(db: Database, directory: Path) -> None:
    first = db.data_version()
    assert db.data_version() == first
    queue.enqueue(db, [make_request()])
    second = db.data_version()
    execute(directory, "UPDATE job SET session = 'x'")
    assert len({first, second, db.data_version()}) == 3


def test_the_rule_moves_a_file_out_of_wal_mode(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: WAL)
    with Database.open(directory) as db:
        assert db.journal_mode == "wal"
        make_images(db, [make_request()])
        assert integrity.check_database(db) == []
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: ROLLBACK)
    with Database.open(directory) as db:
        assert db.journal_mode == "truncate"
        assert len(history.list_images(db)) == 1
    assert execute(directory, "PRAGMA journal_mode") != [("wal",)]


def test_wal_mode_that_cannot_be_left_is_reported(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Database.open(directory).close()
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: ROLLBACK)
    with closing(sqlite3.connect(directory / "history.sqlite3")) as other:
        other.execute("PRAGMA journal_mode = WAL").fetchone()
        other.execute("SELECT * FROM meta").fetchall()
        with Database.open(directory) as db:
            assert db.journal_mode == "wal"
            make_images(db, [make_request()])
            assert any("journal mode wal" in finding for finding in integrity.check_database(db))


def test_each_connection_keeps_foreign_keys_and_full_flushes(db: Database) -> None:
    expected = {"wal": 2, "truncate": 3}[db.journal_mode]
    for open_session in (db.read, db.write):
        with open_session() as session:
            run = session.connection().exec_driver_sql
            assert run("PRAGMA foreign_keys").scalar() == 1
            assert run("PRAGMA synchronous").scalar() == expected
            assert run("PRAGMA journal_mode").scalar() == db.journal_mode


READ_ONLY = """
    import sys
    from pathlib import Path
    from store import history, integrity, queue, sessions
    from store.database import Database
    from store.errors import HistoryUnavailable, StoreError
    from tests.factories import make_request
    db = Database.open(Path(sys.argv[1]))
    print(db.is_read_only, len(history.list_images(db)), integrity.check_database(db))
    print(len(history.read_image(db, history.get_image(db, "@1"))) > 50)
    print(sessions.load_session(db, "one").name, db.progress.read(["a" * 32]))
    db.data_version(), db.progress.data_version()
    try:
        queue.enqueue(db, [make_request()])
    except StoreError as error:
        print(error)
    try:
        Database.open(Path(sys.argv[1]) / "images")
    except StoreError as error:
        print(error)
"""


@pytest.mark.parametrize("mode", [ROLLBACK, WAL], ids=["truncate", "wal"])
@pytest.mark.samples(1)
def test_a_history_on_a_read_only_disk_can_still_be_read(
    directory: Path, monkeypatch: pytest.MonkeyPatch, mode: object
) -> None:
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: mode)
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    mount = f"mount --bind '{directory}' '{directory}' && mount -o remount,bind,ro '{directory}'"
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    wrapped = [*unshare, "sh", "-c", f'{mount} && exec "$0" "$@"']
    if not sys.platform.startswith("linux") or not shutil.which("unshare"):
        pytest.skip("a read-only mount needs Linux and unshare")
    if subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this place does not allow mounts of its own")
    lines = run_python(READ_ONLY, directory, before=wrapped).splitlines()
    assert lines[0] == "True 1 []"
    assert lines[1] == "True"
    assert lines[2] == "one {}"
    assert "reading only" in lines[3]
    assert "cannot be written" in lines[4]


def test_a_history_that_another_program_is_making_is_waited_for(directory: Path) -> None:
    path = directory / "history.sqlite3"
    directory.mkdir(exist_ok=True)
    create_file(path)
    other = threading.Thread(target=lambda: Database.open(directory).close())

    class Looking:
        """A connection between whose first two looks the other program goes on."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def execute(self, sql: str) -> sqlite3.Cursor:
            if "user_version" in sql:
                other.start()
                other.join(1)
            return self._connection.execute(sql)

    with closing(connect(path)) as connection:
        found = inspect(cast("sqlite3.Connection", Looking(connection)), path)
    assert found.version == 0
    other.join()
    with closing(connect(path)) as connection:
        assert inspect(connection, path).version == VERSION


def test_the_form_of_a_history_is_told_and_nothing_is_touched(directory: Path) -> None:
    assert database.find_form(directory) is None
    assert not directory.exists()
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    before = read_tree(directory)
    assert database.find_form(directory) == VERSION
    assert read_tree(directory) == before


def test_more_at_once_than_there_are_connections_is_told(db: Database) -> None:
    pool: Any = db._engine.pool
    pool._timeout = 0.01
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(db.read()).connection()
        with (
            pytest.raises(HistoryUnavailable, match="too many things happen at once"),
            db.read() as read,
        ):
            read.connection()
    with db.read():
        pass


@pytest.mark.parametrize("ending", ["", "-journal", "-wal"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_place_of_the_history_is_told_at_once(
    directory: Path, ending: str, make: Callable[[Path], None]
) -> None:
    Database.open(directory).close()
    path = directory / f"history.sqlite3{ending}"
    path.unlink(missing_ok=True)
    make(path)
    for look in (Database.open, database.find_form):
        with pytest.raises(StoreError, match=f"{path} is not a file"):
            look(directory)
