"""The samplers and their noise schedules, over a predictor of denoised data.

Reading this module loads no numpy: it is also the one list of the samplers' names.

Sigma is the deviation of the noise beside denoised data of deviation 1; the network's time is
t = 1 / (1 + sigma), 0 for noise and 1 for denoised. Each sampler is a generator: it takes one
step at a time and yields (x, denoised): the noisy data after the step and the denoised data
predicted in it.
`denoise(x, sigma)` predicts; `noise(step, part)` draws. Sources: DDIM (Song et al. 2020), DDPM (Ho
et al. 2020), Heun and Euler as in Karras et al. 2022, DPM-Solver-2 (Lu et al. 2022), DPM-Solver++
(Lu et al. 2022), linear multistep (Adams-Bashforth), each in the form that k-diffusion made usual.

`share-1`, for an image that starts from another one: the start schedule s is the share of noise
at the first step, so sigma = s / (1 - s), at most the highest level; of N steps the s-th part is
taken (s N, halves upward, at least one), spaced from that level as the sampler spaces its steps.
That is what Stable Diffusion does with a strength: the last part of a schedule in time. The end
schedule e leaves out the last e N of these steps (whole ones, at least one step stays): the step
before them takes the denoised prediction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from engines.builtin.scalars import log, power, single

if TYPE_CHECKING:
    from engines.builtin.elementary import Floats

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


Denoise = Callable[["Floats", float], "Floats"]
Noise = Callable[[int, int], "Floats"]
Steps = Iterator[tuple["Floats", "Floats"]]
Sampler = Callable[[Denoise, "Floats", Sequence[float], Noise], Steps]


def _blend(share: float, x: Floats, denoised: Floats) -> Floats:
    """`share` x + (1 - share) denoised: the noise of `x` shrunk to that share."""
    return single(share) * x + single(1 - share) * denoised


def _slope(x: Floats, denoised: Floats, sigma: float) -> Floats:
    """dx / dsigma."""
    return (x - denoised) * single(1 / sigma)


def _split(high: float, low: float) -> tuple[float, float]:
    """An ancestral step: the level to go down to, and the fresh noise that leads to `low`."""
    down = low * low / high
    return down, (low * low - down * down) ** 0.5


def euler(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """First order, deterministic. In these terms DDIM is the same formula."""
    for high, low in itertools.pairwise(sigmas):
        denoised = denoise(x, high)
        x = _blend(low / high, x, denoised)
        yield x, denoised


def euler_ancestral(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """First order with fresh noise at each step. In these terms DDPM is the same formula."""
    for step, (high, low) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, high)
        down, up = _split(high, low)
        x = _blend(down / high, x, denoised)
        if low > 0:
            x = x + single(up) * noise(step, 0)
        yield x, denoised


def heun(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """Second order: the mean of the slopes at both ends."""
    for high, low in itertools.pairwise(sigmas):
        denoised = denoise(x, high)
        if low == 0:
            x = denoised
        else:
            slope = _slope(x, denoised, high)
            guess = x + slope * single(low - high)
            end = _slope(guess, denoise(guess, low), low)
            x = x + (slope + end) * single((low - high) / 2)
        yield x, denoised


def _midpoint(denoise: Denoise, x: Floats, denoised: Floats, high: float, low: float) -> Floats:
    """A second-order step by the slope at the geometric mean of the levels."""
    middle = (high * low) ** 0.5
    guess = _blend(middle / high, x, denoised)
    return x + _slope(guess, denoise(guess, middle), middle) * single(low - high)


def dpm_2(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """DPM-Solver-2: second order by the midpoint."""
    for high, low in itertools.pairwise(sigmas):
        denoised = denoise(x, high)
        x = denoised if low == 0 else _midpoint(denoise, x, denoised, high, low)
        yield x, denoised


def dpm_2_ancestral(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """The midpoint step down, then fresh noise up."""
    for step, (high, low) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, high)
        if low == 0:
            x = denoised
        else:
            down, up = _split(high, low)
            x = _midpoint(denoise, x, denoised, high, down) + single(up) * noise(step, 0)
        yield x, denoised


def _lagrange_integral(nodes: Sequence[float], index: int, start: float, end: float) -> float:
    """The integral of the polynomial that is 1 at `nodes[index]` and 0 at the other nodes."""
    terms = [1.0]
    for k, node in enumerate(nodes):
        if k != index:
            gap = nodes[index] - node
            shifted = [0.0, *terms]
            terms = [s / gap - node * t / gap for s, t in zip(shifted, [*terms, 0.0], strict=True)]
    return sum(c / (n + 1) * (end ** (n + 1) - start ** (n + 1)) for n, c in enumerate(terms))


def lms(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """Linear multistep of up to fourth order: one prediction a step, past slopes reused."""
    slopes: list[Floats] = []
    for step, (high, low) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, high)
        slopes = [_slope(x, denoised, high), *slopes[:3]]
        nodes = [sigmas[step - k] for k in range(len(slopes))]
        if low == 0:
            x = denoised
        else:
            for k, slope in enumerate(slopes):
                x = x + slope * single(_lagrange_integral(nodes, k, high, low))
        yield x, denoised


def dpmpp_2s_ancestral(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """DPM-Solver++ (2S): second order in the logarithm of sigma, then fresh noise."""
    for step, (high, low) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, high)
        if low == 0:
            x = denoised
        else:
            down, up = _split(high, low)
            middle = (high * down) ** 0.5
            better = denoise(_blend(middle / high, x, denoised), middle)
            x = _blend(down / high, x, better) + single(up) * noise(step, 0)
        yield x, denoised


def dpmpp_2m(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """DPM-Solver++ (2M): second order, one prediction a step, the last one reused."""
    previous: Floats | None = None
    before = 0.0
    for high, low in itertools.pairwise(sigmas):
        denoised = denoise(x, high)
        if low == 0:
            x = denoised
        else:
            width = log(high / low)
            better = denoised
            if previous is not None:
                share = single(width / (2 * before))
                better = denoised + share * (denoised - previous)
            x, before = _blend(low / high, x, better), width
        previous = denoised
        yield x, denoised


def dpmpp_sde(denoise: Denoise, x: Floats, sigmas: Sequence[float], noise: Noise) -> Steps:
    """DPM-Solver++ (SDE): a noisy half step to look, then the noisy whole step.

    The noise of the whole step contains that of the half step, as in one Brownian path.
    """
    for step, (high, low) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, high)
        if low == 0:
            x = denoised
        else:
            middle = (high * low) ** 0.5
            first, second = noise(step, 0), noise(step, 1)
            down, up = _split(high, middle)
            guess = _blend(down / high, x, denoised) + single(up) * first
            better = denoise(guess, middle)
            down, up = _split(high, low)
            early = ((high - middle) / (high - low)) ** 0.5
            late = ((middle - low) / (high - low)) ** 0.5
            fresh: Floats = single(early) * first + single(late) * second
            x = _blend(down / high, x, better) + single(up) * fresh
        yield x, denoised


FORMULAS: dict[str, Sampler] = {
    "ddim": euler,
    "ddpm": euler_ancestral,
    "k_euler": euler,
    "k_euler_ancestral": euler_ancestral,
    "k_heun": heun,
    "k_dpm_2": dpm_2,
    "k_dpm_2_ancestral": dpm_2_ancestral,
    "k_lms": lms,
    "k_dpmpp_2s_ancestral": dpmpp_2s_ancestral,
    "k_dpmpp_2m": dpmpp_2m,
    "k_dpmpp_sde": dpmpp_sde,
}
"""Sampler names of the API and their formulas, which keep their bits: another has another name."""
