"""Each way to fail over REST: the kind, the sentence, and whether it may cost money."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from engines.base import EngineError, Failure, Run, Warned
from engines.stability_rest import engine as rest_engine
from engines.stability_rest import replies
from tests.engines.hosted import speak
from tests.engines.stability_rest.rest import LARGE, ULTRA, collect, make_engine
from tests.engines.stability_rest.rest_server import Behaviour as B
from tests.engines.stability_rest.rest_server import RestServer, refuse
from tests.factories import make_rest_request

MODERATION = refuse("content_moderation", "Your request was flagged")
STATUSES = [
    (400, refuse("bad_request", "seed: too odd"), Failure.INVALID_REQUEST, False, "seed: too odd"),
    (401, refuse("unauthorized", "bad key"), Failure.WRONG_KEY, False, "does not accept this key"),
    (402, refuse("payment_required", "buy"), Failure.OUT_OF_CREDIT, False, "no credit left"),
    (400, refuse("payment_required", "buy"), Failure.OUT_OF_CREDIT, False, "no credit left"),
    (403, MODERATION, Failure.FILTERED, False, "withheld this image. It said: Your request was"),
    (403, refuse("forbidden", "flagged by moderation"), Failure.FILTERED, False, "flagged by"),
    (403, refuse("unauthorized", "no"), Failure.WRONG_KEY, False, "does not accept this key"),
    (403, b"", Failure.WRONG_KEY, False, "does not allow this key to use sd3.5-large"),
    (404, refuse("not_found", "gone"), Failure.MODEL_GONE, False, "the model sd3.5-large any more"),
    (404, b"<html>nginx</html>", Failure.UNREACHABLE, False, "is not the REST service (HTTP 404)"),
    (405, b"", Failure.UNREACHABLE, False, "is not the REST service"),
    (302, b"", Failure.UNREACHABLE, False, "is not the REST service (HTTP 302)"),
    (204, b"", Failure.UNREACHABLE, False, "is not the REST service (HTTP 204)"),
    (408, b"", Failure.OUTCOME_UNKNOWN, True, "gave up waiting"),
    (413, refuse("payload_too_large", "10 MiB"), Failure.INVALID_REQUEST, False, "too large"),
    (422, refuse("rejected", "english only"), Failure.INVALID_REQUEST, False, "english only"),
    (422, b"", Failure.INVALID_REQUEST, False, "well-formed, but was rejected"),
    (500, refuse("internal_error", "oops"), Failure.INTERNAL, True, "oops"),
    (502, b"<html>", Failure.OUTCOME_UNKNOWN, True, "gave up waiting for it (HTTP 502)"),
    (504, b"", Failure.OUTCOME_UNKNOWN, True, "gave up waiting for it (HTTP 504)"),
    (524, b"", Failure.OUTCOME_UNKNOWN, True, "gave up waiting"),
]


@pytest.mark.parametrize(("status", "body", "kind", "may_be_charged", "words"), STATUSES)
async def test_each_refusal_is_a_state_to_act_on(
    status: int, body: bytes, kind: Failure, may_be_charged: bool, words: str
) -> None:
    spooled: list[bytes] = []
    async with RestServer(refusal=(status, body)) as server:
        engine, request = make_engine(server.host, "sk-1"), make_rest_request(LARGE)
        with pytest.raises(EngineError) as caught:
            await collect(engine, request, Run(id="run-1", spool=spooled.append))
        assert len(server.requests) == 1, "nothing is ever sent twice"
    error = caught.value
    assert (error.kind, error.may_be_charged) == (kind, may_be_charged)
    assert words in error.message
    assert error.hint
    assert spooled == []


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (B.FILTERED_EMPTY, Failure.FILTERED, "withheld"),
        (B.NOT_JSON, Failure.BAD_ANSWER, "cannot be read"),
        (B.NO_IMAGE, Failure.BAD_ANSWER, "finished without an image. It said: no idea"),
        (B.NOT_BASE64, Failure.BAD_ANSWER, "not base64"),
        (B.NOT_AN_IMAGE, Failure.BAD_ANSWER, "cannot be used as the image"),
        (B.TOO_LARGE, Failure.BAD_ANSWER, "larger than 2 MiB"),
        (B.HANG_UP, Failure.OUTCOME_UNKNOWN, "ended after the request was sent"),
        (B.HALF_AN_ANSWER, Failure.OUTCOME_UNKNOWN, "before the whole answer was there"),
        (B.HALF_A_REFUSAL, Failure.INVALID_REQUEST, "was rejected"),
    ],
)
async def test_a_bad_answer_says_what_is_wrong(
    behaviour: B, kind: Failure, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "ANSWER_LIMIT", 2 * 1024 * 1024)
    async with RestServer(behaviour) as server:
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(server.host), make_rest_request())
        assert len(server.requests) == 1
    assert (caught.value.kind, words in caught.value.message) == (kind, True), caught.value
    is_free = kind in (Failure.FILTERED, Failure.INVALID_REQUEST)
    assert caught.value.may_be_charged is not is_free


async def test_unreadable_bytes_are_spooled_all_the_same() -> None:
    spooled: list[bytes] = []
    async with RestServer(B.NOT_JSON) as server:
        with pytest.raises(EngineError, match="kept as it came"):
            await collect(
                make_engine(server.host), make_rest_request(), Run(id="r", spool=spooled.append)
            )
    assert spooled == [b"<html>\xff\xfe</html>"]


async def test_a_withheld_image_warns_before_it_fails() -> None:
    async with RestServer(refusal=(403, MODERATION)) as server:
        request = make_rest_request(prompts=[("sky", 1.0)])
        events = make_engine(server.host, "sk-1").generate(request, Run(id="r"))
        assert isinstance(await anext(events), Warned)
        with pytest.raises(EngineError, match="withheld"):
            await anext(events)


async def test_too_many_requests_show_the_wait_and_nothing_is_sent_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RestServer(refusal=(429, refuse("rate_limit_exceeded", "slow down"))) as server:
        engine = make_engine(server.host, "sk-1")
        for words in ("It said: slow down", "Nothing was sent."):
            with pytest.raises(EngineError, match="60 seconds") as caught:
                await collect(engine, make_rest_request())
            assert caught.value.kind is Failure.RATE_LIMITED
            assert words in caught.value.message
            assert caught.value.hint == "Wait 60 seconds, then retry the job."
            assert not caught.value.may_be_charged
        assert len(server.requests) == 1
        monkeypatch.setattr(rest_engine, "LOCKED_SECONDS", 0.0)
        engine, server.refusal = make_engine(server.host, "sk-1"), server.refusal
        with pytest.raises(EngineError):
            await collect(engine, make_rest_request())
        server.refusal = None
        await collect(engine, make_rest_request())  # the wait is over


async def test_no_key_where_one_is_wanted() -> None:
    async with RestServer(token="sesame") as server:
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(server.host), make_rest_request())
    assert caught.value.kind is Failure.MISSING_KEY
    assert "STABILITY_KEY" in caught.value.hint


async def test_the_hosted_service_is_not_even_asked_without_a_key() -> None:
    with pytest.raises(EngineError) as caught:
        await collect(make_engine("https://api.stability.ai"), make_rest_request())
    assert caught.value.kind is Failure.MISSING_KEY
    assert not caught.value.may_be_charged


async def test_a_request_that_cannot_be_made_is_not_sent() -> None:
    async with RestServer() as server:
        for request in (
            make_rest_request(steps=30),
            make_rest_request(width=512, height=512),
            make_rest_request(LARGE, prompts=[("x" * 6000, 1.0), ("y" * 6000, 1.0)]),
        ):
            with pytest.raises(EngineError) as caught:
                await collect(make_engine(server.host), request)
            assert caught.value.kind is Failure.INVALID_REQUEST
        assert server.requests == []


@pytest.mark.parametrize("behaviour", [B.SILENCE, B.SLOW])
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"idle_seconds": 0.3}, "said nothing for 0.3 seconds"),
        ({"deadline_seconds": 0.5}, "did not finish in time"),
    ],
)
async def test_a_silent_server_is_given_up(
    behaviour: B, limits: dict[str, Any], words: str
) -> None:
    async with RestServer(behaviour) as server:
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(server.host, **limits), make_rest_request())
        await server.ended.wait()
    assert caught.value.kind is Failure.OUTCOME_UNKNOWN
    assert caught.value.may_be_charged
    assert words in caught.value.message


async def test_a_host_that_is_not_there_costs_nothing() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(host), make_rest_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert "nothing listens there. Nothing was sent." in caught.value.message
    assert not caught.value.may_be_charged


@pytest.mark.parametrize("limits", [{}, {"deadline_seconds": 0.2}])
async def test_a_host_that_never_takes_the_connection_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
) -> None:
    monkeypatch.setattr(rest_engine, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        host = f"https://127.0.0.1:{deaf.getsockname()[1]}"  # it never shakes hands
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(host, **limits), make_rest_request())
    assert caught.value.kind is Failure.DEADLINE
    assert not caught.value.may_be_charged


async def test_a_server_cannot_write_to_the_terminal() -> None:
    nasty = "bad \x1b]0;title\x07\u009b31m [bold]size[/nope] \u202eevil " + "x" * 5000
    async with RestServer(refusal=(400, refuse("bad_request", nasty))) as server:
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(server.host), make_rest_request(ULTRA))
    message = caught.value.message
    assert message.isprintable()
    assert len(message) < 500
    assert "[bold]size[/nope]" in message


async def test_a_server_that_is_no_web_server_is_not_taken_for_one() -> None:
    async with speak(b"220 mail.example.org ESMTP\r\n") as address:
        host = f"http://{address}"
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(host), make_rest_request())
    assert caught.value.kind is Failure.OUTCOME_UNKNOWN
