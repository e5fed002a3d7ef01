"""The digest of the code that decides the pixels, for the record of an image."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SOURCES = (
    "engines/builtin/autoencoder.py",
    "engines/builtin/cpu.py",
    "engines/builtin/denoiser.py",
    "engines/builtin/elementary.py",
    "engines/builtin/guidance.py",
    "engines/builtin/img2img.py",
    "engines/builtin/methods.py",
    "engines/builtin/models.py",
    "engines/builtin/noise.py",
    "engines/builtin/parallel/denoise.py",
    "engines/builtin/parallel/group.py",
    "engines/builtin/parallel/rank.py",
    "engines/builtin/parallel/shard.py",
    "engines/builtin/pipeline.py",
    "engines/builtin/pixels.py",
    "engines/builtin/quantized.py",
    "engines/builtin/samplers.py",
    "engines/builtin/scalars.py",
    "engines/builtin/text_encoder.py",
    "engines/builtin/upscaler.py",
    "engines/builtin/vocabulary.py",
    "engines/builtin/weights.py",
    "store/decoding.py",
    "store/exif.py",
    "store/pixels.py",
)
"""What takes part between a request and its pixels; a test holds it against the imports."""

UNKNOWN = "not known: the source is not there"
_ROOT = Path(__file__).parents[2]


@cache
def digest_code(root: Path = _ROOT) -> str:
    """SHA-256 over the names and texts of `SOURCES` below `root`; read once in a process.

    `UNKNOWN` where they were installed without their source.
    """
    digest = hashlib.sha256()
    try:
        for name in SOURCES:
            digest.update(f"{name}\0".encode() + (root / name).read_bytes() + b"\0")
    except OSError:
        return UNKNOWN
    return digest.hexdigest()
