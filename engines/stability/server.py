"""A server of the Stability protocol: it listens, and hands calls on to the services."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from engines.base import EngineError, Failure
from engines.secret import Secret
from engines.stability.account_wire import dashboard, listing
from engines.stability.connection import MESSAGE_LIMIT, silence_grpc
from engines.stability.services import DashboardService, GenerationService
from engines.stability.wire import Message

RECEIVE_LIMIT = 24 * 1024 * 1024
"""Bytes of a request: an initial image of 1024x1024 and its mask, even without compression."""

OTHER_CALLS = 16
"""Calls that may be open besides the requests in work and in the queue."""

_Behaviour = Callable[[Any, Any], Awaitable[Any]]


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
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(self.address)
            else:
                port = self._server.add_secure_port(self.address, self._credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise EngineError(
                Failure.UNREACHABLE,
                f"The server cannot listen at {self.address}.",
                "Perhaps another program does, or this machine has no such address.",
            )
        await self._server.start()
        if self.address.startswith("unix:"):
            _make_private(self.address)
        else:
            self.address = f"{self.address.rpartition(':')[0]}:{port}"

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
        if self._key is None:
            return
        sent = dict(context.invocation_metadata()).get("authorization", "")
        data = sent if isinstance(sent, bytes) else sent.encode()
        if not hmac.compare_digest(data, f"Bearer {self._key.reveal()}".encode()):
            why = "is not the right one" if data else "is missing"
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"The access key {why}.")

    def _guard(self, behaviour: _Behaviour) -> _Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            await self.check_key(context)
            return await behaviour(request, context)

        return answer

    def _list_handlers(self) -> tuple[Any, ...]:
        account, generation = DashboardService(), self._service
        stream = grpc.unary_stream_rpc_method_handler
        services = {
            # Requests stay bytes, so that what cannot be read is refused in our words.
            "GenerationService": {
                "Generate": stream(self._guard(generation.generate)),
                "ChainGenerate": stream(self._guard(generation.refuse_chain)),
            },
            "EnginesService": {
                "ListEngines": self._handle(generation.list_engines, listing.ListEnginesRequest),
            },
            "DashboardService": {
                "GetMe": self._handle(account.get_me, dashboard.EmptyRequest),
                "GetOrganization": self._handle(
                    account.get_organization, dashboard.GetOrganizationRequest
                ),
            },
        }
        return tuple(
            grpc.method_handlers_generic_handler(f"gooseai.{name}", methods)
            for name, methods in services.items()
        )

    def _handle(self, behaviour: _Behaviour, request: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            self._guard(behaviour), request.FromString, _serialize
        )


def _make_private(address: str) -> None:
    Path(address.removeprefix("unix:")).chmod(0o600)


def _serialize(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data
