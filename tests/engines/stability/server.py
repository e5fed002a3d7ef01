"""The product's server of the Stability protocol for tests: any engine, well or badly behaved.

In a test: `async with Server(engine) as server:` and `server.host`. As a process:

    python -m tests.engines.stability.server --engine painter --port 0

prints the port (or the socket) on one line and serves until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
from enum import StrEnum
from typing import Any, Self

import grpc
import msgspec

from engines.base import Engine, Produced
from engines.keys import Secret
from engines.server.server import StabilityServer
from engines.server.service import GenerationService
from engines.stability.messages import read_message
from engines.stability.protocol import Message, generation
from store.request import Request
from tests.engines.painter import paint

TOKEN_VARIABLE = "SERVER_TOKEN"
ENGINES = {
    "painter": "tests.engines.painter:Painter",
    "builtin": "engines.builtin.engine:BuiltinEngine",
}
LIMIT = 128 * 1024 * 1024

Code = grpc.StatusCode


class Behaviour(StrEnum):
    """How the server behaves; everything but `GOOD` is a way to go wrong."""

    GOOD = "good"
    FILTER_IMAGE = "filter_image"
    FILTER_TEXT = "filter_text"
    FILTER_THEN_FAIL = "filter_then_fail"
    FILTER_EMPTY = "filter_empty"
    ERROR_TEXT = "error_text"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NO_CREDIT = "no_credit"
    RATE_LIMIT = "rate_limit"
    EXHAUSTED = "exhausted"
    INVALID = "invalid"
    NO_SAMPLER = "no_sampler"
    INTERNAL = "internal"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    GIVEN_UP = "given_up"
    ESCAPES = "escapes"
    SILENCE = "silence"
    NO_IMAGE = "no_image"
    TEXT_ONLY = "text_only"
    GARBAGE_IMAGE = "garbage_image"
    GARBAGE_ANSWER = "garbage_answer"
    WRONG_SEED = "wrong_seed"
    NO_SEED = "no_seed"
    WRONG_SIZE = "wrong_size"
    WRONG_MODEL = "wrong_model"
    TWO_IMAGES = "two_images"
    TOO_LARGE = "too_large"
    FAIL_AFTER_IMAGE = "fail_after_image"
    SILENT_AFTER_IMAGE = "silent_after_image"


_ABORTS = {
    Behaviour.UNAUTHENTICATED: (Code.UNAUTHENTICATED, "Incorrect API key provided"),
    Behaviour.FORBIDDEN: (Code.PERMISSION_DENIED, "not allowed for your organization"),
    Behaviour.NO_CREDIT: (Code.RESOURCE_EXHAUSTED, "Your organization has no credits left"),
    Behaviour.RATE_LIMIT: (Code.RESOURCE_EXHAUSTED, "Rate limit of 150 requests exceeded"),
    Behaviour.EXHAUSTED: (Code.RESOURCE_EXHAUSTED, "quota"),
    Behaviour.INVALID: (Code.INVALID_ARGUMENT, "Must provide image parameters."),
    Behaviour.NO_SAMPLER: (Code.UNIMPLEMENTED, "No such sampler"),
    Behaviour.INTERNAL: (Code.INTERNAL, "CUDA out of memory"),
    Behaviour.UNKNOWN: (Code.UNKNOWN, "Exception iterating responses: image too large"),
    Behaviour.UNAVAILABLE: (Code.UNAVAILABLE, "no such host"),
    Behaviour.GIVEN_UP: (Code.CANCELLED, "operation cancelled"),
    Behaviour.ESCAPES: (
        Code.INVALID_ARGUMENT,
        "bad \x1b]0;title\x07\u009b31m [bold]size[/nope] \u202eevil " + "x" * 5000,
    ),
}


class _Service(GenerationService):
    """The product's service, led astray by `behaviour`; it keeps what arrived."""

    def __init__(
        self, engine: Engine, behaviour: Behaviour, *, size: int = 65 * 1024 * 1024, **options: Any
    ) -> None:
        super().__init__(engine, **options)
        self._size = size
        self.messages: list[bytes] = []
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._behaviour = behaviour

    async def generate(self, data: bytes, context: Any) -> None:
        self.messages.append(data)
        self.started.set()
        try:
            await self._misbehave(context)
            if self._behaviour not in _IMAGELESS:
                await super().generate(data, context)
            if self._behaviour is Behaviour.FAIL_AFTER_IMAGE:
                await context.abort(Code.INTERNAL, "worker lost")
            if self._behaviour is Behaviour.SILENT_AFTER_IMAGE:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _misbehave(self, context: Any) -> None:
        behaviour = self._behaviour
        if behaviour in _ABORTS:
            await context.abort(*_ABORTS[behaviour])
        if behaviour is Behaviour.GARBAGE_ANSWER:
            await context.write(b"\xff\xff\xff these bytes are no message")
        elif behaviour in _IMAGELESS:
            await context.write(_make_answer())
        if behaviour is Behaviour.SILENCE:
            await asyncio.Event().wait()
        if behaviour in _TEXTS:
            text, reason = _TEXTS[behaviour]
            artifact = generation.Artifact(
                type=generation.ARTIFACT_TEXT, text=text, finish_reason=reason
            )
            await context.write(_make_answer(artifact))
        if behaviour is Behaviour.FILTER_THEN_FAIL:
            await context.abort(Code.INTERNAL, "worker lost")

    def name_model(self, request: Request) -> str:
        if self._behaviour is Behaviour.WRONG_MODEL:
            return "other-model"
        return super().name_model(request)

    def make_artifacts(self, produced: Produced, index: int) -> list[Message]:
        behaviour = self._behaviour
        (artifact,) = super().make_artifacts(produced, index)
        if behaviour in (Behaviour.FILTER_IMAGE, Behaviour.FILTER_EMPTY):
            artifact.finish_reason = generation.FILTER
        if behaviour is Behaviour.FILTER_EMPTY:
            artifact.binary = b""
        if behaviour is Behaviour.GARBAGE_IMAGE:
            artifact.binary = b"\x89PNG\r\n\x1a\n but then nothing of the kind"
        if behaviour is Behaviour.TOO_LARGE:
            artifact.binary = bytes(self._size)
        if behaviour is Behaviour.WRONG_SIZE:
            request, _ = read_message(self.messages[-1])
            wide = msgspec.structs.replace(request.parameters, width=192)
            artifact.binary = paint(msgspec.structs.replace(request, parameters=wide))
        if behaviour is Behaviour.WRONG_SEED:
            artifact.seed += 1
        if behaviour is Behaviour.NO_SEED:
            artifact.seed = 0
        return [artifact] * (2 if behaviour is Behaviour.TWO_IMAGES else 1)


