"""The upscaler in numpy, tile by tile, and requests that make an image larger with it.

The network doubles width and height; it is used once or twice, then Lanczos fits the size.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.base import EngineError, Event, Failure, Produced, Progressed, StageReached, Warned
from engines.builtin.elementary import Floats, fold, gather_squares
from engines.builtin.models import UPSCALE_FACTOR, UPSCALE_INPUT, UPSCALE_MODEL, UPSCALE_SIDE
from engines.builtin.pixels import (
    ReadInput,
    Size,
    encode_png,
    fit,
    from_bytes,
    is_cropped,
    read_image,
    to_bytes,
)
from engines.builtin.quantized import Convolutions
from engines.builtin.weights import Weights
from store.pixels import digest_pixels
from store.request import Parameters

TILE = 128
"""Side of a tile of the input in pixels, so that memory does not grow with the image."""

MARGIN = 12
"""What a tile sees of its neighbours: six convolutions reach over two pixels each."""

_PAIRS = ("up.0", "up.1")


class Upscaler:
    """8-bit RGB images to the same at twice the size."""

    def __init__(self, weights: Weights) -> None:
        names = ("up.enter", *(f"{pair}.{part}" for pair in _PAIRS for part in "ab"), "up.leave")
        self._convolutions = Convolutions(weights, names)

    def enlarge(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w, 3) to (2 h, 2 w, 3)."""
        out = np.empty((2 * image.shape[0], 2 * image.shape[1], 3), np.uint8)
        for _ in self.fill(image, out):
            pass
        return out

    def fill(self, image: NDArray[np.uint8], out: NDArray[np.uint8]) -> Iterator[None]:
        """Write the enlarged `image` to `out`, a tile at a time."""
        h, w, _ = image.shape
        even = np.pad(image, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
        for top in range(0, h, TILE):
            for left in range(0, w, TILE):
                rows, above = _span(top, even.shape[0])
                columns, before = _span(left, even.shape[1])
                made = self._enlarge_tile(even[rows, columns])
                place = out[2 * top : 2 * (top + TILE), 2 * left : 2 * (left + TILE)]
                place[:] = made[
                    2 * above : 2 * above + place.shape[0],
                    2 * before : 2 * before + place.shape[1],
                ]
                yield

    def _enlarge_tile(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = from_bytes(image)
        x = self._convolutions.apply("up.enter", gather_squares(pixels, 2))
        for pair in _PAIRS:
            x = self._convolutions.refine(pair, x)
        x = self._convolutions.apply("up.leave", np.maximum(x, 0))
        h, w, c = x.shape
        added: Floats = fold(x.reshape(h * w, c), h, w, side=4)
        added += pixels.repeat(2, axis=0).repeat(2, axis=1)
        return to_bytes(added)


def count_tiles(width: int, height: int) -> int:
    """How many tiles a image of this size has."""
    return -(-width // TILE) * -(-height // TILE)


def _span(start: int, length: int) -> tuple[slice, int]:
    """A tile with its margins, and how much margin is before it."""
    margin = min(MARGIN, start)
    return slice(start - margin, min(length, start + TILE + MARGIN)), margin


def upscale(
    upscaler: Upscaler, parameters: Parameters, read_input: ReadInput
) -> Generator[Event, None, None]:
    """The events of one image, `Produced` last; a step is a tile. Raises `EngineError`."""
    settings = parameters.upscale
    assert settings is not None
    wanted = (parameters.width, parameters.height)
    image = read_image(read_input, settings.sha256, "image to make larger")
    given = image.size
    passes = _count_passes(given, wanted)
    if settings.upscaler != "rgb":
        yield Warned(
            f"The embedded model has one upscaler, {UPSCALE_MODEL}; it was used in place of "
            f"{settings.upscaler}."
        )
    if not passes:
        yield Warned(
            f"{wanted[0]}x{wanted[1]} is not larger than the image ({given[0]}x{given[1]}): it "
            "was only resized."
        )
    if is_cropped(given, wanted):
        yield Warned(
            f"The image ({given[0]}x{given[1]}) has other proportions than "
            f"{wanted[0]}x{wanted[1]}: its edges are cut off."
        )
    yield StageReached("initial image", 0, digest_pixels(image))
    steps = sum(count_tiles(given[0] << k, given[1] << k) for k in range(passes))
    step = 0
    for _ in range(passes):
        pixels = np.asarray(image)
        out = np.empty((2 * image.height, 2 * image.width, 3), np.uint8)
        for _ in upscaler.fill(pixels, out):
            step += 1
            yield Progressed(step, steps)
        image = Image.fromarray(out)
    upscaled = image.size
    image = fit(image, wanted)
    yield StageReached("pixels", 0, digest_pixels(image))
    meta = {
        "made from": f"{given[0]}x{given[1]}",
        "upscaled": f"{passes} times x2 by {UPSCALE_MODEL}",
        "resizing": "none" if upscaled == wanted else "Lanczos, cropped to fill",
    }
    yield Produced(data=encode_png(image), mime="image/png", seed=parameters.seed, meta=meta)


def _count_passes(given: Size, wanted: Size) -> int:
    """How often the size is doubled. Raises `EngineError` when a size is out of range."""
    low, high = UPSCALE_INPUT
    if not all(low <= side <= high for side in given):
        raise EngineError(
            Failure.INVALID_REQUEST,
            f"The image is {given[0]}x{given[1]}; the embedded model enlarges images of {low} to "
            f"{high} pixels a side.",
            "Give one of such a size.",
        )
    if any(aim > UPSCALE_SIDE for aim in wanted):
        raise EngineError(
            Failure.INVALID_REQUEST,
            f"The size {wanted[0]}x{wanted[1]} is too large for the embedded model.",
            f"Each side is at most {UPSCALE_SIDE}.",
        )
    if any(aim > UPSCALE_FACTOR * side for aim, side in zip(wanted, given, strict=True)):
        raise EngineError(
            Failure.INVALID_REQUEST,
            f"{wanted[0]}x{wanted[1]} is more than {UPSCALE_FACTOR} times the image "
            f"({given[0]}x{given[1]}).",
            f"Give at most {min(UPSCALE_SIDE, UPSCALE_FACTOR * given[0])}x"
            f"{min(UPSCALE_SIDE, UPSCALE_FACTOR * given[1])}.",
        )
    factor = max(aim / side for aim, side in zip(wanted, given, strict=True))
    return 0 if factor <= 1 else 1 if factor <= 2 else 2
