"""The multipart form of a request to the REST service, as the service reads it."""

from __future__ import annotations

import email
import hashlib
import io

from PIL import Image


def parse_form(data: bytes) -> dict[str, str]:
    """The fields of the multipart form in a request; of a file see `describe_file`."""
    head, _, body = data.partition(b"\r\n\r\n")
    (kind,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type:")]
    message = email.message_from_bytes(kind + b"\r\n\r\n" + body)
    parts = [part for part in message.walk() if not part.is_multipart()]
    values = {}
    for part in parts:
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        value = describe_file(payload, str(part.get_content_type())) if part.get_filename() else ""
        values[str(part.get_param("name", header="content-disposition"))] = (
            value or payload.decode()
        )
    assert len(values) == len(parts), "no field twice"
    return values


def describe_file(data: bytes, kind: str) -> str:
    """`128x96 image/png 0123…`: size, kind and SHA-256 of an image file."""
    with Image.open(io.BytesIO(data)) as image:
        assert f"image/{(image.format or '').lower()}" == kind
        return f"{image.width}x{image.height} {kind} {hashlib.sha256(data).hexdigest()}"
