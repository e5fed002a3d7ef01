"""Images that start from another one."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from engines.base import EngineError, Failure, Produced, Progressed
from engines.builtin.autoencoder import Decoder, Encoder
from engines.builtin.models import CAPABILITIES, SAMPLERS
from engines.builtin.pipeline import Pipeline
from engines.builtin.pixels import fit, frame
from engines.builtin.samplers import make_sigmas
from engines.builtin.weights import load_weights
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
from tests.repeats import keep


@pytest.mark.parametrize("size", [(128, 128), (192, 128)])
def test_the_autoencoder_gives_a_picture_back(size: tuple[int, int]) -> None:
    weights = load_weights()
    image = np.asarray(draw_picture(size))
    latent = Encoder(weights).encode(image)
    assert latent.shape == (size[1] // 8, size[0] // 8, 12)
    assert measure_psnr(Decoder(weights).decode(latent), image) > 26


def test_capabilities_say_what_is_taken(inputs: Inputs) -> None:
    initial = inputs.start(draw_picture())
    CAPABILITIES.check(make_quick_request(initial_image=initial, mask=inputs.mask(draw_mask())))


def test_start_0_gives_the_picture_back(pipeline: Pipeline, inputs: Inputs) -> None:
    image = draw_picture((256, 256))
    events = run(
        pipeline,
        make_quick_request(initial_image=inputs.start(image, 0), width=256, height=256),
        inputs,
    )
    np.testing.assert_array_equal(pixels(events), np.asarray(image))
    assert "comes back as it is" in warnings(events)
    assert not any(isinstance(e, Progressed) for e in events)


@pytest.mark.parametrize("sampler", ["k_dpmpp_2m", "ddim", "k_euler_ancestral"])
def test_start_1_is_text_to_image(pipeline: Pipeline, inputs: Inputs, sampler: str) -> None:
    plain = run(pipeline, make_quick_request(sampler=sampler))
    initial = inputs.start(draw_picture(), 1)
    ignored = run(pipeline, make_quick_request(sampler=sampler, initial_image=initial), inputs)
    found = stages(ignored)
    assert {name: found[name] for name in stages(plain)} == stages(plain)
    assert "ignores the initial image" in warnings(ignored)


@pytest.mark.parametrize(
    "sampler", keep(SAMPLERS, {"k_dpmpp_2m", "k_euler_ancestral", "ddim"}.__contains__)
)
def test_the_picture_fades_as_the_start_rises(
    pipeline: Pipeline, inputs: Inputs, sampler: str
) -> None:
    image = draw_picture()
    likeness = []
    for start in (0.1, 0.4, 0.8):
        request = make_quick_request(
            sampler=sampler, steps=5, cfg_scale=2, initial_image=inputs.start(image, start)
        )
        likeness.append(measure_psnr(pixels(run(pipeline, request, inputs)), np.asarray(image)))
    assert all(a > b for a, b in pairwise(likeness)), likeness
    assert likeness[0] > 22


@pytest.mark.parametrize(
    ("steps", "start", "end", "taken"),
    [
        (10, 1, 0, 10),
        (10, 0.5, 0, 5),
        (10, 0.65, 0, 7),
        (10, 0.01, 0, 1),
        (10, 0.5, 0.2, 3),
        (10, 0.5, 0.5, 1),
        (10, 1, 0.01, 10),
        (100, 0.4, 0.29, 11),
        (1, 0.2, 0, 1),
    ],
)
@pytest.mark.samples(3)
def test_progress_counts_the_steps_that_are_taken(
    pipeline: Pipeline, inputs: Inputs, steps: int, start: float, end: float, taken: int
) -> None:
    initial = inputs.start(draw_picture(), start, end)
    events = run(pipeline, make_quick_request(steps=steps, initial_image=initial), inputs)
    progress = [(e.step, e.steps) for e in events if isinstance(e, Progressed)]
    assert progress == [(k, taken) for k in range(1, taken + 1)]
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.meta["steps"] == f"{taken} of {steps}"


@pytest.mark.parametrize("sampler", ["k_euler", "ddim"])
@pytest.mark.parametrize("start", [0.001, 0.02, 0.3, 0.7, 0.99])
def test_levels_of_a_part_fall_to_zero(sampler: str, start: float) -> None:
    for steps in (1, 2, 30, 150):
        sigmas = make_sigmas(sampler, steps, start)
        assert all(a > b for a, b in pairwise(sigmas))
        assert sigmas[0] == pytest.approx(min(start / (1 - start), 60))
        assert sigmas[-1] == 0


def test_the_end_schedule_changes_the_image(pipeline: Pipeline, inputs: Inputs) -> None:
    found = {
        pixels(
            run(
                pipeline,
                make_quick_request(steps=6, initial_image=inputs.start(draw_picture(), 0.7, end)),
                inputs,
            )
        ).tobytes()
        for end in (0, 0.2, 0.4)
    }
    assert len(found) == 3


@pytest.mark.parametrize("size", [(512, 512), (576, 1024), (1024, 128)])
def test_an_initial_image_of_any_size_fits_every_size(
    pipeline: Pipeline, inputs: Inputs, size: tuple[int, int]
) -> None:
    image = draw_picture((300, 200))
    request = make_quick_request(
        steps=4,
        cfg_scale=1,
        initial_image=inputs.start(image, 0.1),
        width=size[0],
        height=size[1],
    )
    events = run(pipeline, request, inputs)
    assert pixels(events).shape == (size[1], size[0], 3)
    assert measure_psnr(pixels(events), np.asarray(fit(image, size))) > 18
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.meta["initial image"].startswith(f"300x200, resized to {size[0]}x{size[1]}")
    assert "edges are cut off" in warnings(events)


@pytest.mark.parametrize("size", [(128, 128), (512, 320), (1024, 128), (128, 1024)])
def test_framing_and_fitting_undo_each_other(size: tuple[int, int]) -> None:
    image = draw_picture(size)
    for made in ((128, 128), (192, 128), (128, 192)):
        back = fit(frame(image, made), size)
        assert back.size == size
        assert measure_psnr(np.asarray(back), np.asarray(image)) > 18


def test_transparency_lies_over_white(pipeline: Pipeline, inputs: Inputs) -> None:
    image = Image.new("RGBA", (128, 128), (255, 0, 0, 0))
    events = run(pipeline, make_quick_request(initial_image=inputs.start(image, 0)), inputs)
    assert (pixels(events) == 255).all()


def test_a_photograph_is_turned_upright(pipeline: Pipeline, inputs: Inputs) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    image = draw_picture()
    image.save(buffer := io.BytesIO(), "PNG", exif=exif)
    initial = inputs.start(buffer.getvalue(), 0)
    events = run(pipeline, make_quick_request(initial_image=initial), inputs)
    np.testing.assert_array_equal(pixels(events), np.asarray(image.rotate(180)))


def test_16_bits_a_channel_are_read(pipeline: Pipeline, inputs: Inputs) -> None:
    image = Image.fromarray(np.full((128, 128), 257 * 200, np.uint16))
    events = run(pipeline, make_quick_request(initial_image=inputs.start(image, 0)), inputs)
    assert (pixels(events) == 200).all()


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_a_wrong_file_is_refused(pipeline: Pipeline, inputs: Inputs, data: bytes) -> None:
    with pytest.raises(EngineError, match=r"initial image cannot be used: .* not a readable") as e:
        run(pipeline, make_quick_request(initial_image=inputs.start(data)), inputs)
    assert e.value.kind is Failure.INVALID_REQUEST
    good = inputs.start(draw_picture())
    with pytest.raises(EngineError, match="mask cannot be used"):
        run(pipeline, make_quick_request(initial_image=good, mask=inputs.mask(data)), inputs)


def test_a_file_that_is_gone_is_named(pipeline: Pipeline, inputs: Inputs) -> None:
    initial = inputs.start(draw_picture())
    with pytest.raises(EngineError, match=f"{initial.sha256[:8]} is gone. Give it again"):
        run(pipeline, make_quick_request(initial_image=initial), Inputs())
