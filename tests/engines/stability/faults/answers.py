"""The answers of a service, good and bad, as messages and as the bytes on the wire."""

from __future__ import annotations

import functools
import hashlib
import io
from typing import Any

from PIL import Image

from engines.stability.protocol import Message, generation
from tests.engines.painter import MODEL
from tests.engines.stability.faults import frames

RUN = "run-of-the-faults"
SEED = 41
SIDE = 128


@functools.cache
def picture(kind: str = "PNG", width: int = SIDE, height: int = SIDE) -> bytes:
    """A file of a few kilobytes; JPEG and WebP are lossy."""
    cells = hashlib.shake_256(b"cells").digest(32 * 32 * 3)
    image = Image.frombytes("RGB", (32, 32), cells).resize(
        (width, height), Image.Resampling.NEAREST
    )
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def artifact(binary: bytes | None = None, **values: Any) -> Message:
    """An image as the service sends it; `values` change it."""
    data = picture() if binary is None else binary
    known = {
        "type": generation.ARTIFACT_IMAGE,
        "mime": "image/png",
        "binary": data,
        "seed": SEED,
        "uuid": "u-1",
        "size": len(data),
    }
    return generation.Artifact(**known | values)


def text(words: str, reason: int) -> Message:
    """An artifact of text, with which the service explains itself."""
    return generation.Artifact(type=generation.ARTIFACT_TEXT, text=words, finish_reason=reason)


def answer(*artifacts: Message, **values: Any) -> Message:
    """An answer with `artifacts`: none is a keepalive."""
    known = {"answer_id": "a-1", "request_id": RUN, "meta": {"engine_id": MODEL}}
    return generation.Answer(artifacts=artifacts, **known | values)


HEAD = frames.response()
KEEPALIVE = frames.message(answer())
IMAGE = frames.message(answer(artifact()))
REFUSAL = frames.message(answer(text("Invalid prompts detected", generation.FILTER)))
END = frames.trailers()
