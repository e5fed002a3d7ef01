"""Many clients at once: each gets its own answer, or a refusal; nobody is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from engines.base import Run
from engines.stability.connection import OPTIONS
from engines.stability.messages import build_message
from engines.stability.protocol import generation
from tests.engines.hosted import Serve
from tests.engines.painter import Painter, paint
from tests.engines.server.plain_client import open_method
from tests.factories import make_hosted_request
from tests.waiting import wait_for

CLIENTS = 64


async def ask(host: str, seed: int, came: list[int]) -> Any:
    """The artifact for `seed` over a connection of its own, or the status that refused it."""
    async with grpc.aio.insecure_channel(host, options=OPTIONS) as channel:
        generate = open_method(channel)
        stream = generate(build_message(make_hosted_request(seed=seed), Run(id=str(seed))))
        found = []
        try:
            async for answer in stream:
                came.append(seed)
                assert answer.request_id == str(seed)
                found += answer.artifacts
        except grpc.aio.AioRpcError as error:
            came.append(seed)
            return error.code()
    (artifact,) = found
    return artifact


async def test_each_of_64_clients_gets_its_own_answer_and_the_rest_a_refusal(serve: Serve) -> None:
    painter = Painter(is_held=True)
    server = await serve(engine=painter, queue=CLIENTS - 1)
    came: list[int] = []
    seeds = range(1, CLIENTS + 1)
    accepted = [asyncio.create_task(ask(server.host, seed, came)) for seed in seeds]
    await wait_for(lambda: len(set(came)) == CLIENTS)  # each has its first keepalive
    more = range(CLIENTS + 1, CLIENTS + 11)
    refused = await asyncio.gather(*(ask(server.host, seed, came) for seed in more))
    assert refused == [grpc.StatusCode.RESOURCE_EXHAUSTED] * len(more)
    painter.go_on.set()
    for seed, artifact in zip(seeds, await asyncio.gather(*accepted), strict=True):
        assert artifact.type == generation.ARTIFACT_IMAGE
        assert artifact.seed == seed
        assert artifact.binary == paint(make_hosted_request(seed=seed))
    # The places are free again.
    again = await ask(server.host, 7, came)
    assert again.binary == paint(make_hosted_request(seed=7))
