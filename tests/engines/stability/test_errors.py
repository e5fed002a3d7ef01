"""Each way to fail: the kind, the sentence, and whether it may cost money."""

from __future__ import annotations

import socket
import tracemalloc
from typing import Any

import pytest

from engines.base import EngineError, Failure, Produced, Run, Warned
from engines.quiet_grpc import grpc
from engines.remote import Call, clean_text, find_target
from engines.stability.errors import explain_status
from engines.stability.protocol import MESSAGE_LIMIT, generation
from store.records import FinishReason
from tests.engines.hosted import Serve, collect, make_engine, speak
from tests.engines.painter import paint
from tests.engines.stability.server import Behaviour as B
from tests.factories import make_hosted_request, make_plain

CASES = [
    (B.UNAUTHENTICATED, Failure.WRONG_KEY, False, "does not accept this key"),
    (B.FORBIDDEN, Failure.WRONG_KEY, False, "does not allow this key"),
    (B.NO_CREDIT, Failure.OUT_OF_CREDIT, False, "no credit left"),
    (B.RATE_LIMIT, Failure.RATE_LIMITED, False, "too many requests"),
    (B.EXHAUSTED, Failure.RATE_LIMITED, False, "a limit or the credit"),
    (B.INVALID, Failure.INVALID_REQUEST, False, "Must provide image parameters."),
    (B.NO_SAMPLER, Failure.INVALID_REQUEST, False, "No such sampler"),
    (B.INTERNAL, Failure.INTERNAL, True, "CUDA out of memory"),
    (B.UNKNOWN, Failure.INTERNAL, True, "image too large"),
    (B.UNAVAILABLE, Failure.OUTCOME_UNKNOWN, True, "no such host"),
    (B.FILTER_TEXT, Failure.FILTERED, False, "Invalid prompts detected"),
    (B.FILTER_THEN_FAIL, Failure.FILTERED, False, "Invalid prompts detected"),
    (B.GIVEN_UP, Failure.OUTCOME_UNKNOWN, True, "operation cancelled"),
    (B.FILTER_EMPTY, Failure.FILTERED, False, "withheld"),
    (B.ERROR_TEXT, Failure.INTERNAL, True, "out of memory"),
    (B.NO_IMAGE, Failure.BAD_ANSWER, True, "finished without an image"),
    (B.TEXT_ONLY, Failure.BAD_ANSWER, True, "I would rather not."),
    (B.GARBAGE_IMAGE, Failure.BAD_ANSWER, True, "cannot be used as the image"),
    (B.GARBAGE_ANSWER, Failure.BAD_ANSWER, True, "cannot be read"),
    # The server is in this process here, and its memory counts too.
    (B.TOO_LARGE, Failure.BAD_ANSWER, True, "larger than 64 MiB|takes 192 MiB of memory"),
]


@pytest.mark.parametrize(("behaviour", "kind", "may_be_charged", "words"), CASES)
async def test_each_failure_is_a_state_to_act_on(
    serve: Serve, behaviour: B, kind: Failure, may_be_charged: bool, words: str
) -> None:
    server = await serve(behaviour)
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host, "sk-1"), make_hosted_request())
    error = caught.value
    assert (error.kind, error.may_be_charged) == (kind, may_be_charged)
    assert any(each in error.message for each in words.split("|"))
    assert error.hint
    assert len(server.messages) == 1, "nothing is ever sent twice"


async def test_no_key_where_one_is_wanted(serve: Serve) -> None:
    server = await serve(token="sesame")
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host), make_hosted_request())
    assert caught.value.kind is Failure.MISSING_KEY
    assert "STABILITY_KEY" in caught.value.hint


async def test_the_hosted_service_is_not_even_asked_without_a_key() -> None:
    with pytest.raises(EngineError) as caught:
        await collect(make_engine("grpc.stability.ai:443"), make_hosted_request())
    assert caught.value.kind is Failure.MISSING_KEY
    assert "STABILITY_KEY" in caught.value.hint
    assert not caught.value.may_be_charged


