"""What becomes of a prompt stack where the service has one prompt and one negative prompt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.registry import EngineRegistry
from engines.settings import Settings
from engines.stability_rest.models import map_stack
from store.errors import RequestError
from store.request import Prompt, PromptStack
from tests.engines.stability_rest.rest import LARGE, ULTRA
from tests.factories import make_rest_request

NO_WEIGHT = "not sent: the service has one negative prompt without a weight."


def map_texts(model: str, *prompts: tuple[str, float], **changes: Any) -> Any:
    return map_stack(make_rest_request(model, prompts, **changes))


def test_one_prompt_is_sent_as_it_is_and_nothing_is_lost() -> None:
    mapping = map_texts(ULTRA, ("a (strange): text, ü", 1))
    assert mapping.prompt == "a (strange): text, ü"
    assert mapping.negative_prompt is None
    assert mapping.losses == ()
    assert map_texts(LARGE, ("sky", 1), ("clouds", -1)).losses == ()


def test_prompts_are_joined_and_the_person_is_told() -> None:
    mapping = map_texts(LARGE, ("sky", 1), ("clouds", -1), ("town", 1), ("people", -1))
    assert mapping.prompt == "sky, town"
    assert mapping.negative_prompt == "clouds, people"
    assert mapping.losses == (
        "The 2 prompts are sent as one text, joined by commas.",
        "The 2 prompts to avoid are sent as one text, joined by commas.",
    )


def test_weights_from_0_to_1_travel_where_the_service_has_them() -> None:
    mapping = map_texts("stable-image-core", ("sky", 1), ("town", 0.25))
    assert mapping.prompt == "sky, (town:0.25)"
    assert mapping.losses == ("The 2 prompts are sent as one text, joined by commas.",)


def test_greater_weights_are_brought_into_its_range() -> None:
    mapping = map_texts(ULTRA, ("sky", 3), ("town", 2), ("sea", 1))
    assert mapping.prompt == "sky, (town:0.6667), (sea:0.3333)"
    told = "The weights 3, 2 and 1 of the prompts are sent as 1, 0.6667 and 0.3333"
    assert mapping.losses[0] == f"{told}: the service takes 0 to 1."


def test_a_text_that_would_break_the_syntax_loses_its_weight() -> None:
    mapping = map_texts(ULTRA, ("sky", 1), ("town (old)", 0.5))
    assert mapping.prompt == "sky, town (old)"
    assert "The weights 1 and 0.5 of the prompts are sent as 1 and 1" in mapping.losses[0]
    assert "a parenthesis or a colon" in mapping.losses[1]


def test_a_model_without_weights_gets_none() -> None:
    mapping = map_texts(LARGE, ("sky", 1.5), ("town", 0.5))
    assert mapping.prompt == "sky, town"
    told = "The weights 1.5 and 0.5 of the prompts are not sent"
    assert mapping.losses[0] == f"{told}: sd3.5-large takes one prompt without weights."
    assert map_texts(LARGE, ("sky", 2)).losses == (
        "The weight 2 of the prompt is not sent: sd3.5-large takes one prompt without weights.",
    )


@pytest.mark.parametrize("model", [ULTRA, LARGE])
def test_the_weights_of_what_to_avoid_are_lost(model: str) -> None:
    mapping = map_texts(model, ("sky", 1), ("clouds", -0.5), ("people", -2))
    assert mapping.negative_prompt == "clouds, people"
    told = "The weights -0.5 and -2 of the prompts to avoid are"
    assert mapping.losses[0] == f"{told} {NO_WEIGHT}"
    alone = map_texts(model, ("sky", 1), ("clouds", -1.3))
    assert alone.losses == (f"The weight -1.3 of the prompt to avoid is {NO_WEIGHT}",)


def test_a_fast_model_may_not_heed_what_to_avoid() -> None:
    told = "At cfg scale 1 sd3.5-flash may not heed what is to be avoided."
    assert map_texts("sd3.5-flash", ("sky", 1), ("clouds", -1)).losses == (told,)
    assert map_texts("sd3.5-flash", ("sky", 1), ("clouds", -1), cfg_scale=2).losses == ()
    assert map_texts("sd3.5-flash", ("sky", 1)).losses == ()


def test_prompts_without_an_effect_stay_at_home() -> None:
    request = make_rest_request(ULTRA)
    prompts = (Prompt(text="sky"), Prompt(text="off", enabled=False), Prompt(text="nil", weight=0))
    mapping = map_stack(msgspec.structs.replace(request, stack=PromptStack(prompts=prompts)))
    assert (mapping.prompt, mapping.negative_prompt, mapping.losses) == ("sky", None, ())


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(RequestError, match="12,002 characters together"):
        map_texts(LARGE, ("x" * 6000, 1), ("y" * 6000, 1))
    with pytest.raises(RequestError, match="prompts to avoid have 12,002"):
        map_texts(LARGE, ("sky", 1), ("x" * 6000, -1), ("y" * 6000, -1))
    with pytest.raises(RequestError, match="too close to 0"):
        map_texts(ULTRA, ("sky", 1), ("town", 0.00001))


def test_the_registry_tells_the_losses_of_any_engine() -> None:
    registry = EngineRegistry(Settings())
    request = make_rest_request(LARGE, [("sky", 2.0)])
    assert registry.describe_losses(request) == map_stack(request).losses != ()
    assert registry.describe_losses(msgspec.structs.replace(request, engine="builtin")) == ()
