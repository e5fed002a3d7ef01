"""Numbers on the wire: 32-bit floats.

1.3 travels as 1.2999999523162842. Reading takes the shortest decimal that travels as the same
number, so what a person types with up to six digits comes back exactly.
"""

from __future__ import annotations

import struct

from store.errors import RequestError


def shorten_float(value: float) -> float:
    """The decimal with the fewest digits that is the same 32-bit float as `value`."""
    packed = struct.pack("<f", value)
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return float(f"{value:.9g}")


def check_float(field: str, value: float) -> float:
    """`value` as it travels. Raises `RequestError` when nothing would be left of it."""
    travels: float = struct.unpack("<f", struct.pack("<f", value))[0]
    if value != 0 and travels == 0:
        raise RequestError(field, value, f"{value:g} is too close to 0 to be sent.")
    return travels
