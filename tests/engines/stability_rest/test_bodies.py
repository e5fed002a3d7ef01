"""What is read of an answer's JSON, and of what is no JSON or not whole."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import Any

import pytest

from engines.base import EngineError, Failure, Produced, Warned
from engines.remote import explain_unknown
from engines.stability_rest.answers import read_events
from engines.stability_rest.bodies import find_remains, find_said, parse_body
from store.records import FinishReason
from tests.engines.floods.flood import make_image
from tests.factories import make_rest_request

PNG = make_image()
TEXT = base64.b64encode(PNG).decode()
LOST = explain_unknown("The line went dead.")


def test_what_is_known_is_read_and_the_rest_is_not() -> None:
    values = {"image": TEXT, "seed": 7, "finish_reason": "SUCCESS", "id": "ab", "other": [1, {}]}
    known = {"image": PNG, "seed": 7, "finish_reason": "SUCCESS", "id": "ab"}
    assert parse_body(json.dumps(values).encode()) == known
    assert parse_body(json.dumps(values).replace("/", r"\/").encode()) == known
    assert parse_body(b'{"image": null, "seed": null, "other": 1}') == {}
    assert parse_body(b'{"image": "", "name": 1.5}') == {"name": 1.5}


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"7", b"{", b"<html>", b'"image"', b"[" * 5000, b'{"a":' * 5000, b"\xff"]
)
def test_what_is_no_object_is_none(data: bytes) -> None:
    assert parse_body(data) is None


def test_empty_lists_without_number_are_not_made() -> None:
    data = b'{"more": [' + b"[]," * 200_000 + b"[]]}"
    tracemalloc.start()
    try:
        assert parse_body(data) == {}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("letter", ["a", "é", "👪", "\n", "\x07", '"'])
def test_a_long_text_is_cut_between_letters(letter: str) -> None:
    found = parse_body(json.dumps({"id": letter * 90_000}).encode())
    assert found is not None
    assert set(found["id"]) == {letter}
    assert 1000 < len(found["id"]) < 20_000


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (["too odd", "too even"], "too odd too even"),
        ("too odd", "too odd"),
        ([{"loc": "seed"}], '{"loc": "seed"}'),
        ([[[["deep"]]]], '[[["deep"]]]'),
        ([], "as a message"),
        (None, "as a message"),
        (["x"] * 500, " ".join("x" * 20)),
        (["x" * 100_000], ""),
    ],
)
def test_the_errors_are_told_in_one_line(errors: object, said: str) -> None:
    body = parse_body(json.dumps({"errors": errors, "message": "as a message"}).encode())
    assert find_said(body or {}).startswith(said)


def make_body(**more: Any) -> bytes:
    return json.dumps({"image": TEXT, "finish_reason": "SUCCESS", "seed": 42, **more}).encode()


@pytest.mark.parametrize(
    "data",
    [
        make_body()[:-1],
        make_body()[:-1] + b', "more": "aaaa',
        make_body()[:-1] + b', "more": ' + b"[" * 9000,
        b"[" + make_body(),
        b'{"x": "\xff", ' + make_body()[1:-1],
        b'{"seed": 42, "finish_reason": "SUCCESS", "image": "' + TEXT.encode() + b"AAAA" * 99,
        make_body().replace(b"/", rb"\/")[:-1],
    ],
)
def test_a_whole_image_in_what_is_not_whole_is_kept(data: bytes) -> None:
    for failure, words in ((LOST, "it is whole. The line went dead."), (None, "not be read")):
        first, *_, produced = read_events(make_rest_request(seed=42), data, failure)
        assert isinstance(first, Warned)
        assert words in first.text
        assert isinstance(produced, Produced)
        assert (produced.data, produced.seed) == (PNG, 42)
        assert produced.finish_reason is FinishReason.SUCCESS


def test_a_filtered_image_stays_a_filtered_one_though_the_rest_is_missing() -> None:
    data = make_body(finish_reason="CONTENT_FILTERED", more="x")[:-3]
    *_, produced = read_events(make_rest_request(), data, LOST)
    assert isinstance(produced, Produced)
    assert produced.finish_reason is FinishReason.FILTER


@pytest.mark.parametrize(
    "data", [make_body()[:60], b"", b"{}", PNG[:-60], b'{"image": "' + TEXT.encode()[:-90] + b'"}']
)
def test_without_a_whole_image_the_failure_stands(data: bytes) -> None:
    with pytest.raises(EngineError) as caught:
        read_events(make_rest_request(), data, LOST)
    assert caught.value is LOST


def test_a_bare_image_counts_whole_and_loses_what_stands_behind_it() -> None:
    assert find_remains(PNG + bytes(99), is_cut=True) == {"image": PNG}
    assert find_remains(PNG[:-60], is_cut=True) is None
    assert find_remains(PNG[:-60], is_cut=False) == {"image": PNG[:-60]}
    for kind in ("WEBP", "JPEG"):
        image = make_image(kind)
        found = find_remains(image + bytes(99), is_cut=True)
        assert found is not None
        assert found["image"].startswith(image)


def test_an_image_that_is_not_base64_is_a_bad_answer() -> None:
    for text in (b'"\xc2\xa7"', b'"AAA"', b'"A A="'):
        with pytest.raises(EngineError, match="not base64") as caught:
            parse_body(b'{"image": ' + text + b"}")
        assert caught.value.kind is Failure.BAD_ANSWER
