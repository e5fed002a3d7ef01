"""Masks: what is kept, what is made anew, what lies between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.builtin.models import SAMPLERS
from engines.builtin.pipeline import Pipeline
from tests.engines.builtin.making import (
    Inputs,
    draw_mask,
    draw_picture,
    measure_psnr,
    pixels,
    run,
    stages,
    warnings,
)
from tests.factories import make_quick_request


def paint(pipeline: Pipeline, inputs: Inputs, **changes: Any) -> list[Any]:
    """Events of a image whose right half is made anew."""
    values = {
        "steps": 4,
        "initial_image": inputs.start(draw_picture(), 1),
        "mask": inputs.mask(draw_mask()),
    }
    return run(pipeline, make_quick_request(**{**values, **changes}), inputs)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.samples(4)
def test_kept_pixels_are_equal_and_replaced_ones_are_not(
    pipeline: Pipeline, inputs: Inputs, sampler: str
) -> None:
    before = np.asarray(draw_picture())
    events = paint(pipeline, inputs, sampler=sampler)
    after = pixels(events)
    np.testing.assert_array_equal(after[:, :64], before[:, :64])
    assert measure_psnr(after[:, 72:], before[:, 72:]) < 20
    assert {"initial latent", "mask", "initial image"} <= set(stages(events))


def test_the_colour_says_what_is_replaced(pipeline: Pipeline, inputs: Inputs) -> None:
    before = np.asarray(draw_picture())
    after = pixels(paint(pipeline, inputs, mask=inputs.mask(draw_mask(), "black")))
    np.testing.assert_array_equal(after[:, 72:], before[:, 72:])
    assert measure_psnr(after[:, :64], before[:, :64]) < 20


def test_kept_pixels_are_equal_at_a_large_size(pipeline: Pipeline, inputs: Inputs) -> None:
    image = draw_picture((512, 384))
    after = pixels(
        paint(
            pipeline,
            inputs,
            steps=2,
            initial_image=inputs.start(image, 0.9),
            mask=inputs.mask(draw_mask((64, 48)).resize((512, 384), Image.Resampling.NEAREST)),
            width=512,
            height=384,
        )
    )
    np.testing.assert_array_equal(after[:, :256], np.asarray(image)[:, :256])


def test_a_mask_of_another_size_is_stretched_and_its_alpha_ignored(
    pipeline: Pipeline, inputs: Inputs
) -> None:
    mask = draw_mask((64, 32))
    mask.putalpha(Image.new("L", mask.size, 0))
    before = np.asarray(draw_picture())
    after = pixels(paint(pipeline, inputs, mask=inputs.mask(mask)))
    np.testing.assert_array_equal(after[:, :60], before[:, :60])
    assert (after[:, 72:] != before[:, 72:]).mean() > 0.5


def test_grey_lies_between(pipeline: Pipeline, inputs: Inputs) -> None:
    before = np.asarray(draw_picture()).astype(int)
    everything = inputs.mask(Image.new("L", (128, 128), 255))
    grey = inputs.mask(Image.new("L", (128, 128), 128))
    far = np.abs(pixels(paint(pipeline, inputs, mask=everything)) - before).mean()
    near = np.abs(pixels(paint(pipeline, inputs, mask=grey)) - before).mean()
    assert 0 < near < 0.7 * far


def test_the_area_matters_below_a_start_of_1(pipeline: Pipeline, inputs: Inputs) -> None:
    def make(area: str, start: float) -> bytes:
        return pixels(
            paint(
                pipeline,
                inputs,
                initial_image=inputs.start(draw_picture(), start),
                mask=inputs.mask(draw_mask(), area=area),
            )
        ).tobytes()

    areas = ("zero", "random", "original")
    assert len({make(area, 0.6) for area in areas}) == 3
    assert len({make(area, 1) for area in areas}) == 1


def test_the_original_area_keeps_more_of_the_picture(pipeline: Pipeline, inputs: Inputs) -> None:
    before = np.asarray(draw_picture())[:, 72:]
    likeness = {
        area: measure_psnr(
            pixels(
                paint(
                    pipeline,
                    inputs,
                    cfg_scale=1,
                    initial_image=inputs.start(draw_picture(), 0.3),
                    mask=inputs.mask(draw_mask(), area=area),
                )
            )[:, 72:],
            before,
        )
        for area in ("zero", "random", "original")
    }
    assert likeness["original"] > max(likeness["zero"], likeness["random"]) + 3


def test_masks_of_one_colour_are_warned_about(pipeline: Pipeline, inputs: Inputs) -> None:
    before = np.asarray(draw_picture())
    for color, replaces in ((0, "white"), (255, "black")):
        mask = inputs.mask(Image.new("L", (9, 9), color), replaces)
        events = paint(pipeline, inputs, mask=mask)
        np.testing.assert_array_equal(pixels(events), before)
        assert "nothing is replaced" in warnings(events)
    events = paint(pipeline, inputs, mask=inputs.mask(Image.new("L", (9, 9), 255)))
    assert "nothing of the initial image is kept" in warnings(events)
    np.testing.assert_array_equal(
        pixels(events), pixels(run(pipeline, make_quick_request(steps=4)))
    )