async def test_a_model_that_the_server_does_not_have(serve: Serve) -> None:
    server = await serve()
    engine = make_engine(server.host, models=("gone-1",))
    with pytest.raises(EngineError) as caught:
        await collect(engine, make_hosted_request(model="gone-1"))
    assert caught.value.kind is Failure.MODEL_GONE
    assert "gone-1" in caught.value.message


async def test_a_request_that_cannot_be_made_is_not_sent(serve: Serve) -> None:
    server = await serve()
    for changes in ({"steps": 5}, {"style_preset": "glitter"}, {"model": "unheard-of"}):
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(server.host), make_hosted_request(**changes))
        assert caught.value.kind is Failure.INVALID_REQUEST
    with pytest.raises(EngineError, match="too close to 0"):
        await collect(
            make_engine(server.host), make_hosted_request(prompts=[("a", 1), ("b", 1e-60)])
        )
    assert server.messages == []


async def test_a_filtered_image_is_kept_with_a_warning(serve: Serve) -> None:
    server = await serve(B.FILTER_IMAGE)
    request = make_hosted_request()
    warned, produced = await collect(make_engine(server.host), request)
    assert isinstance(produced, Produced)
    assert produced.finish_reason is FinishReason.FILTER
    assert produced.data == paint(request)
    assert "blurred" in str(warned)


async def test_a_withheld_image_is_known_after_a_crash_too(serve: Serve) -> None:
    server, spooled = await serve(B.FILTER_TEXT), list[bytes]()
    engine, request = make_engine(server.host), make_hosted_request()
    with pytest.raises(EngineError, match="withheld"):
        await collect(engine, request, Run(id="run-1", spool=spooled.append))
    warned, produced = engine.recover(request, spooled)
    assert isinstance(warned, Warned)
    assert "Invalid prompts detected" in warned.text
    assert isinstance(produced, Produced)
    assert (produced.data, produced.finish_reason) == (None, FinishReason.FILTER)


async def test_what_a_failure_came_with_is_told_before_it(serve: Serve) -> None:
    server = await serve(B.FILTER_THEN_FAIL)
    events = make_engine(server.host).generate(make_hosted_request(), Run(id="run-1"))
    warned = await anext(events)
    assert isinstance(warned, Warned)
    assert "worker lost" in warned.text
    with pytest.raises(EngineError, match="withheld"):
        await anext(events)


@pytest.mark.parametrize(
    ("behaviour", "words", "seed"),
    [
        (B.WRONG_SEED, "used the seed 42 instead of 41", 42),
        (B.NO_SEED, "does not say which seed", 41),
        (B.WRONG_SIZE, "made 192x128 instead of 128x128", 41),
        (B.WRONG_MODEL, "other-model made it", 41),
        (B.TWO_IMAGES, "sent 2 images", 41),
    ],
)
async def test_an_answer_that_differs_from_the_request_is_recorded(
    serve: Serve, behaviour: B, words: str, seed: int
) -> None:
    server = await serve(behaviour)
    warned, produced = await collect(make_engine(server.host), make_hosted_request(seed=41))
    assert isinstance(warned, Warned)
    assert words in warned.text
    assert isinstance(produced, Produced)
    assert produced.seed == seed
    assert produced.meta["answer id"].startswith("run-1-")


@pytest.mark.parametrize("stated", [{"received": 1_700_000_000_123}, {"created": 7}, {}])
def test_what_the_service_says_of_an_image_is_kept_and_no_more(stated: dict[str, int]) -> None:
    artifact = generation.Artifact(
        type=generation.ARTIFACT_IMAGE, mime="image/png", binary=make_plain(), seed=41
    )
    answer = generation.Answer(answer_id="a-1", artifacts=[artifact], **stated)
    engine = make_engine("localhost:1")
    produced = engine.recover(make_hosted_request(seed=41), [answer.SerializeToString()])[-1]
    assert isinstance(produced, Produced)
    said = {"answer id": "a-1", "artifact index": "0", "seed": "41", "mime": "image/png"}
    told = {name: str(number) for name, number in stated.items()}
    assert produced.meta | {"finish reason": ""} == {**said, **told, "finish reason": ""}


