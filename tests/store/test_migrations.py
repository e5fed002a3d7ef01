from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from store import history, integrity, migrations, search_index, tables
from store.database import Database
from store.errors import StoreError
from store.folder import create_file, sync
from store.mapping import load_requests
from store.migrations import MIGRATIONS, VERSION, Migration, migrate
from store.sqlite import connect
from tests.factories import make_request
from tests.store.helpers import execute, make_images, start_python

NEXT = VERSION + 1


def describe(connection: sqlite3.Connection) -> dict[str, Any]:
    """Tables with their columns, keys and indexes, in a form that can be compared."""
    found: dict[str, Any] = {}
    names = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name NOT LIKE 'image_text%' AND name <> 'image_search'"
    )
    for name, sql in names.fetchall():
        indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
        found[name] = {
            "columns": [
                row[1:4] + row[5:]
                for row in connection.execute(f"PRAGMA table_info({name})").fetchall()
            ],
            "foreign keys": sorted(
                row[2:7] for row in connection.execute(f"PRAGMA foreign_key_list({name})")
            ),
            "indexes": sorted(
                (
                    bool(row[2]),
                    row[1] if row[3] == "c" else "",
                    [part[2] for part in connection.execute(f"PRAGMA index_info({row[1]})")],
                )
                for row in indexes
            ),
            "numbered": "AUTOINCREMENT" in sql,
        }
    return found


def test_the_migrated_schema_is_that_of_the_tables(directory: Path) -> None:
    Database.open(directory).close()
    with closing(sqlite3.connect(directory / "history.sqlite3")) as connection:
        migrated = describe(connection)
    assert tables.ImageRow.metadata is SQLModel.metadata
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with engine.connect() as declared:
        raw = declared.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        assert migrated == describe(raw)
    engine.dispose()


