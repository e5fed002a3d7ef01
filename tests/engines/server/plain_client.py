"""A client of the protocol that adds nothing of its own: plain messages, plain calls."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

from engines.stability.protocol import Message, generation
from tests.engines.painter import MODEL
from tests.engines.stability.server import Server


def make_message(**image: Any) -> Message:
    """A message with nothing in it but a prompt and what `image` says."""
    return generation.Request(
        engine_id=MODEL,
        request_id="request 1",
        prompt=[generation.Prompt(text="night sky")],
        image=generation.ImageParameters(**image),
    )


def open_method(
    channel: Any,
    method: str = "GenerationService/Generate",
    request: Any = generation.Request,
    answer: Any = generation.Answer,
) -> Any:
    """What calls `method` with a message, as a generated stub has it."""
    make = channel.unary_stream if method.endswith("Generate") else channel.unary_unary
    return make(
        f"/gooseai.{method}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )


async def call(
    server: Server, method: str, message: Message, answer: Any, token: str | None = None
) -> list[Any]:
    """The answers to one call of a plain client."""
    metadata = () if token is None else (("authorization", token),)
    async with grpc.aio.insecure_channel(server.host) as channel:
        sent = open_method(channel, method, type(message), answer)(message, metadata=metadata)
        try:
            return [one async for one in sent] if method.endswith("Generate") else [await sent]
        finally:
            # gRPC goes on with a call whose reader is cancelled just when it has been sent.
            sent.cancel()


async def generate(server: Server, message: Message, token: str | None = None) -> list[Any]:
    answers = await call(server, "GenerationService/Generate", message, generation.Answer, token)
    return [answer for answer in answers if answer.artifacts]


async def fail(server: Server, message: Message, token: str | None = None) -> tuple[Any, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate(server, message, token)
    return caught.value.code(), str(caught.value.details())
