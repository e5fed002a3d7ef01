"""Whatever is changed in the record of an image after it was written is found, by its own name.

Rows, columns and files are those of a history that the queue made, read from its schema: a column
that is added later joins by itself, and a table that is added must be placed here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from store import charges, history, integrity, queue, seals, search_index, tables
from store.database import Database
from store.errors import StoreError
from store.inputs import store_input
from store.records import Comparison, FinishReason, Image, Purpose, Relation, Verdict
from store.request import InitialImage, Mask, Request, Upscale
from tests.factories import (
    make_hosted_request,
    make_image,
    make_plain,
    make_request,
    make_result,
)
from tests.store.helpers import claim, execute, make_images, start

OTHERS = {
    "session": "drafts are written anew with each key",
    "meta": "facts about the database, which change as workers come and go",
    "migration": "what was done to the schema, not to an image",
    "program": "the order in which programs were met; which one a job asks for is the job's",
    "annotation": "what a person says of an image may change",
    "tag": "what a person says of an image may change",
    "removal": "files that are to go, of images that are gone",
    "thinned": "where the file is, which comes and goes; the image's seal holds its digests",
    "verification_run": "in what order verifications were asked for, not what they found",
    "verification_run_image": "in what order verifications were asked for, not what they found",
    "series": "what is to be made until when; what was made has its job",
    "series_request": "what is to be made until when; what was made has its job",
    "imported": "what another program said of an image; our own record is sealed with the image",
}
"""Tables that hold nothing of an image."""

FREE = {("job", "rank"): "in what order what waited was to be made, not what was made"}
"""Columns of an image's rows that may be changed without a word, and why."""

OWNED = sorted(set(tables.ImageRow.metadata.tables) - set(OTHERS))
GOLDEN = (
    "01863af26a8cf75f3bd657341b8535b6c804ae34707df0d034659badb268be3611"
    "05df1bbace29662d3dd66efd5a8e78ed9daefad403d44c65"
)
"""Whoever changes it makes every image of every history one that was changed."""

COVERED = {
    "image": "cc78989eb5522af6",
    "verification": "7116d8c1f11a5a69",
    "input": "f682a6d9ab64684a",
}
"""The beginnings of the seals of known rows: the same holds for them."""

REFERRING = ("_id", "_digest", "_number", "sha256", "_then")

Row = dict[str, Any]


class Change(NamedTuple):
    """One thing changed by hand: a statement with its values, and the name that it must get."""

    said: str
    statement: str
    values: tuple[object, ...]
    image_id: str
    name: str


class Gallery(NamedTuple):
    """A history with an image of each kind, and a copy of it in which nothing was changed."""

    db: Database
    whole: sqlite3.Connection
    connection: sqlite3.Connection

    def read(self, statement: str, *values: object) -> list[Row]:
        cursor = self.whole.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def restore(self) -> None:
        self.whole.backup(self.connection)

    def find(self, image_id: str) -> list[str]:
        image = make_image(id=image_id)
        return integrity.name_changes(integrity.check_record(self.db, image))


def make_one(db: Database, token: int, request: Request, **facts: Any) -> Image:
    """One image, by way of the queue; `facts` of the job by their names, the rest of the result."""
    asked = {
        name: facts.pop(name) for name in ("parent_id", "relation", "profile") if name in facts
    }
    queue.enqueue(db, [request], session="main", **asked)
    job = claim(db, token)
    if job.request.engine != "builtin":
        queue.record_wire(db, job.id, b"what was sent")
        for price in (0.9, 1.8):
            charges.add_charge(db, job.id, price)
    result = make_result(seed=request.parameters.seed, **facts)
    return queue.finish(db, job, token, result)


def compare_again(db: Database, token: int, image: Image, purpose: Purpose) -> None:
    queue.enqueue_comparison(db, image.id, purpose)
    comparison = Comparison(
        verdict=Verdict.DIFFERENT,
        pixels_sha256_now="ab" * 32,
        first_difference="step 3",
        detail="The pixels differ.",
        psnr_db=31.5,
    )
    result = make_result("red", seed=image.seed)
    kept = result if purpose is Purpose.REGENERATE else None
    queue.finish_comparison(
        db, claim(db, token), token, comparison, result=kept, environment=result.environment
    )


