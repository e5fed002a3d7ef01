"""Where a server is, whether TLS is used, and whether a key may go there. Knows no client.

Whether TLS is used never depends on a port. A key travels over TLS, or in the clear to this
machine only; anything else is refused.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from engines.base import EngineError, Failure
from engines.secret import Secret

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}(?<![-.])\.?")
_EXAMPLES = "Write it as grpc.stability.ai:443, localhost:50051 or unix:/run/server.sock."
_WEB_EXAMPLES = "Write it as https://api.stability.ai or http://localhost:8080."


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is: `address` as `host:port` (IPv6 in brackets) or `unix:/path`.

    `is_local`: this machine, by a loopback address or a Unix socket. `is_hosted`: the paid
    service itself, which takes nothing without a key.
    """

    address: str
    is_local: bool
    is_tls: bool
    is_hosted: bool


def find_target(host: str, tls: bool | None = None) -> Target:
    """The gRPC server that `host` (`host:port`, `host`, `unix:/path`) names.

    `tls` None: off for this machine, else on. A port may be left out only with TLS (443).
    Raises `EngineError` (UNREACHABLE) for text that is no address.
    """
    try:
        if host.startswith("unix:"):
            return _find_socket(host, tls)
        if "://" in host:
            raise ValueError("it starts like a web address")
        name, port = _split(host)
        target = _make_target(name, port or 443, tls)
        if port is None and not target.is_tls:
            raise ValueError("it has no port")
    except ValueError as error:
        raise _refuse_address(host, str(error), _EXAMPLES) from None
    return target


def find_web_target(host: str) -> Target:
    """The web server that `host` (`https://host`, `http://host:port`, `host:port`) names.

    Without a scheme it is http for this machine, else https; without a port 443 or 80.
    Raises `EngineError` (UNREACHABLE) for text that is no address.
    """
    scheme, mark, rest = host.partition("://")
    if not mark:
        scheme, rest = "", host
    try:
        if scheme.lower() not in ("", "http", "https"):
            raise ValueError("it starts neither with https:// nor with http://")
        name, port = _split(rest.removesuffix("/"))
        target = _make_target(name, port or 443, scheme.lower() == "https" if scheme else None)
        if port is None and not target.is_tls:
            target = _make_target(name, 80, tls=False)
    except ValueError as error:
        raise _refuse_address(host, str(error), _WEB_EXAMPLES) from None
    return target


def _make_target(name: str, port: int, tls: bool | None) -> Target:
    is_local = _is_loopback(name)
    shown = f"[{name}]" if ":" in name else name
    return Target(
        address=f"{shown}:{port}",
        is_local=is_local,
        is_tls=not is_local if tls is None else tls,
        is_hosted=f".{name.lower().rstrip('.')}".endswith(".stability.ai"),
    )


def check_key_travels_safely(
    target: Target, key: Secret | None, remedy: str = "Remove `tls = false`"
) -> None:
    """Raise `EngineError` (INSECURE) when `key` would cross a network unencrypted.

    `remedy` says how TLS is switched on.
    """
    if key is not None and not target.is_tls and not target.is_local:
        raise EngineError(
            Failure.INSECURE,
            f"Your key would travel unencrypted to {target.address}; nothing was sent.",
            f"{remedy}, or unset STABILITY_KEY if that server needs no key.",
        )


def _find_socket(host: str, tls: bool | None) -> Target:
    path = host.removeprefix("unix:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//") or not path.isprintable():
        raise ValueError("a socket needs an absolute path")
    return Target(address=f"unix:{path}", is_local=True, is_tls=bool(tls), is_hosted=False)


def _split(host: str) -> tuple[str, int | None]:
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        if not _is_address(name) or (rest and not rest.startswith(":")):
            raise ValueError("the brackets hold no IPv6 address")
        port_text = rest[1:] if rest else None
    elif host.count(":") > 1:
        raise ValueError("an IPv6 address belongs in brackets")
    else:
        name, colon, after = host.partition(":")
        port_text = after if colon else None
        if not _HOST_NAME.fullmatch(name):
            raise ValueError("it is not a host name")
    if port_text is None:
        return name, None
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65535:
        raise ValueError("the port is not a number from 1 to 65535")
    return name, int(port_text)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    if _is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name.lower() == "localhost"


def _refuse_address(host: str, why: str, examples: str) -> EngineError:
    text = f"The host {host!r} is not an address of a server: {why}."
    return EngineError(Failure.UNREACHABLE, text, examples)
