"""A draft becomes complete requests, or says what is missing."""

from __future__ import annotations

import msgspec
import pytest

from engines.capabilities import Capabilities, Sizes, Span
from engines.resolve import resolve_draft
from store.errors import RequestError
from store.limits import SEED_MAXIMUM
from store.records import Draft, DraftPrompt

CAPABILITIES = Capabilities(
    engine="toy",
    title="Toy",
    models=("toy-1", "toy-2"),
    samplers=("k_euler", "ddim"),
    default_sampler="k_euler",
    style_presets=("anime",),
    steps=Span(low=1, high=50, step=1, default=30),
    cfg_scale=Span(low=0, high=20, step=0.5, default=7),
    sizes=Sizes(default=(128, 192), suggested=((128, 192),)),
)
SKY = DraftPrompt(text="sky")


def test_what_is_left_open_takes_the_engines_default() -> None:
    (request,) = resolve_draft(Draft(prompts=(SKY,), seed=5), CAPABILITIES)
    parameters = request.parameters
    assert (request.engine, request.model) == ("toy", "toy-1")
    assert (parameters.steps, parameters.cfg_scale, parameters.sampler) == (30, 7.0, "k_euler")
    assert (parameters.width, parameters.height, parameters.style_preset) == (128, 192, None)


def test_a_sampler_may_have_the_name_that_the_apis_package_gives_it() -> None:
    samplers = msgspec.structs.replace(CAPABILITIES, samplers=("k_euler", "ddpm"))
    (request,) = resolve_draft(Draft(prompts=(SKY,), sampler="plms"), samplers)
    assert request.parameters.sampler == "ddpm"


SAMPLERS = msgspec.structs.replace(
    CAPABILITIES, samplers=("k_euler", "k_euler_ancestral", "k_dpmpp_2m", "ddim")
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DPM++ 2M Karras", "k_dpmpp_2m"),
        ("dpmpp_2m", "k_dpmpp_2m"),
        ("DPM++ 2M", "k_dpmpp_2m"),
        ("Euler a", "k_euler_ancestral"),
        ("euler_ancestral", "k_euler_ancestral"),
        ("Euler", "k_euler"),
        ("DDIM", "ddim"),
    ],
)
def test_a_sampler_is_known_by_the_name_that_other_programs_have(written: str, meant: str) -> None:
    (request,) = resolve_draft(Draft(prompts=(SKY,), sampler=written), SAMPLERS)
    assert request.parameters.sampler == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Euler Exponential", "k_euler has no schedule 'exponential' to choose here."),
        ("Eulr", "Did you mean 'k_euler'?"),
        ("DPM++ 2M SDE Karras", "Unknown sampler 'DPM++ 2M SDE Karras'."),
        ("", "Unknown sampler ''."),
    ],
)
def test_a_sampler_that_is_none_is_told_with_what_may_be_meant(written: str, said: str) -> None:
    with pytest.raises(RequestError) as raised:
        SAMPLERS.find_sampler(written)
    assert said in str(raised.value)
    assert raised.value.field == "parameters.sampler"


def test_images_get_the_seeds_that_follow_and_the_last_seed_wraps_to_one() -> None:
    draft = Draft(prompts=(SKY,), seed=SEED_MAXIMUM, images=3)
    seeds = [request.parameters.seed for request in resolve_draft(draft, CAPABILITIES)]
    assert seeds == [SEED_MAXIMUM, 1, 2]


@pytest.mark.parametrize("size", [(200, 200), (130, 1000), (0, 128), (-5, 128), (9999, 128)])
def test_the_size_that_a_refusal_names_is_one_that_the_engine_makes(size: tuple[int, int]) -> None:
    width, height = size
    with pytest.raises(RequestError) as caught:
        resolve_draft(Draft(prompts=(SKY,), width=width, height=height), CAPABILITIES)
    assert "Each side is a multiple of 64 from 128 to 1024" in caught.value.hint
    named = caught.value.hint.rpartition("The nearest is ")[2].rstrip(".").split("x")
    draft = Draft(prompts=(SKY,), width=int(named[0]), height=int(named[1]))
    (request,) = resolve_draft(draft, CAPABILITIES)
    assert (request.parameters.width, request.parameters.height) != size


def test_a_missing_seed_is_drawn_and_never_zero() -> None:
    seeds = {
        resolve_draft(Draft(prompts=(SKY,)), CAPABILITIES)[0].parameters.seed for _ in range(50)
    }
    assert len(seeds) > 1
    assert all(1 <= seed <= SEED_MAXIMUM for seed in seeds)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"prompts": ()}, "prompts", "empty"),
        ({"prompts": (DraftPrompt(text="fog", weight=-1),)}, "prompts", "above 0"),
        ({"prompts": (SKY, DraftPrompt(text=" "))}, "prompts.2.text", "Prompt 2"),
        ({"prompts": (SKY, DraftPrompt(text="x", weight=11))}, "prompts.2.weight", "11"),
        ({"seed": 0}, "parameters.seed", "out of range"),
        ({"width": 100}, "parameters.size", "100x192"),
        ({"width": 2048}, "parameters.size", "2048x192"),
        ({"sampler": "k_unknown"}, "parameters.sampler", "k_euler, ddim"),
        ({"style_preset": "baroque"}, "parameters.style_preset", "anime"),
        ({"model": "toy-9"}, "model", "toy-1, toy-2"),
        ({"steps": 51}, "parameters.steps", "1 to 50"),
        ({"cfg_scale": 21.0}, "parameters.cfg_scale", "0 to 20"),
        ({"images": 0}, "images", "1 to 100"),
    ],
)
def test_what_cannot_be_accepted_names_field_value_and_way_out(
    change: dict[str, object], field: str, words: str
) -> None:
    draft = msgspec.structs.replace(Draft(prompts=(SKY,), seed=5), **change)
    with pytest.raises(RequestError) as caught:
        resolve_draft(draft, CAPABILITIES)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_an_empty_row_that_is_switched_off_is_left_out() -> None:
    draft = Draft(prompts=(SKY, DraftPrompt(text="", enabled=False)), seed=5)
    assert len(resolve_draft(draft, CAPABILITIES)[0].stack.prompts) == 1
