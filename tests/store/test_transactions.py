from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from store import database, history, integrity, queue
from store.database import Database
from store.errors import HistoryDamaged, HistoryUnavailable, StoreError
from store.sqlite import ROLLBACK, WAL, JournalMode, explain
from store.tables import MetaRow
from tests.factories import make_request, make_result
from tests.store.helpers import execute, run_python, start_python


def add_one(db: Database) -> None:
    with db.write() as write:
        row = write.get(MetaRow, "counter")
        assert row is not None
        row.value = str(int(row.value) + 1)
        write.add(row)


def read_counter(db: Database) -> int:
    with db.read() as read:
        row = read.get(MetaRow, "counter")
        assert row is not None
        return int(row.value)


@pytest.fixture
def counter(db: Database) -> Database:
    with db.write() as write:
        write.add(MetaRow(key="counter", value="0"))
    return db


def test_no_update_is_lost_between_threads(counter: Database) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(25):
                add_one(counter)
        except BaseException as error:  # noqa: BLE001 (reported by the thread that asserts)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert read_counter(counter) == 100


ADD = """
    import sys
    from pathlib import Path
    from store.database import Database
    from tests.store.test_transactions import add_one
    with Database.open(Path(sys.argv[1])) as db:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(30):
            add_one(db)
"""


def test_no_update_is_lost_between_processes(counter: Database, directory: Path) -> None:
    others = [start_python(ADD, directory) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    for other in others:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
    for _ in range(30):
        add_one(counter)
    for other in others:
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
    assert read_counter(counter) == 90


@pytest.mark.exhaustive
def test_two_programs_may_make_the_history_at_once(directory: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from store import integrity
        from store.database import Database
        print("ready", flush=True)
        sys.stdin.readline()
        with Database.open(Path(sys.argv[1])) as db:
            print(integrity.check_database(db))
    """
    others = [start_python(code, directory) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    for other in others:
        output, errors = other.communicate("go\n", timeout=60)
        assert other.returncode == 0, errors
        assert output.strip() == "[]"


def test_an_error_in_the_block_leaves_nothing_behind(counter: Database) -> None:
    def write_and_stumble() -> None:
        with counter.write() as write:
            write.add(MetaRow(key="half", value="done"))
            write.flush()
            raise LookupError

    with pytest.raises(LookupError):
        write_and_stumble()
    with counter.read() as read:
        assert read.get(MetaRow, "half") is None
    add_one(counter)


def test_a_reader_sees_one_state_and_cannot_write(counter: Database, directory: Path) -> None:
    with counter.read() as read:
        before = read.exec(select(MetaRow.key)).all()
        if counter.journal_mode == "wal":
            execute(directory, "INSERT INTO meta VALUES ('later', '1')")
        assert read.exec(select(MetaRow.key)).all() == before

    def sneak() -> None:
        with counter.read() as read:
            read.add(MetaRow(key="sneaked", value="in"))
            read.flush()

    with pytest.raises(StoreError, match="cannot be written"):
        sneak()
    assert execute(directory, "SELECT * FROM meta WHERE key = 'sneaked'") == []


def test_writing_inside_another_transaction_is_refused_at_once(counter: Database) -> None:
    for open_session in (counter.read, counter.write):
        with open_session() as session:
            session.exec(select(MetaRow)).all()
            with pytest.raises(RuntimeError, match="inside another"):
                add_one(counter)
    add_one(counter)


def test_a_busy_history_is_an_error_that_says_so_and_passes(directory: Path) -> None:
    with Database.open(directory, busy_seconds=0.1) as db, Database.open(directory) as other:
        with other.write(), pytest.raises(StoreError, match="busy"):
            queue.enqueue(db, [make_request()])
        assert len(queue.enqueue(db, [make_request()])) == 1


def test_a_writer_waits_for_another_one(db: Database, directory: Path) -> None:
    holder = start_python(
        """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        print("held", flush=True)
        sys.stdin.readline()
        connection.execute("COMMIT")
        """,
        directory / "history.sqlite3",
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    done = threading.Event()

    def write() -> None:
        queue.enqueue(db, [make_request()])
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert queue.count_active(db) == 0
    assert not done.is_set()
    holder.communicate("go\n", timeout=30)
    thread.join(30)
    assert done.is_set()
    assert queue.count_active(db) == 1


TRY_LOCK = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
    try:
        connection.execute("BEGIN IMMEDIATE")
        print("taken")
    except sqlite3.OperationalError as error:
        print(error)
"""


@pytest.mark.parametrize("mode", [WAL, ROLLBACK], ids=lambda mode: mode.mode)
def test_nothing_we_do_drops_the_lock_of_our_own_transaction(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: JournalMode
) -> None:
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: mode)
    path = directory / "history.sqlite3"
    with Database.open(directory) as db, db.write() as write:
        assert db.journal_mode == mode.mode
        write.add(MetaRow(key="held", value="1"))
        write.flush()
        db.data_version()
        queue.list_jobs(db)
        db.back_up(tmp_path / "copy.sqlite3")
        db.progress.write("a" * 32, 1, 2)
        Database.open(directory).close()
        assert "locked" in run_python(TRY_LOCK, path)
        if db.journal_mode != "wal":
            # The trap itself, so that the lines above are known to be able to fail.
            path.open("rb").close()
            assert run_python(TRY_LOCK, path) == "taken"


HALF = """
    import sys
    from pathlib import Path
    from store.database import Database
    from store.tables import MetaRow
    db = Database.open(Path(sys.argv[1]))
    with db.write() as write:
        write.connection().exec_driver_sql("PRAGMA cache_size = 2")
        for number in range(300):
            write.add(MetaRow(key=f"half {number}", value="x" * 2000))
        write.flush()
        print("inside", flush=True)
        sys.stdin.readline()
"""


def measure(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("history.sqlite3*"))


def test_a_kill_in_the_middle_of_a_write_undoes_it(db: Database, directory: Path) -> None:
    [kept] = queue.enqueue(db, [make_request("kept")])
    db.close()
    before = measure(directory)
    child = start_python(HALF, directory)
    assert child.stdout is not None
    assert child.stdout.readline() == "inside\n"
    child.kill()
    child.communicate(timeout=30)
    # It is half-written: pages went to disk before the end.
    assert measure(directory) > before + 500_000
    with Database.open(directory) as again:
        assert queue.get_job(again, kept.id) == kept
        assert integrity.check_database(again) == []
        with again.read() as read:
            assert read.get(MetaRow, "half 1") is None


WORK = """
    import sys
    from pathlib import Path
    from store import queue
    from store.database import Database
    from tests.factories import make_request, make_result
    db = Database.open(Path(sys.argv[1]))
    token = queue.recover(db, paid_engines=())
    number = 0
    while True:
        number += 1
        queue.enqueue(db, [make_request(f"run {token} picture {number}")])
        job = queue.claim(db, token)
        print(queue.finish(db, job, token, make_result()).id, flush=True)
"""


def test_kills_at_any_moment_lose_no_image_that_was_announced(directory: Path) -> None:
    announced: list[str] = []
    for count in (1, 4, 7):
        child = start_python(WORK, directory)
        assert child.stdout is not None
        announced += [child.stdout.readline().strip() for _ in range(count)]
        child.kill()
        rest, errors = child.communicate(timeout=30)
        assert errors == ""
        announced += rest.split()
    with Database.open(directory) as db:
        stored = {row[0] for row in execute(directory, "SELECT id FROM image")}
        assert len(announced) >= 12
        assert set(announced) <= stored
        assert integrity.check_database(db) == []
        queue.recover(db, paid_engines=())
        assert execute(directory, "SELECT count(*) FROM job WHERE state = 'running'") == [(0,)]


@pytest.mark.parametrize("tries", [1, 3])
def test_a_commit_is_tried_again_while_a_reader_holds_the_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """Without a write-ahead log a reader is in the way of the commit: no image is lost by it."""
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: ROLLBACK)
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 0.01)
    with Database.open(directory) as db:
        assert db.journal_mode == "truncate"
        queue.enqueue(db, [make_request()])
        token = queue.recover(db, paid_engines=())
        job = queue.claim(db, token)
        assert job is not None
        reader = sqlite3.connect(
            directory / "history.sqlite3", isolation_level=None, check_same_thread=False
        )
        waits: list[float] = []
        sleep = time.sleep

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == tries:
                reader.execute("COMMIT")
            sleep(seconds)

        with closing(reader):
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM job").fetchone()
            monkeypatch.setattr("store.database.time.sleep", wait)
            image = queue.finish(db, job, token, make_result())
        assert len(waits) >= tries
        assert [each.id for each in history.list_images(db)] == [image.id]
        assert queue.get_job(db, job.id).image_id == image.id


