"""The server answers what the protocol's clients ask, and refuses by name what it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest

from engines.base import Event, Produced, Run, Warned
from engines.server.server import StabilityServer
from engines.server.service import GenerationService
from engines.stability.protocol import Message, dashboard, generation, listing
from store.limits import SEED_MAXIMUM
from store.request import Parameters, Prompt, PromptStack, Request
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import MODEL, Painter, paint
from tests.engines.server.plain_client import call, fail, generate, make_message, open_method
from tests.factories import make_hosted_request

SDXL = "stable-diffusion-xl-1024-v1-0"
Code = grpc.StatusCode


def make_parameters(**changes: Any) -> Parameters:
    """The painter's defaults, with `changes`."""
    values: dict[str, Any] = {
        "seed": 1,
        "steps": 30,
        "cfg_scale": 7.0,
        "sampler": "k_dpmpp_2m",
        "width": 512,
        "height": 512,
        "style_preset": None,
    }
    return Parameters(**values | changes)


async def test_what_a_message_leaves_out_is_the_engines_default(serve: Serve) -> None:
    (answer,) = await generate(await serve(), make_message())
    (artifact,) = answer.artifacts
    assert 1 <= artifact.seed <= SEED_MAXIMUM
    stack = PromptStack(prompts=(Prompt(text="night sky"),))
    parameters = make_parameters(seed=artifact.seed)
    drawn = Request(engine="painter", model=MODEL, stack=stack, parameters=parameters)
    assert artifact.binary == paint(drawn)
    assert (artifact.type, artifact.mime) == (generation.ARTIFACT_IMAGE, "image/png")
    assert (artifact.finish_reason, artifact.index) == (generation.NULL, 0)
    assert (answer.request_id, answer.meta.engine_id) == ("request 1", MODEL)


async def test_seed_0_is_drawn_anew_each_time(serve: Serve) -> None:
    server = await serve()
    seeds = [(await generate(server, make_message(seed=[0])))[0].artifacts[0].seed for _ in "12"]
    assert 0 not in seeds
    assert seeds[0] != seeds[1]


async def test_samples_have_seeds_that_follow(serve: Serve) -> None:
    message = make_message(samples=4, seed=[7, SEED_MAXIMUM], width=128, height=128)
    answers = await generate(await serve(), message)
    artifacts = [answer.artifacts[0] for answer in answers]
    assert [artifact.seed for artifact in artifacts] == [7, SEED_MAXIMUM, 1, 2]
    assert [artifact.index for artifact in artifacts] == [0, 1, 2, 3]
    assert len({artifact.uuid for artifact in artifacts}) == 4
    assert len({answer.answer_id for answer in answers}) == 4
    assert {answer.request_id for answer in answers} == {"request 1"}


async def test_an_engine_answers_for_the_names_it_was_given(serve: Serve) -> None:
    server = await serve(names=(SDXL,))
    message = make_message(seed=[7], width=640, height=192)
    (own,) = await generate(server, message)
    message.engine_id = SDXL
    (other,) = await generate(server, message)
    assert other.artifacts[0].binary == own.artifacts[0].binary
    assert other.meta.engine_id == MODEL
    message.engine_id = "stable-diffusion-v1-5"
    code, text = await fail(server, message)
    assert code is Code.NOT_FOUND
    assert MODEL in text
    assert SDXL in text


