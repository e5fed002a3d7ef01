"""The JSON of an answer, of which only what is known is ever held, each to a length of its own.

What else stands in it is passed over without being made into anything: 96 MiB of empty lists
would take two gigabytes.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

import msgspec

from engines.remote import KEPT, clean_text, explain_bad_answer
from store.errors import StoreError
from store.pixels import FILE_LIMIT, identify_image, is_whole

_VALUE_LIMIT = 16 * 1024
"""Bytes of a value that are looked at, but for the image and the errors."""

_ERRORS_LIMIT = 64 * 1024
_ERRORS_SHOWN = 20

_NONE = msgspec.Raw(b"")


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """The members that are known, each as it stands there; empty where it is missing."""

    image: msgspec.Raw = _NONE
    finish_reason: msgspec.Raw = _NONE
    seed: msgspec.Raw = _NONE
    id: msgspec.Raw = _NONE
    name: msgspec.Raw = _NONE
    message: msgspec.Raw = _NONE
    errors: msgspec.Raw = _NONE


def parse_body(data: bytes) -> dict[str, Any] | None:
    """What is known of the JSON object in `data`; None when it is no such object.

    `image` is decoded to its bytes; other values are texts, numbers, or their own JSON, cut after
    some length; `errors` is a list of them. Values of null are left out. Raises `EngineError`
    (BAD_ANSWER) for an image that is not base64.
    """
    try:
        body = msgspec.json.decode(data, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found: dict[str, Any] = {}
    if (image := _read_image(body.image)) is not None:
        found["image"] = image
    for name in ("finish_reason", "seed", "id", "name", "message"):
        if (value := _read_value(getattr(body, name))) is not None:
            found[name] = value
    if errors := _read_errors(body.errors):
        found["errors"] = errors
    return found


def find_said(body: dict[str, Any]) -> str:
    """What the service says is wrong, as one clean line; empty when it says nothing."""
    errors = body.get("errors") or body.get("message")
    texts = errors if isinstance(errors, list) else [errors]
    return clean_text(" ".join(str(text) for text in texts if text))


def _read_value(raw: msgspec.Raw) -> Any:
    view = memoryview(raw)
    is_cut, data = len(view) > _VALUE_LIMIT, bytes(view[:_VALUE_LIMIT])
    if data[:1] in (b"[", b"{"):
        return data.decode("utf-8", "replace")
    if is_cut and data[:1] == b'"':
        # The cut may have gone through a letter or an escape, of twelve bytes at most.
        begins = [data[:end] + b'"' for end in range(len(data), len(data) - 12, -1)]
    else:
        begins = [data]
    for text in begins:
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return data.decode("utf-8", "replace") or None


def _read_errors(raw: msgspec.Raw) -> list[Any]:
    view = memoryview(raw)
    if len(view) > _ERRORS_LIMIT or bytes(view[:1]) != b"[":
        one = _read_value(raw)
        return [] if one is None else [one]
    parts = msgspec.json.decode(view, type=list[msgspec.Raw])
    return [value for one in parts[:_ERRORS_SHOWN] if (value := _read_value(one)) is not None]


def _read_image(raw: msgspec.Raw) -> bytes | None:
    view = memoryview(raw)
    if bytes(view[:1]) != b'"' or len(view) == 2:
        return None
    try:
        if re.search(rb"\\", view) is None:
            return binascii.a2b_base64(view[1:-1], strict_mode=True)
        return binascii.a2b_base64(msgspec.json.decode(view, type=str), strict_mode=True)
    except (ValueError, msgspec.DecodeError):
        text = f"The server's image is not base64. {KEPT}"
        raise explain_bad_answer(text, "the host is one of the REST service (v2beta)") from None


# What is left of an answer that was cut off or is no JSON


_IMAGE = re.compile(rb'"image"\s{0,64}:\s{0,64}"([A-Za-z0-9+/=\\]++)("|\Z)')
_MEMBER = r'"%s"\s{0,64}:\s{0,64}("(?:[^"\\]|\\.){0,300}+"|[0-9]{1,20}+)'
_MEMBERS = {name: re.compile((_MEMBER % name).encode()) for name in ("finish_reason", "seed", "id")}
_AROUND = 64 * 1024
"""Bytes before and behind the image in which its other members are looked for."""

_PNG_END = b"IEND\xaeB`\x82"


def find_remains(data: bytes, *, is_cut: bool) -> dict[str, Any] | None:
    """The whole image in `data`, which is no JSON object, and what stands around it; or None.

    `is_cut`: there was more than `data`. An image that is bare, though JSON was asked for, counts
    also when it is damaged, unless that may be because of a cut.
    """
    try:
        identify_image(data[:FILE_LIMIT])
    except StoreError:
        pass
    else:
        if not is_cut and len(data) <= FILE_LIMIT:
            return {"image": data}
        image = _trim(data)
        return {"image": image} if is_whole(image) else None
    match = _IMAGE.search(data)
    if match is None:
        return None
    image = _trim(_decode_begin(match[1]))
    if not is_whole(image):
        return None
    around = data[max(0, match.start() - _AROUND) : match.start()]
    around += data[match.end() : match.end() + _AROUND]
    found: dict[str, Any] = {"image": image}
    for name, pattern in _MEMBERS.items():
        if (member := pattern.search(around)) is not None:
            value = _read_value(msgspec.Raw(member[1]))
            found |= {} if value is None else {name: value}
    return found


def _decode_begin(text: bytes) -> bytes:
    if b"\\" in text:
        text = text.replace(b"\\/", b"/")
    try:
        return binascii.a2b_base64(memoryview(text)[: len(text) // 4 * 4])
    except ValueError:
        return b""


def _trim(data: bytes) -> bytes:
    """`data` without what stands behind the image in it, where its format tells its end."""
    end = FILE_LIMIT
    if data[:4] == b"\x89PNG" and (place := data.find(_PNG_END)) >= 0:
        end = place + len(_PNG_END)
    elif data[:4] == b"RIFF":
        end = int.from_bytes(data[4:8], "little") + 8
    return data[: min(end, FILE_LIMIT)]
