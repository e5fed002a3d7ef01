"""Whether the database, its image files and the record of one image are whole, and where not.

A finding is `name: sentence`. A column of the image goes by its own name (`width`), and so do its
`stages`, its `thumbnail` and its `file`; what else belongs to it by the name of the other row and
a point: `request.steps`, `request.prompts.2.text`, `job.attempts`, `mask.mime`,
`verification.3.verdict`. `seal` is the seal itself (`store.seals`).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
from sqlmodel import Session, col, select

from store.damage import list_damaged
from store.database import Database
from store.errors import NotFound, RequestError, StoreError
from store.mapping import (
    ABSENT,
    as_text,
    find_row,
    hash_text,
    load_prompt_rows,
    load_requests,
    read_columns,
    write_columns,
)
from store.pixels import digest_pixels, open_image
from store.records import FinishReason, Image, JobState, Purpose
from store.request import Parameters, Prompt, PromptStack, Request
from store.seals import (
    IMAGE_FACTS,
    INPUT,
    VERIFICATION_FACTS,
    Sealed,
    is_intact,
    list_changes,
    list_spans,
    read_images,
    read_inputs,
    read_verifications,
)
from store.search_index import check_parts, list_faults, rebuild
from store.sqlite import explain, unwrap
from store.stored_json import BROKEN_JSON
from store.tables import (
    REMOVED_KEY,
    EnvironmentRow,
    ImageRow,
    InputRow,
    JobRow,
    PromptRow,
    RequestRow,
    ThinnedRow,
)
from store.thinning import check_thinned
from store.trash import list_leftovers
from store.vault import suffix_of

ROLES = ("initial_image", "mask", "upscale")
"""The parameters that name a file that a request starts from. A finding of such a name says that
this file is missing or changed: of the record itself nothing is."""

LISTED = 20
"""How many images without a seal are named one by one."""

MOST_FINDINGS = 200
"""How many findings of one kind are told one by one: a whole disk may be missing."""


def check_database(db: Database) -> list[str]:
    """What is wrong with the database and its image files, one sentence each.

    Empty when all is well. Changes nothing. What the database warns of is among it.
    """
    findings = [*db.warnings]
    with db.raw() as connection:
        try:
            findings += _check_pages(connection)
            findings += _check_references(connection)
            findings += _bound(list_damaged(connection), "damaged rows")
            findings += _bound(_check_texts(connection), "damaged texts")
            findings += _check_index(db, connection)
            findings += _check_files(db, connection)
            findings += _check_seals(db, connection)
        except sqlite3.Error as error:
            findings.append(str(explain(error, db.path)))
    return findings


def _check_pages(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA quick_check").fetchall()
    return [f"The database is damaged: {row[0]}." for row in rows if row[0] != "ok"]


def _check_references(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check")
    return _bound(
        (
            f"A row of the table {table} (row {row}) refers to a row of {parent} that is missing."
            for table, row, parent, _ in rows
        ),
        "rows that refer to one that is missing",
    )


def _check_texts(connection: sqlite3.Connection) -> Iterator[str]:
    """Drafts, requests without an image and states of jobs that are none any more."""
    drafts = connection.execute(
        "SELECT name FROM session WHERE typeof(draft) = 'text'"
        " AND (NOT json_valid(draft) OR substr(ltrim(draft), 1, 1) != '{')"
    )
    for (name,) in drafts:
        yield f"The draft of the session {as_text(name)!r} is damaged: it cannot be read."
    # Those that have an image are under its seal.
    requests = connection.execute(
        "SELECT digest, json FROM request"
        " WHERE NOT EXISTS (SELECT 1 FROM image WHERE request_digest = digest)"
    )
    for digest, text in requests:
        if hash_text(as_text(text)) != digest:
            yield f"The request {as_text(digest)[:8]} is damaged: its json does not fit its digest."
    states = ", ".join(f"'{state}'" for state in JobState)
    jobs = connection.execute(f"SELECT id, state FROM job WHERE state NOT IN ({states})")
    for job_id, state in jobs:
        yield f"The job {as_text(job_id)[:8]} is damaged: {_quote(state)} is no state of a job."


def _bound(findings: Iterable[str], what: str) -> list[str]:
    """The first of `findings`, and how many more there are."""
    rest = iter(findings)
    told = list(islice(rest, MOST_FINDINGS))
    if more := sum(1 for _ in rest):
        told.append(f"And {more:,} more {what}.")
    return told


def repair_index(db: Database) -> list[str]:
    """Make the search index anew where it is not as it should be; what was wrong with it.

    Nothing else is changed, and nothing is lost: all of it follows from the records. Raises
    `StoreError` when the history cannot be written.
    """
    with db.raw() as connection:
        try:
            if not (faults := _find_index_faults(db, connection)):
                return []
            with db.write() as write:
                rebuild(unwrap(write))
        except sqlite3.Error as error:
            raise explain(error, db.path) from error
    return faults


def _check_index(db: Database, connection: sqlite3.Connection) -> list[str]:
    faults = _find_index_faults(db, connection)
    return [f"{fault} 'safelight doctor --repair' makes it anew." for fault in faults]


def _find_index_faults(db: Database, connection: sqlite3.Connection) -> list[str]:
    if (faults := list_faults(connection)) or db.is_read_only:
        return faults
    connection.execute("BEGIN IMMEDIATE")
    try:
        check_parts(connection)
    except sqlite3.DatabaseError as error:
        return [f"The search index does not fit its texts: {error}."]
    finally:
        connection.execute("ROLLBACK")
    return []


def _check_files(db: Database, connection: sqlite3.Connection) -> list[str]:
    images = connection.execute(
        "SELECT id, file_sha256, mime, file_bytes FROM image"
        " WHERE NOT EXISTS (SELECT 1 FROM thinned WHERE image_number = number)"
        " AND NOT EXISTS (SELECT 1 FROM annotation"
        " WHERE image_number = number AND emptied_at IS NOT NULL) ORDER BY number"
    )
    inputs = connection.execute("SELECT sha256, sha256, mime, file_bytes FROM input")
    named = chain(
        ((f"image {image_id}", *of_file) for image_id, *of_file in images),
        ((f"input image {str(sha256)[:8]}", *of_file) for sha256, *of_file in inputs),
    )
    said = (_check_named(db, *each) for each in named)
    findings = _bound(filter(None, said), "files that are missing or changed")
    findings += [
        f"The pixels of the image {image_id[:8]} were dropped, and nothing found it identical "
        "before."
        for image_id in check_thinned(connection)
    ]
    return findings + list_leftovers(connection) + _check_lost_inputs(connection)


def _check_named(db: Database, name: str, sha256: Any, mime: Any, file_bytes: Any) -> str:
    """What is wrong with the file that a record names, empty when it is there, as long as it was.

    It is not read: verifying an image does that.
    """
    try:
        path = db.vault.path(sha256, suffix_of(mime))
    except StoreError as error:
        return f"The record of the {name} names no file: {error}"
    try:
        length = path.stat().st_size
    except OSError:
        return _say_missing(db, name, path, sha256)
    if length == file_bytes:
        return ""
    return f"The file of the {name} has {length} bytes, its record says {file_bytes!r}: {path}."


def _check_lost_inputs(connection: sqlite3.Connection) -> list[str]:
    kept = {sha256 for (sha256,) in connection.execute("SELECT sha256 FROM input")}
    columns = ", ".join(ROLES)
    condition = " OR ".join(f"{role} IS NOT NULL" for role in ROLES)
    wanted: set[str] = set()
    for texts in connection.execute(f"SELECT {columns} FROM request WHERE {condition}"):
        for text in filter(None, texts):
            try:
                wanted.add(msgspec.json.decode(as_text(text), type=dict[str, Any])["sha256"])
            except (*BROKEN_JSON, KeyError):
                continue  # the request's own check names it
    return [
        f"The record of the input image {as_text(sha256)[:8]} is missing."
        for sha256 in sorted(wanted - kept, key=as_text)
    ]


def _say_missing(db: Database, what: str, path: Path, sha256: str) -> str:
    if (found := db.vault.locate(sha256)) is not None:
        return f"The file of the {what} has not the ending that the record's mime says: {found}."
    return f"The file of the {what} is missing: {path}."


def _check_seals(db: Database, connection: sqlite3.Connection) -> list[str]:
    """What was changed in any record after it was written, one record a sentence."""
    findings = []
    bare: list[str] = []
    bare_count = changed_count = 0
    for first, last in list_spans(connection):
        for sealed in _list_broken(connection, first, last):
            image_id = as_text(sealed.facts[1])
            if sealed.seal is None:
                bare_count += 1
                if bare_count <= LISTED:
                    bare.append(image_id)
                continue
            changed_count += 1
            if changed_count > MOST_FINDINGS:
                continue
            with db.read() as read:
                row = read.get(ImageRow, sealed.key)
                found = name_changes(find_changes(read, row)) if row else []
            findings.append(_say_changed(f"The record of the image {image_id[:8]}", found))
    if changed_count > MOST_FINDINGS:
        findings.append(f"And {changed_count - MOST_FINDINGS:,} more records of images.")
    findings += [
        f"The record of the image {image_id[:8]} has no seal: what was changed in it is not known."
        for image_id in bare
    ]
    if bare_count > LISTED:
        findings.append(f"{bare_count - LISTED:,} more records of images have no seal.")
    for sealed in read_verifications(connection):
        if changed := _list_verification_changes(sealed):
            said = f"The verification {sealed.key} of the image {as_text(sealed.facts[1])[:8]}"
            findings.append(_say_changed(said, changed))
    findings += _check_lost_verifications(connection)
    for digest, text in connection.execute("SELECT digest, json FROM environment"):
        if hash_text(as_text(text)) != digest:
            findings.append(_say_changed(f"The environment {as_text(digest)[:8]}", ["json"]))
    for sealed in read_inputs(connection):
        if changed := list_changes(INPUT, sealed):
            said = f"The record of the input image {as_text(sealed.key)[:8]}"
            findings.append(_say_changed(said, changed))
    return findings


def _say_changed(what: str, names: Sequence[str]) -> str:
    return f"{what} was changed after it was written: {', '.join(names)}."


def _list_broken(connection: sqlite3.Connection, first: int, last: int) -> list[Sealed]:
    """The images between these numbers whose facts do not fit their seals."""
    careful = connection.text_factory
    # The plain reading is four times as fast, and stumbles over text that is no UTF-8.
    connection.text_factory = str
    try:
        return [one for one in read_images(connection, first, last) if not is_intact(one)]
    except sqlite3.OperationalError:
        connection.text_factory = careful
        return [one for one in read_images(connection, first, last) if not is_intact(one)]
    finally:
        connection.text_factory = careful


def _check_lost_verifications(connection: sqlite3.Connection) -> list[str]:
    lost = connection.execute(
        "SELECT job.verification_number, image.id FROM job JOIN image ON image.id = job.parent_id"
        " WHERE job.verification_number IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM verification WHERE number = job.verification_number)"
    ).fetchall()
    findings = [
        f"The verification {number} of the image {as_text(image_id)[:8]} is missing."
        for number, image_id in lost
    ]
    newest, given, removed = connection.execute(
        "SELECT (SELECT max(number) FROM verification),"
        " (SELECT seq FROM sqlite_sequence WHERE name = 'verification'),"
        " (SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?)",
        (REMOVED_KEY,),
    ).fetchone()
    known = {number for number, _ in lost} | {removed}
    if (newest or 0) < (given or 0) and given not in known:
        findings.append(f"The newest verification, of the number {given}, is missing.")
    return findings


def check_record(db: Database, image: Image) -> list[str]:
    """What is wrong with the record or the files of an image, one finding a line.

    Beside what `find_changes` says: whether the image's file, and the files that its request
    starts from, are there and are those of the record. Empty when all fit. Raises `NotFound`.
    """
    with db.read() as read:
        row = find_row(read, ImageRow, image.id)
        inputs = _list_inputs(read, row)
        known = _list_known(_find_sealed(read, row))
        findings = _find_changes(read, row, inputs)
        lost = _check_input_files(db, read, inputs, {_name(finding) for finding in findings})
        is_thinned = read.get(ThinnedRow, row.number) is not None
        if check_thinned(unwrap(read), row.number):
            findings.append("thinned: its pixels were dropped, and nothing found it identical")
    names = {_name(finding) for finding in findings}
    is_dropped = image.is_emptied or (is_thinned and db.vault.locate(row.file_sha256) is None)
    found = [] if is_dropped else _check_file(db, row, is_mime_changed="mime" in known)
    for finding in found:
        name = _name(finding)
        if name in names:
            # What the file says is more than that something is other than it was.
            findings = [finding if _name(said) == name else said for said in findings]
        elif "file_sha256" not in known if name == "file" else not _follows(name, known):
            findings.append(finding)
    return findings + lost


def find_changes(read: Session, image: ImageRow) -> list[str]:
    """What was changed in the stored record of an image, one finding a line; no file is read.

    Compares its seal with all that belongs to it, the request's JSON with its digest, columns and
    prompt rows, and the environment and the sent message with their digests. Its verifications
    and the rows of the files that it starts from have seals of their own.
    """
    return _find_changes(read, image, _list_inputs(read, image))


def _find_changes(read: Session, image: ImageRow, inputs: Sequence[tuple[str, str]]) -> list[str]:
    sealed = _find_sealed(read, image)
    known = _list_known(sealed)
    findings = _check_request(read, image, known)
    findings += _check_words(image)
    if "environment_digest" not in known:
        findings += _check_environment(read, image)
    if "job_id" not in known:
        findings += _check_job(read, image, known)
    findings += _check_input_rows(read, inputs)
    findings += _check_verifications(read, image)
    return findings + _check_seal(sealed, known, {_name(finding) for finding in findings})


def name_changes(findings: Iterable[str]) -> list[str]:
    """The names in findings, each once, in their order.

    `request` for the whole request only where none of its fields is named.
    """
    names = list(dict.fromkeys(_name(finding) for finding in findings))
    if any(name.startswith("request.") for name in names):
        names = [name for name in names if name != "request"]
    return names


def _name(finding: str) -> str:
    return finding.partition(":")[0]


def _find_sealed(read: Session, image: ImageRow) -> Sealed:
    number = image.number or 0
    return next(read_images(unwrap(read), number, number))


def _list_known(sealed: Sealed) -> list[str]:
    """The facts of an image that its seal says were changed; empty when the seal is lost."""
    changed = list_changes(IMAGE_FACTS, sealed)
    return [] if changed == ["seal"] else changed


def _follows(name: str, known: Sequence[str]) -> bool:
    """Whether that something does not fit `name` only follows from what the seal names."""
    return bool(known) and name not in known


_CONSEQUENCES = {
    "number": ("stages", "thumbnail"),
    "job_id": ("job", "charges"),
    "job": ("job", "charges"),
    "request_digest": ("request",),
}
"""What looks changed because another row is referred to, by what was changed or is missing."""


def _check_seal(sealed: Sealed, known: Sequence[str], found: set[str]) -> list[str]:
    """What the seal names and no comparison found."""
    if not known:
        if sealed.seal is None:
            return ["seal: there is none, so what was changed is not known"]
        changed = list_changes(IMAGE_FACTS, sealed)
        return [f"{name}: it does not fit what it was made of" for name in changed]
    implied = {name for cause in (*known, *found) for name in _CONSEQUENCES.get(cause, ())}
    if any(name.startswith("request.") for name in found):
        implied.add("request")
    findings = []
    for name, value in zip(IMAGE_FACTS, sealed.facts, strict=True):
        is_told = name in found or name in implied or name.partition(".")[0] in implied
        if name in known and not is_told:
            findings.append(f"{name}: {_describe_change(name, value)}")
    return findings


def _describe_change(name: str, value: Any) -> str:
    if name == "stages":
        return f"the {len(value.splitlines())} that are there are not those that were written"
    if value is None or isinstance(value, int | float | str):
        return f"{_quote(value)} is not what was written"
    return "it is not what was written"


def _quote(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_request(read: Session, image: ImageRow, known: Sequence[str]) -> list[str]:
    row = read.get(RequestRow, image.request_digest)
    if row is None and "request_digest" in known:
        return []
    if row is None:
        return [f"request: the record {image.request_digest} is missing"]
    prompts = load_prompt_rows(read, row.digest)
    text = as_text(row.json_text)
    try:
        recorded = msgspec.json.decode(text)
    except BROKEN_JSON:
        recorded = None
    findings: list[str] = []
    if not isinstance(recorded, dict):
        findings.append("request: the stored JSON cannot be read")
    elif hash_text(text) != row.digest:
        findings.append("request: the stored JSON does not fit its digest")
        if not _compare_request(recorded, row, prompts):
            findings.append("request: yet the columns say the same as the stored JSON")
    if isinstance(recorded, dict):
        findings += _compare_request(recorded, row, prompts)
    if findings:
        if _columns_fit(row, prompts):
            findings.append("request: the columns still fit the digest, so the JSON was changed")
        elif hash_text(text) != row.digest:
            findings.append("request: the columns do not fit the digest either")
    elif "request" in known and "request_digest" not in known:
        findings += _list_other_forms(read, row)
    if image.seed != row.seed and not _follows("seed", known):
        findings.append(f"seed: the request has {row.seed!r}, the image {image.seed!r}")
    expected = "\n".join(as_text(prompt.text) for prompt in prompts)
    if as_text(image.prompt_text) != expected and not _follows("prompt_text", known):
        findings.append("prompt_text: the search text is not that of the prompts")
    return findings


def _list_other_forms(read: Session, row: RequestRow) -> list[str]:
    """The columns that mean the same as the JSON and are written in another way."""
    request, _ = load_requests(read, [row.digest])[row.digest]
    return [
        f"request.{name}: {_quote(getattr(row, name))} is not how it was written"
        for name, value in write_columns(request.parameters).items()
        if getattr(row, name) != value
    ]


def _compare_request(
    recorded: dict[str, Any], row: RequestRow, prompts: list[PromptRow]
) -> list[str]:
    findings = [
        _describe(name, recorded.get(name), getattr(row, name))
        for name in ("engine", "model")
        if _differs(recorded.get(name), getattr(row, name))
    ]
    parameters = recorded.get("parameters")
    values = parameters if isinstance(parameters, dict) else {}
    columns = read_columns(row)
    findings += [
        _describe(name, said, columns[name])
        for name in Parameters.__struct_fields__
        if _differs(said := values.get(name, ABSENT.get(name)), columns[name])
    ]
    if _differs(recorded.get("format"), row.format):
        findings.append(_describe("format", recorded.get("format"), row.format))
    stack = recorded.get("stack")
    listed = stack.get("prompts") if isinstance(stack, dict) else None
    entries: list[Any] = listed if isinstance(listed, list) else []
    by_position = {prompt.position: prompt for prompt in prompts}
    places = range(1, len(entries) + 1)
    if len(entries) != len(prompts):
        findings.append(_describe("prompts", len(entries), len(prompts)))
    elif by_position.keys() != set(places):
        findings += [
            f"request.prompts.{place}.position: there is no prompt at it"
            for place in places
            if place not in by_position
        ]
    for place, entry in zip(places, entries, strict=True):
        fields = entry if isinstance(entry, dict) else {}
        prompt = by_position.get(place)
        findings += [
            _describe(f"prompts.{place}.{name}", fields.get(name), getattr(prompt, name))
            for name in Prompt.__struct_fields__
            if prompt is not None and _differs(fields.get(name), getattr(prompt, name))
        ]
    return findings


def _differs(recorded: Any, column: Any) -> bool:
    return bool(recorded != column) or isinstance(recorded, str) != isinstance(column, str)


def _describe(name: str, recorded: Any, column: Any) -> str:
    return f"request.{name}: the record says {recorded!r}, the column says {column!r}"


def _columns_fit(row: RequestRow, prompts: list[PromptRow]) -> bool:
    """Whether the columns alone give the request of this digest."""
    try:
        stack = PromptStack(
            prompts=tuple(
                Prompt(**{name: getattr(prompt, name) for name in Prompt.__struct_fields__})
                for prompt in prompts
            )
        )
        parameters = msgspec.convert(read_columns(row), Parameters)
        request = Request(
            format=row.format,
            engine=row.engine,
            model=row.model,
            stack=stack,
            parameters=parameters,
        )
        return request.digest == row.digest
    except (RequestError, TypeError, UnicodeError, msgspec.ValidationError):
        return False


def _check_words(image: ImageRow) -> list[str]:
    findings = []
    words = (("finish_reason", FinishReason), ("purpose", Purpose))
    for name, kind in words:
        value = as_text(getattr(image, name))
        if value not in list(kind):
            findings.append(f"{name}: {value!r} is none of {', '.join(kind)}")
    try:
        msgspec.json.decode(as_text(image.meta), type=dict[str, str])
    except BROKEN_JSON:
        findings.append("meta: the stored JSON cannot be read")
    return findings


def _check_environment(read: Session, image: ImageRow) -> list[str]:
    row = read.get(EnvironmentRow, image.environment_digest)
    if row is None:
        return [f"environment: the record {image.environment_digest} is missing"]
    if hash_text(as_text(row.json_text)) != row.digest:
        return ["environment: the stored JSON does not fit its digest"]
    return []


def _check_job(read: Session, image: ImageRow, known: Sequence[str]) -> list[str]:
    job = read.exec(select(JobRow).where(col(JobRow.id) == image.job_id)).first()
    if job is None:
        return [f"job: the record {image.job_id} is missing"]
    findings = []
    if job.request_digest != image.request_digest and not _follows("job.request_digest", known):
        findings.append(
            f"job.request_digest: the image was made for {image.request_digest}, "
            f"its job for {job.request_digest}"
        )
    if (
        job.wire is not None
        and hashlib.sha256(job.wire).hexdigest() != job.wire_sha256
        and not _follows("job.wire", known)
    ):
        findings.append("job.wire: the stored message does not fit its digest")
    return findings


def _list_inputs(read: Session, image: ImageRow) -> list[tuple[str, str]]:
    """The files that the image's request starts from: the parameter, the digest."""
    digest = image.request_digest
    parameters = load_requests(read, [digest])[digest][0].parameters
    found = ((role, getattr(parameters, role)) for role in ROLES)
    return [(role, value.sha256) for role, value in found if value is not None]


