"""Products of whole numbers: their bounds, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from engines.builtin.denoiser import Denoiser, make_layer_shard
from engines.builtin.elementary import Floats, power_of_two
from engines.builtin.parallel.denoise import Predictor
from engines.builtin.pipeline import Pipeline
from engines.builtin.quantized import (
    LIMIT,
    BoundError,
    Convolution,
    FineProduct,
    Product,
    count_levels,
    fit_columns,
    multiply,
    round_columns,
)
from engines.builtin.weights import Weights, load_weights
from tests.engines.builtin.making import run
from tests.factories import make_quick_request

RNG = np.random.default_rng(5)


def draw(*shape: int) -> Floats:
    return RNG.standard_normal(shape).astype(np.float32)


def _keep(x: Any) -> Any:
    return np.maximum(x, 0)


def check_product(a: Any, b: Any, **options: Any) -> Any:
    """`np.matmul` of whole numbers none of whose partial sums can pass the bound."""
    limit = LIMIT if a.dtype == np.float32 else 2**53
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    assert (wide_a == np.rint(wide_a)).all()
    assert (wide_b == np.rint(wide_b)).all()
    up = PLAIN(_keep(wide_a), _keep(wide_b)) + PLAIN(_keep(-wide_a), _keep(-wide_b))
    down = PLAIN(_keep(wide_a), _keep(-wide_b)) + PLAIN(_keep(-wide_a), _keep(wide_b))
    assert max(up.max(initial=0), down.max(initial=0)) <= limit
    CHECKED.append(a.dtype)
    return PLAIN(a, b, **options)


PLAIN = np.matmul
CHECKED: list[Any] = []


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    CHECKED.clear()
    monkeypatch.setattr(np, "matmul", check_product)
    return CHECKED


@pytest.mark.exhaustive
def test_every_product_of_an_image_keeps_its_bound(checked: list[Any]) -> None:
    made = Pipeline(load_weights(), 1)
    run(made, make_quick_request(steps=3, cfg_scale=30.0))
    made.close()
    assert checked.count(np.dtype(np.float32)) > 300
    assert checked.count(np.dtype(np.float64)) > 20


def test_a_product_is_near_and_rows_do_not_matter() -> None:
    weight, bias, x = draw(256, 40), draw(40), draw(33, 256) * 7
    for product, error in ((Product(weight, bias), 0.05), (FineProduct(weight, bias), 2e-3)):
        made = product(x)
        np.testing.assert_allclose(made, x @ weight + bias, atol=error * 7 * 16)
        np.testing.assert_array_equal(made[5:9], product(x[5:9]))
        np.testing.assert_array_equal(made[7], product(x[7]))
    assert not Product(weight)(np.zeros((2, 256), np.float32)).any()


def test_fine_products_of_activations() -> None:
    one, two = draw(4, 9, 30), draw(4, 30, 7)
    np.testing.assert_allclose(multiply(one, two), one @ two, atol=1e-4)
    with pytest.raises(BoundError):
        multiply(np.ones((1, 5000), np.float32), np.ones((5000, 1), np.float32))


def test_stored_whole_numbers_come_back() -> None:
    stored = RNG.integers(-127, 128, (300, 20)).astype(np.int8)
    stored[0] = 127
    scale = np.abs(draw(20)) + np.float32(1e-3)
    numbers, found = round_columns(stored.astype(np.float32) * scale, 127)
    np.testing.assert_array_equal(numbers, stored)
    np.testing.assert_allclose(found, scale, rtol=1e-6)


@pytest.mark.parametrize("levels", [255, 1023, 2047])
def test_fitted_columns_leave_the_levels(levels: int) -> None:
    weight = draw(192, 64) * np.exp(draw(64))
    weight[:, 3] = 0
    weight[:, 4] = np.abs(weight[:, 4])
    numbers, scale = fit_columns(weight, levels)
    assert count_levels(numbers, is_positive=True) >= levels
    np.testing.assert_allclose(numbers * scale, weight, atol=float(scale.max()) / 2 * 1.01)


def test_weights_out_of_bounds_are_refused() -> None:
    with pytest.raises(BoundError, match="levels"):
        count_levels(np.full((2048, 4), 127, np.float32), is_positive=True)
    with pytest.raises(BoundError, match="whole"):
        count_levels(np.full((4, 4), 0.5, np.float32), is_positive=True)
    enter, leave = draw(16, 3 * 16 + 32), np.ones((48, 16), np.float32)
    make_layer_shard(0, 4, enter, leave, np.ones(4, np.float32))
    with pytest.raises(BoundError, match="sharp"):
        make_layer_shard(0, 4, enter, leave, np.full(4, 99, np.float32))


def test_a_denoiser_checks_its_weights() -> None:
    weights = load_weights()

    class Changed(dict[str, Floats]):
        def __missing__(self, name: str) -> Floats:
            return weights.arrays[name]

        def __iter__(self) -> Iterator[str]:
            return iter(weights.arrays)

    sharp = Changed({"layer.2.sharp": np.full((4, 1, 1), 50, np.float32)})
    changed = Weights(manifest=weights.manifest, arrays=sharp, words=weights.words)  # type: ignore[arg-type]
    with pytest.raises(BoundError):
        Denoiser(changed)


def test_a_prompt_too_long_is_refused() -> None:
    predictor = Predictor(Denoiser(load_weights()), [draw(500, 128)], (16, 16))
    with pytest.raises(BoundError, match="tokens"):
        predictor.predict(draw(16, 16, 12), 0.5)


def test_convolution_is_near() -> None:
    weight, bias, x = draw(9 * 12, 8), draw(8), draw(6, 10, 12)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    expected = bias + sum(
        padded[dy : dy + 6, dx : dx + 10] @ weight.reshape(3, 3, 12, 8)[dy, dx]
        for dy in range(3)
        for dx in range(3)
    )
    before, convolution = x.copy(), Convolution(weight, bias)
    np.testing.assert_allclose(convolution(x), expected, atol=0.15)
    np.testing.assert_array_equal(x, before)
    shifted = convolution(x, np.ones(8, np.float32))
    np.testing.assert_allclose(shifted, expected + 1, atol=0.15)
    positive = convolution(np.maximum(x, 0), is_positive=True)
    np.testing.assert_allclose(positive, convolution(np.maximum(x, 0)), atol=0.15)


def test_powers_of_two() -> None:
    x = np.linspace(-60, 60, 4001, dtype=np.float32)
    expected = np.exp2(x.astype(np.float64))
    power_of_two(x, np.empty_like(x), np.empty_like(x))
    np.testing.assert_allclose(x, expected, rtol=8e-5)
