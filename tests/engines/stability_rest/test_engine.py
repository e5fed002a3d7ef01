"""What comes back from the REST service when it behaves, and how a running call is given up."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json

import pytest

from engines.base import Engine, EngineError, Event, Failure, Produced, Run, Warned
from engines.stability_rest.models import PATHS, describe_losses
from store.errors import StoreError
from store.records import FinishReason
from tests.engines.stability_rest.rest import LARGE, ULTRA, collect, make_engine
from tests.engines.stability_rest.rest_server import LARGE as LARGE_BYTES
from tests.engines.stability_rest.rest_server import Behaviour as B
from tests.engines.stability_rest.rest_server import RestServer, paint
from tests.factories import make_rest_request


def split(events: list[Event]) -> tuple[list[str], Produced]:
    """The texts of the warnings, and the image at the end."""
    *warned, produced = events
    assert isinstance(produced, Produced)
    return [event.text for event in warned if isinstance(event, Warned)], produced


@pytest.mark.parametrize("model", PATHS)
async def test_each_model_makes_the_image_that_was_asked_for(model: str) -> None:
    request = make_rest_request(model)
    async with RestServer() as server:
        warnings, produced = split(await collect(make_engine(server.host), request))
        assert produced.data == paint(PATHS[model], server.fields)
        line = server.requests[0].split(b"\r\n")[0].decode()
    assert line == f"POST /v2beta/stable-image/generate/{PATHS[model]} HTTP/1.1"
    assert warnings == list(describe_losses(request))
    assert produced.mime == "image/png"
    assert produced.seed == request.parameters.seed
    assert produced.finish_reason is FinishReason.SUCCESS
    assert produced.meta["sampler"] == produced.meta["steps"] == "decided by the server"
    assert ("cfg scale" in produced.meta) == (PATHS[model] != "sd3")


async def test_the_form_names_everything_and_leaves_nothing_to_a_default() -> None:
    texts = [('süß 🌃 "a"\nb', 1.0), ("town", 1.0), ("clouds", -0.5)]
    request = make_rest_request(
        LARGE, texts, width=640, height=1536, style_preset="pixel-art", cfg_scale=4.5
    )
    async with RestServer() as server:
        await collect(make_engine(server.host), request)
        fields, headers = server.fields, server.headers[0]
    assert fields == {
        "prompt": 'süß 🌃 "a"\nb, town',
        "negative_prompt": "clouds",
        "mode": "text-to-image",
        "model": "sd3.5-large",
        "cfg_scale": "4.5",
        "aspect_ratio": "9:21",
        "seed": "1229080980",
        "output_format": "png",
        "style_preset": "pixel-art",
    }
    assert headers["accept"] == "application/json"
    assert headers["stability-client-id"] == "safelight"
    assert headers["stability-client-version"]


async def test_core_and_ultra_get_no_cfg_scale_and_no_model() -> None:
    async with RestServer() as server:
        await collect(make_engine(server.host), make_rest_request(ULTRA, [("sky", 1.0)]))
        fields = server.fields
    assert fields.keys() == {"prompt", "aspect_ratio", "seed", "output_format"}


async def test_the_stored_message_is_what_is_sent_but_for_host_and_key() -> None:
    async with RestServer() as server:
        engine, request = make_engine(server.host, "sk-1"), make_rest_request()
        await collect(engine, request)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    own = [line for line in lines if not line.lower().startswith((b"host:", b"authorization:"))]
    assert len(lines) - len(own) == 2
    assert engine.wire_message(request, Run(id="run-1")) == b"\r\n".join([*own, b"", b""]) + body
    assert engine.wire_message(request, Run(id="run-2")) == engine.wire_message(
        request, Run(id="run-1")
    )
    assert b"stable-image/generate/ultra" in lines[0]


async def test_what_is_lost_is_warned_of_and_recovered() -> None:
    request = make_rest_request(LARGE, [("sky", 2.0), ("town", 0.5), ("fog", -0.5)])
    spooled: list[bytes] = []
    async with RestServer() as server:
        engine = make_engine(server.host)
        events = await collect(engine, request, Run(id="run-1", spool=spooled.append))
    warnings, _ = split(events)
    assert warnings == list(describe_losses(request))
    assert len(warnings) == 3
    assert engine.recover(request, spooled) == events


async def test_the_answer_is_spooled_as_it_came_and_can_be_recovered() -> None:
    request, spooled = make_rest_request(), list[bytes]()
    async with RestServer() as server:
        engine = make_engine(server.host)
        events = await collect(engine, request, Run(id="run-1", spool=spooled.append))
        image = paint("ultra", server.fields)
    (data,) = spooled
    assert base64.b64decode(json.loads(data)["image"]) == image
    assert engine.recover(request, [b"", b"{}", data[:-100], data]) == events
    assert engine.recover(request, [data[:-100]]) == []
    assert engine.recover(request, []) == []


@pytest.mark.parametrize("kind", [OSError, StoreError])
async def test_a_full_disk_does_not_lose_the_image(kind: type[Exception]) -> None:
    def fail(data: bytes) -> None:
        raise kind("No space left on device")

    async with RestServer() as server:
        events = await collect(
            make_engine(server.host), make_rest_request(), Run(id="r", spool=fail)
        )
    warnings, _ = split(events)
    assert "No space left" in " ".join(warnings)


async def test_a_very_large_answer_arrives() -> None:
    async with RestServer(B.LARGE) as server:
        _, produced = split(await collect(make_engine(server.host), make_rest_request()))
    assert len(produced.data or b"") > LARGE_BYTES


@pytest.mark.parametrize(
    ("behaviour", "words", "seed", "reason"),
    [
        (B.FILTERED, "filter blurred this image", 41, FinishReason.FILTER),
        (B.ENDED_OTHERWISE, "ended this image with TIRED?[2J", 41, FinishReason.ERROR),
        (B.NO_REASON, "does not say how the image ended", 41, FinishReason.SUCCESS),
        (B.WRONG_SEED, "used the seed 42 instead of 41", 42, FinishReason.SUCCESS),
        (B.NO_SEED, "does not say which seed", 41, FinishReason.SUCCESS),
        (B.WRONG_SIZE, "made 1536x640 instead of 1024x1024", 41, FinishReason.SUCCESS),
        (B.BARE_IMAGE, "does not say which seed", 41, FinishReason.SUCCESS),
    ],
)
async def test_an_answer_that_differs_from_the_request_is_kept_and_marked(
    behaviour: B, words: str, seed: int, reason: FinishReason
) -> None:
    async with RestServer(behaviour) as server:
        events = await collect(make_engine(server.host), make_rest_request(seed=41))
    warnings, produced = split(events)
    assert words in " ".join(warnings)
    assert (produced.seed, produced.finish_reason) == (seed, reason)
    assert produced.data


async def test_a_seed_in_quotes_is_a_seed() -> None:
    async with RestServer(B.TEXT_SEED) as server:
        warnings, produced = split(
            await collect(make_engine(server.host), make_rest_request(seed=41))
        )
    assert (warnings, produced.seed) == ([], 41)


async def test_cancelling_ends_the_connection_at_once() -> None:
    async with RestServer(B.SILENCE) as server:
        task = asyncio.create_task(collect(make_engine(server.host), make_rest_request()))
        await server.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.ended.wait()
        assert len(server.requests) == 1


async def test_closing_the_generator_ends_the_connection() -> None:
    async with RestServer(B.SILENCE) as server:
        request = make_rest_request(prompts=[("a", 1.0), ("b", 1.0)])
        async with contextlib.aclosing(
            make_engine(server.host).generate(request, Run(id="r"))
        ) as events:
            assert isinstance(await anext(events), Warned)
            waiting = asyncio.ensure_future(anext(events))
            await server.started.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await server.ended.wait()


async def test_closing_the_engine_ends_the_call() -> None:
    async with RestServer(B.SILENCE) as server:
        engine = make_engine(server.host)
        task = asyncio.create_task(collect(engine, make_rest_request()))
        await server.started.wait()
        await engine.close()
        with pytest.raises(EngineError) as caught:
            await task
        await server.ended.wait()
    assert caught.value.kind is Failure.CANCELLED
    assert caught.value.may_be_charged


async def test_several_images_at_once_do_not_mix() -> None:
    requests = [make_rest_request(seed=seed) for seed in range(1, 5)]
    async with RestServer() as server:
        engine = make_engine(server.host)
        results = await asyncio.gather(*(collect(engine, request) for request in requests))
    assert len({split(events)[1].data for events in results}) == 4
    assert [split(events)[1].seed for events in results] == [1, 2, 3, 4]


def test_the_environment_says_where_and_with_what_and_it_is_an_engine() -> None:
    engine: Engine = make_engine("https://api.stability.ai", "sk-CANARY-1")
    values = engine.environment().values
    assert values["host"] == "api.stability.ai:443"
    assert values["tls"] == "on"
    assert values["sampler and steps"] == "decided by the server"
    assert values["httpx"].startswith("0.")
    assert "CANARY" not in str(values)


async def test_an_answer_whose_image_is_cut_is_not_recovered() -> None:
    request, spooled = make_rest_request(), list[bytes]()
    async with RestServer() as server:
        engine = make_engine(server.host)
        await collect(engine, request, Run(id="run-1", spool=spooled.append))
    answer = json.loads(spooled[0])
    answer["image"] = base64.b64encode(base64.b64decode(answer["image"])[:-40]).decode()
    assert engine.recover(request, [json.dumps(answer).encode()]) == []
