"""Drafts as JSON, read field by field."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec

from store.records import Draft
from store.stored_json import BROKEN_JSON


def encode_draft(draft: Draft, stored: str | bytes) -> str:
    """JSON of `draft`, with those fields of `stored` that only a later program knows.

    `stored` is as it was found: in a damaged row it may be bytes, or no JSON at all.
    """
    values = msgspec.to_builtins(draft)
    known = set(Draft.__struct_fields__)
    for name, value in _read_fields(stored).items():
        if name not in known:
            values[name] = value
    try:
        return msgspec.json.encode(values).decode()
    except UnicodeEncodeError:
        # Half a character, as a broken paste can leave it, is no text in any encoding.
        return msgspec.json.encode(_repair(values)).decode()


def decode_draft(stored: str) -> Draft:
    """The draft in `stored`, field by field: one that cannot be read costs only itself."""
    fields = _read_fields(stored)
    hints = get_type_hints(Draft)
    values: dict[str, Any] = {}
    for name in Draft.__struct_fields__:
        if name in fields:
            try:
                values[name] = msgspec.convert(fields[name], hints[name])
            except msgspec.ValidationError:
                continue
    return Draft(**values)


def _read_fields(stored: str | bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(stored)
    except BROKEN_JSON:
        return {}
    return fields if isinstance(fields, dict) else {}


def _repair(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_repair(key): _repair(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_repair(item) for item in value]
    return value
