"""Noise levels of the steps. Sigma is the deviation of the noise beside clean data of
deviation 1; the network's time is t = 1 / (1 + sigma), 0 for noise and 1 for clean.

`share-1`, for an image that starts from another one: the start schedule s is the share of noise
at the first step, so sigma = s / (1 - s), at most the highest level; of N steps the s-th part is
taken (s N, halves upward, at least one), spaced from that level as the sampler spaces its steps.
That is what Stable Diffusion does with a strength: the last part of a schedule in time. The end
schedule e leaves out the last e N of these steps (whole ones, at least one step stays): the step
before them takes the clean prediction.
"""

from __future__ import annotations

import math

from engines.builtin.elementary import power

SCHEDULE = "karras-3"
PARTIAL_SCHEDULE = "share-1"
SIGMA_MAXIMUM = 60.0
SIGMA_MINIMUM = 0.03
RHO = 3.0
_ROUNDING = 1e-9
"""So that 0.29 of 100 steps are 29."""


def to_time(sigma: float) -> float:
    """The network's time of a noise level."""
    return 1 / (1 + sigma)


def to_sigma(share: float) -> float:
    """The noise level at which noise has this share (0 to 1), at most the highest level."""
    return min(share / (1 - share), SIGMA_MAXIMUM) if share < 1 else SIGMA_MAXIMUM


def karras_sigmas(steps: int, first: float = SIGMA_MAXIMUM) -> list[float]:
    """Levels from `first` to the lowest, evenly spaced in sigma^(1/RHO), then 0.

    The spacing is that of Karras et al. 2022, with an exponent for this network.
    """
    high, low = power(first, 1 / RHO), power(min(SIGMA_MINIMUM, first / 10), 1 / RHO)
    last = max(1, steps - 1)
    return [(high + (low - high) * k / last) ** 3 for k in range(steps)] + [0.0]


def uniform_sigmas(steps: int, first: float = SIGMA_MAXIMUM) -> list[float]:
    """Levels evenly spaced in the network's time, from `first` to 0."""
    start = to_time(first)
    times = [start + (1 - start) * k / steps for k in range(steps)]
    return [(1 - t) / t for t in times] + [0.0]


def make_sigmas(sampler: str, steps: int, start: float = 1.0, end: float = 0.0) -> list[float]:
    """The levels of a sampler, one more than the steps that are taken; the last is 0.

    `start` (above 0) and `end`: the start and end schedule of an initial image, see `share-1`.
    """
    taken = max(1, math.floor(start * steps + 0.5 + _ROUNDING))
    space = uniform_sigmas if sampler in ("ddim", "ddpm") else karras_sigmas
    levels = space(taken, to_sigma(start))
    kept = max(1, taken - math.floor(end * steps + _ROUNDING))
    return [*levels[:kept], 0.0]
