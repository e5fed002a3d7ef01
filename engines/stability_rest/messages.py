"""A request as the bytes that travel: one POST with a multipart form.

What is stored is what is sent, but for two headers: `host`, which is in the environment's
record, and `authorization`, which holds the key.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable

import httpx
import msgspec

from engines.base import NO_FILES
from engines.stability_rest.models import (
    MESSAGE_LIMIT,
    PATHS,
    SIDE_HIGH,
    SIDE_LOW,
    find_ratio,
    map_stack,
)
from store.errors import RequestError
from store.pixels import open_image
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


class _File(msgspec.Struct, frozen=True):
    """An image file as a part of the form, byte for byte as it is kept."""

    data: bytes
    format: str
    sha256: str


def build_message(
    request: Request, read_input: Callable[[str], bytes] = NO_FILES.read
) -> FormMessage:
    """The message that asks for the image of `request`; the same bytes each time.

    Nothing that the service knows is left to its defaults. `read_input` gives the file of an
    initial image. Raises `RequestError` for what cannot be expressed, and `StoreError` for a
    file that is missing or damaged.
    """
    if request.model not in PATHS:
        raise RequestError(
            "model",
            request.model,
            f"The Stability API has no model {request.model!r} over REST.",
            f"Known: {', '.join(PATHS)}.",
        )
    fields = _list_fields(request)
    file = _read_file(request, read_input)
    # It names the form it parts, so it cannot stand in it, and is the same each time.
    named = repr(fields) if file is None else f"{fields!r}{file.sha256}"
    boundary = f"{_CLIENT}-{hashlib.sha256(named.encode()).hexdigest()[:32]}"
    content_type = f"multipart/form-data; boundary={boundary}"
    parts: list[tuple[str, tuple[str | None, bytes, str | None]]] = [
        (name, (None, value.encode(), None)) for name, value in fields
    ]
    if file is not None:
        parts.append(("image", (f"image.{file.format}", file.data, f"image/{file.format}")))
    form = httpx.Request(
        "POST", "http://localhost", headers={"content-type": content_type}, files=parts
    )
    body = form.read()
    if file is not None and PATHS[request.model] == "sd3" and len(body) > MESSAGE_LIMIT:
        raise RequestError(
            "parameters.initial_image",
            len(file.data),
            f"The file of the initial image has {len(file.data):,} bytes; {request.model} takes "
            f"{MESSAGE_LIMIT:,} in all.",
            "Make it smaller, or save it upright and in sRGB as JPEG or WebP.",
        )
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
    initial, is_sd3 = parameters.initial_image, PATHS[request.model] == "sd3"
    if is_sd3:
        fields += [
            ("mode", "text-to-image" if initial is None else "image-to-image"),
            ("model", request.model),
            ("cfg_scale", f"{parameters.cfg_scale:.10g}"),
        ]
    if initial is None or not is_sd3:
        fields.append(("aspect_ratio", _find_ratio(request)))
    fields += [("seed", str(parameters.seed)), ("output_format", "png")]
    if parameters.style_preset is not None:
        fields.append(("style_preset", parameters.style_preset))
    if initial is not None:
        # Both run from 0, which keeps the image, to 1, which ignores it.
        fields.append(("strength", f"{initial.start_schedule:.9f}".rstrip("0").rstrip(".")))
    return fields


def _read_file(request: Request, read_input: Callable[[str], bytes]) -> _File | None:
    initial = request.parameters.initial_image
    if initial is None:
        return None
    data = read_input(initial.sha256)
    image = open_image(data)
    high = SIDE_HIGH.get(request.model)
    if any(side < SIDE_LOW or (high is not None and side > high) for side in image.size):
        wanted = f"at least {SIDE_LOW}" if high is None else f"{SIDE_LOW} to {high}"
        raise RequestError(
            "parameters.initial_image",
            image.size,
            f"The initial image has {image.width}x{image.height} pixels; {request.model} takes "
            f"{wanted} a side.",
            "Crop or resize it.",
        )
    return _File(data=data, format=(image.format or "PNG").lower(), sha256=initial.sha256)


def _find_ratio(request: Request) -> str:
    size = (request.parameters.width, request.parameters.height)
    try:
        return find_ratio(request.model, *size)
    except KeyError:
        raise RequestError(
            "parameters.size", size, f"{request.model} does not make {size[0]}x{size[1]}."
        ) from None