def fill(db: Database) -> None:
    """From a text, from an image with a mask, made larger, filtered by a host, made again."""
    token = start(db)
    red = store_input(db, make_plain("red", (128, 192))).sha256
    mask = store_input(db, make_plain("white", (128, 192), "WEBP")).sha256
    small = store_input(db, make_plain("blue", (64, 64), "JPEG")).sha256
    request = make_request("a lighthouse", "fog::-0.5", seed=11, style_preset="enhance")
    first = make_one(db, token, request, warning="a word")
    drawn_over = make_request(
        "a castle",
        seed=12,
        initial_image=InitialImage(sha256=red, start_schedule=0.6, end_schedule=0.0),
        mask=Mask(sha256=mask, replaces="black", area_init="original"),
    )
    second = make_one(
        db, token, drawn_over, parent_id=first.id, relation=Relation.INITIAL_IMAGE, meta={}
    )
    make_one(
        db,
        token,
        make_request(seed=13, upscale=Upscale(sha256=small, upscaler="esrgan")),
        stages=(),
    )
    make_one(
        db,
        token,
        make_hosted_request(),
        profile="work",
        finish_reason=FinishReason.FILTER,
        warning="blurred",
        stages=(),
    )
    for purpose in (Purpose.VERIFY, Purpose.REGENERATE, Purpose.VERIFY):
        compare_again(db, token, first, purpose)
    history.add_verification(db, second.id, Comparison(verdict=Verdict.NOT_VERIFIABLE))


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    directory: Path = tmp_path_factory.mktemp("gallery") / "data"
    with Database.open(directory) as db:
        fill(db)
        for table in ("image", "verification", "input"):
            statement = f"SELECT count(*) FROM {table} WHERE seal IS NULL"
            with db.raw() as connection:
                assert connection.execute(statement).fetchone() == (0,)
        with (
            closing(sqlite3.connect(":memory:")) as whole,
            closing(sqlite3.connect(db.path, isolation_level=None)) as connection,
        ):
            connection.execute("PRAGMA synchronous = OFF")
            connection.backup(whole)
            yield Gallery(db, whole, connection)


# What may be changed


def list_columns(gallery: Gallery, table: str) -> list[tuple[str, str, bool]]:
    """Name, type, and whether NULL may stand there."""
    rows = gallery.whole.execute(f"PRAGMA table_info({table})").fetchall()
    return [(row[1], row[2], not row[3] and not row[5]) for row in rows]


def list_values(gallery: Gallery, table: str, column: tuple[str, str, bool], row: Row) -> list[Any]:
    """Other values that could stand there."""
    name, kind, may_be_null = column
    values = [alter(kind, row[name])]
    if name == "seal":
        whole = row["seal"]
        values += [whole[:1] + alter(kind, whole[1 : seals.HEAD]) + whole[seals.HEAD :]]
        values += [whole[: seals.HEAD] + alter(kind, whole[seals.HEAD :]), whole[:-1], b""]
    if may_be_null and row[name] is not None:
        values.append(None)
    if name.endswith(REFERRING):
        # What stands in another row is what nobody would stumble over.
        values += [
            other[name]
            for other in gallery.read(f"SELECT DISTINCT {name} FROM {table}")
            if other[name] not in (None, row[name])
        ][:1]
    return values


def alter(kind: str, value: Any) -> Any:
    match kind:
        case "INTEGER":
            return (value or 0) + 100
        case "FLOAT":
            return (value or 0.0) + 0.25
        case "BOOLEAN":
            return 1 - value
        case "BLOB":
            return bytes([value[0] ^ 1]) + value[1:-1] + bytes([value[-1] ^ 1]) if value else b"x"
        case "VARCHAR":
            if value and len(value) >= 32 and not set(value) - set("0123456789abcdef"):
                return value[:-1] + ("0" if value[-1] != "0" else "1")
            return f"{value or ''}x"
    raise AssertionError(f"no other value is known for the type {kind}: add it here")


