"""How far an image is: told to clients that ask, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
import pytest

from engines.base import Event, Produced, Progressed, Run
from engines.remote import find_target
from engines.stability.answers import PREVIEW_LIMIT, make_artifact, read_progress
from engines.stability.connection import list_metadata
from engines.stability.protocol import PREVIEWS_HEADER, Message, generation
from store.request import Request
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import Painter, paint
from tests.engines.server.plain_client import make_message
from tests.engines.stability.server import Server
from tests.factories import make_hosted_request

PREVIEWS = [b"\x89PNG one", None, b"\x89PNG three"]


class Stepwise(Painter):
    """A painter that makes a step only when the last one was seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = asyncio.Event()

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        for step, preview in enumerate(PREVIEWS, 1):
            self.seen.clear()
            yield Progressed(step, len(PREVIEWS), preview)
            await self.seen.wait()
        yield Produced(data=paint(request), mime="image/png", seed=request.parameters.seed)


async def test_our_client_sees_every_step_and_spools_none(serve: Serve) -> None:
    painter, spooled = Stepwise(), list[bytes]()
    server = await serve(engine=painter)
    request, events = make_hosted_request(), list[Event]()
    run = Run(id="run-1", spool=spooled.append)
    async for event in make_engine(server.host).generate(request, run):
        events.append(event)
        painter.seen.set()
    steps = [event for event in events if isinstance(event, Progressed)]
    assert steps == [Progressed(step, 3, preview) for step, preview in enumerate(PREVIEWS, 1)]
    assert isinstance(events[-1], Produced)
    assert events[-1].data == paint(request)
    assert len(spooled) == 1  # the image


async def list_answers(server: Server, **metadata: str) -> list[Message]:
    """The answers to a plain client that sends `metadata`."""
    async with grpc.aio.insecure_channel(server.host) as channel:
        stream = channel.unary_stream(
            "/gooseai.GenerationService/Generate",
            response_deserializer=generation.Answer.FromString,
        )
        pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        message = make_message(width=128, height=128).SerializeToString()
        return [answer async for answer in stream(message, metadata=pairs)]


@pytest.mark.parametrize("metadata", [{}, {"safelight_previews": "0"}], ids=["none", "other"])
async def test_a_client_that_does_not_ask_sees_none(serve: Serve, metadata: dict[str, str]) -> None:
    answers = await list_answers(await serve(), **metadata)
    artifacts = [artifact for answer in answers for artifact in answer.artifacts]
    assert [artifact.type for artifact in artifacts] == [generation.ARTIFACT_IMAGE]


async def test_any_client_may_ask(serve: Serve) -> None:
    answers = await list_answers(await serve(), safelight_previews="1")
    artifacts = [artifact for answer in answers for artifact in answer.artifacts]
    *previews, image = artifacts
    assert image.type == generation.ARTIFACT_IMAGE
    assert {(preview.type, preview.id) for preview in previews} <= {(generation.ARTIFACT_LATENT, 3)}


async def test_an_engine_does_not_wait_for_its_previews(serve: Serve) -> None:
    """Only the newest one waits: a client gets as many as it takes."""

    class Fast(Painter):
        async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
            for step in range(1, 1001):
                yield Progressed(step, 1000)
            async for event in super().generate(request, run):
                yield event

    answers = await list_answers(await serve(engine=Fast()), safelight_previews="1")
    assert len(answers) < 100
    assert answers[-1].artifacts[0].type == generation.ARTIFACT_IMAGE


def make_answer(**changes: Any) -> bytes:
    artifact = make_artifact(Progressed(2, 5, b"png"))
    for name, value in changes.items():
        setattr(artifact, name, value)
    data: bytes = generation.Answer(artifacts=[artifact]).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("data", "progress"),
    [
        (make_answer(), Progressed(2, 5, b"png")),
        (make_answer(index=9), Progressed(5, 5, b"png")),
        (make_answer(binary=bytes(PREVIEW_LIMIT + 1)), Progressed(2, 5, None)),
        (make_answer(type=generation.ARTIFACT_IMAGE), None),
        (make_answer(magic="other"), None),
        (make_answer()[:-1] + b"\xff\xff", None),
        (b"safelight-preview", None),
    ],
    ids=["usual", "beyond", "large", "image", "other", "damaged", "garbage"],
)
def test_what_a_server_sends_as_progress(data: bytes, progress: Progressed | None) -> None:
    assert read_progress(data) == progress


async def test_our_client_asks_a_server_of_ones_own(serve: Serve) -> None:
    server = await serve()
    await collect(make_engine(server.host), make_hosted_request())
    assert server.headers[0][PREVIEWS_HEADER] == "1"
    assert list_metadata(find_target("grpc.stability.ai:443"), None) == ()
