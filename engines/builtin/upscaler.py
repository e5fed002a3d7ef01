"""The upscaler in numpy: pictures of twice the width and height, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engines.builtin.autoencoder import to_bytes
from engines.builtin.convolutions import Convolutions, from_bytes, gather_squares
from engines.builtin.elementary import Floats
from engines.builtin.layers import fold
from engines.builtin.weights import Weights

TILE = 128
"""Side of a tile of the input in pixels, so that memory does not grow with the picture."""

MARGIN = 12
"""What a tile sees of its neighbours: six convolutions reach over two pixels each."""

_PAIRS = ("up.0", "up.1")


class Upscaler:
    """8-bit RGB pictures to the same at twice the size."""

    def __init__(self, weights: Weights) -> None:
        names = ("up.enter", *(f"{pair}.{part}" for pair in _PAIRS for part in "ab"), "up.leave")
        self._convolutions = Convolutions(weights, names)

    def enlarge(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w, 3) to (2 h, 2 w, 3)."""
        out = np.empty((2 * picture.shape[0], 2 * picture.shape[1], 3), np.uint8)
        for _ in self.fill(picture, out):
            pass
        return out

    def fill(self, picture: NDArray[np.uint8], out: NDArray[np.uint8]) -> Iterator[None]:
        """Write the enlarged `picture` to `out`, a tile at a time."""
        h, w, _ = picture.shape
        even = np.pad(picture, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
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

    def _enlarge_tile(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = from_bytes(picture)
        x = self._convolutions.apply("up.enter", gather_squares(pixels, 2))
        for pair in _PAIRS:
            x = self._convolutions.refine(pair, x)
        x = self._convolutions.apply("up.leave", np.maximum(x, 0))
        h, w, c = x.shape
        added: Floats = fold(x.reshape(h * w, c), h, w, side=4)
        added += pixels.repeat(2, axis=0).repeat(2, axis=1)
        return to_bytes(added)


def count_tiles(width: int, height: int) -> int:
    """How many tiles a picture of this size has."""
    return -(-width // TILE) * -(-height // TILE)


def _span(start: int, length: int) -> tuple[slice, int]:
    """A tile with its margins, and how much margin is before it."""
    margin = min(MARGIN, start)
    return slice(start - margin, min(length, start + TILE + MARGIN)), margin
