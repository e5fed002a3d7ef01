"""Answers that go on beyond what one job may get: a state in words, and a whole image is kept."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence

import pytest

from engines.base import EngineError, Event, Failure, Produced, Run, Warned
from engines.stability_rest import replies
from tests.engines.floods.flood import Flood, make_image
from tests.engines.floods.rest_floods import RestService, list_floods
from tests.engines.stability_rest.rest import collect, make_engine
from tests.factories import make_rest_request

FEW = (
    "an image packed twice",
    "brotli",
    "zstd",
    "gzip in brotli",
    "packed 9,000 times",
    "junk said to be packed",
    "JSON 1,000 deep",
    "JSON 100,000 deep",
    "an image beside JSON 100,000 deep",
    "a failure with JSON 10,000 deep",
    "a failure whose words never end",
    "a failure in pieces without end",
    "a status line without end",
    "a header without end",
    "headers without end",
    "answers of 100 without end",
    "a body without end",
    "a packed body without end",
    "chunks of one byte without end",
    "chunks with long extensions",
    "trailers without end",
    "an image, then one letter without end",
    "an image, then chunks of one byte",
    "a bare image, then zeros without end",
    "a header in drops",
    "an image, then a letter in drops",
)
"""Those that take little memory; `tests/journeys/test_bad_answers.py` has the others too."""

FLOODS = {flood.name: flood for flood in list_floods()}


@pytest.fixture(scope="module")
def service() -> Iterator[RestService]:
    running = RestService()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "ANSWER_LIMIT", 500_000)
    monkeypatch.setattr(replies, "HEAD_LIMIT", 200_000)
    monkeypatch.setattr(replies, "OVERHEAD_LIMIT", 150_000)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.samples(9)
async def test_each_ends_in_its_state_and_keeps_what_can_be_read(
    service: RestService, name: str
) -> None:
    flood = FLOODS[name]
    service.flood = flood
    spooled: list[bytes] = []
    seconds = 1.5 if flood.is_slow else 30.0
    engine = make_engine(service.host, deadline_seconds=seconds)
    run, request = Run(id="r", spool=spooled.append), make_rest_request()
    words = flood.words.replace("96 MiB", "500,000 bytes")
    if not flood.kinds:
        *warned, produced = await collect(engine, request, run)
        assert isinstance(produced, Produced)
        check_warnings(warned, words)
        recovered = engine.recover(request, spooled)[-1]
        assert isinstance(recovered, Produced)
        assert recovered.data == produced.data, "a crash in between loses nothing"
        return
    with pytest.raises(EngineError) as caught:
        await collect(engine, request, run)
    check_failure(caught.value, flood, words)
    assert len(spooled) == (flood.keeps == "spool")


def check_warnings(events: Sequence[Event], words: str) -> None:
    texts = [event.text for event in events if isinstance(event, Warned)]
    assert any(words in text for text in texts), texts
    assert all(text.isprintable() for text in texts)


def check_failure(error: EngineError, flood: Flood, words: str) -> None:
    assert error.kind in flood.kinds, error.message
    assert words in error.message
    assert error.may_be_charged
    assert error.hint


async def test_an_answer_is_spooled_unpacked_so_that_a_crash_loses_nothing(
    service: RestService,
) -> None:
    service.flood = FLOODS["an image packed twice"]
    spooled: list[bytes] = []
    engine, request = make_engine(service.host), make_rest_request()
    await collect(engine, request, Run(id="r", spool=spooled.append))
    (*_, produced) = engine.recover(request, spooled)
    assert isinstance(produced, Produced)
    assert produced.data == make_image()


async def test_the_words_of_a_packed_refusal_are_read(
    service: RestService,
) -> None:
    body = gzip.compress(b'{"errors": ["seed: too odd"]}')
    head = b"HTTP/1.1 400 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    service.flood = Flood(name="refused", pour=lambda: iter([head % len(body) + body]))
    with pytest.raises(EngineError, match="seed: too odd") as caught:
        await collect(make_engine(service.host), make_rest_request())
    assert caught.value.kind is Failure.INVALID_REQUEST