def test_numbers_are_in_order_and_the_record_says_what_was_applied(directory: Path) -> None:
    assert [migration.number for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    Database.open(directory).close()
    rows = execute(directory, "SELECT number, name FROM migration")
    assert rows == [(migration.number, migration.name) for migration in MIGRATIONS]
    assert execute(directory, "PRAGMA user_version") == [(migrations.VERSION,)]


def add_note(connection: sqlite3.Connection) -> None:
    """A change in the way that is known to drop triggers: the table is made anew."""
    connection.execute("ALTER TABLE image RENAME TO old_image")
    sql = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'old_image'").fetchone()[0]
    connection.execute(sql.replace('"old_image"', "image"))
    connection.execute("INSERT INTO image SELECT * FROM old_image")
    connection.execute("DROP TABLE old_image")
    connection.execute("ALTER TABLE image ADD COLUMN note VARCHAR")


def add_and_stumble(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE image ADD COLUMN note VARCHAR")
    connection.execute("INSERT INTO nowhere VALUES (1)")


def leave_orphans(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM environment")


def columns(directory: Path) -> list[str]:
    return [row[1] for row in execute(directory, "PRAGMA table_info(image)")]


def test_a_change_comes_after_a_copy_and_keeps_the_search(directory: Path) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request("red barn"), make_request("blue barn")])
    path = directory / "history.sqlite3"
    later = (*MIGRATIONS, Migration(NEXT, "notes", VERSION, add_note))
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA legacy_alter_table = ON")
        migrate(connection, path, later)
        migrate(connection, path, later)
        assert connection.execute("PRAGMA user_version").fetchone() == (NEXT,)
    assert "note" in columns(directory)
    [copy] = directory.glob(f"history-before-{NEXT:04}-*.sqlite3")
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert old.execute("SELECT count(*) FROM image").fetchone() == (2,)
    # This program does not know the next version, which says that it may read it.
    with Database.open(directory) as db:
        assert db.is_read_only
        assert integrity.check_database(db) == []
        assert len(history.list_images(db, search="barn")) == 2
        assert len(history.list_images(db, search="red")) == 1


@pytest.mark.parametrize("change", [add_and_stumble, leave_orphans])
def test_a_change_that_fails_leaves_the_history_as_it_was(directory: Path, change: Any) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    path = directory / "history.sqlite3"
    before = columns(directory)
    with closing(connect(path)) as connection, pytest.raises(StoreError):
        migrate(connection, path, (*MIGRATIONS, Migration(NEXT, "bad", VERSION, change)))
    assert columns(directory) == before
    assert execute(directory, "SELECT count(*) FROM migration") == [(VERSION,)]
    with Database.open(directory) as db:
        assert not db.is_read_only
        assert integrity.check_database(db) == []
        assert len(history.list_images(db)) == 1


FIRST_FORM = (
    '{"engine":"builtin","format":1,"model":"safelight-128-v1","parameters":{"cfg_scale":7.0,'
    '"height":128,"sampler":"k_dpmpp_2m","seed":7,"steps":30,"style_preset":null,"width":128},'
    '"stack":{"prompts":[{"enabled":true,"text":"red barn","weight":1.0}]}}'
)


def test_a_request_of_the_first_form_keeps_its_digest_through_the_changes(directory: Path) -> None:
    path = directory / "history.sqlite3"
    digest = hashlib.sha256(FIRST_FORM.encode()).hexdigest()
    directory.mkdir(exist_ok=True)
    create_file(path)
    with closing(connect(path)) as connection:
        migrate(connection, path, MIGRATIONS[:1])
        connection.execute(
            "INSERT INTO request VALUES (?, ?, 'builtin', 'safelight-128-v1', 7, 30, 7.0, "
            "'k_dpmpp_2m', 128, 128, NULL)",
            (digest, FIRST_FORM),
        )
        connection.execute("INSERT INTO prompt VALUES (?, 1, 'red barn', 1.0, 1)", (digest,))
        connection.commit()
    with Database.open(directory) as db:
        with db.read() as read:
            request, is_damaged = load_requests(read, [digest])[digest]
        assert not is_damaged
        assert (request.format, request.digest) == (1, digest)
        assert request.to_json() == FIRST_FORM.encode()
        assert not request.parameters.list_extras()
        [image] = make_images(db, [request])
        assert integrity.check_record(db, image) == []


@pytest.mark.parametrize(
    "place", ["DROP TABLE", "INSERT INTO image_search", "rebuild", "CREATE TRIGGER", "COMMIT"]
)
@pytest.mark.samples(2)
def test_a_history_whose_change_was_killed_is_as_before_and_opens(
    directory: Path, place: str
) -> None:
    with Database.open(directory) as db:
        make_images(db, [make_request("red barn"), make_request("Łódź")])
    path = directory / "history.sqlite3"
    with closing(connect(path)) as connection:
        for trigger in search_index.TRIGGERS:
            connection.execute(f"DROP TRIGGER {trigger}")
        for table in (
            *("image_text_parts", "image_text", "image_search", "removal"),
            *("series_request", "series"),
        ):
            connection.execute(f"DROP TABLE {table}")
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE name IN ('ix_image_file_sha256',"
            " 'ix_job_state', 'ix_job_finished_at',"
            " 'ix_job_request_digest', 'ix_verification_job_id',"
            " 'ix_verification_regenerated_id',"
            " 'ix_thinned_verification_number', 'ix_verification_run_image_job_id',"
            " 'ix_verification_run_image_verification_number')"
        ).fetchall():
            connection.execute(f"DROP INDEX {name}")
        connection.execute("ALTER TABLE annotation DROP COLUMN emptied_at")
        connection.execute("ALTER TABLE job DROP COLUMN rank")
        connection.execute("DELETE FROM migration WHERE number >= 8")
        connection.execute("UPDATE meta SET value = '7' WHERE key = 'schema_version'")
        connection.execute("PRAGMA user_version = 7")
    before = read_rows(directory)
    killed = start_python(
        """
        import os, sys
        from pathlib import Path
        from store import sqlite
        from store.database import Database

        place, connect = sys.argv[2], sqlite.connect

        def connect_watched(*values, **names):
            connection = connect(*values, **names)
            connection.set_trace_callback(lambda sql: place in sql and os._exit(9))
            return connection

        import store.database
        store.database.connect = connect_watched
        Database.open(Path(sys.argv[1]))
        """,
        directory,
        place,
    )
    killed.communicate(timeout=60)
    assert killed.returncode == 9
    assert execute(directory, "PRAGMA user_version") == [(7,)]
    assert read_rows(directory) == before
    with Database.open(directory) as db:
        assert len(history.list_images(db, search="lodz")) == 1
        assert integrity.check_database(db) == []
    assert read_rows(directory) == before


def read_rows(directory: Path) -> dict[str, Any]:
    """What a history holds of its own; without the rank, which is not in each of its forms."""
    tables = ("request", "prompt", "job", "image", "stage", "thumbnail")
    rows = {}
    for table in tables:
        known = [each[1] for each in execute(directory, f"PRAGMA table_info({table})")]
        columns = ", ".join(f'"{name}"' for name in known if name != "rank")
        rows[table] = execute(directory, f"SELECT {columns} FROM {table}")
    return rows


def prepare(directory: Path, number: int = 1) -> Path:
    """The file of a history with some images, before a change that touches its rows."""
    with Database.open(directory) as db:
        make_images(db, [make_request(seed=seed + 1) for seed in range(number)])
    return directory / "history.sqlite3"


def count_up(connection: sqlite3.Connection) -> None:
    """A change that would be seen if it were made twice."""
    connection.execute("UPDATE image SET seconds = seconds + 1000")


LATER = (*MIGRATIONS, Migration(NEXT, "count up", VERSION, count_up))


def test_a_copy_that_is_damaged_is_no_copy_and_nothing_is_changed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prepare(directory, 40)
    opened = sqlite3.connect

    def damage(file: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        with Path(file).open("r+b") as copy:  # pages in its middle, as a bad disk loses them
            size = copy.seek(0, 2)
            copy.seek(size // 2)
            copy.write(b"\xff" * 16384)
        connection: sqlite3.Connection = opened(file, *arguments, **options)
        return connection

    with closing(connect(path)) as connection:
        monkeypatch.setattr(sqlite3, "connect", damage)
        with pytest.raises(StoreError):
            migrate(connection, path, LATER)
        monkeypatch.undo()
    assert list(directory.glob("history-before-*")) == []
    assert execute(directory, "PRAGMA user_version") == [(VERSION,)]
    assert execute(directory, "SELECT max(seconds) FROM image")[0][0] < 1000


def test_a_copy_is_on_disk_before_it_has_its_name_and_that_before_a_row_is_changed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prepare(directory)
    done: list[str] = []
    rename = Path.rename

    def note_sync(target: Path) -> None:
        done.append("folder" if target.is_dir() else "copy")
        sync(target)

    def note_name(old: Path, new: Path) -> Path:
        done.append("name")
        return rename(old, new)

    def change(connection: sqlite3.Connection) -> None:
        done.append("change")

    monkeypatch.setattr(migrations, "sync", note_sync)
    monkeypatch.setattr(Path, "rename", note_name)
    with closing(connect(path)) as connection:
        migrate(connection, path, (*MIGRATIONS, Migration(NEXT, "note", VERSION, change)))
    assert done == ["copy", "name", "folder", "change"]


def test_a_change_is_made_once_though_another_program_made_it_meanwhile(directory: Path) -> None:
    path = prepare(directory)

    def interfere(connection: sqlite3.Connection, target: Path) -> None:
        with closing(connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            count_up(other)
            other.execute(f"PRAGMA user_version = {NEXT}")
            other.execute("COMMIT")

    with closing(connect(path)) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "copy", interfere)
        migrate(connection, path, LATER)
    [(seconds,)] = execute(directory, "SELECT max(seconds) FROM image")
    assert 1000 <= seconds < 2000
    assert execute(directory, "SELECT count(*) FROM migration WHERE number = ?", NEXT) == [(0,)]


def test_a_change_that_keeps_the_rows_makes_no_copy(directory: Path) -> None:
    path = prepare(directory)
    change = Migration(NEXT, "nothing", VERSION, lambda _: None, keeps_rows=True)
    with closing(connect(path)) as connection:
        migrate(connection, path, (*MIGRATIONS, change))
    assert list(directory.glob("history-before-*")) == []
    assert execute(directory, "PRAGMA user_version") == [(NEXT,)]


def test_an_empty_file_is_not_copied_before_its_first_change(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    create_file(path)
    with closing(connect(path)) as connection:
        migrate(connection, path)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert [each.name for each in tmp_path.glob("*before*")] == []
