"""Whether the database, its image files and the record of one image are whole, and where not."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

import msgspec
from sqlmodel import Session, col, select

from store.database import Database
from store.errors import RequestError, StoreError
from store.fulltext import check_index, list_missing_triggers
from store.inputs import read_input
from store.mapping import ABSENT, as_text, find_row, hash_text, load_prompt_rows, read_columns
from store.pixels import digest_pixels, open_image
from store.records import FinishReason, Image, Purpose
from store.request import Parameters, Prompt, PromptStack, Request
from store.sqlite import explain
from store.tables import EnvironmentRow, ImageRow, JobRow, PromptRow, RequestRow
from store.vault import suffix_of


def check_database(db: Database) -> list[str]:
    """What is wrong with the database and its image files, one sentence each.

    Empty when all is well. Changes nothing. What the database warns of is among it.
    """
    findings = [*db.warnings]
    with db.raw() as connection:
        try:
            findings += _check_pages(connection)
            findings += _check_references(connection)
            findings += [
                f"The search index is not kept in step: the trigger {name} is missing or changed."
                for name in list_missing_triggers(connection)
            ]
            if not db.is_read_only:
                findings += _check_index(connection)
            findings += _check_files(db, connection)
        except sqlite3.Error as error:
            findings.append(str(explain(error, db.path)))
    return findings


def _check_pages(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA quick_check").fetchall()
    return [f"The database is damaged: {row[0]}." for row in rows if row[0] != "ok"]


def _check_references(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchall()
    return [
        f"A row of the table {table} (row {row}) refers to a row of {parent} that is missing."
        for table, row, parent, _ in rows
    ]


def _check_index(connection: sqlite3.Connection) -> list[str]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        check_index(connection)
    except sqlite3.DatabaseError as error:
        return [f"The search index does not fit the images: {error}."]
    finally:
        connection.execute("ROLLBACK")
    return []


def _check_files(db: Database, connection: sqlite3.Connection) -> list[str]:
    findings: list[str] = []
    for image_id, sha256, mime in connection.execute(
        "SELECT id, file_sha256, mime FROM image ORDER BY number"
    ):
        try:
            path = db.vault.path(sha256, suffix_of(mime))
        except StoreError as error:
            findings.append(f"The record of the image {image_id} names no file: {error}")
            continue
        if not path.is_file():
            findings.append(f"The file of the image {image_id} is missing: {path}.")
    return findings


def check_record(db: Database, image: Image) -> list[str]:
    """What is wrong with the record or the file of an image, one finding a line.

    Compares the stored request with its digest, its columns and prompt rows with the stored
    request, the environment and the wire message with their digests, and the file with the
    digests of its bytes and pixels. Empty when all fit. Raises `NotFound`.
    """
    with db.read() as read:
        row = find_row(read, ImageRow, image.id)
        findings = _check_request(read, row)
        findings += _check_words(row)
        findings += _check_environment(read, row)
        findings += _check_job(read, row)
    return findings + _check_file(db, row) + _check_inputs(db, image)


def _check_request(read: Session, image: ImageRow) -> list[str]:
    row = read.get(RequestRow, image.request_digest)
    if row is None:
        return [f"request: the record {image.request_digest} is missing"]
    prompts = load_prompt_rows(read, row.digest)
    text = as_text(row.json_text)
    try:
        recorded = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
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
    if image.seed != row.seed:
        findings.append(f"seed: the request has {row.seed!r}, the image {image.seed!r}")
    expected = "\n".join(as_text(prompt.text) for prompt in prompts)
    if as_text(image.prompt_text) != expected:
        findings.append("prompt_text: the search text is not that of the prompts")
    return findings


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
    if len(entries) != len(prompts):
        findings.append(_describe("prompts", len(entries), len(prompts)))
    for place, (entry, prompt) in enumerate(zip(entries, prompts, strict=False), 1):
        fields = entry if isinstance(entry, dict) else {}
        findings += [
            _describe(f"prompts.{place}.{name}", fields.get(name), getattr(prompt, name))
            for name in Prompt.__struct_fields__
            if _differs(fields.get(name), getattr(prompt, name))
        ]
    return findings


def _differs(recorded: Any, column: Any) -> bool:
    return bool(recorded != column) or isinstance(recorded, str) != isinstance(column, str)


def _describe(name: str, recorded: Any, column: Any) -> str:
    return f"{name}: the record says {recorded!r}, the column says {column!r}"


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
    except (msgspec.DecodeError, UnicodeError):
        findings.append("meta: the stored JSON cannot be read")
    return findings


def _check_environment(read: Session, image: ImageRow) -> list[str]:
    row = read.get(EnvironmentRow, image.environment_digest)
    if row is None:
        return [f"environment: the record {image.environment_digest} is missing"]
    if hash_text(as_text(row.json_text)) != row.digest:
        return ["environment: the stored JSON does not fit its digest"]
    return []


def _check_job(read: Session, image: ImageRow) -> list[str]:
    job = read.exec(select(JobRow).where(col(JobRow.id) == image.job_id)).first()
    if job is None:
        return [f"job: the record {image.job_id} is missing"]
    findings = []
    if job.request_digest != image.request_digest:
        findings.append(
            f"request: the image was made for {image.request_digest}, "
            f"its job for {job.request_digest}"
        )
    if job.wire is not None and hashlib.sha256(job.wire).hexdigest() != job.wire_sha256:
        findings.append("wire: the stored message does not fit its digest")
    return findings


def _check_inputs(db: Database, image: Image) -> list[str]:
    findings = []
    for sha256 in image.request.parameters.inputs:
        try:
            read_input(db, sha256)
        except StoreError as error:
            findings.append(f"input: {error.message}")
    return findings


def _check_file(db: Database, row: ImageRow) -> list[str]:
    try:
        data = db.vault.get(row.file_sha256, suffix_of(row.mime))
    except StoreError as error:
        return [f"file: {error.message}"]
    findings = []
    if len(data) != row.file_bytes:
        findings.append(_describe("file_bytes", len(data), row.file_bytes))
    try:
        decoded = open_image(data)
    except StoreError as error:
        return [*findings, f"file: {error.message}"]
    if (decoded.width, decoded.height) != (row.width, row.height):
        size = f"{decoded.width}x{decoded.height}"
        findings.append(f"size: the file has {size}, the columns say {row.width}x{row.height}")
    if digest_pixels(decoded) != row.pixels_sha256:
        findings.append("pixels_sha256: the pixels of the file have another digest")
    return findings
