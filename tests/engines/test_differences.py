"""What differs between two images."""

from __future__ import annotations

from typing import Any

import msgspec
from PIL import Image as Pillow

from engines.differences import (
    Differences,
    EnvironmentChange,
    find_differences,
    find_equal_fields,
)
from store.pixels import digest_pixels
from store.records import EnvironmentRecord, Image, Stage
from store.request import Variation
from tests.factories import make_image, make_request

NAVY = Pillow.new("RGB", (8, 8), "navy")
TEAL = Pillow.new("RGB", (8, 8), "teal")
STAGES = tuple(Stage(name="latent", step=step, sha256=f"{step}") for step in (1, 2, 3))


def make(pixels: Pillow.Image = NAVY, **changes: Any) -> Image:
    values: dict[str, Any] = {
        "pixels_sha256": digest_pixels(pixels),
        "width": pixels.width,
        "height": pixels.height,
        "stages": STAGES,
        "environment": EnvironmentRecord(values={"engine revision": "1"}),
    }
    return make_image(**values | changes)


def compare(one: Image, other: Image, *pixels: Pillow.Image | None) -> Differences:
    here, there = pixels or (NAVY, NAVY)
    return find_differences(one, other, (here, there))


def test_the_same_image_made_again_is_equal_wherever_it_was_made() -> None:
    again = make(environment=EnvironmentRecord(values={"engine revision": "1", "machine": "arm"}))
    found = compare(make(), again)
    assert found.is_equal
    assert found.environment == (EnvironmentChange(name="machine", one=None, other="arm"),)
    assert (found.parts_at, found.stages) == (None, 3)
    assert found.pixels is not None
    assert found.pixels.is_equal


def test_where_they_part_and_how_far() -> None:
    drifted = (*STAGES[:1], msgspec.structs.replace(STAGES[1], sha256="x"))
    found = compare(make(), make(TEAL, stages=drifted), NAVY, TEAL)
    assert (found.parts_at, found.stages) == ("step 2", 2)
    assert not found.has_equal_pixels
    assert found.pixels is not None
    assert (found.pixels.maximum, found.pixels.share) == (128, 1)
    assert not found.is_equal


def test_a_prompt_that_moved_is_compared_with_itself() -> None:
    def read(*texts: str) -> dict[str, Any]:
        stages = (Stage(name="text", step=n, sha256=text) for n, text in enumerate(texts, 1))
        return {"request": make_request(*texts), "stages": (*stages, *STAGES)}

    one = make(**read("night", "fog", "rain"))
    assert compare(one, make(**read("fog", "rain", "night"))).parts_at is None
    found = compare(one, make(**read("fog", "sleet and rain", "night")))
    assert (found.parts_at, found.stages) == ("text of prompt 2", 6)
    assert compare(one, make(**read("fog", "rain"))).stages == 5


def test_other_sizes_are_told_and_not_measured() -> None:
    wide = Pillow.new("RGB", (16, 8), "navy")
    found = compare(make(), make(wide), NAVY, wide)
    assert (found.sizes, found.pixels) == (((8, 8), (16, 8)), None)
    assert not found.has_equal_pixels


def test_without_a_file_the_record_says_whether_the_pixels_are_equal() -> None:
    assert compare(make(), make(), None, NAVY).has_equal_pixels
    found = compare(make(), make(TEAL), None, TEAL)
    assert (found.has_equal_pixels, found.pixels) == (False, None)


def test_pixels_that_are_equal_do_not_make_other_requests_equal() -> None:
    off = msgspec.structs.replace(make_request().stack.prompts[0], enabled=False, text="fog")
    one = make(request=make_request("night"))
    other = make(request=make_request("night", off))
    found = compare(one, other)
    assert found.has_equal_pixels
    assert not found.is_equal
    assert [change.kind for change in found.changes] == ["added"]


def test_equal_fields_are_those_that_are_set() -> None:
    one = make_request(steps=20, variation=Variation(seed=1, strength=0.5))
    other = make_request(steps=30, variation=Variation(seed=1, strength=0.5), style_preset="anime")
    assert find_equal_fields(one, other) == (
        *("engine", "model", "seed", "cfg_scale", "sampler", "size", "variation"),
    )
    assert "variation" not in find_equal_fields(make_request(), one)
