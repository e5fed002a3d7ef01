"""Noise, exact functions and guidance."""

from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np
import pytest

from engines.builtin.elementary import Floats, exp_in_place, log_of_unit
from engines.builtin.guidance import compose, emphasize, keep_perpendicular
from engines.builtin.noise import Stream, draw_noise, invert_normal
from engines.builtin.samplers import make_sigmas
from engines.builtin.scalars import exp, log, power


def test_noise_is_gaussian_and_keyed() -> None:
    noise = draw_noise(7, Stream.INITIAL, 0, (200, 200))
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.01
    assert abs(float((noise**4).mean()) - 3) < 0.1
    others = [(8, Stream.INITIAL, 0), (7, Stream.SAMPLER, 0), (7, Stream.INITIAL, 1)]
    for seed, stream, step in others:
        other = draw_noise(seed, stream, step, (200, 200))
        assert abs(float((noise * other).mean())) < 0.02
    np.testing.assert_array_equal(noise, draw_noise(7, Stream.INITIAL, 0, (200, 200)))


def test_noise_is_held_by_its_digest() -> None:
    noise = draw_noise(1229080980, Stream.INITIAL, 0, (16, 16, 12))
    assert hashlib.sha256(noise.tobytes()).hexdigest()[:16] == "eb3cee7453fb7f0e"


def test_inverse_normal() -> None:
    p = np.array([1e-9, 0.001, 0.02, 0.3, 0.5, 0.9, 0.99, 0.9999])
    x = invert_normal(p)
    back = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    np.testing.assert_allclose(back, p, rtol=2e-7)


def test_exp_and_log() -> None:
    x = np.concatenate([np.linspace(-85, 0, 4001), [-0.0]]).astype(np.float32)
    y: Floats = x.copy()
    exp_in_place(y, np.empty_like(y), np.empty(y.shape, np.int32))
    inside = x > -80
    np.testing.assert_allclose(y[inside], np.exp(x[inside].astype(np.float64)), rtol=4e-7)
    assert (y[~inside] < 2e-35).all()
    u = np.linspace(1e-6, 1, 1001)
    np.testing.assert_allclose(log_of_unit(u), np.log(u), rtol=1e-13, atol=1e-15)
    assert log(2.0) == pytest.approx(math.log(2), rel=1e-15)
    assert exp(-1.5) == pytest.approx(math.exp(-1.5), rel=1e-15)
    assert power(80.0, 1 / 7) == pytest.approx(80 ** (1 / 7), rel=1e-15)


@pytest.mark.parametrize("sampler", ["k_euler", "ddim"])
@pytest.mark.parametrize("steps", [1, 2, 30, 150])
def test_levels_fall_to_zero(sampler: str, steps: int) -> None:
    sigmas = make_sigmas(sampler, steps)
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert all(a > b for a, b in itertools.pairwise(sigmas))


@pytest.mark.parametrize("time", [0.0, 0.15, 1.0])
def test_guidance_acts_smoothly_and_monotonically(time: float) -> None:
    rng = np.random.default_rng(3)
    empty, one, two = (rng.standard_normal((4, 4, 2)).astype(np.float32) for _ in range(3))
    away = one - empty
    along = [
        float(((compose(empty, [(w, one), (1.0, two)], 2.0, time) - empty) * away).sum())
        for w in np.linspace(-1, 1, 21)
    ]
    assert all(a < b for a, b in itertools.pairwise(along))
    np.testing.assert_allclose(compose(empty, [(1.0, one)], 1.0, time), one, atol=1e-6)
    np.testing.assert_array_equal(compose(empty, [(1.0, one)], 0.0, time), empty)


def test_negative_weights_count_more_while_there_is_almost_only_noise() -> None:
    assert [emphasize(-1.0, time) for time in (0.0, 0.15, 0.3, 1.0)] == [-2.5, -2.5, -1.0, -1.0]
    assert [emphasize(weight, 0.0) for weight in (-0.4, -1.5, -2.0, -3.0)] == [-1, -2.5, -2.5, -3]
    steps = [emphasize(-1.0, time / 100) for time in range(101)]
    assert all(a <= b for a, b in itertools.pairwise(steps))
    assert all(emphasize(1.5, time / 100) == 1.5 for time in range(101))


def test_a_negative_prompt_does_not_lead_away_from_what_is_asked_for() -> None:
    rng = np.random.default_rng(4)
    empty, one, other = (rng.standard_normal((8, 8, 4)).astype(np.float32) for _ in range(3))
    asked = one - empty
    alone, both = (
        compose(empty, [(1.0, one), *more], 1.0, 0.5)
        for more in ((), [(-1.0, one + np.float32(0.1) * other)])
    )
    change = both - alone
    assert abs(float((change * asked).sum())) < 0.01 * float((asked * asked).sum())
    assert float((change * other).sum()) < 0
    np.testing.assert_array_equal(keep_perpendicular(one, np.zeros_like(one)), one)
    lone = compose(empty, [(-1.0, one)], 1.0, 1.0)
    assert float(((lone - empty) * asked).sum()) < 0, (
        "with nothing asked for it leads away from all"
    )


def test_guidance_tames_large_scales() -> None:
    rng = np.random.default_rng(3)
    empty, one = (rng.standard_normal((8, 8, 4)).astype(np.float32) for _ in range(2))
    free = empty + np.float32(15) * (one - empty)
    tamed = compose(empty, [(1.0, one)], 15.0, 0.5)
    assert float(tamed.std()) < 0.5 * float(free.std())
