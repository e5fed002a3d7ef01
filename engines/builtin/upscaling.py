"""Requests that make an image larger instead of drawing one: once or twice by 2, then Lanczos."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from PIL import Image

from engines.base import EngineError, Event, Failure, Produced, Progressed, StageReached, Warned
from engines.builtin.models import UPSCALE_FACTOR, UPSCALE_INPUT, UPSCALE_MODEL, UPSCALE_SIDE
from engines.builtin.pixels import ReadInput, Size, encode_png, fit, is_cropped, read_picture
from engines.builtin.upscaler import Upscaler, count_tiles
from store.parameters import Parameters
from store.pixels import digest_pixels


def upscale(
    upscaler: Upscaler, parameters: Parameters, read_input: ReadInput
) -> Generator[Event, None, None]:
    """The events of one image, `Produced` last; a step is a tile. Raises `EngineError`."""
    settings = parameters.upscale
    assert settings is not None
    wanted = (parameters.width, parameters.height)
    image = read_picture(read_input, settings.sha256, "image to make larger")
    given = image.size
    passes = _count_passes(given, wanted)
    if settings.upscaler != "rgb":
        yield Warned(
            f"The embedded model has one upscaler, {UPSCALE_MODEL}; it was used in place of "
            f"{settings.upscaler}."
        )
    if not passes:
        yield Warned(
            f"{wanted[0]}x{wanted[1]} is not larger than the image ({given[0]}x{given[1]}): it "
            "was only resized."
        )
    if is_cropped(given, wanted):
        yield Warned(
            f"The image ({given[0]}x{given[1]}) has other proportions than "
            f"{wanted[0]}x{wanted[1]}: its edges are cut off."
        )
    yield StageReached("initial image", 0, digest_pixels(image))
    steps = sum(count_tiles(given[0] << k, given[1] << k) for k in range(passes))
    step = 0
    for _ in range(passes):
        pixels = np.asarray(image)
        out = np.empty((2 * image.height, 2 * image.width, 3), np.uint8)
        for _ in upscaler.fill(pixels, out):
            step += 1
            yield Progressed(step, steps)
        image = Image.fromarray(out)
    upscaled = image.size
    image = fit(image, wanted)
    yield StageReached("pixels", 0, digest_pixels(image))
    meta = {
        "made from": f"{given[0]}x{given[1]}",
        "upscaled": f"{passes} times x2 by {UPSCALE_MODEL}",
        "resizing": "none" if upscaled == wanted else "Lanczos, cropped to fill",
    }
    yield Produced(data=encode_png(image), mime="image/png", seed=parameters.seed, meta=meta)


def _count_passes(given: Size, wanted: Size) -> int:
    """How often the size is doubled. Raises `EngineError` when a size is out of range."""
    low, high = UPSCALE_INPUT
    if not all(low <= side <= high for side in given):
        raise EngineError(
            Failure.INVALID_REQUEST,
            f"The image is {given[0]}x{given[1]}; the embedded model enlarges images of {low} to "
            f"{high} pixels a side.",
            "Give one of such a size.",
        )
    if any(aim > UPSCALE_SIDE for aim in wanted):
        raise EngineError(
            Failure.INVALID_REQUEST,
            f"The size {wanted[0]}x{wanted[1]} is too large for the embedded model.",
            f"Each side is at most {UPSCALE_SIDE}.",
        )
    if any(aim > UPSCALE_FACTOR * side for aim, side in zip(wanted, given, strict=True)):
        raise EngineError(
            Failure.INVALID_REQUEST,
            f"{wanted[0]}x{wanted[1]} is more than {UPSCALE_FACTOR} times the image "
            f"({given[0]}x{given[1]}).",
            f"Give at most {min(UPSCALE_SIDE, UPSCALE_FACTOR * given[0])}x"
            f"{min(UPSCALE_SIDE, UPSCALE_FACTOR * given[1])}.",
        )
    factor = max(aim / side for aim, side in zip(wanted, given, strict=True))
    return 0 if factor <= 1 else 1 if factor <= 2 else 2
