"""The single changes between two requests, and the requests in between."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engines.changes import Change, apply_changes, list_changes
from store.errors import RequestError
from store.request import (
    FineTune,
    InitialImage,
    Mask,
    Prompt,
    Request,
    Variation,
)
from tests.factories import make_request

START = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0.0)


def tell(one: Request, other: Request) -> list[tuple[str, str, Any, Any]]:
    return [(c.kind, c.field, c.before, c.after) for c in list_changes(one, other)]


def test_prompts() -> None:
    one = make_request("night sky", "fog", Prompt(text="rain", enabled=False), "snow", "hail")
    other = make_request("night skies", "rain::0.5", "fog::1.2", "quartz", "ember", "hail")
    assert [(c.kind, c.prompt, c.before, c.after) for c in list_changes(one, other)] == [
        ("text", "night skies", "night sky", "night skies"),
        ("weight", "rain", 1.0, 0.5),
        ("switch", "rain", False, True),
        ("removed", "snow", Prompt(text="snow"), None),
        ("weight", "fog", 1.0, 1.2),
        ("added", "quartz", None, Prompt(text="quartz")),
        ("added", "ember", None, Prompt(text="ember")),
        ("order", "", None, None),
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 5}, ("seed", 1229080980, 5)),
        ({"width": 192, "height": 256}, ("size", (128, 128), (192, 256))),
        ({"style_preset": "anime"}, ("style_preset", None, "anime")),
        ({"engine": "stability"}, ("engine", ("builtin", "r1"), ("stability", "r1"))),
        ({"model": "r0"}, ("model", "r1", "r0")),
        ({"initial_image": START}, ("initial_image", None, START)),
        (
            {"fine_tunes": (FineTune(model="a"),)},
            ("fine_tunes", (), (FineTune(model="a"),)),
        ),
    ],
)
def test_parameters(change: dict[str, Any], told: tuple[str, Any, Any]) -> None:
    one, other = make_request("night"), make_request("night", **change)
    assert tell(one, other) == [("parameter", *told)]
    assert list_changes(one, one) == ()


def test_the_fields_of_a_part_that_stayed_are_changes_of_their_own() -> None:
    one = make_request("night", variation=Variation(seed=1, strength=0.1))
    other = make_request("night", variation=Variation(seed=2, strength=0.2))
    assert [change.field for change in list_changes(one, other)] == [
        "variation.seed",
        "variation.strength",
    ]
    half = apply_changes(one, other, list_changes(one, other)[:1])
    assert half.parameters.variation == Variation(seed=2, strength=0.1)


def test_some_of_the_changes_make_a_request_in_between() -> None:
    one = make_request("night", "fog", steps=20)
    other = make_request("night", "rain sounds", "fog::-1", steps=30, cfg_scale=5.0)
    changes = list_changes(one, other)
    weight = [change for change in changes if change.kind == "weight"]
    assert apply_changes(one, other, weight) == make_request("night", "fog::-1", steps=20)
    rest = [change for change in changes if change.kind != "weight"]
    assert apply_changes(one, other, rest) == make_request(
        "night", "rain sounds", "fog", steps=30, cfg_scale=5.0
    )
    assert apply_changes(one, other, ()) is one
    assert apply_changes(one, other, changes) is other


def test_none_is_one_and_all_are_the_other_whatever_they_are() -> None:
    """Built up one by one in any order, the changes end at the other stack."""
    dice = random.Random(3)
    pool = [Prompt(text=t, weight=w) for t in ("fog", "a fog", "night", "rain") for w in (1, 2, -1)]
    for _ in range(300):
        one, other = (
            make_request(*dice.choices(pool, k=dice.randrange(1, 6)), Prompt(text="base"))
            for _ in range(2)
        )
        changes = list_changes(one, other)
        assert len(set(changes)) == len(changes) or any(c.kind == "added" for c in changes)
        for size in range(len(changes) + 1):
            some = dice.sample(changes, size)
            between = apply_changes(one, other, some)
            # What is left to change from there is what was not chosen.
            assert len(between.stack.prompts) == len(one.stack.prompts) + sum(
                {"added": 1, "removed": -1}.get(change.kind, 0) for change in some
            )
        ends = [c for c in changes if c.kind != "order"]
        texts = sorted(p.text for p in apply_changes(one, other, ends).stack.prompts)
        assert texts == sorted(p.text for p in other.stack.prompts)


def test_order_alone() -> None:
    one, other = make_request("night", "fog"), make_request("fog", "night", steps=20)
    order = Change(kind="order")
    assert order in list_changes(one, other)
    assert apply_changes(one, other, [order]) == make_request("fog", "night")


def test_what_is_no_request_is_refused() -> None:
    one = make_request("night")
    other = make_request(
        "fog::0.5",
        "rain",
        initial_image=START,
        mask=Mask(sha256="cd" * 32, replaces="black", area_init="original"),
    )
    mask = [change for change in list_changes(one, other) if change.field == "mask"]
    with pytest.raises(RequestError):
        apply_changes(one, other, mask)
