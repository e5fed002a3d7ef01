"""Multi-prompt guidance, by name.

`composed-2`: with u the clean data predicted without text, d_i with prompt i alone, w_i its
weight and s the cfg scale, the guided prediction is

    g = u + s (e_1 w_1 (d_1 - u) + e_2 w_2 (d_2 - u) + ...)

where e_i is 1 for a weight above 0. A negative weight counts EMPHASIS times, but not more than
STRONG, while there is almost only noise, up to the time EARLY of the network, and then less, once
from LATE on: what will be there is decided early, and what is there already can only be torn.

The deviation of g is then pulled towards a natural one, n = max(sd(p), sd(u)) with p the positive
prompts' weighted mean:

    g' = g (RESCALE n / sd(g) + 1 - RESCALE)   where sd(g) > n

which keeps large scales and weights from burning. Terms are added in an order of their own
(weight, then text), so that the order of the stack has no effect at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engines.builtin.precise import Floats

GUIDANCE = "composed-2"
RESCALE = 0.7
EMPHASIS = 2.0
STRONG = 2.0
"""Weights beyond it, where the recommended range ends, count as they are."""
EARLY, LATE = 0.1, 0.2


def _deviation(x: Floats) -> float:
    wide = x.astype(np.float64).ravel()
    wide -= np.add.reduce(wide) / wide.size
    return math.sqrt(float(np.add.reduce(wide * wide) / wide.size))


def emphasize(weight: float, time: float) -> float:
    """How much `weight` counts at `time`, 0 for noise and 1 for clean data."""
    if weight >= 0:
        return weight
    share = min(1.0, max(0.0, (LATE - time) / (LATE - EARLY)))
    emphasized = -weight * (1 + (EMPHASIS - 1) * share)
    return -max(-weight, min(emphasized, STRONG))


def compose(
    empty: Floats, terms: Sequence[tuple[float, Floats]], scale: float, time: float
) -> Floats:
    """The guided prediction at `time`, 0 for noise and 1 for clean data.

    `terms`: (weight, prediction), in a fixed order, none of weight 0.
    """
    guided = empty.copy()
    positive = np.zeros_like(empty)
    total = sum(weight for weight, _ in terms if weight > 0)
    for weight, clean in terms:
        guided += np.float32(scale * emphasize(weight, time)) * (clean - empty)
        if weight > 0:
            positive += np.float32(weight / total) * clean
    wanted = max(_deviation(positive), _deviation(empty))
    found = _deviation(guided)
    if found > wanted:
        guided *= np.float32(RESCALE * wanted / found + 1 - RESCALE)
    return guided
