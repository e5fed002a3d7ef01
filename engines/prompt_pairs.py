"""Which prompt of one stack became which of another, and which of its words changed.

Prompts have no identity of their own: they are matched by their texts, the more alike the sooner,
and by where they stand. Both functions take time within bounds for any prompts that a stack holds.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from store.request import Prompt

ALIKE_FROM = 0.4
"""Texts less alike than this (0 nothing, 1 all in common) are two prompts, not one reworded.

Unrelated English sentences have up to a quarter of their trigrams in common."""

READ_AT_MOST = 2_000
"""Characters of a text, from its beginning, that are asked whether two are alike."""

_WORDS_AT_MOST = 1_200
_PLACES_AT_MOST = 60_000
"""Beyond these, of both texts together, only what they begin and end with is compared by words."""

_OWN_WORD = "぀-ヿ㐀-鿿豈-﫿"
"""Kana and ideographs, of which each is taken for a word: no spaces stand between them."""

_TOKEN = re.compile(rf"(?:[{_OWN_WORD}]|[^\W{_OWN_WORD}]+|[^\w\s])\s*|\s+")


class PromptPair(NamedTuple):
    """A prompt of one stack, and what it is in the other; None where it is not.

    The places count from 0. `is_moved`: others of both stacks stand before and behind it in
    another order.
    """

    one: Prompt | None
    other: Prompt | None
    place_in_one: int | None
    place_in_other: int | None
    is_moved: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether text, weight and switch are the same, and nothing moved."""
        return self.one == self.other and not self.is_moved


def match_prompts(one: Sequence[Prompt], other: Sequence[Prompt]) -> tuple[PromptPair, ...]:
    """The prompts of both stacks in pairs, in the order of `other`.

    Equal texts first, of these what is equal in weight and switch too; then the most alike; and a
    last one that is left on both sides is taken for reworded. What has no partner is added (None
    in `one`) or removed (None in `other`, standing behind what it stood behind).
    """
    return _match_stacks(tuple(one), tuple(other))


@functools.lru_cache(maxsize=8)
def _match_stacks(one: tuple[Prompt, ...], other: tuple[Prompt, ...]) -> tuple[PromptPair, ...]:
    """The largest stacks take seconds, and are asked about for each request in between."""
    found: dict[int, int] = {}
    _match_equal(one, other, found, is_whole=True)
    _match_equal(one, other, found, is_whole=False)
    _match_alike(one, other, found)
    left_one = [place for place in range(len(one)) if place not in found]
    left_other = sorted(set(range(len(other))) - set(found.values()))
    if len(left_one) == len(left_other) == 1:
        found[left_one[0]] = left_other[0]
    return _order_pairs(one, other, found)


def _match_equal(
    one: Sequence[Prompt], other: Sequence[Prompt], found: dict[int, int], *, is_whole: bool
) -> None:
    waiting: dict[object, list[int]] = {}
    taken = set(found.values())
    for place, prompt in enumerate(other):
        if place not in taken:
            waiting.setdefault(prompt if is_whole else prompt.text, []).append(place)
    for place, prompt in enumerate(one):
        same = waiting.get(prompt if is_whole else prompt.text)
        if place not in found and same:
            found[place] = same.pop(0)


def _match_alike(one: Sequence[Prompt], other: Sequence[Prompt], found: dict[int, int]) -> None:
    taken = set(found.values())
    left = [(place, prompt.text) for place, prompt in enumerate(one) if place not in found]
    right = [(place, prompt.text) for place, prompt in enumerate(other) if place not in taken]
    alike = []
    for place, text in left:
        for place_other, text_other in right:
            likeness = _measure_likeness(_list_trigrams(text), _list_trigrams(text_other))
            if likeness >= ALIKE_FROM:
                # Long texts have most trigrams in common, but not their words.
                likeness += _measure_likeness(_list_words(text), _list_words(text_other))
                alike.append((-likeness, abs(place - place_other), place, place_other))
    for _, _, place, place_other in sorted(alike):
        if place not in found and place_other not in taken:
            found[place] = place_other
            taken.add(place_other)


