"""The numeric kernels that a process must use so that every machine gives the same bits.

numpy's OpenBLAS chooses its matrix kernels by the processor, and splits products over its
threads; both change the order of sums and so the last bits. A process that is started with
`pin_environment` uses the AVX2 kernels on one thread wherever it runs. Everything else in the
engine is made of operations that IEEE 754 defines exactly.
"""

from __future__ import annotations

import os
import platform
import sys

PINNED = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}
_UNWANTED = ("OPENBLAS_L2_SIZE", "GOTO_NUM_THREADS")


def pin_environment(environment: dict[str, str]) -> dict[str, str]:
    """A copy of `environment` in which a process must start (before numpy is imported)."""
    kept = {name: value for name, value in environment.items() if name not in _UNWANTED}
    return {**kept, **PINNED}


def has_pinned_environment() -> bool:
    """Whether this process was started with the pinned variables."""
    return all(os.environ.get(name) == value for name, value in PINNED.items()) and not any(
        name in os.environ for name in _UNWANTED
    )


def is_exact_machine() -> bool:
    """Whether the promise of equal bits covers this kind of machine (x86-64)."""
    return platform.machine().lower() in ("x86_64", "amd64")


def describe_kernels() -> str:
    """The matrix kernels in use, for the environment record: `OpenBLAS 0.3.30 Haswell, 1 thread`.

    Imports numpy.
    """
    import numpy  # noqa: F401  # its library must be loaded to be found
    from threadpoolctl import threadpool_info

    for pool in threadpool_info():
        if pool.get("user_api") == "blas":
            threads = pool["num_threads"]
            name = {"openblas": "OpenBLAS"}.get(pool["internal_api"], pool["internal_api"])
            plural = "" if threads == 1 else "s"
            return f"{name} {pool['version']} {pool.get('architecture')}, {threads} thread{plural}"
    return f"no BLAS found on {sys.platform}"


def find_kernel_problem() -> str | None:
    """Why this process would not give the promised bits; None when it does.

    Imports numpy.
    """
    if not is_exact_machine():
        return f"a {platform.machine()} machine has other kernels"
    described = describe_kernels()
    if "Haswell, 1 thread" not in described or "threads" in described:
        return f"the matrix kernels are {described}, not Haswell on 1 thread"
    return None
