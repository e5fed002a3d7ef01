"""What one job may get, and what it says beyond that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engines.base import EngineError, Failure
from engines.stability import allowance as limits
from engines.stability.allowance import Allowance


@pytest.mark.parametrize(
    ("name", "limit", "take", "count", "words"),
    [
        ("ANSWERS_BYTES", 300, Allowance.take_answer, 100, "larger than 300 bytes"),
        ("ANSWERS", 3, Allowance.take_answer, 1, "more than 3 parts"),
        ("NEWS_BYTES", 300, Allowance.take_news, 100, "without end"),
        ("MESSAGES", 3, Allowance.take_news, 1, "without end"),
    ],
)
def test_three_are_taken_and_the_fourth_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limit: int,
    take: Callable[[Allowance, int], None],
    count: int,
    words: str,
) -> None:
    monkeypatch.setattr(limits, name, limit)
    allowance = Allowance("images.example:443")
    for _ in range(3):
        take(allowance, count)
    with pytest.raises(EngineError, match=words) as caught:
        take(allowance, count)
    assert caught.value.kind is Failure.BAD_ANSWER
    assert caught.value.may_be_charged
    assert "images.example:443" in caught.value.message


def test_previews_do_not_use_up_what_the_image_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWERS_BYTES", 300)
    allowance = Allowance("images.example:443")
    for _ in range(1000):
        allowance.take_news(400)
    allowance.take_answer(300)
