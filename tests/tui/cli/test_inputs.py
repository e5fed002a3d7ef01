"""What options become: 0 is a number, one that is left out is the default, a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from store.errors import RequestError
from store.limits import SEED_MAXIMUM
from store.request import Adapter, FineTune, Guidance, Variation
from tests.tui.cli.invoking import invoke
from tui.cli.inputs import (
    parse_adapter,
    parse_fine_tunes,
    parse_guidance,
    parse_variation,
    read_choice,
    read_count,
    read_number,
    read_prompts,
)


@pytest.mark.parametrize(("text", "strength"), [(None, 0.2), ("0", 0.0), ("0.7", 0.7), ("1", 1.0)])
def test_a_variation_has_the_strength_that_was_given(text: str | None, strength: float) -> None:
    assert parse_variation("7", text) == Variation(seed=7, strength=strength)


def test_a_variation_without_a_seed_draws_one() -> None:
    assert parse_variation(None, None) is None
    drawn = parse_variation(None, "0")
    assert drawn is not None
    assert 1 <= drawn.seed <= SEED_MAXIMUM
    assert drawn.strength == 0.0


@pytest.mark.parametrize(("text", "strength"), [(None, 0.4), ("0", 0.0), ("1", 1.0)])
def test_an_adapter_has_the_strength_that_was_given(text: str | None, strength: float) -> None:
    assert parse_adapter("canny", text, None) == Adapter(
        kind="canny", strength=strength, init="image"
    )


def test_an_adapter_needs_its_kind() -> None:
    assert parse_adapter(None, None, None) is None
    made = parse_adapter("CANNY", "0.5", "Adapter-Image")
    assert made == Adapter(kind="canny", strength=0.5, init="adapter_image")
    for strength, init in (("0", None), (None, "image")):
        with pytest.raises(RequestError, match="Which adapter"):
            parse_adapter(None, strength, init)


def test_guidance_is_what_was_given_and_needs_its_preset() -> None:
    assert parse_guidance(None, None, None, None, None) is None
    assert parse_guidance(None, None, None, [], None) is None
    assert parse_guidance("fast-blue", None, None, None, None) == Guidance(preset="fast_blue")
    assert parse_guidance("simple", "0", "1", ["a", "b"], "blue") == Guidance(
        preset="simple", strength=0.0, cuts=1, models=("a", "b"), prompt="blue"
    )
    alone = [("0", None, None, None), (None, "1", None, None), (None, None, ["a"], None)]
    for rest in (*alone, (None, None, None, "blue")):
        with pytest.raises(RequestError, match="no effect without a preset"):
            parse_guidance(None, *rest)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("m", FineTune(model="m")),
        ("m:0", FineTune(model="m", weight=0.0)),
        ("m:0.5", FineTune(model="m", weight=0.5)),
        ("m:", FineTune(model="m")),
    ],
)
def test_a_fine_tune_has_the_weight_behind_its_last_colon(
    argument: str, expected: FineTune
) -> None:
    assert parse_fine_tunes(["x", argument]) == (FineTune(model="x"), expected)
    assert parse_fine_tunes(None) == ()
    with pytest.raises(RequestError, match="'heavy' after ':' is not a number"):
        parse_fine_tunes(["m:heavy"])


def test_numbers_are_read_where_they_are_given() -> None:
    assert read_number("image_strength", None) is None
    assert read_number("image_strength", "0") == 0
    assert read_number("cfg_scale", "12.5", 0, 35) == 12.5
    assert read_count("--more", "3", 1, 3) == 3
    for text in ("0", "4"):
        with pytest.raises(RequestError, match="--more"):
            read_count("--more", text, 1, 3)
    assert read_choice("sampler", "K-Euler", ("ddim", "k_euler")) == "k_euler"


def test_prompts_are_switched_off_by_their_places() -> None:
    rows = read_prompts(["a", "b::0", "c"], ["1", "3"])
    assert [(row.text, row.weight, row.enabled) for row in rows] == [
        ("a", 1, False),
        ("b", 0, True),
        ("c", 1, False),
    ]
    for place in ("0", "4"):
        with pytest.raises(RequestError):
            read_prompts(["a", "b", "c"], [place])


# Before anything is queued, and so before anything is paid


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_to_is_told_before_a_job_is_queued(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    done = invoke(["generate", "sky", "-o", str(tmp_path / name)])
    assert done.exit_code == 2
    assert str(tmp_path / "file") in done.stderr
    assert json.loads(invoke(["jobs", "--json"]).stdout)["jobs"] == []