class Connection:
    """One whose commit says, when it is done, that the lock could not be let go of."""

    def __init__(self, connection: sqlite3.Connection, code: int) -> None:
        self._connection = connection
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        self._connection.commit()
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = self._code
        raise error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_RDLOCK])
def test_a_lock_that_cannot_be_let_go_of_does_not_hide_what_was_committed(
    db: Database, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    find: Any = database._dbapi
    monkeypatch.setattr(database, "_dbapi", lambda found: Connection(find(found), code))
    (job,) = queue.enqueue(db, [make_request()])
    monkeypatch.setattr(database, "_dbapi", find)
    assert [each.id for each in queue.list_jobs(db)] == [job.id]
    assert len(queue.enqueue(db, [make_request(seed=2)])) == 1


def test_a_commit_that_stays_in_the_way_records_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "choose_journal_mode", lambda *_: ROLLBACK)
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 0.01)
    with (
        Database.open(directory, busy_seconds=0.1) as db,
        closing(sqlite3.connect(directory / "history.sqlite3", isolation_level=None)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM job").fetchone()
        with pytest.raises(StoreError, match="busy"):
            queue.enqueue(db, [make_request()])
        reader.execute("COMMIT")
        assert queue.list_jobs(db) == []
        assert len(queue.enqueue(db, [make_request()])) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, HistoryUnavailable),
        (sqlite3.SQLITE_FULL, HistoryUnavailable),
        (sqlite3.SQLITE_READONLY, HistoryUnavailable),
        (sqlite3.SQLITE_IOERR_FSYNC, HistoryUnavailable),
        (sqlite3.SQLITE_CANTOPEN, HistoryUnavailable),
        (sqlite3.SQLITE_IOERR_LOCK, HistoryUnavailable),
        (sqlite3.SQLITE_IOERR_UNLOCK, HistoryUnavailable),
        (sqlite3.SQLITE_CORRUPT, HistoryDamaged),
        (sqlite3.SQLITE_NOTADB, StoreError),
        (sqlite3.SQLITE_CONSTRAINT, StoreError),
    ],
)
def test_what_may_pass_is_told_apart_from_what_stays(code: int, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = code
    assert type(explain(error, Path("history.sqlite3"))) is kind
