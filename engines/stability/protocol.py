"""The generated messages and stub of `stability-sdk`, and nothing else of it.

Importing the package appends folders to `sys.path` (its generated modules import each other
as top-level modules); they are taken out again, so that no name of ours can be shadowed.
Its `client` and `api` modules, which set logging levels, are never imported.
"""

from __future__ import annotations

import sys
from typing import Any

_path = list(sys.path)
import stability_sdk.interfaces.gooseai.generation.generation_pb2 as generation  # noqa: E402
import stability_sdk.interfaces.gooseai.generation.generation_pb2_grpc as generation_grpc  # noqa: E402

sys.path[:] = _path

__all__ = [
    "PREVIEWS_HEADER",
    "PREVIEW_MAGIC",
    "WARNING_HEADER",
    "Message",
    "generation",
    "generation_grpc",
]

Message = Any
"""A protobuf message; the generated modules have no types."""

WARNING_HEADER = "safelight-warning-bin"
"""The trailing metadata in which our server tells what an engine warns of, UTF-8, repeated."""

PREVIEWS_HEADER = "safelight-previews"
"""The metadata by which a client asks our server, with the value `1`, how far an image is."""

PREVIEW_MAGIC = "safelight-preview"
"""`magic` of the artifacts that say it: see `engines.stability.previews`."""
