"""CLIP's vocabulary in the form that `engines.tokens` reads: run as a program.

    python -m tests.engines.merges FILE

writes `engines/clip/merges.txt.gz`. FILE is `bpe_simple_vocab_16e6.txt.gz`, which the package
`open_clip_torch` has in its folder `open_clip`. Of its 262,145 lines CLIP reads 48,894.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from engines.tokens import MERGES

COUNT = 49_152 - 256 - 2
"""The pieces of CLIP's vocabulary, without the 256 bytes and the two that begin and end a text."""


def select(vocabulary: bytes) -> bytes:
    """The lines that CLIP reads of the whole `vocabulary`; its first one is a heading."""
    return b"\n".join(vocabulary.split(b"\n")[1 : COUNT + 1]) + b"\n"


if __name__ == "__main__":
    whole = gzip.decompress(Path(sys.argv[1]).read_bytes())
    MERGES.write_bytes(gzip.compress(select(whole), 9, mtime=0))
