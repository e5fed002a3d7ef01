"""Each sampler on a Gaussian whose exact answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from engines.builtin.elementary import Floats
from engines.builtin.models import SAMPLERS
from engines.builtin.samplers import FORMULAS, Denoise, karras_sigmas

MEAN, DEVIATION = 0.7, 0.5
DETERMINISTIC = {
    "ddim": 1,
    "k_euler": 1,
    "k_heun": 2,
    "k_dpm_2": 2,
    "k_dpmpp_2m": 2,
    "k_lms": 2,
}
"""Sampler and the order in which its error falls with the number of steps, at least."""


def predict(x: Floats, sigma: float) -> Floats:
    """The exact denoised prediction for data of N(MEAN, DEVIATION^2)."""
    share = DEVIATION**2 / (DEVIATION**2 + sigma**2)
    return (MEAN + share * (x.astype(np.float64) - MEAN)).astype(np.float32)


def run(name: str, x: Floats, sigmas: list[float], denoise: Denoise, seed: int = 0) -> Floats:
    def noise(step: int, part: int) -> Floats:
        rng = np.random.default_rng([seed, step, part])
        return rng.standard_normal(x.shape).astype(np.float32)

    for after, _ in FORMULAS[name](denoise, x, sigmas, noise):
        x = after
    return x


def spaced(steps: int, low: float, high: float) -> list[float]:
    """Levels evenly spaced in the logarithm, where every method shows its order."""
    return [float(s) for s in np.geomspace(high, low, steps + 1)]


def measure_error(name: str, steps: int) -> float:
    high, low = 20.0, 0.2
    start = np.array([-30.0, -4.0, 8.0, 25.0])
    exact = MEAN + (start - MEAN) * np.sqrt((DEVIATION**2 + low**2) / (DEVIATION**2 + high**2))
    x = run(name, start.astype(np.float32), spaced(steps, low, high), predict)
    return float(np.abs(x - exact).max())


def test_all_samplers_have_a_formula() -> None:
    assert set(FORMULAS) == set(SAMPLERS)


@pytest.mark.parametrize(("name", "order"), DETERMINISTIC.items())
def test_error_falls_at_the_order_of_the_method(name: str, order: int) -> None:
    coarse, fine = measure_error(name, 12), measure_error(name, 96)
    measured = np.log2(coarse / fine) / 3
    assert measured > order - 0.2, f"{name}: order {measured:.2f}"


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - set(DETERMINISTIC)))
def test_ancestral_samplers_reach_the_distribution(name: str) -> None:
    rng = np.random.default_rng(1)
    standard = rng.standard_normal(20_000)
    errors = []
    for steps in (20, 160):
        sigmas = karras_sigmas(steps)
        x = run(name, (standard * sigmas[0]).astype(np.float32), sigmas, predict)
        assert abs(float(x.mean()) - MEAN) < 0.02
        errors.append(abs(float(x.std()) - DEVIATION))
    assert errors[1] < max(0.008, 0.3 * errors[0])


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_last_step_is_the_clean_prediction(name: str) -> None:
    steps = list(
        FORMULAS[name](
            predict, np.ones(3, np.float32), [5.0, 0.0], lambda *_: np.ones(3, np.float32)
        )
    )
    after, denoised = steps[-1]
    np.testing.assert_array_equal(after, denoised)
