"""Files of images for the tests, kept in memory by their digest."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from PIL import Image

from engines.base import Run
from store.errors import StoreError
from store.request import InitialImage, Mask, Upscale


def make_file(
    size: tuple[int, int] = (128, 128), kind: str = "PNG", mode: str = "RGB", *, start: int = 0
) -> bytes:
    """An image file with a gradient, which `start` moves."""
    bands = []
    for band in range(len(Image.new(mode, (1, 1)).getbands())):
        values = bytes(
            (start + 40 * band + x + y) % 256 for y in range(size[1]) for x in range(size[0])
        )
        bands.append(Image.frombytes("L", size, values))
    file = io.BytesIO()
    Image.merge(mode, bands).save(file, kind)
    return file.getvalue()


def make_mask_file(size: tuple[int, int] = (128, 128), kind: str = "PNG") -> bytes:
    """A mask: its left half is black, a stripe grey, the rest white."""
    mask = Image.new("L", size, 255)
    mask.paste(0, (0, 0, size[0] // 2, size[1]))
    mask.paste(100, (size[0] // 2, 0, size[0] // 2 + 8, size[1]))
    file = io.BytesIO()
    mask.save(file, kind)
    return file.getvalue()


class Shelf(dict[str, bytes]):
    """Files by their digest."""

    def put(self, data: bytes) -> str:
        """Keep `data`; its digest."""
        sha256 = hashlib.sha256(data).hexdigest()
        self[sha256] = data
        return sha256

    def read(self, sha256: str) -> bytes:
        """The file, as `Run.read_input` gives it."""
        if sha256 not in self:
            raise StoreError(f"There is no file {sha256[:8]}.")
        return self[sha256]

    def make_run(self, run_id: str = "run-1", **options: Any) -> Run:
        """A run that reads its inputs here."""
        return Run(id=run_id, inputs=self, **options)

    def make_initial(self, data: bytes | None = None, start: float = 0.6) -> InitialImage:
        """`data` as an initial image."""
        sha256 = self.put(make_file() if data is None else data)
        return InitialImage(sha256=sha256, start_schedule=start, end_schedule=0.01)

    def make_mask(self, data: bytes | None = None, **changes: Any) -> Mask:
        """`data` as a mask."""
        sha256 = self.put(make_mask_file() if data is None else data)
        return Mask(**{"sha256": sha256, "replaces": "black", "area_init": "random"} | changes)

    def make_upscale(self, data: bytes | None = None, upscaler: str = "esrgan") -> Upscale:
        """`data` as an image to be made larger."""
        return Upscale(sha256=self.put(make_file() if data is None else data), upscaler=upscaler)
