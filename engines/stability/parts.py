"""A message from outside, counted before it is made: two bytes of it may take a hundred here."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from engines.stability.protocol import MESSAGE_LIMIT, Message
from engines.unpacking import unpack_message

PARTS_LIMIT = 10_000
"""Most fields of an answer, those of the messages in it counted with it.

An answer with an image has some twenty; one with each token of a long prompt, a few hundred.
"""

_DEPTH_LIMIT = 50
_WHOLE = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_VARINT, _FIXED_64, _DELIMITED, _START, _END, _FIXED_32 = range(6)


class TooManyParts(DecodeError):  # type: ignore[misc]
    """A message with more fields than any answer has."""


def parse_message(kind: Any, data: bytes) -> Message:
    """The message of the class `kind` in `data`, which may be packed.

    Raises `DecodeError`: `TooManyParts` for one that would take more memory than it is worth.
    """
    opened = unpack_message(data, MESSAGE_LIMIT)
    if opened.fault:
        raise DecodeError(opened.fault)
    _count(memoryview(opened.data), kind.DESCRIPTOR, PARTS_LIMIT, _DEPTH_LIMIT)
    return kind.FromString(opened.data)


def unpack_answer(data: bytes) -> bytes:
    """`data` unpacked where a server packed it, as it is where that cannot be done."""
    opened = unpack_message(data, MESSAGE_LIMIT)
    return data if opened.fault else opened.data


def _count(view: memoryview, descriptor: Any, left: int, depth: int) -> int:
    """How many of `left` fields are left after those of the message in `view`."""
    if depth == 0:
        raise TooManyParts
    fields = descriptor.fields_by_number
    place = 0
    while place < len(view):
        tag, place = _read_varint(view, place)
        number, wire = tag >> 3, tag & 7
        left -= 1
        if wire == _VARINT:
            _, place = _read_varint(view, place)
        elif wire == _DELIMITED:
            length, place = _read_varint(view, place)
            field = fields.get(number)
            if field is not None and field.message_type is not None:
                left = _count(view[place : place + length], field.message_type, left, depth - 1)
            elif field is not None and field.type not in _WHOLE:
                left -= length  # numbers, packed: each may be a byte and become eight
            place += length
        elif wire in (_FIXED_64, _FIXED_32):
            place += 8 if wire == _FIXED_64 else 4
        elif wire not in (_START, _END):
            raise DecodeError("a field of no known form")
        if left < 0:
            raise TooManyParts
    return left


def _read_varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(view) or shift > 63:
            raise DecodeError("a number that does not end")
        byte = view[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
