"""What the server tells of an account and of itself: balance and engines. Costs nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from engines.base import EngineError, Failure
from engines.quiet_grpc import grpc
from engines.remote import (
    Call,
    Target,
    check_key_travels_safely,
    clean_text,
    explain_no_connection,
    find_target,
    read_key,
)
from engines.stability.connection import make_metadata, open_channel
from engines.stability.errors import explain_status, explain_unreachable
from engines.stability.models import StabilitySettings
from engines.stability.parts import parse_message
from engines.stability.protocol import Message, dashboard, listing

SECONDS = 15.0
"""How long one answer is awaited."""

CREDITS_PER_UNIT = 100
"""The protocol tells the balance in units of 100 credits, as `stability-sdk` 0.8.6 reads it."""

_DASHBOARD = "/gooseai.DashboardService"
_ENGINES = "/gooseai.EnginesService"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key it is, as the server tells it. `credits`: what is left."""

    host: str
    id: str
    organization: str
    credits: float


class ServerEngine(msgspec.Struct, frozen=True, kw_only=True):
    """One engine of a server: `id` is what a request names as its model."""

    id: str
    name: str
    description: str
    is_ready: bool


async def read_account(settings: StabilitySettings) -> Account:
    """The account that the key of `settings` opens. Raises `EngineError`."""
    target = _find_server(settings)
    user = await _ask(settings, target, f"{_DASHBOARD}/GetMe", dashboard.EmptyRequest(), "User")
    organization = dashboard.Organization()
    members = sorted(user.organizations, key=lambda member: not member.is_default)
    if members:
        organization = await _ask(
            settings,
            target,
            f"{_DASHBOARD}/GetOrganization",
            dashboard.GetOrganizationRequest(id=members[0].organization.id),
            "Organization",
        )
    return Account(
        host=target.address,
        id=clean_text(user.id, 100),
        organization=clean_text(organization.name, 100),
        credits=float(organization.payment_info.balance) * CREDITS_PER_UNIT,
    )


async def list_server_engines(settings: StabilitySettings) -> list[ServerEngine]:
    """The engines of the server that `settings` name. Raises `EngineError`."""
    target = _find_server(settings)
    request = listing.ListEnginesRequest()
    found = await _ask(settings, target, f"{_ENGINES}/ListEngines", request, "Engines")
    return [
        ServerEngine(
            id=clean_text(engine.id, 100),
            name=clean_text(engine.name, 100),
            description=clean_text(engine.description),
            is_ready=bool(engine.ready),
        )
        for engine in found.engine
    ]


def _find_server(settings: StabilitySettings) -> Target:
    target = find_target(settings.host, settings.tls)
    check_key_travels_safely(target, settings.key)
    return target


async def _ask(
    settings: StabilitySettings, target: Target, method: str, request: Message, kind: str
) -> Message:
    """The server's answer, a message of the type `kind`, to `request`."""
    key = settings.key
    has_key = await read_key(key, target)
    module = dashboard if method.startswith(_DASHBOARD) else listing
    channel = open_channel(target, key, settings.certificates)
    try:
        call = channel.unary_unary(
            method,
            request_serializer=lambda message: message.SerializeToString(),
        )
        data = await call(
            request, timeout=SECONDS, metadata=make_metadata(target, key), wait_for_ready=False
        )
        return await asyncio.to_thread(parse_message, getattr(module, kind), data)
    except DecodeError:
        raise EngineError(
            Failure.BAD_ANSWER,
            f"What {target.address} tells about itself cannot be read.",
            "Check that the server speaks this version of the protocol.",
        ) from None
    except grpc.aio.AioRpcError as error:
        raise _explain(error, target, has_key) from None
    finally:
        await channel.close()


def _explain(error: Any, target: Target, has_key: bool) -> EngineError:
    code, details, status = error.code(), error.details(), grpc.StatusCode
    if code is status.UNAVAILABLE:
        return explain_unreachable(target, clean_text(details or ""))
    if code is status.DEADLINE_EXCEEDED:
        return explain_no_connection(target, SECONDS)
    told = (status.UNAUTHENTICATED, status.UNIMPLEMENTED, status.RESOURCE_EXHAUSTED)
    if code in told or (code is status.PERMISSION_DENIED and not has_key):
        call = Call(target=target, model="", has_key=has_key)
        return explain_status(code, details, call)
    said = f" It said: {clean_text(details)}" if details else ""
    if code is status.PERMISSION_DENIED:
        return EngineError(
            Failure.WRONG_KEY,
            f"{target.address} does not tell this key about its account.{said}",
            "Use a key that may see the account.",
        )
    return EngineError(
        Failure.BAD_ANSWER, f"{target.address} did not answer ({code.name}).{said}", "Try again."
    )