def find_owners(gallery: Gallery, table: str, row: Row) -> list[Row]:
    """The images that the row belongs to."""
    where = {
        "image": ("number = ?", "number"),
        "stage": ("number = ?", "image_number"),
        "thumbnail": ("number = ?", "image_number"),
        "request": ("request_digest = ?", "digest"),
        "prompt": ("request_digest = ?", "request_digest"),
        "environment": ("environment_digest = ?", "digest"),
        "input": (
            "request_digest IN (SELECT digest FROM request WHERE instr(json, ?))",
            "sha256",
        ),
        "verification": ("id = ?", "image_id"),
        "charge": ("job_id = ?", "job_id"),
        "job": (
            "job_id = ?1 OR id IN (SELECT image_id FROM verification WHERE job_id = ?1)",
            "id",
        ),
    }
    condition, key = where[table]
    return gallery.read(f"SELECT * FROM image WHERE {condition} ORDER BY number", row[key])


def name_fact(gallery: Gallery, table: str, column: str, row: Row, owner: Row) -> str:
    """What a change of this column must be called in the record of `owner`."""
    match table:
        case "stage":
            return "stages"
        case "charge":
            return "charges"
        case "thumbnail" if column != "seal":
            return "thumbnail"
        case "environment":
            return "environment"
        case "request":
            return "request" if column in ("digest", "json") else f"request.{column}"
        case "prompt":
            place = "" if column == "request_digest" else f".{row['position']}.{column}"
            return f"request.prompts{place}"
        case "input":
            [digest] = {owner["request_digest"]}
            [request] = gallery.read(f"SELECT * FROM request WHERE digest = '{digest}'")
            role = next(role for role in integrity.ROLES if row["sha256"] in (request[role] or ""))
            return role if column == "sha256" else f"{role}.{column}"
        case "verification":
            return f"verification.{row['number']}.{column}"
        case "job":
            fact = "job" if column == "id" else f"job.{column}"
            if owner["job_id"] == row["id"]:
                return fact
            [verified] = gallery.read(
                f"SELECT number FROM verification WHERE job_id = '{row['id']}'"
            )
            return f"verification.{verified['number']}.{fact}"
    return column


def list_changes(gallery: Gallery, table: str) -> Iterator[Change]:
    """Each column of each row of a table that belongs to an image, changed alone."""
    for row in gallery.read(f"SELECT rowid AS place, * FROM {table}"):
        owners = find_owners(gallery, table, row)
        assert owners, f"nobody looks at this row of {table}: {row}"
        for column in list_columns(gallery, table):
            if (table, column[0]) in FREE:
                continue
            name = name_fact(gallery, table, column[0], row, owners[0])
            for value in list_values(gallery, table, column, row):
                change = Change(
                    f"{table}.{column[0]}: {row[column[0]]!r} -> {value!r}",
                    f"UPDATE {table} SET {column[0]} = ? WHERE rowid = ?",
                    (value, row["place"]),
                    owners[0]["id"],
                    name,
                )
                match table, column[0]:
                    case "image", "id":
                        change = change._replace(image_id=value)
                    case "verification", "number":
                        change = change._replace(name=f"verification.{value}.number")
                    case "verification", "image_id" if row["job_id"]:
                        # Its job says whose it was.
                        change = change._replace(name=f"verification.{row['number']}")
                    case "verification", "image_id":
                        change = change._replace(image_id=value)
                yield change


# Found, and by name


def test_every_table_belongs_to_an_image_or_is_placed(gallery: Gallery) -> None:
    found = gallery.read(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name NOT LIKE 'image_text%' AND name <> 'image_search'"
    )
    assert sorted(row["name"] for row in found) == sorted([*OWNED, *OTHERS])
    assert all(gallery.read(f"SELECT 1 FROM {table}") for table in OWNED)


