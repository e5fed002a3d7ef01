"""What changed from one request to the next, said in a few words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from store.request import (
    Adapter,
    FineTune,
    Guidance,
    InitialImage,
    Mask,
    Prompt,
    PromptStack,
    Request,
    Upscale,
    Variation,
)
from tests.factories import make_request
from tui.diff import describe_change

START = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0.0)
MASK = Mask(sha256="cd" * 32, replaces="black", area_init="original")
METHOD = "weights by text_encoder→cross_attention"


def test_a_parameter_is_named_with_its_old_and_new_value() -> None:
    older = make_request("night", cfg_scale=7.0)
    assert describe_change(older, make_request("night", cfg_scale=8.0)) == "cfg 7→8"
    newer = make_request("night", cfg_scale=7.5)
    assert describe_change(older, newer, has_unicode=False) == "cfg 7->7.5"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 5}, "seed"),
        ({"steps": 30}, "steps 50→30"),
        ({"sampler": "ddim"}, "sampler k_dpmpp_2m→ddim"),
        ({"width": 192}, "size 128x128→192x128"),
        ({"style_preset": "anime"}, "style none→anime"),
        ({"engine": "stability"}, "engine builtin→stability"),
        ({}, "same request"),
    ],
)
def test_every_parameter_has_its_words(change: dict[str, Any], said: str) -> None:
    assert describe_change(make_request("night"), make_request("night", **change)) == said


@pytest.mark.parametrize(
    ("older", "newer", "said"),
    [
        (["night"], ["night", "fog::0.6"], "+ fog 0.6"),
        (["night"], ["night", "clouds::-1"], "+ clouds -1"),
        (["night", "fog"], ["night"], "- fog"),
        (["night"], ["night::1.2"], "weight 1→1.2"),
        (["night"], ["day::1.2"], "night→day, weight 1→1.2"),
        (["night", "fog::0.6"], ["night", "fog::0.8"], "fog 0.6→0.8"),
        (["night", "fog"], ["day", "fog"], "night→day"),
        (["night::1", "fog"], ["day::2", "fog"], "night→day, day 1→2"),
        (["night", "fog"], ["fog", "night"], "order"),
        (["fog", "fog::2"], ["fog::2"], "- fog, fog 1→2"),
    ],
)
def test_prompts_are_told_apart_by_their_text(
    older: list[str], newer: list[str], said: str
) -> None:
    changed = describe_change(make_request(*older), make_request(*newer))
    assert set(changed.split(", ")) == set(said.split(", "))


def test_a_prompt_that_is_switched_off_is_said() -> None:
    on = make_request("night", "fog")
    prompts = (on.stack.prompts[0], Prompt(text="fog", enabled=False))
    off = Request(
        engine=on.engine,
        model=on.model,
        stack=PromptStack(prompts=prompts),
        parameters=on.parameters,
    )
    assert describe_change(on, off) == "fog off"
    assert describe_change(off, on) == "fog on"


def test_several_changes_are_all_listed_prompts_first() -> None:
    older, newer = make_request("night"), make_request("night", "fog", seed=7, steps=20)
    assert describe_change(older, newer) == "+ fog, seed, steps 50→20"


def test_a_long_or_tabbed_prompt_takes_one_short_line() -> None:
    newer = make_request("night", "a\tvery\nlong prompt about mountains and the sea")
    changed = describe_change(make_request("night"), newer)
    assert changed.startswith("+ a very long prompt")
    assert len(changed) <= 27
    assert "\n" not in changed


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"initial_image": START}, "+ initial image 0.6"),
        ({"initial_image": START}, {}, "- initial image"),
        (
            {"initial_image": START},
            {"initial_image": msgspec.structs.replace(START, start_schedule=0.5)},
            "start 0.6→0.5",
        ),
        (
            {"initial_image": START},
            {"initial_image": msgspec.structs.replace(START, sha256="cd" * 32)},
            "initial image",
        ),
        ({"initial_image": START}, {"initial_image": START, "mask": MASK}, "+ mask"),
        ({}, {"variation": Variation(seed=3, strength=0.2)}, "+ vary seed 0.2"),
        (
            {"variation": Variation(seed=3, strength=0.2)},
            {"variation": Variation(seed=4, strength=0.2)},
            "vary seed",
        ),
        ({"weight_method": "text_encoder"}, {"weight_method": "cross_attention"}, METHOD),
        (
            {},
            {"upscale": Upscale(sha256="ab" * 32, upscaler="rgb"), "width": 256, "height": 256},
            "size 128x128→256x256, + made larger",
        ),
    ],
)
def test_what_an_image_started_from_is_told_in_plain_words(
    before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    older, newer = make_request("night", **before), make_request("night", **after)
    assert describe_change(older, newer) == said


def test_the_form_of_a_request_is_no_change_of_its_own() -> None:
    older = msgspec.structs.replace(make_request("night"), format=1)
    assert describe_change(older, make_request("night")) == "same request"


SKETCH = Adapter(kind="sketch", strength=0.4, init="image")
GUIDED = Guidance(preset="simple")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"guidance": GUIDED}, "+ guidance simple"),
        ({"guidance": GUIDED}, {}, "- guidance"),
        (
            {"guidance": GUIDED},
            {"guidance": Guidance(preset="simple", strength=0.3, models=("a", "b"))},
            "guidance strength none→0.3, guidance models none→a, b",
        ),
        ({}, {"adapter": SKETCH}, "+ adapter sketch 0.4"),
        (
            {"adapter": SKETCH},
            {"adapter": msgspec.structs.replace(SKETCH, kind="depth")},
            "adapter kind sketch→depth",
        ),
        ({}, {"fine_tunes": (FineTune(model="m", weight=0.5),)}, "+ tuned by m 0.5"),
        ({"fine_tunes": (FineTune(model="m"),)}, {}, "- tuned by m"),
        (
            {"fine_tunes": (FineTune(model="m"),)},
            {"fine_tunes": (FineTune(model="m", weight=0.5),)},
            "tuned by m none→0.5",
        ),
        (
            {"fine_tunes": (FineTune(model="m"), FineTune(model="n"))},
            {"fine_tunes": (FineTune(model="n"), FineTune(model="m"))},
            "tuned by order",
        ),
    ],
)
def test_what_a_service_has_beyond_the_rest_is_told_without_brackets(
    before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    start = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0)
    older = make_request("night", initial_image=start, **before)
    newer = make_request("night", initial_image=start, **after)
    assert describe_change(older, newer) == said