def _check_input_rows(read: Session, inputs: Sequence[tuple[str, str]]) -> list[str]:
    return [
        f"{role}.{name}: it is not what was written"
        for role, sha256 in inputs
        for sealed in read_inputs(unwrap(read), sha256)
        for name in list_changes(INPUT, sealed)
    ]


def _check_input_files(
    db: Database, read: Session, inputs: Sequence[tuple[str, str]], changed: set[str]
) -> list[str]:
    findings = []
    for role, sha256 in inputs:
        row = read.get(InputRow, sha256)
        try:
            if row is None:
                raise NotFound(f"There is no input image {sha256[:8]}.", "Give its file again.")
            suffix = suffix_of(as_text(row.mime))
            if f"{role}.mime" in changed and (found := db.vault.locate(sha256)):
                suffix = found.suffix
            db.vault.get(sha256, suffix)
        except StoreError as error:
            findings.append(f"{role}: {error.message}")
    return findings


def _list_verification_changes(sealed: Sealed) -> list[str]:
    """Names of what was changed; of a job that is another one or missing nothing more."""
    changed = list_changes(VERIFICATION_FACTS, sealed)
    facts = dict(zip(VERIFICATION_FACTS, sealed.facts, strict=True))
    is_lost = facts["job_id"] is not None and facts["job.id"] is None
    if "job_id" in changed or is_lost:
        changed = [name for name in changed if not name.startswith("job.")]
        changed += ["job"] if is_lost and "job_id" not in changed else []
    return changed


