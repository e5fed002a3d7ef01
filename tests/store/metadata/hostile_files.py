"""Files that are malformed or hostile on purpose, imported one after the other.

Alone in its module, as it runs in a process whose memory is measured.
"""

from __future__ import annotations

import io
import resource
from collections.abc import Iterator
from pathlib import Path

from PIL import Image as Pillow

from store.database import Database
from store.errors import SafelightError
from store.metadata.containers import make_png_chunk
from store.metadata.intake import import_file
from tests.store.metadata.dialect_files import A1111, make_commented, make_graph, make_png
from tests.store.metadata.image_files import make_malformed, measure_peak


def import_malformed(directory: str) -> None:
    """Import malformed files; print how many, how many came in, and the most memory it took."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024 * 1024, 64 * 1024 * 1024))
    resource.setrlimit(resource.RLIMIT_CPU, (150, 150))
    count = kept = 0
    with Database.open(Path(directory) / "data") as db:
        for _, data in list_hostile():
            count += 1
            try:
                kept += import_file(db, data, file_name="x.png").is_new
            except SafelightError:
                continue
    print(count, kept, measure_peak())


def list_hostile() -> Iterator[tuple[str, bytes]]:
    """Each with a word for what is wrong with it."""
    yield from make_malformed(280)
    png = make_png([("parameters", A1111)], (512, 768))
    head, tail = png[:33], png[33:]
    flat = Pillow.new("L", (8000, 8000))
    flat.save(file := io.BytesIO(), "PNG")
    bomb = file.getvalue()
    yield "bomb of pixels", bomb[:33] + make_png_chunk(b"tEXt", b"parameters\0" + _A) + bomb[33:]
    yield "cut", png[:-40]
    yield "only texts", png[: png.index(b"IDAT") - 4]
    yield "other size", png[:16] + b"\0\0\x20\0\0\0\x20\0" + png[24:]
    for name, text in {
        "parameters": b"[" * 1_500_000,
        "prompt": b'{"1":' * 500_000,
        "workflow": b'{"nodes":[' + b"{}," * 500_000 + b"{}]}",
        "invokeai_metadata": b'{"a":"' + b"x" * 2_000_000 + b'"}',
        "sd-metadata": b'{"image":{"prompt":[' + b'{"prompt":"a"},' * 200_000 + b"{}]}}",
        "Dream": b'"' * 1_000_000,
        "Comment": b"(" * 1_500_000,
        "XML:com.adobe.xmp": b"<a>" * 900_000,
        "mold:parameters": b'{"seed":' + b"9" * 1_500_000 + b"}",
    }.items():
        yield name, head + make_png_chunk(b"tEXt", name.encode() + b"\0" + text) + tail
    wide = make_graph() | {str(n): {"class_type": "X", "inputs": {}} for n in range(10, 10_000)}
    yield "wide graph", make_png([("prompt", str(wide).replace("'", '"'))])
    for words in ("Steps: 1, " * 100_000, "a: [" * 100_000, "<lora:x:1>" * 90_000, "\n" * 900_000):
        yield words[:9], make_png([("parameters", words)])
        yield words[:9], make_commented(words[:200_000].replace("\n", " "), "WEBP")


_A = A1111.encode()
