"""The way to the REST service: the client, the key, one POST and its answer."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import msgspec

from engines.base import EngineError, Failure
from engines.remote import Target, check_key_travels_safely
from engines.secret import Secret
from engines.stability_rest.messages import FormMessage

ANSWER_LIMIT = 96 * 1024 * 1024
"""Most bytes of an answer: an image of 64 MiB in base64, and room for the rest."""

CONNECT_SECONDS = 15.0
_ERROR_LIMIT = 64 * 1024
_REMEDY = "Write the host with https://"


class Reply(msgspec.Struct, frozen=True):
    """An answer of the service: its HTTP status and its body."""

    status: int
    body: bytes


class _Header(bytes):
    """A header that a traceback with variables does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Header(…)"


def check_key(target: Target, key: Secret | None) -> None:
    """Raise `EngineError` (INSECURE) when `key` would cross a network unencrypted."""
    check_key_travels_safely(target, key, _REMEDY)


def open_client(
    target: Target, certificates: Path | None, connect_seconds: float, idle_seconds: float
) -> httpx.AsyncClient:
    """A client for one call to `target`; it connects when it is used. Raises `EngineError`.

    It follows no redirect and sends nothing twice. A proxy is used beyond this machine only.
    """
    try:
        return httpx.AsyncClient(
            verify=_make_context(target, certificates),
            trust_env=not target.is_local,
            timeout=httpx.Timeout(idle_seconds, connect=connect_seconds),
        )
    except (ImportError, ValueError) as error:
        raise EngineError(
            Failure.UNREACHABLE,
            f"The proxy that the environment names cannot be used ({type(error).__name__}).",
            "Correct HTTPS_PROXY or ALL_PROXY, or unset them.",
        ) from None


def build_post(
    target: Target, message: FormMessage, key: Secret | None, trace: Any
) -> httpx.Request:
    """`message` with the address of `target` and the key; `trace` is told how far it came."""
    check_key(target, key)
    headers = [(name.encode(), value.encode()) for name, value in message.headers]
    if key is not None:
        headers.append((b"authorization", _Header(f"Bearer {key.reveal()}".encode("ascii"))))
    scheme = "https" if target.is_tls else "http"
    return httpx.Request(
        "POST",
        f"{scheme}://{target.address}{message.path}",
        headers=headers,
        content=message.body,
        extensions={"trace": trace},
    )


async def read_reply(response: httpx.Response) -> Reply:
    """The answer. Raises `EngineError` (BAD_ANSWER) for an image that is too large.

    What a refusal says is cut off after some length, or where the connection ends: its status
    is what counts.
    """
    is_image = response.status_code == httpx.codes.OK
    limit = ANSWER_LIMIT if is_image else _ERROR_LIMIT
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > limit:
                break
    except httpx.TransportError:
        if is_image:
            raise
    if is_image and len(body) > limit:
        raise EngineError(
            Failure.BAD_ANSWER,
            f"The answer is larger than {limit // 1024**2} MiB and was not taken.",
            "It may have been charged. Ask for a smaller image.",
            may_be_charged=True,
        )
    return Reply(response.status_code, bytes(body))


def _make_context(target: Target, path: Path | None) -> ssl.SSLContext | bool:
    if not target.is_tls:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused, so no authority is read for it
    if path is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(path))
    except OSError as error:  # ssl.SSLError is one: a file without certificates
        raise EngineError(
            Failure.UNREACHABLE,
            f"The certificates in {path} cannot be read: {error.strerror or error}.",
            "Correct `certificates` in the section [stability-rest] of config.toml.",
        ) from None
