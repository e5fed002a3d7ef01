"""Functions of single numbers with the same bits on every machine; reading them loads no numpy.

System libraries differ in the last bit of exp, log and powers, so these go through `decimal`,
which is exact by its specification.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_CONTEXT = Context(prec=25)


def log(value: float) -> float:
    """Natural logarithm of a positive number."""
    return float(_CONTEXT.ln(Decimal(value)))


def exp(value: float) -> float:
    """e to the power of a number."""
    return float(_CONTEXT.exp(Decimal(value)))


def power(base: float, exponent: float) -> float:
    """`base` (positive) to the power of a number."""
    return float(_CONTEXT.power(Decimal(base), Decimal(exponent)))


def single(value: float) -> np.float32:
    """The float32 nearest to a number. Imports numpy."""
    import numpy as np

    return np.float32(value)
