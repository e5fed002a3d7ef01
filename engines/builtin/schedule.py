"""Noise levels of the steps. Sigma is the deviation of the noise beside clean data of
deviation 1; the network's time is t = 1 / (1 + sigma), 0 for noise and 1 for clean.
"""

from __future__ import annotations

from engines.builtin.precise import power

SCHEDULE = "karras-3"
SIGMA_MAXIMUM = 60.0
SIGMA_MINIMUM = 0.03
RHO = 3.0


def to_time(sigma: float) -> float:
    """The network's time of a noise level."""
    return 1 / (1 + sigma)


def karras_sigmas(steps: int) -> list[float]:
    """Levels from the highest to the lowest, evenly spaced in sigma^(1/RHO), then 0.

    The spacing is that of Karras et al. 2022, with an exponent for this network.
    """
    high, low = power(SIGMA_MAXIMUM, 1 / RHO), power(SIGMA_MINIMUM, 1 / RHO)
    last = max(1, steps - 1)
    return [(high + (low - high) * k / last) ** 3 for k in range(steps)] + [0.0]


def uniform_sigmas(steps: int) -> list[float]:
    """Levels evenly spaced in the network's time, from the highest level to 0."""
    first = to_time(SIGMA_MAXIMUM)
    times = [first + (1 - first) * k / steps for k in range(steps)]
    return [(1 - t) / t for t in times] + [0.0]


def make_sigmas(sampler: str, steps: int) -> list[float]:
    """The `steps` + 1 levels of a sampler; the last is 0."""
    return uniform_sigmas(steps) if sampler in ("ddim", "ddpm") else karras_sigmas(steps)
