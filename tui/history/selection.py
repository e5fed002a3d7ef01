"""Which images of a list are marked: some of them, or all but some. A bit an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class NumberSet:
    """Numbers of images: an eighth of a byte for each up to the highest, so a range costs nothing.

    Grows with the highest number, not with how many there are.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self._count = 0
        for number in numbers:
            self.add(number)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, number: int) -> bool:
        place, bit = divmod(number, 8)
        return 0 <= place < len(self._bits) and bool(self._bits[place] >> bit & 1)

    def __iter__(self) -> Iterator[int]:
        """From the highest to the lowest, as a history is listed."""
        for place in range(len(self._bits) - 1, -1, -1):
            if bits := self._bits[place]:
                for bit in range(7, -1, -1):
                    if bits >> bit & 1:
                        yield place * 8 + bit

    def copy(self) -> NumberSet:
        """The same numbers, in a set of their own."""
        other = NumberSet()
        other._bits, other._count = self._bits[:], self._count
        return other

    def add(self, number: int) -> None:
        """Take the number in."""
        if number in self or number < 0:
            return
        place, bit = divmod(number, 8)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << bit
        self._count += 1

    def discard(self, number: int) -> None:
        """Take the number out."""
        if number in self:
            place, bit = divmod(number, 8)
            self._bits[place] &= ~(1 << bit)
            self._count -= 1


class Selection:
    """The marked images of one list: `numbers`, or all that were found but those.

    What is made after all were marked is not among them.
    """

    def __init__(self) -> None:
        self.numbers = NumberSet()
        self._newest: int | None = None
        self._found = 0

    @property
    def is_all(self) -> bool:
        """Whether all found are marked but those in `numbers`."""
        return self._newest is not None

    def __contains__(self, number: int) -> bool:
        if self._newest is None:
            return number in self.numbers
        return number <= self._newest and number not in self.numbers

    def __bool__(self) -> bool:
        return len(self) > 0

    def __len__(self) -> int:
        """How many images are marked."""
        return self._found - len(self.numbers) if self.is_all else len(self.numbers)

    def set(self, numbers: Iterable[int], *, is_marked: bool) -> None:
        """Mark these images, or take their marks away."""
        for number in numbers:
            if self._newest is None or number <= self._newest:
                adds = is_marked != self.is_all
                (self.numbers.add if adds else self.numbers.discard)(number)

    def mark_all(self, found: int, newest: int) -> None:
        """Mark all that were `found`; `newest` is the highest number that an image has now."""
        self.numbers, self._newest, self._found = NumberSet(), newest, found

    def settle(self, found: int) -> None:
        """How many were found is known now."""
        if self._newest is not None:
            self._found = found

    def clear(self) -> None:
        """Mark nothing."""
        self.numbers, self._newest, self._found = NumberSet(), None, 0

    def copy(self) -> Selection:
        """What is marked now, whatever is marked later."""
        other = Selection()
        other.numbers = self.numbers.copy()
        other._newest, other._found = self._newest, self._found
        return other
