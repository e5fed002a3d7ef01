"""A message is counted before it is made."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from google.protobuf.message import DecodeError

from engines.stability.parts import PARTS_LIMIT, TooManyParts, parse_message, unpack_answer
from engines.stability.protocol import generation
from tests.engines.stability.faults.answers import answer, artifact, text

ANSWER = answer(artifact(), text("hello", generation.STOP), created=2**63)
DATA = ANSWER.SerializeToString()


def test_what_is_an_answer_is_parsed() -> None:
    assert parse_message(generation.Answer, DATA) == ANSWER
    assert parse_message(generation.Answer, gzip.compress(DATA)) == ANSWER
    assert parse_message(generation.Answer, b"") == generation.Answer()


def list_floods() -> dict[str, bytes]:
    tokens = generation.Answer()
    tokens.artifacts.add().tokens.tokens.extend([generation.Token()] * (PARTS_LIMIT + 1))
    shapes = generation.Answer()
    shapes.artifacts.add().tensor.shape.extend([1] * (PARTS_LIMIT + 1))
    empty = generation.Answer(artifacts=[generation.Artifact()] * (PARTS_LIMIT + 1))
    messages = {"tokens": tokens, "a tensor's sides": shapes, "artifacts": empty}
    data = {name: message.SerializeToString() for name, message in messages.items()}
    unknown = {
        "numbers nobody knows": b"\x98\x06\x01" * (PARTS_LIMIT + 1),
        "groups nobody knows": b"\x9b\x06\x9c\x06" * (PARTS_LIMIT + 1),
        "32 bits nobody knows": b"\x9d\x06aaaa" * (PARTS_LIMIT + 1),
        "64 bits nobody knows": b"\x99\x06aaaaaaaa" * (PARTS_LIMIT + 1),
    }
    return data | unknown


@pytest.mark.parametrize("name", list_floods())
def test_a_message_of_too_many_parts_is_not_made(name: str) -> None:
    data = list_floods()[name]
    tracemalloc.start()
    try:
        with pytest.raises(TooManyParts):
            parse_message(generation.Answer, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000
    with pytest.raises(TooManyParts):
        parse_message(generation.Answer, gzip.compress(data))


def test_as_many_parts_as_are_allowed_are_made() -> None:
    # The last one is the field of the answer that stands beside the artifacts.
    full = generation.Answer(artifacts=[generation.Artifact()] * (PARTS_LIMIT - 1), answer_id="a-1")
    assert parse_message(generation.Answer, full.SerializeToString()) == full


@pytest.mark.parametrize(
    "data",
    [DATA[:-1], b"\xff" * 20, b"\x0a", b"\x0a\x05ab", b"\x0f", b"\x3a\x7f", b"\x0a\x02\xff\xfe"],
)
def test_junk_is_no_message(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_message(generation.Answer, data)


def test_what_cannot_be_unpacked_stays_as_it_came() -> None:
    packed = gzip.compress(DATA)
    assert unpack_answer(packed) == DATA
    assert unpack_answer(packed[:-9]) == packed[:-9]
    assert unpack_answer(DATA) == DATA
    with pytest.raises(DecodeError):
        parse_message(generation.Answer, packed[:-9])
