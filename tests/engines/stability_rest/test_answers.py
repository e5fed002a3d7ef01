"""What a body or a status of the service means: image, words, kind, and whether it may cost."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from typing import Any

import httpx
import pytest

from engines.base import EngineError, Failure, Produced, Warned
from engines.remote import Call, find_web_target
from engines.stability_rest.answers import (
    explain_rate,
    explain_status,
    explain_transport,
    explain_unreachable,
    read_events,
)
from engines.stability_rest.bodies import find_said, parse_body
from store.records import FinishReason
from tests.factories import make_plain, make_rest_request

REQUEST = make_rest_request("stable-image-ultra", seed=7)
SIZE = (REQUEST.parameters.width, REQUEST.parameters.height)
IMAGE = make_plain(size=SIZE)
TARGET = find_web_target("https://api.example.org")
CALL = Call(target=TARGET, model="m-1", has_key=True)


def read(data: bytes = IMAGE, **answer: Any) -> tuple[list[str], Produced]:
    body = {"image": base64.b64encode(data).decode(), "seed": 7, "finish_reason": "SUCCESS"}
    events = read_events(REQUEST, json.dumps(body | answer).encode())
    *warned, produced = events
    assert isinstance(produced, Produced)
    return [event.text for event in warned if isinstance(event, Warned)], produced


def test_a_whole_answer_is_its_image_without_a_word() -> None:
    said, produced = read(id="a-1")
    assert said == []
    assert (produced.data, produced.mime, produced.seed) == (IMAGE, "image/png", 7)
    assert produced.finish_reason is FinishReason.SUCCESS
    assert produced.meta["finish reason"] == "SUCCESS"
    assert (produced.meta["seed"], produced.meta["answer id"]) == ("7", "a-1")
    assert produced.meta["sampler"] == produced.meta["steps"] == "decided by the server"


@pytest.mark.parametrize(
    ("used", "seed", "words"),
    [
        (8, 8, "seed 8 instead of 7"),
        ("8", 8, "seed 8 instead of 7"),
        ("7", 7, ""),
        (1, 1, "seed 1 instead"),
        (2**32 - 1, 2**32 - 1, "instead of 7"),
        (2**32, 7, "does not say which seed"),
        (0, 7, "does not say which seed"),
        (-7, 7, "does not say which seed"),
        (True, 7, "does not say which seed"),
        (None, 7, "does not say which seed"),
        ("9" * 12, 7, "does not say which seed"),
        ("seven", 7, "does not say which seed"),
        (7.5, 7, "does not say which seed"),
    ],
)
def test_the_seed_is_what_was_used_or_it_is_said(used: object, seed: int, words: str) -> None:
    said, produced = read(seed=used)
    assert produced.seed == seed
    assert words in " ".join(said)
    assert bool(said) is bool(words)


@pytest.mark.parametrize(
    ("reason", "end", "words"),
    [
        ("CONTENT_FILTERED", FinishReason.FILTER, "filter blurred"),
        (None, FinishReason.SUCCESS, "does not say how"),
        ("ODD", FinishReason.ERROR, "ended this image with ODD"),
    ],
)
def test_how_it_ended_is_kept_and_said(reason: object, end: FinishReason, words: str) -> None:
    said, produced = read(finish_reason=reason)
    assert produced.finish_reason is end
    assert words in " ".join(said)


def test_another_size_is_said_and_the_image_kept() -> None:
    said, produced = read(make_plain(size=(64, 96), kind="JPEG"))
    assert said == [f"The server made 64x96 instead of {SIZE[0]}x{SIZE[1]}."]
    assert produced.mime == "image/jpeg"


def test_the_bare_image_counts_as_it_may_be_paid() -> None:
    *warned, produced = read_events(REQUEST, IMAGE)
    assert isinstance(produced, Produced)
    assert produced.data == IMAGE
    assert len(warned) == 2


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", Failure.BAD_ANSWER, "cannot be read"),
        (b"[]", Failure.BAD_ANSWER, "cannot be read"),
        (b'{"a": 1}', Failure.BAD_ANSWER, "finished without an image."),
        (b'{"image": "", "errors": ["no idea"]}', Failure.BAD_ANSWER, "It said: no idea"),
        (b'{"image": 7}', Failure.BAD_ANSWER, "finished without an image."),
        (b'{"image": "!!"}', Failure.BAD_ANSWER, "not base64"),
        (b'{"image": "aGFsbG8="}', Failure.BAD_ANSWER, "cannot be used as the image"),
        (b'{"finish_reason": "CONTENT_FILTERED"}', Failure.FILTERED, "withheld"),
    ],
)
def test_what_is_no_image_may_have_cost_unless_it_was_withheld(
    body: bytes, kind: Failure, words: str
) -> None:
    with pytest.raises(EngineError) as caught:
        read_events(REQUEST, body)
    assert caught.value.kind is kind
    assert words in caught.value.message
    assert caught.value.may_be_charged is (kind is not Failure.FILTERED)


def test_what_the_service_says_is_one_clean_line() -> None:
    assert find_said({}) == ""
    assert find_said({"message": "m"}) == "m"
    assert find_said({"errors": "e", "message": "m"}) == "e"
    assert find_said({"errors": ["a", None, "", "b\n\x1bc"]}) == "a b ?c"
    assert find_said({"errors": [], "message": "m"}) == "m"
    assert parse_body(b"\xff") is parse_body(b"7") is parse_body(b"") is None
    assert parse_body(b'{"a": 1, "seed": 2}') == {"seed": 2}, "what nobody reads is not held"


NAMED = {"name": "odd", "errors": ["why"]}
MODERATED = {"name": "content_moderation", "errors": ["rude"]}


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, {"name": "invalid_prompts"}, Failure.FILTERED),
        (499, MODERATED, Failure.FILTERED),
        (500, MODERATED, Failure.INTERNAL),
        (401, {}, Failure.WRONG_KEY),
        (402, {}, Failure.OUT_OF_CREDIT),
        (422, {"name": "payment_required"}, Failure.OUT_OF_CREDIT),
        (404, NAMED, Failure.MODEL_GONE),
        (410, NAMED, Failure.MODEL_GONE),
        (404, {}, Failure.UNREACHABLE),
        (405, NAMED, Failure.UNREACHABLE),
        (410, {}, Failure.UNREACHABLE),
        (399, NAMED, Failure.UNREACHABLE),
        (201, {}, Failure.UNREACHABLE),
        (429, {}, Failure.RATE_LIMITED),
        *((status, {}, Failure.OUTCOME_UNKNOWN) for status in (408, 499, 502, 503, 504, 520, 530)),
        *((status, {}, Failure.INTERNAL) for status in (500, 501, 505, 519, 531, 599)),
        (400, {}, Failure.INVALID_REQUEST),
        (413, NAMED, Failure.INVALID_REQUEST),
        (498, {}, Failure.INVALID_REQUEST),
    ],
)
def test_a_status_is_a_state_to_act_on(status: int, answer: dict[str, Any], kind: Failure) -> None:
    error = explain_status(status, json.dumps(answer).encode(), CALL)
    assert error.kind is kind
    assert error.may_be_charged is (kind in (Failure.OUTCOME_UNKNOWN, Failure.INTERNAL))
    assert error.hint
    if answer.get("errors"):
        assert answer["errors"][0] in error.message
    else:
        assert "It said" not in error.message


@pytest.mark.parametrize(
    ("has_key", "name", "said", "kind", "words"),
    [
        (False, "", "", Failure.MISSING_KEY, "needs a key"),
        (True, "unauthorized", "", Failure.WRONG_KEY, "does not accept this key"),
        (True, "", "flagged", Failure.FILTERED, "withheld this image. It said: flagged"),
        (True, "", "Moderated", Failure.FILTERED, "It said: Moderated"),
        (True, "", "not yours", Failure.WRONG_KEY, "to use m-1. It said: not yours"),
    ],
)
def test_a_refusal_is_about_the_key_the_model_or_the_words(
    has_key: bool, name: str, said: str, kind: Failure, words: str
) -> None:
    call = Call(target=TARGET, model="m-1", has_key=has_key)
    body = json.dumps({"name": name, "errors": [said]}).encode()
    error = explain_status(403, body, call)
    assert error.kind is kind
    assert words in error.message


def test_how_long_to_wait_is_said() -> None:
    error = explain_rate(CALL, 41.6, " It said: slow")
    assert "for 42 seconds. It said: slow" in error.message
    assert error.hint == "Wait 42 seconds, then retry the job."
    assert "60 seconds" in explain_status(429, b"", CALL).message


@pytest.mark.parametrize(
    ("error", "was_sent", "kind", "words"),
    [
        (httpx.ConnectTimeout("x"), False, Failure.DEADLINE, "within 5 seconds. Nothing was sent"),
        (httpx.ConnectError("x"), False, Failure.UNREACHABLE, "Nothing was sent"),
        (httpx.ReadTimeout("x"), True, Failure.OUTCOME_UNKNOWN, "said nothing for 9 seconds"),
        (httpx.ReadError("x"), True, Failure.OUTCOME_UNKNOWN, "ended after the request was sent"),
    ],
)
def test_a_connection_that_ends_costs_only_after_the_request_was_sent(
    error: httpx.TransportError, was_sent: bool, kind: Failure, words: str
) -> None:
    call = Call(target=TARGET, model="m-1", has_key=True, was_sent=was_sent)
    told = explain_transport(error, call, 5, 9)
    assert (told.kind, told.may_be_charged) == (kind, was_sent)
    assert words in told.message


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ssl.SSLError(1, "bad"), "(TLS) failed"),
        (socket.gaierror(-2, "unknown"), "its name is not known"),
        (ConnectionRefusedError(111, "no"), "nothing listens there"),
        (httpx.ProxyError("no"), "the proxy refuses"),
        (OSError(1, "odd"), "api.example.org:443. Nothing was sent"),
    ],
)
@pytest.mark.parametrize("way", ["itself", "cause", "context", "group"])
def test_why_there_is_no_connection_is_found_below_the_error(
    cause: Exception, words: str, way: str
) -> None:
    error: BaseException = cause
    if way != "itself":
        error = httpx.ConnectError("outer")
        if way == "cause":
            error.__cause__ = cause
        elif way == "context":
            error.__context__ = cause
        else:
            error.__cause__ = ExceptionGroup("several", [cause])
    told = explain_unreachable(TARGET, error)
    assert told.kind is Failure.UNREACHABLE
    assert words in told.message
    assert told.hint
