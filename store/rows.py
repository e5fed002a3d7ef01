"""Requests and environments in rows: stored once by digest, read back even when damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import msgspec
from sqlmodel import Session, col, select

from store.errors import RequestError
from store.records import EnvironmentRecord
from store.request import REQUEST_FORMAT, Parameters, Prompt, PromptStack, Request
from store.tables import EnvironmentRow, PromptRow, RequestRow

_Value = TypeVar("_Value")

ABSENT: dict[str, Any] = {
    field.name: msgspec.json.decode(msgspec.json.encode(field.default))
    for field in msgspec.structs.fields(Parameters)
    if not field.required
}
"""What the record says of an optional parameter that is absent, as in JSON."""

_PLACEHOLDER = Request(
    engine="damaged",
    model="damaged",
    stack=PromptStack(prompts=(Prompt(text="(this record is damaged)"),)),
    parameters=Parameters(
        seed=1, steps=1, cfg_scale=0.0, sampler="damaged", width=128, height=128, style_preset=None
    ),
)
"""Stands where nothing of a damaged request can be read, so that its row can still be listed."""


def as_text(stored: object) -> str:
    """A text column, also when somebody wrote bytes into it."""
    if isinstance(stored, bytes):
        return stored.decode("utf-8", "replace")
    return "" if stored is None else str(stored)


def hash_text(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def join_prompts(request: Request) -> str:
    """What the full-text index sees of a request."""
    return "\n".join(prompt.text for prompt in request.stack.prompts)


def store_request(session: Session, request: Request) -> str:
    """Make sure that `request` is stored, and return its digest."""
    text = request.to_json().decode()
    digest = hash_text(text)
    if session.get(RequestRow, digest) is not None:
        return digest
    session.add(
        RequestRow(
            digest=digest,
            json_text=text,
            engine=request.engine,
            model=request.model,
            format=request.format,
            **write_columns(request.parameters),
        )
    )
    session.flush()
    for position, prompt in enumerate(request.stack.prompts, 1):
        session.add(
            PromptRow(request_digest=digest, position=position, **msgspec.structs.asdict(prompt))
        )
    session.flush()
    return digest


def write_columns(parameters: Parameters) -> dict[str, Any]:
    """The parameters as columns: groups as JSON, NULL for what is absent."""
    columns = {}
    for field in msgspec.structs.fields(Parameters):
        value = getattr(parameters, field.name)
        if not field.required and value == field.default:
            value = None
        elif isinstance(value, msgspec.Struct | tuple):
            value = msgspec.json.encode(value, order="sorted").decode()
        columns[field.name] = value
    return columns


def read_columns(row: RequestRow) -> dict[str, Any]:
    """The parameters that the columns tell, as in JSON; a damaged group as its text."""
    values = {}
    for field in msgspec.structs.fields(Parameters):
        value = getattr(row, field.name)
        if not field.required and value is None:
            value = ABSENT[field.name]
        elif not field.required and str(value)[:1] in ("{", "["):
            try:
                value = msgspec.json.decode(as_text(value))
            except (msgspec.DecodeError, UnicodeError):
                value = as_text(value)
        values[field.name] = value
    return values


def store_environment(session: Session, environment: EnvironmentRecord) -> str:
    """Make sure that `environment` is stored, and return its digest."""
    text = environment.to_json().decode()
    digest = hash_text(text)
    if session.get(EnvironmentRow, digest) is None:
        session.add(EnvironmentRow(digest=digest, json_text=text))
        session.flush()
    return digest


def load_requests(session: Session, digests: Collection[str]) -> dict[str, tuple[Request, bool]]:
    """For each digest its request, and whether the record is damaged.

    A damaged request is made up of what is left of it; see `salvage`.
    """
    found: dict[str, tuple[Request, bool]] = {}
    damaged: list[RequestRow] = []
    statement = select(RequestRow).where(col(RequestRow.digest).in_(set(digests)))
    for row in session.exec(statement):
        text = as_text(row.json_text)
        try:
            if hash_text(text) != row.digest:
                raise RequestError("request", None, "It does not fit its digest.")
            found[row.digest] = (Request.from_json(text), False)
        except RequestError:
            damaged.append(row)
    for row in damaged:
        found[row.digest] = (salvage(row, load_prompt_rows(session, row.digest)), True)
    for digest in digests:
        found.setdefault(digest, (_PLACEHOLDER, True))
    return found


def load_prompt_rows(session: Session, digest: str) -> list[PromptRow]:
    """The prompts of a request in their order."""
    statement = select(PromptRow).where(col(PromptRow.request_digest) == digest)
    return list(session.exec(statement.order_by(col(PromptRow.position))))


def salvage(row: RequestRow, prompts: Sequence[PromptRow]) -> Request:
    """The request that the columns tell, field by field the JSON's where a column is no good."""
    try:
        loose = msgspec.json.decode(as_text(row.json_text))
    except (msgspec.DecodeError, UnicodeError):
        loose = None
    in_json = loose if isinstance(loose, dict) else {}
    stack: PromptStack | None = None
    for candidate in ([_prompt_values(prompt) for prompt in prompts], _dig(in_json, "stack")):
        values = candidate.get("prompts") if isinstance(candidate, dict) else candidate
        stack = stack or _convert({"prompts": values}, PromptStack)
    json_parameters = _dig(in_json, "parameters")
    parameters = _PLACEHOLDER.parameters
    columns = read_columns(row)
    for name in Parameters.__struct_fields__:
        for value in (columns[name], _dig(json_parameters, name)):
            changed = {**msgspec.to_builtins(parameters), name: value}
            if (better := _convert(changed, Parameters)) is not None:
                parameters = better
                break
    request = Request(
        format=1 if row.format == 1 and not parameters.has_extras else REQUEST_FORMAT,
        engine=_PLACEHOLDER.engine,
        model=_PLACEHOLDER.model,
        stack=stack if stack and _fits(stack, parameters) else _PLACEHOLDER.stack,
        parameters=parameters,
    )
    for name in ("engine", "model"):
        for value in (getattr(row, name), in_json.get(name)):
            try:
                request = msgspec.structs.replace(request, **{name: value})
            except RequestError:
                continue
            break
    return request


def _fits(stack: PromptStack, parameters: Parameters) -> bool:
    if parameters.upscale is not None:
        return True
    try:
        stack.check_drawable()
    except RequestError:
        return False
    return True


def _prompt_values(row: PromptRow) -> dict[str, Any]:
    return {name: getattr(row, name, None) for name in Prompt.__struct_fields__}


def _dig(values: object, name: str) -> Any:
    return values.get(name) if isinstance(values, dict) else None


def _convert(values: Any, kind: type[_Value]) -> _Value | None:
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, RequestError, TypeError):
        return None