async def test_bytes_that_are_no_message_are_refused(serve: Serve) -> None:
    server = await serve()
    async with grpc.aio.insecure_channel(server.host) as channel:
        stream = channel.unary_stream("/gooseai.GenerationService/Generate")(b"\xff\xff")
        assert await stream.code() is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("kind", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("token", [None, "Bearer sesame"])
async def test_a_compressed_message_is_refused_before_it_is_unpacked(
    serve: Serve, kind: grpc.Compression, token: str | None
) -> None:
    server = await serve(token="sesame")
    metadata = () if token is None else (("authorization", token),)
    limit = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(server.host, compression=kind, options=limit) as channel:
        stream = open_method(channel)(make_message(), metadata=metadata)
        assert await stream.code() is Code.UNIMPLEMENTED
        assert "disabled" in await stream.details()
    assert len(await generate(server, make_message(), "Bearer sesame")) == 1


@pytest.mark.parametrize("token", [None, "Bearer wrong", "sesame", "Bearer sesam"])
async def test_nothing_is_answered_without_the_key(serve: Serve, token: str | None) -> None:
    server = await serve(token="sesame")
    code, text = await fail(server, make_message(), token)
    assert code is Code.UNAUTHENTICATED
    assert "sesame" not in text
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(
            server,
            "EnginesService/ListEngines",
            listing.ListEnginesRequest(),
            listing.Engines,
            token,
        )
    assert caught.value.code() is Code.UNAUTHENTICATED
    assert len(await generate(server, make_message(), "Bearer sesame")) == 1


class Clumsy(Painter):
    """An engine that warns, or fails in a way nobody thought of."""

    def __init__(self, *events: Event) -> None:
        super().__init__()
        self.events = events

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        for event in self.events:
            yield event
        raise ZeroDivisionError("/home/secret")


async def test_a_fault_of_the_engine_tells_a_stranger_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    code, text = await fail(await serve(engine=Clumsy()), make_message())
    assert code is Code.INTERNAL
    assert "secret" not in text
    assert "/home/secret" in caplog.text


async def test_a_client_that_leaves_while_it_is_sent_an_image_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    is_made = asyncio.Event()

    class Large(GenerationService):
        def make_artifacts(self, produced: Produced, index: int) -> list[Message]:
            is_made.set()
            return [generation.Artifact(type=generation.ARTIFACT_IMAGE, binary=bytes(30_000_000))]

    service = Large(Painter())
    server = StabilityServer(service, "127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stream = channel.unary_stream("/gooseai.GenerationService/Generate")(
            make_message().SerializeToString()
        )
        await stream.read()
        await is_made.wait()
        stream.cancel()
        async with asyncio.timeout(30):
            while service.is_busy:
                await asyncio.sleep(0)
    await server.stop(None)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


async def test_an_engines_warnings_reach_our_client(serve: Serve) -> None:
    class Warning_(Painter):
        async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
            yield Warned("These words are not known: zwölf\x1b[31m")
            async for event in super().generate(request, run):
                yield event

    server = await serve(engine=Warning_())
    warned, produced = await collect(make_engine(server.host), make_hosted_request())
    assert isinstance(warned, Warned)
    assert warned.text == "These words are not known: zwölf?[31m"
    assert isinstance(produced, Produced)


async def test_the_services_beside_generation(serve: Serve) -> None:
    server = await serve(names=(SDXL,))
    (found,) = await call(
        server, "EnginesService/ListEngines", listing.ListEnginesRequest(), listing.Engines
    )
    assert [engine.id for engine in found.engine] == [MODEL, SDXL]
    assert {(engine.ready, engine.type) for engine in found.engine} == {(True, listing.PICTURE)}
    (user,) = await call(server, "DashboardService/GetMe", dashboard.EmptyRequest(), dashboard.User)
    ask = dashboard.GetOrganizationRequest(id=user.organizations[0].organization.id)
    (organization,) = await call(
        server, "DashboardService/GetOrganization", ask, dashboard.Organization
    )
    assert organization.payment_info.balance == 0
    for method, message, words in (
        ("GenerationService/ChainGenerate", generation.ChainRequest(), "one by one"),
        ("DashboardService/CreateCharge", dashboard.CreateChargeRequest(), ""),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(server, method, message, generation.Answer)
        assert caught.value.code() is Code.UNIMPLEMENTED
        assert words in str(caught.value.details())


async def test_our_client_gets_the_pixels_that_the_engine_makes(serve: Serve) -> None:
    server = await serve()
    request = make_hosted_request(style_preset="anime", sampler="ddim", cfg_scale=0.0)
    (produced,) = await collect(make_engine(server.host), request)
    assert isinstance(produced, Produced)
    assert produced.data == paint(msgspec.structs.replace(request, engine="painter"))
