"""Helpers of the tests of the embedded model."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engines.base import Event, Produced, StageReached, Warned
from engines.builtin.pipeline import Pipeline
from store.errors import StoreError
from store.request import InitialImage, Mask, Request, Upscale
from tests.factories import encode_image


def draw_picture(size: tuple[int, int] = (128, 128)) -> Image.Image:
    """A house under the sun, in shapes that stay where they are at every size."""
    draw = ImageDraw.Draw(image := Image.new("RGB", (size[0] * 4, size[1] * 4), (120, 180, 240)))

    def place(*box: float) -> list[float]:
        return [v * image.size[k % 2] for k, v in enumerate(box)]

    draw.rectangle(place(0, 0.62, 1, 1), fill=(110, 180, 90))
    draw.ellipse(place(0.7, 0.08, 0.9, 0.28), fill=(255, 225, 90))
    draw.rectangle(place(0.2, 0.45, 0.55, 0.75), fill=(235, 220, 190))
    draw.polygon(place(0.15, 0.45, 0.375, 0.25, 0.6, 0.45), fill=(180, 70, 60))
    draw.rectangle(place(0.3, 0.52, 0.4, 0.62), fill=(70, 90, 140))
    return image.reduce(4)


def draw_mask(size: tuple[int, int] = (128, 128)) -> Image.Image:
    """White on the right half, black on the left, a grey line of a sixteenth between."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    draw.rectangle((size[0] // 2, 0, size[0], size[1]), fill=255)
    draw.rectangle((size[0] // 2, 0, size[0] // 2 + size[0] // 16 - 1, size[1]), fill=128)
    return mask


class Inputs:
    """Files that requests start from, by their digests."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def add(self, image: Image.Image | bytes, kind: str = "PNG") -> str:
        """Keep a image as a file, or a file; give its digest."""
        if isinstance(image, Image.Image):
            image = encode_image(image, kind)
        sha256 = hashlib.sha256(image).hexdigest()
        self._files[sha256] = image
        return sha256

    def read(self, sha256: str) -> bytes:
        """The file. Raises `StoreError` as the store does."""
        if sha256 not in self._files:
            raise StoreError(f"The image file {sha256[:8]} is gone.", "Give it again.")
        return self._files[sha256]

    def start(
        self, image: Image.Image | bytes, start: float = 0.5, end: float = 0.0
    ) -> InitialImage:
        """The parameter for an image to start from."""
        return InitialImage(sha256=self.add(image), start_schedule=start, end_schedule=end)

    def mask(self, image: Image.Image | bytes, replaces: Any = "white", area: Any = "zero") -> Mask:
        """The parameter for a mask."""
        return Mask(sha256=self.add(image), replaces=replaces, area_init=area)

    def upscale(self, image: Image.Image | bytes, upscaler: str = "rgb") -> Upscale:
        """The parameter for an image to make larger."""
        return Upscale(sha256=self.add(image), upscaler=upscaler)


def run(pipeline: Pipeline, request: Request, inputs: Inputs | None = None) -> list[Event]:
    """All events of one image."""
    return list(pipeline.generate(request, (inputs or Inputs()).read))


def stages(events: list[Event]) -> dict[str, str]:
    """The digests by name, those of one name by `NAME STEP`."""
    found = [e for e in events if isinstance(e, StageReached)]
    return {f"{e.name} {e.step}" if e.step else e.name: e.sha256 for e in found}


def pixels(events: list[Event]) -> NDArray[np.uint8]:
    """The decoded image of the last event."""
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.data is not None
    with Image.open(io.BytesIO(produced.data), formats=["PNG"]) as image:
        return np.asarray(image)


def measure_psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Likeness of two images in dB."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def warnings(events: list[Event]) -> str:
    """What the engine warned about."""
    return " ".join(e.text for e in events if isinstance(e, Warned))