def test_a_whole_history_has_no_findings(gallery: Gallery) -> None:
    assert integrity.check_database(gallery.db) == []
    for row in gallery.read("SELECT id FROM image"):
        assert gallery.find(row["id"]) == []
        assert history.check_image(gallery.db, row["id"]).changes == ()


@pytest.mark.parametrize("table", OWNED)
@pytest.mark.samples(4)
def test_every_column_changed_alone_is_named(gallery: Gallery, table: str) -> None:
    missed, told = [], set()
    there = {row["id"] for row in gallery.read("SELECT id FROM image")}
    for change in list_changes(gallery, table):
        try:
            gallery.connection.execute(change.statement, change.values)
        except sqlite3.IntegrityError:
            continue  # two rows of one key: the database itself refuses that
        try:
            if change.image_id in there or change.name == "id":
                names = gallery.find(change.image_id)
                if names != [change.name]:
                    missed.append((change.said, change.name, names))
            # The whole history is looked through for one change of a kind: for the sake of time.
            own = "sha256" if change.name in integrity.ROLES else change.name.split(".")[-1]
            if (own, change.values[0] is None) not in told:
                told.add((own, change.values[0] is None))
                said = integrity.check_database(gallery.db)
                if own not in "\n".join(said):
                    missed.append((change.said, change.name, said))
        finally:
            gallery.restore()
    assert missed == []
    assert told


KINDS = ("stage", "thumbnail", "prompt", "request", "environment", "input", "job", "charge")


@pytest.mark.parametrize("table", [*KINDS, "verification"])
def test_every_row_that_is_deleted_is_named(gallery: Gallery, table: str) -> None:
    missed = []
    for row in gallery.read(f"SELECT rowid AS place, * FROM {table}"):
        owner = find_owners(gallery, table, row)[0]
        key = "digest" if table in ("request", "environment") else "sha256"
        key = {"job": "id", "prompt": "request_digest", "verification": "image_id"}.get(table, key)
        name = name_fact(gallery, table, key, row, owner)
        gallery.connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row["place"],))
        try:
            names = gallery.find(owner["id"])
            said = integrity.check_database(gallery.db)
            if table == "verification":
                name = f"verification.{row['number']}"
                if row["job_id"] is None:
                    # It was the newest, and no job tells of it: only the whole history does.
                    assert f"of the number {row['number']}, is missing" in said[0]
                    continue
            if names != [name] or not said:
                missed.append((table, row, name, names, said))
        finally:
            gallery.restore()
    assert missed == []


def test_an_image_that_is_deleted_leaves_rows_that_tell_of_it(gallery: Gallery) -> None:
    for row in gallery.read("SELECT number FROM image"):
        gallery.connection.execute("DELETE FROM image WHERE number = ?", (row["number"],))
        assert any("refers to a row of image" in line for line in check_and_restore(gallery))


def check_and_restore(gallery: Gallery) -> list[str]:
    try:
        return integrity.check_database(gallery.db)
    finally:
        gallery.restore()


@pytest.mark.parametrize(
    ("table", "changes", "names"),
    [
        ("stage", "position = position + 100", ["stages"]),
        ("prompt", "position = position + 2", ["request.prompts"]),
        ("charge", "number = number + 100", ["charges"]),
        ("verification", "number = number + 100", ["verification.101.number"]),
        ("image", "number = number + 100, id = substr(id || id, 2, 32)", ["number", "id"]),
    ],
)
def test_a_row_that_is_added_by_hand_is_named(
    gallery: Gallery, table: str, changes: str, names: list[str]
) -> None:
    """Other rows that belong to an image have its key, so there cannot be a second one."""
    run = gallery.connection.execute
    run(f"CREATE TEMP TABLE copied AS SELECT rowid AS place, * FROM {table} LIMIT 1")
    [row] = gallery.read(f"SELECT rowid AS place, * FROM {table} LIMIT 1")
    owner = find_owners(gallery, table, row)[0]["id"]
    run(f"UPDATE copied SET {changes}")
    columns = ", ".join(name for name, _, _ in list_columns(gallery, table))
    run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM copied")
    run("DROP TABLE copied")
    try:
        assert gallery.find(owner[1:] + owner[0] if table == "image" else owner) == names
        assert names[0].split(".")[-1] in "\n".join(integrity.check_database(gallery.db))
    finally:
        gallery.restore()


