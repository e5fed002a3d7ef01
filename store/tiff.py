"""TIFF files, decoded in a process of their own.

libtiff writes what it does not like to standard error, past everything that Python could do about
it, and there may be a screen there. So `python -m store.tiff` decodes one image from standard input
and writes it to standard output, uncompressed, with bounds on memory and time.
"""

from __future__ import annotations

import io
import resource
import subprocess
import sys

from PIL import Image as Pillow
from PIL.Image import Image

from store.errors import StoreError

MEMORY_LIMIT = 2 * 1024 * 1024 * 1024
SECONDS = 60


def decode_tiff(data: bytes) -> Image:
    """The first page of the TIFF file `data`, turned upright, as Pillow decodes it.

    Only the head of the file was looked at before. Raises `StoreError`.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "store.tiff"],
            cwd="/",
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"The TIFF file could not be decoded: {error}.") from None
    if done.returncode or not done.stdout:
        raise StoreError(
            "The TIFF file is damaged, or of a kind that is not read.", "Save it as PNG."
        )
    image = Pillow.open(io.BytesIO(done.stdout), formats=("TIFF",))
    image.load()
    return image


def main() -> int:
    """Decode what comes from standard input; status 1 where it cannot be."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        image = Pillow.open(io.BytesIO(sys.stdin.buffer.read()), formats=("TIFF",))
        image.load()
        profile = image.info.get("icc_profile")
        bare = Pillow.frombytes(image.mode, image.size, image.tobytes())
        if palette := image.getpalette():
            bare.putpalette(palette)
        bare.save(file := io.BytesIO(), "TIFF", **({"icc_profile": profile} if profile else {}))
    except Exception:  # noqa: BLE001 (whatever it was, the file cannot be read)
        return 1
    sys.stdout.buffer.write(file.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
