"""Which prompt became which, and which of its words changed."""

from __future__ import annotations

import itertools
import random

import pytest

from engines.prompt_pairs import PromptPair, compare_words, match_prompts
from store.limits import TEXT_LIMIT
from store.prompts import parse_prompt
from store.request import Prompt


def pair(one: list[str], other: list[str]) -> list[str]:
    """The pairs as `1=2` for places from 1, `~` behind what moved, `-` where there is none."""
    pairs = match_prompts([parse_prompt(text) for text in one], [parse_prompt(t) for t in other])
    return [show(each) for each in pairs]


def show(pair: PromptPair) -> str:
    one, other = (
        "-" if place is None else str(place + 1)
        for place in (pair.place_in_one, pair.place_in_other)
    )
    return f"{one}={other}{'~' if pair.is_moved else ''}"


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        ([], [], []),
        (["night"], ["night"], ["1=1"]),
        (["night", "fog"], ["fog", "night"], ["2=1", "1=2~"]),
        (["night"], ["fog", "night"], ["-=1", "1=2"]),
        (["night", "fog", "rain"], ["night", "rain"], ["1=1", "2=-", "3=2"]),
        (["fog", "night"], ["night"], ["1=-", "2=1"]),
        # the last one on both sides is taken for reworded, however little it has in common
        (["night", "clouds"], ["night", "fog"], ["1=1", "2=2"]),
        (["a night sky", "red clouds"], ["red cloud", "night sky"], ["2=1", "1=2~"]),
        # two on both sides with nothing in common are other prompts
        (["xylophone", "quartz"], ["ember", "willow"], ["1=-", "2=-", "-=1", "-=2"]),
        # of equal texts, those of equal weight belong together
        (["fog", "fog::-1"], ["fog::-1"], ["1=-", "2=1"]),
        (["fog", "fog::-1"], ["fog::-1", "fog"], ["2=1", "1=2~"]),
        (["fog", "fog"], ["fog", "fog"], ["1=1", "2=2"]),
    ],
)
def test_pairs(one: list[str], other: list[str], pairs: list[str]) -> None:
    assert pair(one, other) == pairs


def test_the_more_alike_find_each_other_first() -> None:
    one = ["a lighthouse in a storm", "a lighthouse in a calm night"]
    other = ["a lighthouse in a calm bright night", "a ship in a storm"]
    assert pair(one, other) == ["2=1", "1=2~"]


def test_only_what_left_its_order_has_moved() -> None:
    texts = [f"prompt number {number}" for number in ["one", "two", "three", "four", "five", "six"]]
    assert pair(texts, texts[1:] + texts[:1]) == ["2=1", "3=2", "4=3", "5=4", "6=5", "1=6~"]


def test_every_prompt_is_in_one_pair_whatever_the_stacks_are() -> None:
    dice = random.Random(5)
    pool = [Prompt(text=t, weight=w) for t in ("fog", "a fog", "night", "rain ") for w in (1, -1)]
    for _ in range(200):
        one, other = (dice.choices(pool, k=dice.randrange(9)) for _ in range(2))
        pairs = match_prompts(one, other)
        assert [p.place_in_other for p in pairs if p.other] == list(range(len(other)))
        assert sorted(p.place_in_one or 0 for p in pairs if p.one) == list(range(len(one)))
        still = [p.place_in_one or 0 for p in pairs if p.one and p.other and not p.is_moved]
        assert still == sorted(still)
        assert all(p.is_equal for p in match_prompts(one, one))


def test_the_largest_stacks_of_the_longest_prompts_are_matched() -> None:
    dice = random.Random(1)

    def write() -> Prompt:
        words = ("".join(dice.choices("abcdefgh", k=7)) for _ in range(TEXT_LIMIT // 8))
        return Prompt(text=" ".join(words))

    one = [write() for _ in range(64)]
    other = [Prompt(text=prompt.text[: TEXT_LIMIT // 2]) for prompt in reversed(one)]
    pairs = match_prompts(one, other)
    assert [pair.place_in_one for pair in pairs] == list(range(63, -1, -1))


def mark(one: str, other: str) -> str:
    signs = {"same": "{}", "removed": "[-{}-]", "added": "[+{}+]"}
    return "".join(signs[run.kind].format(run.text) for run in compare_words(one, other))


@pytest.mark.parametrize(
    ("one", "other", "runs"),
    [
        ("night sky", "night sky", "night sky"),
        ("night sky", "a night sky", "[+a +]night sky"),
        ("night sky, blue", "night sky", "night sky[-, blue-]"),
        ("above a japanese town", "above a french town", "above a [-japanese -][+french +]town"),
        ("fog,mist", "fog.mist", "fog[-,-][+.+]mist"),
        ("a  b\nc", "a b c", "a b c"),
        ("clouds", "fog", "[-clouds-][+fog+]"),
        ("日本の町", "日本の村", "日本の[-町-][+村+]"),
    ],
)
def test_words(one: str, other: str, runs: str) -> None:
    assert mark(one, other) == runs


def test_words_tell_all_of_both_texts() -> None:
    dice = random.Random(2)
    for _ in range(200):
        one, other = (" ".join(dice.choices(["a", "b", "c,", "d"], k=8)) for _ in range(2))
        runs = compare_words(one, other)
        assert "".join(run.text for run in runs if run.kind != "removed") == other
        kept = "".join(run.text for run in runs if run.kind != "added")
        assert kept.split() == one.split() or kept.replace(" ", "") == one.replace(" ", "")


def test_long_texts_are_compared_at_their_ends_only() -> None:
    signs = [chr(0x4E00 + number) for number in range(9_000)]
    one, other = "".join(signs), signs[0] + "".join(reversed(signs))
    kinds = [run.kind for run in compare_words(one, other)]
    assert kinds == ["same", "removed", "added"]
    repeated = list(itertools.chain.from_iterable(zip("ab" * 2_000, "ba" * 2_000, strict=True)))
    assert compare_words(" ".join(repeated), " ".join(repeated[::-1]))