def test_a_seal_is_the_same_on_every_machine() -> None:
    facts = [1, -70_000, None, 0.5, "é猫", b"\x00\xff", [(1, "text", 0, "ab")], ""]
    assert seals.make_seal(facts).hex() == GOLDEN
    sealed = seals.Sealed(1, seals.make_seal(facts), facts)
    names = tuple("abcdefgh")
    assert seals.is_intact(sealed)
    assert seals.list_changes(names, sealed) == []
    # What came to be known later was not sealed then.
    assert seals.is_intact(sealed._replace(facts=[*facts, "later"]))
    other = sealed._replace(facts=[1, -70_000, "", 0.5, "é猫", b"\x00\xff", [], None])
    assert not seals.is_intact(other)
    assert seals.list_changes(names, other) == ["c", "g", "h"]


def test_what_a_seal_covers_is_never_another(tmp_path: Path) -> None:
    """A row of each table that holds, in each column of the first form, a value of its own."""
    keys = {"job_id": "job.id", "request_digest": "request.digest", "image_number": 1}
    rows = {
        "image": ("number", *seals.IMAGE[1:], "seal"),
        "job": seals.JOB,
        "request": ("digest", "json", "engine", "seed", "upscale"),
        "prompt": ("request_digest", *seals.PROMPT),
        "stage": ("image_number", "position", "name", "step", "sha256"),
        "thumbnail": ("image_number", "data"),
        "charge": ("job_id", *seals.CHARGE),
        "verification": (*seals.VERIFICATION, "seal"),
        "input": (*seals.INPUT, "seal"),
    }
    with closing(sqlite3.connect(":memory:")) as connection:
        for table, columns in rows.items():
            named = ", ".join(columns)
            connection.execute(f"CREATE TABLE {table} ({named})")
            values = [keys.get(name, f"{table}.{name}") for name in columns]
            if table == "image":
                values[0] = 1
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
        made = {
            "image": next(seals.read_images(connection, 1, 1)),
            "verification": next(seals.read_verifications(connection)),
            "input": next(seals.read_inputs(connection)),
        }
    assert {name: seals.make_seal(one.facts)[1:9].hex() for name, one in made.items()} == COVERED


def test_a_seal_is_small(gallery: Gallery) -> None:
    sizes = gallery.read("SELECT length(seal) AS size FROM image")
    assert all(row["size"] <= 200 for row in sizes)


