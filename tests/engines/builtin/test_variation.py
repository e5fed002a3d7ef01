"""A variation seed: from one seed's image to the other's, bit by bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engines.builtin.noise import Draws, Stream
from engines.builtin.pipeline import Pipeline
from store.request import Variation
from tests.engines.builtin.making import pixels, run, stages
from tests.factories import SEED, make_quick_request
from tests.repeats import keep

OTHER = 77


@pytest.mark.parametrize(
    "sampler",
    keep(["k_dpmpp_2m", "k_euler_ancestral", "k_dpmpp_sde"], lambda name: name == "k_dpmpp_sde"),
)
def test_its_ends_are_the_two_seeds(pipeline: Pipeline, sampler: str) -> None:
    for strength, seed in ((0.0, SEED), (1.0, OTHER)):
        variation = Variation(seed=OTHER, strength=strength)
        varied = run(pipeline, make_quick_request(sampler=sampler, variation=variation))
        assert stages(varied) == stages(
            run(pipeline, make_quick_request(sampler=sampler, seed=seed))
        )


def test_it_changes_gradually(pipeline: Pipeline) -> None:
    base = pixels(run(pipeline, make_quick_request(steps=6))).astype(int)
    distances = [0.0]
    for strength in (0.05, 0.2, 0.5):
        variation = Variation(seed=OTHER, strength=strength)
        made = pixels(run(pipeline, make_quick_request(steps=6, variation=variation)))
        distances.append(float(np.abs(made - base).mean()))
    assert all(a < b for a, b in pairwise(distances)), distances


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_blended_noise_keeps_its_variance(strength: float) -> None:
    noise = Draws(1, Variation(seed=2, strength=strength)).draw(Stream.INITIAL, 0, (200, 200))
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
