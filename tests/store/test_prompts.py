"""What people mean by a text with `::` in it, and what is refused because nobody can know."""

from __future__ import annotations

import re

import pytest

from store.errors import RequestError
from store.prompts import UnclearPrompts, clean_text, parse_prompt, parse_prompts


def read(text: str) -> list[tuple[str, float]]:
    return [(prompt.text, prompt.weight) for prompt in parse_prompts(text)]


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("a castle", [("a castle", 1)]),
        ("sky::1.5", [("sky", 1.5)]),
        ("clouds::-1", [("clouds", -1)]),
        ("clouds::\u22121", [("clouds", -1)]),
        ("a::-.5", [("a", -0.5)]),
        ("a::+1", [("a", 1)]),
        (" a ::2 ", [(" a ", 2)]),
        ("two\nlines::2", [("two\nlines", 2)]),
        ("a cat::2 a dog::1", [("a cat", 2), ("a dog", 1)]),
        ("A::2 B::-1", [("A", 2), ("B", -1)]),
        ("ugly::-1 a castle::1", [("ugly", -1), ("a castle", 1)]),
        ("castle::3 view::1 vibrant::0.5", [("castle", 3), ("view", 1), ("vibrant", 0.5)]),
        ("still life::1.5 fruit", [("still life", 1.5), ("fruit", 1)]),
        ("hot:: dog::2", [("hot", 1), ("dog", 2)]),
        ("a::2, b::-1", [("a", 2), ("b", -1)]),
        ("a::2 | b::-1", [("a", 2), ("b", -1)]),
        ("a::2\nb::-1", [("a", 2), ("b", -1)]),
        ("a::2 b ::", [("a", 2), ("b", 1)]),
        ("std::vector::1", [("std::vector", 1)]),
        ("time 12::05::1", [("time 12::05", 1)]),
        ("fe80::1::1", [("fe80::1", 1)]),
        ("http://x/a::1.5::1", [("http://x/a::1.5", 1)]),
        ("http://x/a.png ::1.5", [("http://x/a.png ", 1.5)]),
        ("a::2::1", [("a::2", 1)]),
        ("a:::1", [("a:", 1)]),
        ("a::::1", [("a::", 1)]),
        ("3d::2", [("3d", 2)]),
        ("in 1920::2", [("in 1920", 2)]),
        ("cafe::1", [("cafe", 1)]),
        ("a: b, c", [("a: b, c", 1)]),
        ("\u5348\u5f8c\uff1a2\u6642", [("\u5348\u5f8c\uff1a2\u6642", 1)]),
        ("\ufeffa castle\r\nat night\rnow\u2028here", [("a castle\nat night\nnow\nhere", 1)]),
    ],
)
def test_prompts_are_read_as_their_writers_mean_them(
    text: str, prompts: list[tuple[str, float]]
) -> None:
    assert read(text) == prompts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sky::high", "'high' after '::' is not a number"),
        ("a::nan", "'nan' after '::' is not a number"),
        ("a::1_0", "'1_0' after '::' is no weight"),
        ("a::1e3", "'1e3' after '::' is no weight"),
        ("a::2.", "'2.' after '::' is no weight"),
        ("a::\uff12", "is no weight"),
        ("time 12::05", "'05' after '::' is no weight"),
        ("time 12::30", "30 is out of range"),
        ("std::vector", "'vector' after '::'"),
        ("fe80::1", "'fe80::1' looks like an address"),
        ("ping 2001:db8::1", "looks like an address"),
        ("http://x/a::1.5", "looks like an address"),
        ("a\uff1a\uff1a2", "wide colons"),
    ],
)
def test_a_weight_that_is_none_is_refused_and_its_advice_keeps_the_text(
    text: str, words: str
) -> None:
    with pytest.raises(RequestError, match=re.escape(words)) as caught:
        parse_prompts(text)
    assert "end it in ::1" in caught.value.hint
    assert read(f"{text}::1") == [(text, 1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hot:: dog", "after the '::' in 'hot:: dog'"),
        ("a :: b :: c", "No weight stands"),
        ("drawing ::", "No weight stands"),
        ("a::", "No weight stands"),
        ("a:: 1", "No weight stands"),
        ("::", "No weight stands"),
        ("::2 a", "is empty"),
        ("a::2 ::3", "is empty"),
        ("hot::dog::2 cat", "'hot::dog' is not followed by a weight"),
        ("see fe80::1 and b::2", "looks like an address"),
    ],
)
def test_what_may_be_several_prompts_is_refused(text: str, words: str) -> None:
    with pytest.raises(UnclearPrompts, match=re.escape(words)) as caught:
        parse_prompts(text)
    (advice,) = re.findall(r"as in '(.*)'", caught.value.hint)
    assert read(advice) == [("hot", 1), ("dog", 1)]
    assert parse_prompt(text).text == text or text[-1].isdigit()


@pytest.mark.parametrize("text", ["x" * 9000 + "::a" + "y" * 900, "word " * 900 + ":: yyyyyyyyy"])
def test_an_error_repeats_a_few_words_at_most(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_prompts(text)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("text", ["::1", "a::11", "a::1 b::99", "", "a\x1b[31m::1", "a\ud83d"])
def test_what_no_prompt_can_be_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_prompts(text)


def test_bytes_that_are_no_text_are_called_so() -> None:
    with pytest.raises(RequestError, match="byte 0xFF at position 2 of the prompt is no text"):
        parse_prompts("a\udcff")


def test_a_run_of_colons_costs_no_time() -> None:
    for sign in (":", "\uff1a", ":\uff1a", "::1 ", "::1", ":: "):
        with pytest.raises(RequestError):
            parse_prompts(sign * 30_000 + "x")


def test_one_prompt_to_the_character() -> None:
    for text in ("A::2 B", "hot:: dog", "\ufeffa\n", "fe80::1"):
        prompt = parse_prompt(f"{text}::-1")
        assert (prompt.text, prompt.weight) == (text, -1)


def test_clean_text_leaves_all_but_line_ends_alone() -> None:
    text = "\u200da\u200c b\u0301\t\u202e\u3000\n"
    assert clean_text(text) == text
