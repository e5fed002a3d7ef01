"""Multi-prompt guidance, by name.

`composed-3`: with u the denoised data predicted without text, d_i with prompt i alone, w_i its
weight and s the cfg scale, the guided prediction is

    g = u + s (e_1 w_1 c_1 + e_2 w_2 c_2 + ...)

where c_i is d_i - u and e_i is 1 for a weight above 0. Of what a negative prompt brings, c_i has
only the part that is perpendicular to p - u, with p the positive prompts' weighted mean: what both
have in common is asked for, and leading away from it leads to other things ("Perp-Neg", Armandpour
et al. 2023). And a negative weight counts EMPHASIS times, but not more than STRONG, while there is
almost only noise, up to the time EARLY of the network, and then less, once from LATE on: what will
be there is decided early, and what is there already can only be torn.

The deviation of g is then pulled towards a natural one, n = max(sd(p), sd(u)):

    g' = g (RESCALE n / sd(g) + 1 - RESCALE)   where sd(g) > n

which keeps large scales and weights from burning. Terms are added in an order of their own
(weight, then text), so that the order of the stack has no effect at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engines.builtin.elementary import Floats
from engines.builtin.methods import GUIDANCE

RESCALE = 0.7
EMPHASIS = 2.5
STRONG = 2.5
"""Weights beyond it, above the recommended range, count as they are."""
EARLY, LATE = 0.15, 0.3


def _deviation(x: Floats) -> float:
    wide = x.astype(np.float64).ravel()
    wide -= np.add.reduce(wide) / wide.size
    return math.sqrt(float(np.add.reduce(wide * wide) / wide.size))


def _multiply(x: Floats, y: Floats) -> float:
    """The sum of the products of all elements."""
    return float(np.add.reduce((x.astype(np.float64) * y).ravel()))


def keep_perpendicular(x: Floats, direction: Floats) -> Floats:
    """What remains of `x` without its part along `direction`, which may be 0."""
    length = _multiply(direction, direction)
    if length == 0:
        return x
    return x - np.float32(_multiply(x, direction) / length) * direction


def emphasize(weight: float, time: float) -> float:
    """How much `weight` counts at `time`, 0 for noise and 1 for denoised data."""
    if weight >= 0:
        return weight
    share = min(1.0, max(0.0, (LATE - time) / (LATE - EARLY)))
    emphasized = -weight * (1 + (EMPHASIS - 1) * share)
    return -max(-weight, min(emphasized, STRONG))


def compose(
    empty: Floats, terms: Sequence[tuple[float, Floats]], scale: float, time: float
) -> Floats:
    """The guided prediction at `time`, 0 for noise and 1 for denoised data.

    `terms`: (weight, prediction), in a fixed order, none of weight 0.
    """
    guided = empty.copy()
    positive, asked = np.zeros_like(empty), np.zeros_like(empty)
    total = sum(weight for weight, _ in terms if weight > 0)
    for weight, denoised in terms:
        if weight > 0:
            positive += np.float32(weight / total) * denoised
    if total:
        np.subtract(positive, empty, out=asked)
    for weight, denoised in terms:
        change = denoised - empty
        if weight < 0:
            change = keep_perpendicular(change, asked)
        guided += np.float32(scale * emphasize(weight, time)) * change
    wanted = max(_deviation(positive), _deviation(empty))
    found = _deviation(guided)
    if found > wanted:
        guided *= np.float32(RESCALE * wanted / found + 1 - RESCALE)
    return guided


Guidance = Callable[[Floats, Sequence[tuple[float, Floats]], float, float], Floats]

GUIDANCES: Mapping[str, Guidance] = {GUIDANCE: compose}
"""The ways to compose predictions, by name."""
