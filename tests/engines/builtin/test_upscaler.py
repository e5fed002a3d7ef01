"""Making an image larger: better than Lanczos, of exactly the wanted size, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from engines.base import EngineError, Failure, Produced, Progressed
from engines.builtin.models import CAPABILITIES, UPSCALE_MODEL
from engines.builtin.pipeline import Pipeline
from engines.builtin.upscaler import TILE, Upscaler
from engines.builtin.weights import load_weights
from store.request import PromptStack, Request
from tests.engines.builtin.making import (
    Inputs,
    draw_picture,
    measure_psnr,
    pixels,
    run,
    stages,
    warnings,
)
from tests.factories import make_quick_request


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(load_weights())


def make_larger(
    inputs: Inputs, image: Image.Image | bytes, width: int, height: int, upscaler: str = "rgb"
) -> Request:
    values = make_quick_request().parameters
    return Request(
        engine="builtin",
        model=UPSCALE_MODEL,
        stack=PromptStack(prompts=()),
        parameters=type(values)(
            seed=values.seed,
            steps=values.steps,
            cfg_scale=values.cfg_scale,
            sampler=values.sampler,
            style_preset=None,
            width=width,
            height=height,
            upscale=inputs.upscale(image, upscaler),
        ),
    )


def test_it_draws_edges_sharper_than_lanczos(upscaler: Upscaler) -> None:
    large = draw_picture((256, 256))
    small = large.reduce(2)
    made = upscaler.enlarge(np.asarray(small))
    plain = np.asarray(small.resize((256, 256), Image.Resampling.LANCZOS))
    assert measure_psnr(made, np.asarray(large)) > measure_psnr(plain, np.asarray(large)) + 1


def test_tiles_leave_no_seams(upscaler: Upscaler) -> None:
    image = np.asarray(draw_picture((TILE + 60, TILE + 40)))
    whole = upscaler.enlarge(image)
    # The same pixels, so far from every edge that only the tiling differs.
    moved = upscaler.enlarge(image[20:, 20:])
    inner = (slice(40, -40), slice(40, -40))
    difference = np.abs(whole[40:, 40:][inner].astype(int) - moved[inner])
    assert difference.max() <= 1


def test_memory_does_not_grow_with_the_picture(upscaler: Upscaler) -> None:
    peaks = []
    for side in (2 * TILE, 4 * TILE):
        image = np.zeros((side, side, 3), np.uint8)
        out = np.empty((2 * side, 2 * side, 3), np.uint8)
        tracemalloc.start()
        for _ in upscaler.fill(image, out):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1] - image.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (131, 20)])
def test_odd_sizes_are_doubled(upscaler: Upscaler, size: tuple[int, int]) -> None:
    image = np.asarray(draw_picture(size))
    made = upscaler.enlarge(image)
    assert made.shape == (2 * size[1], 2 * size[0], 3)
    small = np.asarray(Image.fromarray(made).reduce(2))
    assert measure_psnr(small, image) > 25


@pytest.mark.parametrize(
    ("given", "wanted", "passes"),
    [
        ((100, 80), (200, 160), 1),
        ((100, 80), (150, 120), 1),
        ((100, 80), (400, 320), 2),
        ((100, 80), (333, 266), 2),
        ((64, 64), (64, 64), 0),
        ((1024, 32), (2048, 64), 1),
    ],
)
def test_the_size_is_exact(
    pipeline: Pipeline,
    inputs: Inputs,
    given: tuple[int, int],
    wanted: tuple[int, int],
    passes: int,
) -> None:
    request = make_larger(inputs, draw_picture(given), *wanted)
    CAPABILITIES.check(request)
    events = run(pipeline, request, inputs)
    assert pixels(events).shape == (wanted[1], wanted[0], 3)
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.meta["upscaled"] == f"{passes} times x2 by {UPSCALE_MODEL}"
    assert ("not larger" in warnings(events)) == (passes == 0)
    progress = [(e.step, e.steps) for e in events if isinstance(e, Progressed)]
    assert progress == [(k, len(progress)) for k in range(1, len(progress) + 1)]


def test_the_same_image_gives_the_same_bits(pipeline: Pipeline, inputs: Inputs) -> None:
    request = make_larger(inputs, draw_picture((90, 70)), 180, 140)
    assert stages(run(pipeline, request, inputs)) == stages(run(pipeline, request, inputs))


@pytest.mark.parametrize("kind", ["esrgan", "gfpgan", "rgb"])
def test_other_upscalers_are_replaced_and_said_so(
    pipeline: Pipeline, inputs: Inputs, kind: str
) -> None:
    events = run(pipeline, make_larger(inputs, draw_picture((32, 32)), 64, 64, kind), inputs)
    assert (f"in place of {kind}" in warnings(events)) == (kind != "rgb")


@pytest.mark.parametrize(
    ("given", "wanted", "text"),
    [
        ((15, 40), (30, 80), "16 to 1024 pixels a side"),
        ((1025, 40), (2000, 80), "16 to 1024 pixels a side"),
        ((600, 600), (2049, 2049), "at most 2048"),
        ((100, 100), (401, 401), "at most 400x400"),
    ],
)
def test_sizes_out_of_range_are_refused(
    pipeline: Pipeline, inputs: Inputs, given: tuple[int, int], wanted: tuple[int, int], text: str
) -> None:
    with pytest.raises(EngineError, match=text) as caught:
        run(pipeline, make_larger(inputs, Image.new("RGB", given), *wanted), inputs)
    assert caught.value.kind is Failure.INVALID_REQUEST


def test_a_wrong_file_is_refused(pipeline: Pipeline, inputs: Inputs) -> None:
    with pytest.raises(EngineError, match="image to make larger cannot be used"):
        run(pipeline, make_larger(inputs, b"no image", 64, 64), inputs)


def test_a_drawn_image_is_enlarged_by_it(pipeline: Pipeline, upscaler: Upscaler) -> None:
    native = pixels(run(pipeline, make_quick_request()))
    large = pixels(run(pipeline, make_quick_request(width=256, height=256)))
    np.testing.assert_array_equal(large, upscaler.enlarge(native))