class Server(StabilityServer):
    """Serves `engine` on this machine. `token`: what a client must send as its key.

    `messages` and `headers` are what arrived, in order; `started` is set when a call began,
    `cancelled` when a client gave one up. `size`: bytes of an image that is too
    large. Further `options` are those of `GenerationService`.
    """

    def __init__(
        self,
        engine: Engine,
        behaviour: Behaviour = Behaviour.GOOD,
        *,
        token: str | None = None,
        address: str = "127.0.0.1:0",
        credentials: Any = None,
        **options: Any,
    ) -> None:
        service = _Service(engine, behaviour, **options)
        key = None if token is None else Secret(token)
        super().__init__(service, address, key=key, credentials=credentials)
        self.headers: list[dict[str, str]] = []
        self.messages = service.messages
        self.started = service.started
        self.cancelled = service.cancelled

    @property
    def host(self) -> str:
        return self.address

    def list_options(self) -> tuple[tuple[str, int], ...]:
        return (*super().list_options(), ("grpc.max_send_message_length", LIMIT))

    async def check_key(self, context: Any) -> None:
        self.headers.append(dict(context.invocation_metadata()))
        await super().check_key(context)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


_TEXTS = {
    Behaviour.FILTER_TEXT: ("Invalid prompts detected", generation.FILTER),
    Behaviour.FILTER_THEN_FAIL: ("Invalid prompts detected", generation.FILTER),
    Behaviour.ERROR_TEXT: ("out of memory", generation.ERROR),
    Behaviour.TEXT_ONLY: ("I would rather not.", generation.STOP),
}


_IMAGELESS = (Behaviour.GARBAGE_ANSWER, Behaviour.NO_IMAGE, Behaviour.SILENCE, *_TEXTS)


def _make_answer(artifact: Message | None = None) -> bytes:
    answer = generation.Answer(artifacts=[] if artifact is None else [artifact])
    data: bytes = answer.SerializeToString()
    return data


def load_engine(name: str) -> Engine:
    """The engine `name` of `ENGINES`, or `module:callable`."""
    module, _, attribute = ENGINES.get(name, name).partition(":")
    engine: Engine = getattr(importlib.import_module(module), attribute)()
    return engine


async def _serve(arguments: argparse.Namespace) -> None:
    address = f"unix:{arguments.socket}" if arguments.socket else f"127.0.0.1:{arguments.port}"
    engine = load_engine(arguments.engine)
    token = os.environ.get(TOKEN_VARIABLE)
    behaviour = Behaviour(arguments.behaviour)
    async with Server(engine, behaviour, token=token, address=address) as server:
        print(server.host.rpartition(":")[2], flush=True)
        await server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="painter", help=f"{', '.join(ENGINES)}, or module:name")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--socket", help="serve on this Unix socket instead of a port")
    parser.add_argument("--behaviour", default="good", choices=[b.value for b in Behaviour])
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
