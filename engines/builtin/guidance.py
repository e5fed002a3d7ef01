"""Multi-prompt guidance, by name.

`composed-1`: with u the clean data predicted without text, d_i with prompt i alone, w_i its
weight and s the cfg scale, the guided prediction is

    g = u + s (w_1 (d_1 - u) + w_2 (d_2 - u) + ...)

whose deviation is then pulled towards a natural one, n = max(sd(p), sd(u)) with p the positive
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

GUIDANCE = "composed-1"
RESCALE = 0.95


def _deviation(x: Floats) -> float:
    wide = x.astype(np.float64).ravel()
    wide -= np.add.reduce(wide) / wide.size
    return math.sqrt(float(np.add.reduce(wide * wide) / wide.size))


def compose(empty: Floats, terms: Sequence[tuple[float, Floats]], scale: float) -> Floats:
    """The guided prediction. `terms`: (weight, prediction), in a fixed order, none of weight 0."""
    guided = empty.copy()
    positive = np.zeros_like(empty)
    total = sum(weight for weight, _ in terms if weight > 0)
    for weight, clean in terms:
        guided += np.float32(scale * weight) * (clean - empty)
        if weight > 0:
            positive += np.float32(weight / total) * clean
    wanted = max(_deviation(positive), _deviation(empty))
    found = _deviation(guided)
    if found > wanted:
        guided *= np.float32(RESCALE * wanted / found + 1 - RESCALE)
    return guided
