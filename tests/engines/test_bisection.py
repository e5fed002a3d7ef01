"""Which of the changes between two requests explains the difference of their images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from engines.bisection import Bisection, Explanation, Trial
from store.errors import RequestError
from store.request import Request
from tests.factories import make_request

Fields = Mapping[str, float]


def search(
    one: Request, other: Request, measure: Callable[[Request], float | None], most: int = 64
) -> tuple[list[Trial], Explanation]:
    """All trials, and what was found."""

    async def work() -> tuple[list[Trial], Explanation]:
        async def ask(request: Request) -> float | None:
            return measure(request)

        trials: list[Trial] = []
        async for found in Bisection(one, other, ask, most).search():
            if isinstance(found, Explanation):
                return trials, found
            trials.append(found)
        raise AssertionError("nothing was found")

    return asyncio.run(work())


def weigh(other: Request, **shares: float) -> Callable[[Request], float]:
    """A distance to which each parameter that is not yet the other's adds its share."""

    def measure(request: Request) -> float:
        return sum(
            share
            for name, share in shares.items()
            if getattr(request.parameters, name) != getattr(other.parameters, name)
        )

    return measure


ONE = make_request("night", seed=1, steps=20, cfg_scale=7.0, sampler="k_euler")
OTHER = make_request("night", seed=2, steps=30, cfg_scale=9.0, sampler="ddim")


def name(found: Explanation | Trial) -> list[str]:
    return [change.field for change in found.changes]


def test_the_one_change_that_decides_is_named_with_its_share() -> None:
    trials, found = search(ONE, OTHER, weigh(OTHER, seed=80, steps=10, cfg_scale=10, sampler=0))
    assert name(found) == ["seed"]
    assert found.explained == pytest.approx(0.8)
    assert found.is_complete
    assert found.request == make_request(
        "night", seed=2, steps=20, cfg_scale=7.0, sampler="k_euler"
    )
    assert len(trials) == found.trials == 2
    assert [trial.number for trial in trials] == [1, 2]


def test_changes_that_explain_only_together_are_named_together() -> None:
    measure = weigh(OTHER, seed=45, steps=5, cfg_scale=0, sampler=50)
    one = search(ONE, OTHER, measure)[1]
    assert name(one) == ["sampler"]
    # half is not crossed by any alone
    _, two = search(ONE, OTHER, weigh(OTHER, seed=40, steps=20, cfg_scale=0, sampler=40))
    assert len(two.changes) == 2
    assert two.explained >= 0.5


def test_a_change_that_works_only_with_another_one() -> None:
    def measure(request: Request) -> float:
        own = request.parameters
        return 0.0 if own.seed == 2 and own.sampler == "ddim" else 100.0

    _, found = search(ONE, OTHER, measure)
    assert name(found) == ["seed", "sampler"]
    assert found.explained == 1


def test_it_takes_few_images_where_one_of_many_decides() -> None:
    one = make_request(*(f"prompt number {n}" for n in range(64)))
    other = make_request(*(f"prompt number {n}::{1.5 if n % 2 else 0.5}" for n in range(64)))
    for decisive in (0, 31, 63):

        def measure(request: Request, at: int = decisive) -> float:
            return 100.0 if request.stack.prompts[at].weight == 1 else 5.0

        trials, found = search(one, other, measure)
        assert [change.prompt for change in found.changes] == [f"prompt number {decisive}"]
        assert len(trials) <= 12


def test_each_request_is_measured_once() -> None:
    asked: list[str] = []

    def measure(request: Request) -> float:
        asked.append(request.digest)
        own = request.parameters
        return 0.0 if (own.seed, own.steps, own.sampler) == (2, 30, "ddim") else 100.0

    _, found = search(ONE, OTHER, measure)
    assert name(found) == ["seed", "steps", "sampler"]
    assert len(set(asked)) == len(asked)


def test_the_trials_are_bounded() -> None:
    def measure(request: Request) -> float:
        return 0.0 if request == OTHER else 100.0

    trials, found = search(ONE, OTHER, measure, most=3)
    assert len(trials) == 3
    assert not found.is_complete
    assert found.request == OTHER
    assert found.explained == 1


def test_images_of_another_size_are_compared_from_the_second_size_on() -> None:
    one = make_request("night", seed=1, width=128)
    other = make_request("night", seed=2, width=192)

    def measure(request: Request) -> float | None:
        own = request.parameters
        return None if own.width == 128 else 10.0 if own.seed == 2 else 100.0

    trials, found = search(one, other, measure)
    assert name(trials[0]) == ["size"]
    assert name(found) == ["seed", "size"]
    assert [change.field for change in found.decisive] == ["seed"]


def test_a_size_that_explains_all() -> None:
    one = make_request("night", steps=20, width=128)
    other = make_request("night", steps=30, width=192)

    def measure(request: Request) -> float | None:
        return None if request.parameters.width == 128 else 0.0

    _, found = search(one, other, measure)
    assert [change.field for change in found.decisive] == ["size"]
    assert found.request == make_request("night", steps=20, width=192)


def test_a_request_that_no_engine_takes_explains_nothing() -> None:
    def measure(request: Request) -> float | None:
        own = request.parameters
        if (own.sampler == "ddim") != (own.steps == 30):
            return None
        return 0.0 if own.sampler == "ddim" else 90.0

    _, found = search(ONE, OTHER, measure)
    assert name(found) == ["steps", "sampler"]


@pytest.mark.parametrize(
    ("one", "distance", "said"),
    [
        (OTHER, 50.0, "the same request"),
        (ONE, 0.0, "Every pixel of both images is the same"),
        (ONE, None, "can be compared with the second one"),
    ],
)
def test_what_cannot_be_searched_is_said(one: Request, distance: float | None, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        search(one, OTHER, lambda _: distance)
