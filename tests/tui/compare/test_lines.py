"""What differs between two images, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from PIL import Image as Pillow

from engines.differences import find_differences
from store.pixels import digest_pixels
from store.records import Image
from store.request import InitialImage, Prompt, Request, Upscale, Variation
from tests.factories import make_image, make_request
from tui.compare.lines import describe_pair, write_share
from tui.compare.pair import ImagePair, LoadedImage

NAVY = Pillow.new("RGB", (8, 8), "navy")
TEAL = Pillow.new("RGB", (8, 8), "teal")
START = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0.0)


def make(request: Request, pixels: Pillow.Image = NAVY, **facts: Any) -> Image:
    digest = digest_pixels(pixels)
    return make_image(request=request, pixels_sha256=digest, width=8, height=8, **facts)


def make_pair(one: Image, other: Image, *pixels: Pillow.Image | None, fault: str = "") -> ImagePair:
    here, there = pixels or (NAVY, NAVY)
    return ImagePair(
        one=LoadedImage(image=one, data=None, fault=fault),
        other=LoadedImage(image=other, data=None),
        differences=find_differences(one, other, (here, there)),
    )


def describe(one: Request, other: Request, *, has_unicode: bool = True) -> dict[str, list[str]]:
    """What is said, by labels."""
    pair = make_pair(make(one), make(other))
    found: dict[str, list[str]] = {}
    label = ""
    for line in describe_pair(pair, has_unicode=has_unicode):
        label = line.label or label
        found.setdefault(label, []).append(line.text)
    return found


def test_prompts_row_by_row() -> None:
    one = make_request("night sky above a japanese town", "clouds::-1", "fog", "hail")
    off = Prompt(text="hail", enabled=False)
    other = make_request("clouds::-1.4", "night sky above a french town", "snow drops", "rain", off)
    assert describe(one, other)["prompts"] == [
        "1         −1.0 → −1.4  clouds",
        "- 3       +1.0         fog",
        "2, was 1  +1.0         night sky above a [-japanese-] {+french+} town",
        "+ 3       +1.0         snow drops",
        "+ 4       +1.0         rain",
        "5         +1.0 → off   hail",
    ]
    plain = describe(one, other, has_unicode=False)["prompts"]
    assert "1         -1.0 -> -1.4  clouds" in plain
    assert all(line.isascii() for line in plain)


def test_equal_prompts_are_only_counted() -> None:
    said = describe(make_request("night", "fog"), make_request("night", "fog::2"))
    assert said["prompts"] == ["2  +1.0 → +2.0  fog"]
    assert said["the same"][0].startswith("1 prompt, engine builtin, model r1, seed 1229080980")


def test_what_is_easily_overlooked() -> None:
    off = Prompt(text="fog", weight=1, enabled=False)
    said = describe(
        make_request("night sky", off),
        make_request("night  sky", msgspec.structs.replace(off, weight=2)),
    )
    assert said["prompts"] == [
        "1  +1.0              night  sky  (only its spaces differ)",
        "2  off, +1.0 → +2.0  fog",
    ]


def test_words_that_are_the_same_are_left_out_where_they_are_many() -> None:
    many = " ".join(f"word{number}" for number in range(200))
    one, other = make_request(f"red {many} end"), make_request(f"blue {many} end")
    for has_unicode, dots in ((True, " … "), (False, " ... ")):
        (line,) = describe(one, other, has_unicode=has_unicode)["prompts"]
        assert line.startswith("1  +1.0  [-red-] {+blue+} word0 word1 ")
        assert dots in line
        assert line.endswith("word199 end")
        assert len(line) < 250


def test_text_from_outside_is_harmless() -> None:
    said = describe(make_request("red\nblue [b]\u202e"), make_request("red\ngreen [b]\u202e"))
    (line,) = said["prompts"]
    assert line == "1  +1.0  red␊[-blue-] {+green+} [b]<U+202E>"


@pytest.mark.parametrize(
    ("one", "other", "label", "said"),
    [
        ({"seed": 5}, {"seed": 6}, "seed", "5 → 6"),
        ({"cfg_scale": 7.0}, {"cfg_scale": 7.5}, "cfg", "7 → 7.5"),
        ({}, {"width": 192}, "size", "128 x 128 → 192 x 128"),
        ({}, {"style_preset": "anime"}, "style", "none → anime"),
        ({}, {"model": "r0"}, "model", "r1 → r0"),
        ({}, {"engine": "stability"}, "engine", "builtin, model r1 → stability, model r1"),
        (
            {},
            {"initial_image": START},
            "from",
            "none → the image file abababab; start 0.6 (0 keeps it, 1 ignores it)",
        ),
        (
            {"initial_image": START},
            {"initial_image": msgspec.structs.replace(START, sha256="cd" * 32)},
            "from",
            "image file abababab → cdcdcdcd",
        ),
        (
            {"variation": Variation(seed=1, strength=0.1)},
            {"variation": Variation(seed=1, strength=0.2)},
            "vary seed",
            "strength 0.1 → 0.2",
        ),
        (
            {},
            {"upscale": Upscale(sha256="ab" * 32, upscaler="rgb")},
            "larger",
            "none → the image abababab made 128 x 128, enlarged by rgb",
        ),
    ],
)
def test_parameters(one: dict[str, Any], other: dict[str, Any], label: str, said: str) -> None:
    assert describe(make_request(**one), make_request(**other))[label] == [said]


def test_pixels_and_files() -> None:
    request = make_request()
    equal = describe_pair(make_pair(make(request), make(request)))
    assert [line.text for line in equal[:2]] == [
        "every pixel is the same",
        "none is recorded on both sides",
    ]
    apart = describe_pair(make_pair(make(request), make(request, TEAL), NAVY, TEAL))
    assert apart[0].text == "mean 42.67 of 255, largest 128, 10.8 dB, 100 % of the pixels"
    gone = describe_pair(make_pair(make(request), make(request, TEAL), None, TEAL, fault="Gone."))
    assert [line.text for line in gone[:2]] == [
        "they differ, by the record",
        "the file of A cannot be read: Gone.",
    ]
    wide = Pillow.new("RGB", (16, 8))
    sizes = describe_pair(make_pair(make(request), make(request, wide), NAVY, wide))
    assert sizes[0].text.startswith("other sizes: 8 x 8 and 16 x 8; neither is scaled")


def test_a_record_that_was_changed_is_told() -> None:
    request = make_request()
    lines = describe_pair(make_pair(make(request), make(request, changes=("seed", "width"))))
    assert lines[1] == (
        "record",
        (("that of B was changed after it was written: seed, width", ""),),
        0,
    )


def test_a_difference_that_is_there_is_never_said_to_be_none() -> None:
    large = Pillow.new("RGB", (256, 256))
    other = large.copy()
    other.putpixel((9, 9), (0, 0, 3))
    request = make_request()
    pair = make_pair(make(request, large), make(request, other), large, other)
    assert describe_pair(pair)[0].text == (
        "mean below 0.01 of 255, largest 3, 91.5 dB, less than 0.1 % of the pixels"
    )


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1e-6, "less than 0.1 %"), (0.1234, "12.3 %"), (0.99999, "more than 99.9 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert write_share(share) == said
