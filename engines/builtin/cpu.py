"""The numeric kernels of this process: their name, their threads, and a check of the promise.

No kernel can change a bit of what the engine makes (`quantized.py` says why), as long as the
machine keeps to IEEE 754 and numpy adds up the elements of a row in its documented pairwise order.
`find_kernel_problem` tries both on numbers at the bounds.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.builtin.elementary import Floats


def describe_kernels() -> str:
    """The matrix kernels in use, for the environment record: `OpenBLAS 0.3.30 SkylakeX`.

    Imports numpy.
    """
    import numpy  # noqa: F401  # its library must be loaded to be found
    from threadpoolctl import threadpool_info

    for pool in threadpool_info():
        if pool.get("user_api") == "blas":
            name = {"openblas": "OpenBLAS"}.get(pool["internal_api"], pool["internal_api"])
            return f"{name} {pool['version']} {pool.get('architecture')}"
    return f"no BLAS found on {sys.platform}"


def use_own_threads() -> None:
    """Keep each matrix product of this process on the thread that asks for it.

    For speed: the engine shares out its work itself. Imports numpy.
    """
    import numpy  # noqa: F401  # its library must be loaded to be found
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


def add_pairwise(x: Floats) -> Floats:
    """Sums along the last axis, kept, in numpy's order, by additions of single elements."""
    import numpy as np

    count = x.shape[-1]
    if count < 8:
        total = np.full_like(x[..., :1], -0.0)
        for k in range(count):
            total = total + x[..., k : k + 1]
        return total
    if count > 128:
        half = count // 2
        half -= half % 8
        return add_pairwise(x[..., :half]) + add_pairwise(x[..., half:])
    sums = x[..., :8].copy()
    for start in range(8, count - count % 8, 8):
        sums += x[..., start : start + 8]
    for _ in range(3):
        sums = sums[..., ::2] + sums[..., 1::2]
    for k in range(count - count % 8, count):
        sums = sums + x[..., k : k + 1]
    return sums


@cache
def find_kernel_problem() -> str | None:
    """Why this process would not give the promised bits; None when it does.

    Imports numpy; takes some milliseconds.
    """
    import numpy as np

    from engines.builtin.quantized import LIMIT

    rng = np.random.Generator(np.random.Philox(1))
    for depth in (36, 192, 512):
        weights = rng.integers(-127, 128, (depth, 64))
        levels = LIMIT // int(np.abs(weights).sum(0).max())
        rows = rng.integers(-levels, levels + 1, (50, depth))
        # One row at the bound: every product has the same sign.
        rows[0] = np.sign(weights[:, np.abs(weights).sum(0).argmax()]) * levels
        found = rows.astype(np.float32) @ weights.astype(np.float32)
        if not np.array_equal(found, (rows @ weights).astype(np.float32)):
            return f"its matrix kernels ({describe_kernels()}) round sums of whole numbers"
    for count in (5, 64, 65, 86, 141, 173, 256):
        values = np.square(rng.standard_normal((20, count)).astype(np.float32))
        if not np.array_equal(np.add.reduce(values, -1, keepdims=True), add_pairwise(values)):
            return f"numpy {np.__version__} adds up rows of {count} in another order"
    small = np.float32(2.0**-126)
    if small / np.float32(4) * np.float32(4) != small:
        return "its float32 has no numbers below the normal ones"
    return None
