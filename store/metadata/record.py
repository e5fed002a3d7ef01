"""The record of an image: all that is needed to make it again and to prove it, as one document.

Its form is canonical JSON (UTF-8, keys in order, no spaces). `checks` holds a short digest of each
field and `seal` the SHA-256 of the document without itself, so that an accident or an edit by hand
is told by the name of what was changed. They prove nothing against who knows how they are made:
that is what a signature is for (`store.metadata.signature`).

`format` is the number of the form. Later forms add fields; a reader refuses forms that it does not
know instead of guessing. Nothing in a record names a place on the machine that it comes from.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import msgspec

from store.errors import RequestError, StoreError
from store.records import EnvironmentRecord, FinishReason, Purpose, Relation, Stage, Verdict
from store.request import Request

FORMAT = 1
RECORD_LIMIT = 4 * 1024 * 1024
"""Most bytes of a record; the longest prompts that a request may have fit in."""

STAGES_LIMIT = 10_000
VERIFICATIONS_LIMIT = 20
INPUTS_LIMIT = 8
UNREAD_LIMIT = 10_000
_CHECK_DIGITS = 8


def name_program() -> str:
    """Name and version of this program, as they stand in records."""
    try:
        return f"Safelight {version('safelight')}"
    except PackageNotFoundError:
        return "Safelight"


class PixelsFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pixels that were made: their digest (`store.pixels.digest_pixels`), mode and size."""

    sha256: str
    mode: str
    width: int
    height: int


class FileFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as the engine gave it, before anything was written into it."""

    sha256: str
    mime: str
    size: int


class CopyFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The image encoded anew in another format, which the record lies in.

    `body_sha256`: of its bytes without metadata (`containers.strip_metadata`). `is_lossless`:
    whether its pixels are those that were made.
    """

    mime: str
    body_sha256: str
    is_lossless: bool


class InputFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that the request starts from, by its digest, and what was changed as it came in."""

    sha256: str
    mime: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


class VerificationFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a comparison found where the image was made. `created_at`: seconds since 1970, UTC."""

    verdict: Verdict
    first_difference: str | None
    psnr_db: float | None
    created_at: float


class ImportedFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That another program made the image: whose metadata it had, and how much was understood.

    `unread`: names and values that have no place in a request; None for what was not said, where
    the request holds a stand-in. See `store.records.Imported`.
    """

    dialect: str
    grade: str
    unread: tuple[tuple[str, str | None], ...] = ()


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that proves one image. Times are seconds since 1970 in UTC.

    `id` and `parent_id` are those of the history that it was made in, `relation` and `purpose` say
    how it came from its parent. `environment`: what else decided the pixels. `meta`: what the
    engine said besides. `copy` is None where the file holds the engine's bytes, `imported` where
    Safelight made the image.
    """

    format: int = FORMAT
    program: str
    id: str
    created_at: float
    request: Request
    request_sha256: str
    seed: int
    purpose: Purpose
    relation: Relation | None = None
    parent_id: str | None = None
    pixels: PixelsFact
    file: FileFact
    copy: CopyFact | None = None
    imported: ImportedFact | None = None
    finish_reason: FinishReason
    warning: str | None = None
    seconds: float
    environment: dict[str, str]
    stages: tuple[Stage, ...] = ()
    inputs: tuple[InputFact, ...] = ()
    verifications: tuple[VerificationFact, ...] = ()
    meta: dict[str, str] = {}

    def to_json(self) -> bytes:
        """The canonical form with its checks and seal. Raises `StoreError` beyond 4 MiB."""
        values = self._to_values()
        values["checks"] = _make_checks(values)
        values["seal"] = _digest(values)
        data = msgspec.json.encode(values, order="sorted")
        if len(data) > RECORD_LIMIT:
            raise StoreError(f"The record has {len(data):,} bytes, more than {RECORD_LIMIT:,}.")
        return data

    def _to_values(self) -> dict[str, Any]:
        values: dict[str, Any] = msgspec.to_builtins(self)
        # A request has a canonical form of its own, which may be an older one.
        values["request"] = msgspec.json.decode(self.request.to_json())
        return values

    @property
    def environment_record(self) -> EnvironmentRecord:
        """The environment as the history keeps it."""
        return EnvironmentRecord(values=self.environment)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The record in `data`, when nothing in it was changed. Raises `StoreError`."""
        found = read_record(data)
        if found.changes:
            raise StoreError(describe_changes(found.changes))
        assert isinstance(found.record, cls)
        return found.record


class ReadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was found, and the names of what was changed in it.

    `record` is None where so much was changed that it is none.
    """

    record: Record | None
    changes: tuple[str, ...] = ()


def describe_changes(changes: tuple[str, ...]) -> str:
    """The sentence about a record in which something was changed."""
    return f"The record was changed after it was written: {', '.join(changes)}."


def read_record(data: bytes) -> ReadRecord:
    """The record in `data`, with the names of the fields that were changed after it was written.

    Raises `StoreError` for a form that is not known here.
    """
    if len(data) > RECORD_LIMIT:
        raise StoreError(f"The record has {len(data):,} bytes, more than {RECORD_LIMIT:,}.")
    try:
        values = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ReadRecord(record=None, changes=("record",))
    form = values.get("format")
    if isinstance(form, int) and form > FORMAT:
        raise StoreError(
            f"The record has form {form}; this version knows {FORMAT}.", "Use a newer Safelight."
        )
    changes = _list_changes(values, data)
    try:
        record = _convert(values)
    except (StoreError, RequestError, msgspec.ValidationError):
        return ReadRecord(record=None, changes=changes or ("record",))
    if not changes and record.request.digest != record.request_sha256:
        changes = ("request",)
    return ReadRecord(record=record, changes=changes)


def _convert(values: dict[str, Any]) -> Record:
    known = {name: values[name] for name in values if name not in ("checks", "seal", "request")}
    request = Request.from_json(msgspec.json.encode(values.get("request")))
    record = msgspec.convert({**known, "request": msgspec.to_builtins(request)}, Record)
    if (
        len(record.stages) > STAGES_LIMIT
        or len(record.verifications) > VERIFICATIONS_LIMIT
        or len(record.inputs) > INPUTS_LIMIT
        or (record.imported and len(record.imported.unread) > UNREAD_LIMIT)
    ):
        raise StoreError("The record lists more than it may.")
    return record


def _list_changes(values: dict[str, Any], data: bytes) -> tuple[str, ...]:
    """The names of fields whose checks do not fit; `seal` or `checks` where only those do not."""
    rest = {name: value for name, value in values.items() if name not in ("checks", "seal")}
    checks, seal = values.get("checks"), values.get("seal")
    if not isinstance(checks, dict):
        return ("checks",)
    try:
        is_canonical = msgspec.json.encode(values, order="sorted") == data
        made = _make_checks(rest)
        is_sealed = seal == _digest(rest | {"checks": checks})
        was_sealed = seal == _digest(rest | {"checks": made})
    except (TypeError, ValueError, RecursionError):
        return ("record",)
    if was_sealed and not is_sealed:
        return ("checks",)
    names = checks.keys() | made.keys()
    if changed := sorted(name for name in names if checks.get(name) != made.get(name)):
        return tuple(changed)
    if not is_canonical:
        return ("record",)
    return () if is_sealed else ("seal",)


def _make_checks(values: dict[str, Any]) -> dict[str, str]:
    return {name: _digest(value)[:_CHECK_DIGITS] for name, value in values.items()}


def _digest(values: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()
