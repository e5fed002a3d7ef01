"""A server of the Stability protocol: it listens, and hands calls on to the services."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from engines.base import EngineError, Failure
from engines.secret import Secret
from engines.server.service import GenerationService
from engines.stability.account_wire import dashboard, listing
from engines.stability.connection import MESSAGE_LIMIT, silence_grpc
from engines.stability.dashboard import DashboardService
from engines.stability.protocol import Message

RECEIVE_LIMIT = 24 * 1024 * 1024
"""Bytes of a request: an initial image of 1024x1024 and its mask, even without compression."""

OTHER_CALLS = 16
"""Calls that may be open besides the requests in work and in the queue."""

SERVICES = {
    "gooseai.GenerationService": ("Generate", "ChainGenerate"),
    "gooseai.EnginesService": ("ListEngines",),
    "gooseai.DashboardService": ("GetMe", "GetOrganization"),
}
"""The methods of each service that is answered."""

REQUESTS = {
    "ListEngines": listing.ListEnginesRequest,
    "GetMe": dashboard.EmptyRequest,
    "GetOrganization": dashboard.GetOrganizationRequest,
}
"""The requests of the methods with one answer. Those of the others, which answer with streams,
stay bytes, so that what cannot be read is refused in our words.
"""

Behaviour = Callable[[Any, Any], Awaitable[Any]]
"""Answers a request (a message, or its bytes) with the help of gRPC's context."""


class StabilityServer:
    """Listens at `address` and hands each call to `service`, or to nobody without the key."""

    def __init__(
        self,
        service: GenerationService,
        address: str,
        *,
        key: Secret | None = None,
        credentials: Any = None,
    ) -> None:
        self.address = address
        self._service = service
        self._key = key
        self._credentials = credentials
        self._server: Any = None

    async def start(self) -> None:
        """Listen; `address` has the port then. Raises `EngineError` when it cannot."""
        silence_grpc()
        self._server = grpc.aio.server(
            options=self.list_options(),
            maximum_concurrent_rpcs=self._service.queue + 1 + OTHER_CALLS,
        )
        self._server.add_generic_rpc_handlers(self._list_handlers())
        self.address = listen(self._server, self.address, self._credentials)
        await self._server.start()

    async def stop(self, seconds: float | None = None) -> None:
        """Take no more calls; give those in work `seconds` (None: no time), then end them."""
        await self._server.stop(seconds)

    async def wait(self) -> None:
        """Return when the server was stopped."""
        await self._server.wait_for_termination()

    def list_options(self) -> tuple[tuple[str, int], ...]:
        """gRPC's settings."""
        return (
            # Otherwise a second server would get half of the requests, without an error.
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", MESSAGE_LIMIT),
            ("grpc.max_receive_message_length", RECEIVE_LIMIT),
            # A client that is gone without a word is noticed, and its place becomes free.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 15_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        )

    async def check_key(self, context: Any) -> None:
        """End a call that does not send the key."""
        if problem := find_key_problem(self._key, context.invocation_metadata()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)

    def _guard(self, behaviour: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            await self.check_key(context)
            return await behaviour(request, context)

        return answer

    def _list_handlers(self) -> tuple[Any, ...]:
        behaviours = list_behaviours(self._service)
        return tuple(
            grpc.method_handlers_generic_handler(
                service, {name: self._handle(behaviours[name], name) for name in methods}
            )
            for service, methods in SERVICES.items()
        )

    def _handle(self, behaviour: Behaviour, name: str) -> Any:
        guarded, request = self._guard(behaviour), REQUESTS.get(name)
        if request is None:
            return grpc.unary_stream_rpc_method_handler(guarded)
        return grpc.unary_unary_rpc_method_handler(guarded, request.FromString, _serialize)


def list_behaviours(generation: GenerationService) -> dict[str, Behaviour]:
    """What answers each method of `SERVICES`."""
    account = DashboardService()
    return {
        "Generate": generation.generate,
        "ChainGenerate": generation.refuse_chain,
        "ListEngines": generation.list_engines,
        "GetMe": account.get_me,
        "GetOrganization": account.get_organization,
    }


def find_key_problem(key: Secret | None, metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """What is wrong with the access key in the `metadata` of a call; "" when nothing is."""
    if key is None:
        return ""
    sent = dict(metadata).get("authorization", "")
    data = sent if isinstance(sent, bytes) else sent.encode()
    if hmac.compare_digest(data, f"Bearer {key.reveal()}".encode()):
        return ""
    return f"The access key {'is not the right one' if data else 'is missing'}."


def listen(server: Any, address: str, credentials: Any) -> str:
    """Bind the gRPC `server` to `address`, with TLS when there are `credentials`.

    Returns the address with the port that was bound; a socket is its owner's alone. Raises
    `EngineError`.
    """
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise EngineError(
            Failure.UNREACHABLE,
            f"The server cannot listen at {address}.",
            "Perhaps another program does, or this machine has no such address.",
        )
    if not address.startswith("unix:"):
        return f"{address.rpartition(':')[0]}:{port}"
    Path(address.removeprefix("unix:")).chmod(0o600)
    return address


def _serialize(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data
