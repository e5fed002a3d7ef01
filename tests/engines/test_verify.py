"""The verdict on an image that was made again."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from engines.verify import compare, measure_psnr
from store.records import Comparison, EnvironmentRecord, Stage, Verdict

AROUND = EnvironmentRecord(values={"engine revision": "1", "kernels": "Haswell"})
STAGES = (
    Stage(name="text", step=1, sha256="a"),
    Stage(name="noise", step=0, sha256="b"),
    Stage(name="latent", step=1, sha256="c"),
    Stage(name="latent", step=2, sha256="d"),
    Stage(name="pixels", step=0, sha256="e"),
)


def change(position: int) -> tuple[Stage, ...]:
    rows = list(STAGES)
    rows[position] = Stage(name=rows[position].name, step=rows[position].step, sha256="other")
    return tuple(rows)


def judge(
    stages_now: tuple[Stage, ...],
    pixels_now: str = "p",
    environment_now: EnvironmentRecord = AROUND,
) -> Comparison:
    return compare(
        pixels_then="p",
        pixels_now=pixels_now,
        stages_then=STAGES,
        stages_now=stages_now,
        environment_then=AROUND,
        environment_now=environment_now,
        psnr_db=33.0,
    )


def test_everything_equal_is_identical() -> None:
    verdict = judge(STAGES)
    assert verdict.verdict is Verdict.IDENTICAL
    assert verdict.first_difference is None
    assert verdict.psnr_db is None


def test_equal_pixels_on_another_way_are_told_apart() -> None:
    verdict = judge(change(3))
    assert verdict.verdict is Verdict.LATENTS_DRIFTED
    assert verdict.first_difference == "step 2"


@pytest.mark.parametrize(
    ("position", "name"), [(0, "text of prompt 1"), (1, "noise"), (2, "step 1"), (4, "pixels")]
)
def test_a_difference_is_named_where_it_began(position: int, name: str) -> None:
    verdict = judge(change(position), pixels_now="q")
    assert verdict.verdict is Verdict.DIFFERENT
    assert verdict.first_difference == name
    assert verdict.psnr_db == 33.0


def test_pixels_alone_are_compared_when_the_engine_knows_no_stages() -> None:
    assert judge((), pixels_now="p").verdict is Verdict.IDENTICAL
    assert judge((), pixels_now="q").first_difference == "pixels"


def test_a_change_around_the_engine_is_named() -> None:
    now = EnvironmentRecord(values={"engine revision": "2", "kernels": "Haswell"})
    assert "engine revision: 1 → 2" in judge(change(2), "q", now).detail


def test_psnr_of_a_known_error() -> None:
    one = Image.new("RGB", (4, 4), (100, 100, 100))
    other = Image.new("RGB", (4, 4), (110, 110, 110))
    assert measure_psnr(one, other) == round(20 * math.log10(255 / 10), 2)
    assert measure_psnr(one, one) is None
    assert measure_psnr(one, Image.new("RGB", (8, 4))) is None