def _check_verifications(read: Session, image: ImageRow) -> list[str]:
    connection = unwrap(read)
    there = list(read_verifications(connection, image_id=image.id))
    findings: list[str] = []
    gaps: list[str] = []
    for sealed in there:
        for name in _list_verification_changes(sealed):
            said = f"verification.{sealed.key}.{name}: it is not what was written"
            (gaps if name == "previous" else findings).append(said)
    numbers = {sealed.key for sealed in there}
    jobs = {sealed.facts[VERIFICATION_FACTS.index("job_id")] for sealed in there}
    findings += [
        f"verification.{number}: there was one, and it is missing"
        for job_id, number in connection.execute(
            "SELECT id, verification_number FROM job"
            " WHERE parent_id = ? AND verification_number IS NOT NULL",
            (image.id,),
        )
        if job_id not in jobs and number not in numbers
    ]
    # What came before one is also another when that one was changed itself.
    return findings or gaps


def _check_file(db: Database, row: ImageRow, *, is_mime_changed: bool) -> list[str]:
    """What the image's file says of its record."""
    suffix = suffix_of(as_text(row.mime))
    findings = []
    try:
        if is_mime_changed and (found := db.vault.locate(row.file_sha256)):
            suffix = found.suffix
            findings.append(f"mime: the file is a {suffix}, the record says {_quote(row.mime)}")
        data = db.vault.get(row.file_sha256, suffix)
        decoded = open_image(data)
    except StoreError as error:
        return [*findings, f"file: {error.message}"]
    facts = (
        ("file_bytes", len(data), row.file_bytes),
        ("width", decoded.width, row.width),
        ("height", decoded.height, row.height),
    )
    findings += [
        f"{name}: the file has {there!r}, the record says {said!r}"
        for name, there, said in facts
        if there != said
    ]
    if digest_pixels(decoded) != row.pixels_sha256:
        findings.append("pixels_sha256: the pixels of the file have another digest")
    return findings
