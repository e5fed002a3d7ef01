"""A request as the bytes that travel: one POST with a multipart form.

What is stored is what is sent, but for two headers: `host`, which is in the environment's
record, and `authorization`, which holds the key.
"""

from __future__ import annotations

import hashlib
import importlib.metadata

import httpx
import msgspec

from engines.stability.rest_capabilities import PATHS, find_ratio
from engines.stability.rest_mapping import map_stack
from store.errors import RequestError
from store.request import Request

_PREFIX = "/v2beta/stable-image/generate/"
_CLIENT = "safelight"


class FormMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One POST: `path`, `headers` in their order, and the multipart form in `body`."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def to_bytes(self) -> bytes:
        """The message as it travels, without `host` and `authorization`."""
        lines = [f"POST {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


def build_message(request: Request) -> FormMessage:
    """The message that asks for the image of `request`; the same bytes each time.

    Nothing that the service knows is left to its defaults. Raises `RequestError` for what
    cannot be expressed.
    """
    if request.model not in PATHS:
        raise RequestError(
            "model",
            request.model,
            f"The Stability API has no model {request.model!r} over REST.",
            f"Known: {', '.join(PATHS)}.",
        )
    fields = _list_fields(request)
    # It names the form it parts, so it cannot stand in it, and is the same each time.
    digest = hashlib.sha256(repr(fields).encode()).hexdigest()
    boundary = f"{_CLIENT}-{digest[:32]}"
    content_type = f"multipart/form-data; boundary={boundary}"
    form = httpx.Request(
        "POST",
        "http://localhost",
        headers={"content-type": content_type},
        files=[(name, (None, value.encode())) for name, value in fields],
    )
    body = form.read()
    headers = (
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("user-agent", f"{_CLIENT}/{find_version('safelight')}"),
        ("stability-client-id", _CLIENT),
        ("stability-client-version", find_version("safelight")),
        ("connection", "close"),
        ("content-type", content_type),
        ("content-length", str(len(body))),
    )
    return FormMessage(path=_PREFIX + PATHS[request.model], headers=headers, body=body)


def find_version(package: str) -> str:
    """The version of an installed package, `unknown` when it runs from its folder."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _list_fields(request: Request) -> list[tuple[str, str]]:
    parameters = request.parameters
    mapping = map_stack(request)
    fields = [("prompt", mapping.prompt)]
    if mapping.negative_prompt is not None:
        fields.append(("negative_prompt", mapping.negative_prompt))
    if PATHS[request.model] == "sd3":
        fields += [
            ("mode", "text-to-image"),
            ("model", request.model),
            ("cfg_scale", f"{parameters.cfg_scale:.10g}"),
        ]
    fields += [
        ("aspect_ratio", _find_ratio(request)),
        ("seed", str(parameters.seed)),
        ("output_format", "png"),
    ]
    if parameters.style_preset is not None:
        fields.append(("style_preset", parameters.style_preset))
    return fields


def _find_ratio(request: Request) -> str:
    size = (request.parameters.width, request.parameters.height)
    try:
        return find_ratio(request.model, *size)
    except KeyError:
        raise RequestError(
            "parameters.size", size, f"{request.model} does not make {size[0]}x{size[1]}."
        ) from None
