"""What the programs of others are told to use a server: the line that works, and what hinders."""

from __future__ import annotations

import socket

from engines.server.server import TLS_PORT, ServerSettings

_EVERY_ADDRESS = ("0.0.0.0", "[::]")  # noqa: S104 (read, not bound)

_SDK_PORT = "443"
"""What a host ends in where stability-sdk uses TLS, and sends its key."""


def list_uses(
    address: str, settings: ServerSettings, name: str, *, has_web: bool = True
) -> list[str]:
    """How to use the server at `address`, which answers for the engine id `name`: a line each.

    `has_web`: whether it answers gRPC-Web at its port.
    """
    host = _find_reachable(address)
    has_key = settings.key is not None
    key = 'os.environ["STABILITY_KEY"]' if has_key else '"any"'
    variable = "…" if has_key else "any"
    lines = [
        f'  stability-sdk: client.StabilityInference(host="{host}", key={key}, engine="{name}")',
        f"  its command:   STABILITY_HOST={host} STABILITY_KEY={variable} "
        f"python -m stability_sdk generate --engine {name} …",
    ]
    if has_web and not address.startswith("unix:"):
        scheme = "http" if settings.certificate is None else "https"
        lines.append(f"  gRPC-Web:      {scheme}://{host}")
    return lines


def list_hindrances(address: str, settings: ServerSettings) -> list[str]:
    """What stability-sdk cannot do at `address`, and what to set for it."""
    is_tls, has_key = settings.certificate is not None, settings.key is not None
    if address.endswith(_SDK_PORT):
        if is_tls:
            return []
        return [
            f"stability-sdk uses TLS where the host ends in {_SDK_PORT}, and there is none here: "
            "for it, choose another port, or give --certificate and --private-key."
        ]
    if is_tls:
        return [
            f"stability-sdk uses TLS, and sends its key, only where the host ends in {_SDK_PORT}: "
            f"for it, give --port {TLS_PORT}."
        ]
    if has_key:
        return [
            "stability-sdk sends its key only with TLS, where the host ends in "
            f"{_SDK_PORT}: for it, give --certificate, --private-key and --port {TLS_PORT}."
        ]
    return []


def _find_reachable(address: str) -> str:
    """`address` as clients write it: every address of this machine is none of them."""
    host, colon, port = address.rpartition(":")
    if host in _EVERY_ADDRESS:
        return f"{socket.gethostname()}{colon}{port}"
    return address
