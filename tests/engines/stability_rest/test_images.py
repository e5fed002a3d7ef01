"""Images from images over REST: what is sent, what is lost, what is refused before sending."""

from __future__ import annotations

import pytest

from engines.base import EngineError, Failure, Produced, Run, Warned
from engines.stability_rest import messages as rest_message
from engines.stability_rest.messages import build_message
from engines.stability_rest.models import CORE, PATHS, describe_losses
from store.errors import RequestError
from store.request import InitialImage, Request
from tests.engines.stability.files import Shelf, make_file
from tests.engines.stability_rest.rest import LARGE, ULTRA, collect, make_engine
from tests.engines.stability_rest.rest_form import describe_file
from tests.engines.stability_rest.rest_server import RestServer, paint
from tests.factories import make_rest_request

MODELS = [model for model in PATHS if model != CORE]


def make_derived(
    shelf: Shelf, model: str, data: bytes, start: float = 0.6, end: float = 0.0
) -> Request:
    initial = InitialImage(sha256=shelf.put(data), start_schedule=start, end_schedule=end)
    return make_rest_request(model, [("sky", 1.0)], initial_image=initial)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("model", MODELS)
async def test_the_file_travels_as_it_is_kept(model: str, kind: str) -> None:
    shelf, data = Shelf(), make_file((192, 128), kind)
    request, path = make_derived(shelf, model, data), PATHS[model]
    async with RestServer() as server:
        engine = make_engine(server.host)
        *warned, produced = await collect(engine, request, shelf.make_run())
        fields, (sent,) = server.fields, server.requests
    assert fields["image"] == describe_file(data, f"image/{kind.lower()}")
    assert fields["strength"] == "0.6"
    assert fields.get("mode") == ("image-to-image" if path == "sd3" else None)
    assert ("aspect_ratio" in fields) == (path != "sd3")
    assert isinstance(produced, Produced)
    assert produced.data == paint(path, fields)
    told = [event.text for event in warned if isinstance(event, Warned)]
    assert told[: len(describe_losses(request))] == list(describe_losses(request))
    stored = engine.wire_message(request, shelf.make_run("run-2"))
    assert stored.partition(b"\r\n\r\n")[2] == sent.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("start", "strength"), [(0.0, "0"), (1.0, "1"), (0.35, "0.35"), (0.00001, "0.00001")]
)
async def test_the_strength_is_the_share_that_is_made_anew(start: float, strength: str) -> None:
    shelf = Shelf()
    async with RestServer() as server:
        request = make_derived(shelf, ULTRA, make_file(), start)
        await collect(make_engine(server.host), request, shelf.make_run())
        assert server.fields["strength"] == strength


def test_what_is_not_sent_is_told_before() -> None:
    shelf = Shelf()
    end = "The end schedule 0.1 is not sent: the service always runs the schedule to its end."
    size = "The size 1024x1024 is not sent: sd3.5-large takes the proportions of the initial image."
    assert describe_losses(make_derived(shelf, ULTRA, make_file())) == ()
    assert describe_losses(make_derived(shelf, ULTRA, make_file(), end=0.1)) == (end,)
    assert describe_losses(make_derived(shelf, LARGE, make_file(), end=0.1)) == (end, size)


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        (ULTRA, (63, 128), "63x128 pixels; stable-image-ultra takes 64 to 16384 a side"),
        (ULTRA, (16385, 64), "16385x64 pixels; stable-image-ultra takes 64 to 16384 a side"),
        (LARGE, (128, 63), "128x63 pixels; sd3.5-large takes at least 64 a side"),
    ],
)
async def test_an_image_whose_size_does_not_fit_is_not_sent(
    model: str, size: tuple[int, int], words: str
) -> None:
    shelf = Shelf()
    request = make_derived(shelf, model, make_file(size))
    with pytest.raises(RequestError, match=words):
        build_message(request, shelf.read)
    async with RestServer() as server:
        with pytest.raises(EngineError, match=words) as caught:
            await collect(make_engine(server.host), request, shelf.make_run())
        assert server.requests == []
    assert (caught.value.kind, caught.value.may_be_charged) == (Failure.INVALID_REQUEST, False)


def test_sizes_at_the_limits_are_sent() -> None:
    shelf = Shelf()
    for model in (ULTRA, LARGE):
        for size in ((64, 64), (16384, 64)):
            file = make_file(size)
            assert file in build_message(make_derived(shelf, model, file), shelf.read).body
    file = make_file((16385, 64))
    assert file in build_message(make_derived(shelf, LARGE, file), shelf.read).body


def test_a_request_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    request = make_derived(shelf, LARGE, make_file())
    size = len(build_message(request, shelf.read).body)
    monkeypatch.setattr(rest_message, "MESSAGE_LIMIT", size)
    build_message(request, shelf.read)
    monkeypatch.setattr(rest_message, "MESSAGE_LIMIT", size - 1)
    with pytest.raises(RequestError, match=f"sd3.5-large takes {size - 1:,} in all") as caught:
        build_message(request, shelf.read)
    assert "JPEG" in caught.value.hint


async def test_an_image_that_is_not_at_hand_or_damaged_is_not_sent() -> None:
    shelf = Shelf()
    missing = make_derived(shelf, ULTRA, make_file())
    damaged = make_derived(shelf, ULTRA, make_file()[:-200])
    async with RestServer() as server:
        engine = make_engine(server.host)
        for request, run in ((missing, Run(id="r")), (damaged, shelf.make_run())):
            with pytest.raises(EngineError) as caught:
                await collect(engine, request, run)
            assert caught.value.kind is Failure.INVALID_REQUEST
        assert server.requests == []


def test_another_image_is_another_message() -> None:
    shelf = Shelf()
    bodies = [
        build_message(make_derived(shelf, ULTRA, make_file(start=start)), shelf.read)
        for start in (0, 0, 1)
    ]
    assert bodies[0] == bodies[1] != bodies[2]