async def test_unreadable_bytes_are_spooled_all_the_same(serve: Serve) -> None:
    server = await serve(B.GARBAGE_ANSWER)
    spooled: list[bytes] = []
    with pytest.raises(EngineError, match="kept as it came"):
        await collect(
            make_engine(server.host), make_hosted_request(), Run(id="run-1", spool=spooled.append)
        )
    assert spooled == [b"\xff\xff\xff these bytes are no message"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"idle_seconds": 0.2}, "said nothing for 0.2 seconds"),
        ({"deadline_seconds": 0.3}, "did not finish in time"),
    ],
)
async def test_a_silent_server_is_given_up(
    serve: Serve, limits: dict[str, Any], words: str
) -> None:
    server = await serve(B.SILENCE)
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host, **limits), make_hosted_request())
    assert caught.value.kind is Failure.OUTCOME_UNKNOWN
    assert caught.value.may_be_charged
    assert words in caught.value.message
    await server.cancelled.wait()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1:{port}", "nothing listens there"),
        ("unix:/nowhere/server.sock", "the socket does not exist"),
    ],
)
async def test_a_host_that_is_not_there_costs_nothing(host: str, words: str) -> None:
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(host.format(port=find_free_port())), make_hosted_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert not caught.value.may_be_charged
    assert words in caught.value.message
    assert "Nothing was sent" in caught.value.message


async def test_a_host_that_listens_but_never_answers_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engines.stability.engine.CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        host = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(host), make_hosted_request())
    assert caught.value.kind is Failure.DEADLINE
    assert not caught.value.may_be_charged


async def test_a_web_server_is_not_taken_for_the_api() -> None:
    async with speak(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as host:
        with pytest.raises(EngineError) as caught:
            await collect(make_engine(host), make_hosted_request())
    assert caught.value.kind is Failure.UNREACHABLE
    assert not caught.value.may_be_charged


async def test_a_server_cannot_write_to_the_terminal(serve: Serve) -> None:
    server = await serve(B.ESCAPES)
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host), make_hosted_request())
    message = caught.value.message
    assert message.isprintable()
    assert len(message) < 500
    assert "[bold]size[/nope]" in message  # text, not interpreted


def test_cleaned_text_is_one_printable_line() -> None:
    assert clean_text("a\x1b[2J\r\nb\x9b\u200b\u202e\ud800c") == "a?[2J b????c"
    assert clean_text("x" * 400) == "x" * 299 + "…"


def test_of_a_long_text_only_the_beginning_is_gone_through() -> None:
    text, spaces = "word " * 4_000_000, " " * 20_000_000 + "x"
    tracemalloc.start()
    try:
        assert clean_text(text) == "word " * 59 + "word…"
        assert clean_text(spaces) == "…"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        ("Sent message larger than max (5 vs. 4)", Failure.BAD_ANSWER),
        ("CLIENT: Sent message larger than max (5 vs. 4)", Failure.INVALID_REQUEST),
        ("Received message larger than max (5000000 vs. 4194304)", Failure.INVALID_REQUEST),
        (f"Received message larger than max (70000000 vs. {MESSAGE_LIMIT})", Failure.BAD_ANSWER),
        ("CLIENT: Received message larger than max (5 vs. 4)", Failure.BAD_ANSWER),
    ],
)
def test_what_is_too_large_is_the_request_or_the_answer(details: str, kind: Failure) -> None:
    """Whether it may have been paid depends on which of both was refused."""
    call = Call(target=find_target("127.0.0.1:1"), model="m", has_key=True, was_sent=True)
    error = explain_status(grpc.StatusCode.RESOURCE_EXHAUSTED, details, call)
    assert error.kind is kind
    assert error.may_be_charged is (kind is Failure.BAD_ANSWER)