@functools.lru_cache(maxsize=256)
def _list_words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text[:READ_AT_MOST].casefold()))


@functools.lru_cache(maxsize=256)
def _list_trigrams(text: str) -> frozenset[str]:
    """All runs of three characters within the words of `text`, whose ends count as two."""
    padded = [f"  {word} " for word in _list_words(text)]
    return frozenset(word[at : at + 3] for word in padded for at in range(len(word) - 2))


def _measure_likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Twice what is common among all: 0 to 1."""
    size = len(one) + len(other)
    return 2 * len(one & other) / size if size else 0.0


def _order_pairs(
    one: Sequence[Prompt], other: Sequence[Prompt], found: dict[int, int]
) -> tuple[PromptPair, ...]:
    unmoved = _find_unmoved(found)
    behind: dict[int, list[PromptPair]] = {}
    last = -1
    for place, prompt in enumerate(one):
        if place in found:
            last = found[place]
        else:
            behind.setdefault(last, []).append(PromptPair(prompt, None, place, None))
    partners = {place_other: place for place, place_other in found.items()}
    pairs = behind.get(-1, [])
    for place_other, prompt in enumerate(other):
        partner = partners.get(place_other)
        was = None if partner is None else one[partner]
        is_moved = partner is not None and partner not in unmoved
        pairs.append(PromptPair(was, prompt, partner, place_other, is_moved))
        pairs += behind.get(place_other, [])
    return tuple(pairs)


def _find_unmoved(found: dict[int, int]) -> set[int]:
    """The places of a longest run of partners that stand in the same order on both sides."""
    ends: list[int] = []
    ending: list[int] = []
    before: dict[int, int | None] = {}
    for place in sorted(found):
        length = bisect_left(ends, found[place])
        before[place] = ending[length - 1] if length else None
        ends[length:], ending[length:] = (
            ([found[place]], [place])
            if length == len(ends)
            else ([found[place], *ends[length + 1 :]], [place, *ending[length + 1 :]])
        )
    unmoved: set[int] = set()
    at = ending[-1] if ending else None
    while at is not None:
        unmoved.add(at)
        at = before[at]
    return unmoved


class WordRun(NamedTuple):
    """Neighbouring words with the spaces behind them, and what became of them."""

    kind: Literal["same", "removed", "added"]
    text: str


def compare_words(one: str, other: str) -> tuple[WordRun, ...]:
    """`other` in runs of words, with what was removed from `one` before what came in its place.

    A sign is a word of its own. Other spaces alone are no difference: then all is `same`.
    """
    left, right = _TOKEN.findall(one), _TOKEN.findall(other)
    keys_left = [token.strip() for token in left]
    keys_right = [token.strip() for token in right]
    head = _count_common(keys_left, keys_right)
    tail = _count_common(keys_left[head:][::-1], keys_right[head:][::-1])
    middle_left = keys_left[head : len(left) - tail]
    middle_right = keys_right[head : len(right) - tail]
    runs = [WordRun("same", "".join(right[:head]))]
    for tag, low, high, low_other, high_other in _list_steps(middle_left, middle_right):
        gone = "".join(left[head + low : head + high])
        came = "".join(right[head + low_other : head + high_other])
        if tag == "equal":
            runs.append(WordRun("same", came))
        else:
            runs += [WordRun("removed", gone), WordRun("added", came)]
    runs.append(WordRun("same", "".join(right[len(right) - tail :])))
    return tuple(run for run in _join_same(runs) if run.text)


def _count_common(one: list[str], other: list[str]) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _list_steps(one: list[str], other: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    counts, others = Counter(one), Counter(other)
    places = sum(count * others[word] for word, count in counts.items())
    if len(one) + len(other) > _WORDS_AT_MOST or places > _PLACES_AT_MOST:
        return [("replace", 0, len(one), 0, len(other))]
    return difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()


def _join_same(runs: list[WordRun]) -> list[WordRun]:
    joined: list[WordRun] = []
    for run in runs:
        if joined and run.kind == "same" == joined[-1].kind:
            joined[-1] = WordRun("same", joined[-1].text + run.text)
        else:
            joined.append(run)
    return joined