def test_rows_that_are_there_before_the_seals_are_sealed_as_they_are(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with Database.open(directory) as db:
        [image] = make_images(db, [make_request("red barn")])
        history.add_verification(db, image.id, Comparison(verdict=Verdict.IDENTICAL))
        store_input(db, make_plain("red"))
    # As the program before had left it.
    for table in ("image", "verification", "input"):
        execute(directory, f"ALTER TABLE {table} DROP COLUMN seal")
    for index in (
        "ix_charge_job_id",
        "ix_job_parent_id",
        "ix_job_request_digest",
        "ix_job_state",
        "ix_job_finished_at",
        "ix_image_file_sha256",
        "ix_verification_job_id",
        "ix_verification_regenerated_id",
    ):
        execute(directory, f"DROP INDEX {index}")
    execute(directory, "ALTER TABLE job DROP COLUMN rank")
    for trigger in search_index.TRIGGERS:
        execute(directory, f"DROP TRIGGER {trigger}")
    for table in (
        "removal",
        "image_text_parts",
        "image_text",
        "image_search",
        "annotation",
        "tag",
        "thinned",
        "verification_run_image",
        "verification_run",
        "series_request",
        "series",
        "imported",
    ):
        execute(directory, f"DROP TABLE {table}")
    execute(directory, "DELETE FROM migration WHERE number >= 6")
    execute(directory, "PRAGMA user_version = 5")
    execute(directory, "UPDATE image SET session = 'before'")
    [(token,)] = execute(directory, "SELECT value FROM meta WHERE key = 'epoch'")
    with Database.open(directory) as db:
        assert integrity.check_database(db) == []
        assert integrity.check_record(db, image) == []
        # A worker of the program before writes without seals: it gets no further job.
        queue.enqueue(db, [make_request("blue barn")])
        with pytest.raises(StoreError, match="Another worker has taken over"):
            queue.claim(db, int(token))
        execute(directory, "UPDATE image SET session = 'after'")
        [finding] = integrity.check_record(db, image)
        assert finding == "session: 'after' is not what was written"


def test_a_column_that_is_added_later_leaves_the_seals_whole(db: Database) -> None:
    [image] = make_images(db, [make_request("red barn")])
    for table in ("request", "image", "job"):
        execute(db.directory, f"ALTER TABLE {table} ADD COLUMN later VARCHAR")
    assert integrity.check_database(db) == []
    execute(db.directory, "UPDATE request SET later = 'x'")
    [finding] = integrity.check_record(db, image)
    assert finding.startswith("request: ")
    assert len(integrity.check_database(db)) == 1


def test_images_without_seals_are_counted_and_only_the_first_are_named(db: Database) -> None:
    make_images(db, [make_request(f"picture {number}") for number in range(23)])
    execute(db.directory, "UPDATE image SET seal = NULL")
    findings = integrity.check_database(db)
    assert len(findings) == integrity.LISTED + 1
    assert "has no seal" in findings[0]
    assert findings[-1] == "3 more records of images have no seal."


def test_text_that_is_no_utf_8_is_a_change_like_any_other(db: Database) -> None:
    images = make_images(db, [make_request("one"), make_request("two")])
    execute(db.directory, "UPDATE image SET session = CAST(x'ff41' AS TEXT) WHERE number = 1")
    [finding] = integrity.check_database(db)
    assert finding == (
        f"The record of the image {images[0].id[:8]} was changed after it was written: session."
    )


def harm(path: Path, data: bytes) -> Iterator[str]:
    """The file changed in one way after the other."""
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    yield "one bit"
    path.write_bytes(data[: len(data) // 2])
    yield "cut"
    path.write_bytes(b"")
    yield "empty"
    path.write_bytes(make_plain("green", (128, 192)))
    yield "another image"
    path.rename(path.with_suffix(".bin"))
    yield "another ending"
    path.with_suffix(".bin").rename(path.with_suffix(".jpg" if path.suffix != ".jpg" else ".png"))
    path.with_suffix(".jpg" if path.suffix != ".jpg" else ".png").write_bytes(data)
    yield "another known ending"
    path.with_suffix(".jpg" if path.suffix != ".jpg" else ".png").unlink()
    yield "gone"


def test_every_file_that_is_changed_is_named(gallery: Gallery) -> None:
    missed = []
    files = [
        (gallery.db.vault.path(row["file_sha256"], ".png"), row["id"], "file")
        for row in gallery.read("SELECT * FROM image GROUP BY file_sha256")
    ]
    for row in gallery.read("SELECT * FROM input"):
        owner = find_owners(gallery, "input", row)[0]
        path = gallery.db.vault.locate(row["sha256"])
        assert path is not None
        files.append((path, owner["id"], name_fact(gallery, "input", "sha256", row, owner)))
    assert len(files) == 5
    for path, image_id, name in files:
        data = path.read_bytes()
        for how in harm(path, data):
            names = gallery.find(image_id)
            if names != [name]:
                missed.append((path, how, name, names))
            if not path.exists() and not integrity.check_database(gallery.db):
                missed.append((path, how, "doctor", []))
        path.write_bytes(data)
    assert missed == []
