"""The sizes of the images that an engine makes."""

from __future__ import annotations

import math

import msgspec

from store.limits import SIZE_MAXIMUM, SIZE_MINIMUM, SIZE_MULTIPLE


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes that an engine accepts, in pixels (width, height).

    `only` lists them where they are few; else each side is a `multiple` from `low` to
    `high`, with at most `pixels_high` and at least `pixels_low` pixels in all.
    `suggested` are the ones that a list offers, `native` those made without resizing.
    """

    default: tuple[int, int]
    suggested: tuple[tuple[int, int], ...]
    native: tuple[tuple[int, int], ...] = ()
    only: tuple[tuple[int, int], ...] = ()
    multiple: int = 64
    low: int = 128
    high: int = 1024
    pixels_low: int = 0
    pixels_high: int = 1024 * 1024

    def accepts(self, size: tuple[int, int]) -> bool:
        """Whether an image of `size` (width, height in pixels) can be made."""
        if self.only:
            return size in self.only
        sides_fit = all(s % self.multiple == 0 and self.low <= s <= self.high for s in size)
        return sides_fit and self.pixels_low <= size[0] * size[1] <= self.pixels_high

    @property
    def words(self) -> str:
        """What is accepted, as a sentence without its point."""
        if self.only:
            return f"It makes {', '.join(f'{width}x{height}' for width, height in self.only)}"
        least = f"{self.pixels_low:,} to " if self.pixels_low else "at most "
        return (
            f"Each side is a multiple of {self.multiple} from {self.low} to {self.high}, "
            f"{least}{self.pixels_high:,} pixels in all"
        )

    def find_nearest(self, size: tuple[int, int]) -> tuple[int, int]:
        """`size` (width, height in pixels) if an image can have it, else the nearest possible one.

        Proportions weigh more than the number of pixels.
        """
        if _is_possible(size) and self.accepts(size):
            return size
        low, high = max(self.low, SIZE_MINIMUM), min(self.high, SIZE_MAXIMUM)
        sides = range(-(-low // self.multiple) * self.multiple, high + 1, self.multiple)
        known = self.only or [(width, height) for width in sides for height in sides]
        return min(
            (candidate for candidate in known if self.accepts(candidate)),
            key=lambda candidate: (_measure(size, candidate), candidate),
            default=self.default,
        )


def _is_possible(size: tuple[int, int]) -> bool:
    return all(s % SIZE_MULTIPLE == 0 and SIZE_MINIMUM <= s <= SIZE_MAXIMUM for s in size)


def _measure(size: tuple[int, int], other: tuple[int, int]) -> float:
    """How far two sizes are apart: other proportions weigh three times a change of scale."""
    width, height = (max(1, side) for side in size)
    proportions = math.log(width / height) - math.log(other[0] / other[1])
    scale = math.log(width * height) - math.log(other[0] * other[1])
    return 3 * abs(proportions) + abs(scale)
