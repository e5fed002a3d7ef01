"""A real server of the Stability protocol for tests: any engine, well or badly behaved.

In a test: `async with Server(engine) as server:` and `server.host`. As a process:

    python -m tests.engines.stability.server --engine painter --port 0

prints the port (or the socket) on one line and serves until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Any, Self

import grpc
import grpc.aio
import msgspec

from engines.base import Engine, EngineError, Failure, Produced, Progressed, Run
from engines.builtin.kernels import pin_environment
from engines.stability.message import read_message
from engines.stability.wire import Message, generation
from store.errors import RequestError
from store.request import Request
from tests.engines.stability.painter import paint

TOKEN_VARIABLE = "SERVER_TOKEN"
ENGINES = {
    "painter": "tests.engines.stability.painter:Painter",
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


class Server:
    """Serves `engine` on this machine. `token`: what a client must send as its key.

    `messages` and `headers` are what arrived, in order; `started` is set when a call began,
    `cancelled` when a client gave one up.
    """

    def __init__(
        self,
        engine: Engine,
        behaviour: Behaviour = Behaviour.GOOD,
        *,
        token: str | None = None,
        address: str = "127.0.0.1:0",
        credentials: Any = None,
    ) -> None:
        self.messages: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.host = address
        self._engine = engine
        self._behaviour = behaviour
        self._token = token
        self._credentials = credentials
        self._server: Any = None

    async def start(self) -> None:
        options = (
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", LIMIT),
            ("grpc.max_receive_message_length", LIMIT),
        )
        self._server = grpc.aio.server(options=options)
        # Raw bytes in and out, so that tests see what was really sent.
        handler = grpc.unary_stream_rpc_method_handler(self._generate)
        service = grpc.method_handlers_generic_handler(
            "gooseai.GenerationService", {"Generate": handler}
        )
        self._server.add_generic_rpc_handlers((service,))
        if self._credentials is None:
            port = self._server.add_insecure_port(self.host)
        else:
            port = self._server.add_secure_port(self.host, self._credentials)
        await self._server.start()
        if not self.host.startswith("unix:"):
            self.host = f"{self.host.rpartition(':')[0]}:{port}"

    async def stop(self) -> None:
        """Break every connection at once."""
        await self._server.stop(None)

    async def serve(self) -> None:
        await self._server.wait_for_termination()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _generate(self, data: bytes, context: Any) -> AsyncGenerator[bytes, None]:
        self.messages.append(data)
        self.headers.append(dict(context.invocation_metadata()))
        self.started.set()
        try:
            await self._check(context)
            async for answer in self._answer(data, context):
                yield answer
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def _check(self, context: Any) -> None:
        wanted = f"Bearer {self._token}"
        if self._token is not None and self.headers[-1].get("authorization") != wanted:
            await context.abort(Code.UNAUTHENTICATED, "missing or incorrect token")
        if self._behaviour in _ABORTS:
            await context.abort(*_ABORTS[self._behaviour])

    async def _answer(self, data: bytes, context: Any) -> AsyncGenerator[bytes, None]:
        try:
            request, run_id = read_message(data, self._engine.capabilities.engine)
            request = await self._find_model(request, context)
            self._engine.capabilities.check(request)
        except RequestError as error:
            await context.abort(Code.INVALID_ARGUMENT, str(error))
        behaviour, number = self._behaviour, 0
        if behaviour is Behaviour.GARBAGE_ANSWER:
            yield b"\xff\xff\xff these bytes are no message"
            return
        if behaviour in (Behaviour.NO_IMAGE, Behaviour.SILENCE, *_TEXTS):
            yield _make_answer(run_id, 0)
            if behaviour is Behaviour.SILENCE:
                await asyncio.Event().wait()
            if behaviour in _TEXTS:
                text, reason = _TEXTS[behaviour]
                artifact = generation.Artifact(
                    type=generation.ARTIFACT_TEXT, text=text, finish_reason=reason
                )
                yield _make_answer(run_id, 1, artifact)
            if behaviour is Behaviour.FILTER_THEN_FAIL:
                await context.abort(Code.INTERNAL, "worker lost")
            return
        try:
            async with contextlib.aclosing(
                self._engine.generate(request, Run(id=run_id))
            ) as events:
                async for event in events:
                    if isinstance(event, Progressed):
                        yield _make_answer(run_id, number)
                        number += 1
                    elif isinstance(event, Produced):
                        for artifact in self._make_artifacts(event):
                            yield _make_answer(run_id, number, artifact, self._name(request))
        except EngineError as error:
            is_bad = error.kind is Failure.INVALID_REQUEST
            await context.abort(Code.INVALID_ARGUMENT if is_bad else Code.INTERNAL, str(error))
        if behaviour is Behaviour.FAIL_AFTER_IMAGE:
            await context.abort(Code.INTERNAL, "worker lost")
        if behaviour is Behaviour.SILENT_AFTER_IMAGE:
            await asyncio.Event().wait()

    async def _find_model(self, request: Request, context: Any) -> Request:
        """`request` for one of the engine's models; the engine's own name means its first."""
        capabilities = self._engine.capabilities
        if request.model == capabilities.engine:
            return msgspec.structs.replace(request, model=capabilities.default_model)
        if request.model not in capabilities.models:
            await context.abort(Code.NOT_FOUND, f"Unknown engine: {request.model}")
        return request

    def _name(self, request: Request) -> str:
        return "other-model" if self._behaviour is Behaviour.WRONG_MODEL else ""

    def _make_artifacts(self, event: Produced) -> list[Message]:
        behaviour = self._behaviour
        data, seed, reason = event.data or b"", event.seed, generation.NULL
        if behaviour is Behaviour.FILTER_IMAGE:
            reason = generation.FILTER
        if behaviour is Behaviour.FILTER_EMPTY:
            data, reason = b"", generation.FILTER
        if behaviour is Behaviour.GARBAGE_IMAGE:
            data = b"\x89PNG\r\n\x1a\n but then nothing of the kind"
        if behaviour is Behaviour.TOO_LARGE:
            data = bytes(65 * 1024 * 1024)
        if behaviour is Behaviour.WRONG_SIZE:
            request, _ = read_message(self.messages[-1])
            wide = msgspec.structs.replace(request.parameters, width=192)
            data = paint(msgspec.structs.replace(request, parameters=wide))
        if behaviour is Behaviour.WRONG_SEED:
            seed += 1
        if behaviour is Behaviour.NO_SEED:
            seed = 0
        artifact = generation.Artifact(
            type=generation.ARTIFACT_IMAGE,
            mime=event.mime,
            binary=data,
            seed=seed,
            finish_reason=reason,
            uuid="5f0c",
        )
        return [artifact] * (2 if behaviour is Behaviour.TWO_IMAGES else 1)


_TEXTS = {
    Behaviour.FILTER_TEXT: ("Invalid prompts detected", generation.FILTER),
    Behaviour.FILTER_THEN_FAIL: ("Invalid prompts detected", generation.FILTER),
    Behaviour.ERROR_TEXT: ("out of memory", generation.ERROR),
    Behaviour.TEXT_ONLY: ("I would rather not.", generation.STOP),
}


def _make_answer(
    run_id: str, number: int, artifact: Message | None = None, model: str = ""
) -> bytes:
    answer = generation.Answer(
        answer_id=f"{run_id}-{number}",
        request_id=run_id,
        artifacts=[] if artifact is None else [artifact],
    )
    if model:
        answer.meta.engine_id = model
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
        await server.serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="painter", help=f"{', '.join(ENGINES)}, or module:name")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--socket", help="serve on this Unix socket instead of a port")
    parser.add_argument("--behaviour", default="good", choices=[b.value for b in Behaviour])
    # numpy reads these once, when it is first imported: nothing above imports it.
    os.environ.update(pin_environment(dict(os.environ)))
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
