"""Who may call the server: its access key, and the calls that need none."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from engines.keys import Secret

HEALTH = "grpc.health.v1.Health"

KEYLESS = frozenset((HEALTH,))
"""The services that are answered without the key: whoever watches over a server may have none."""


def find_key_problem(key: Secret | None, metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """What is wrong with the access key in the `metadata` of a call; "" when nothing is."""
    if key is None:
        return ""
    sent = dict(metadata).get("authorization", "")
    data = sent if isinstance(sent, bytes) else sent.encode()
    if hmac.compare_digest(data, f"Bearer {key.reveal()}".encode()):
        return ""
    return f"The access key {'is not the right one' if data else 'is missing'}."


def find_service(path: str) -> str:
    """The service in `path`, which is `/package.Service/Method`."""
    return path.removeprefix("/").partition("/")[0]
