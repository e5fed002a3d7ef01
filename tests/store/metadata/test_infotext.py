"""A1111's text and its emphasis, as prompts with weights."""

from __future__ import annotations

import pytest

from store.metadata.attention import read_emphasis, split_and, take_out_networks
from store.metadata.foreign import Reading
from store.metadata.infotext import read_infotext

LAST = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model: v1-5"


def read(prompt: str, last: str = LAST) -> Reading:
    reading = read_infotext(f"{prompt}\n{last}")
    assert reading is not None
    return reading


def list_prompts(prompt: str) -> list[tuple[str, float]]:
    return [(row.text, row.weight) for row in read(prompt).prompts]


@pytest.mark.parametrize(
    ("prompt", "rows"),
    [
        ("a cat, a dog", [("a cat, a dog", 1)]),
        ("a cat, (clouds:1.3), house", [("a cat", 1), ("clouds", 1.3), ("house", 1)]),
        ("((a cat))", [("a cat", 1.21)]),
        ("[a cat]", [("a cat", 0.909090909)]),
        ("(a cat:0.5)", [("a cat", 0.5)]),
        ("(a cat, (a dog:2):1.5)", [("a cat", 1.5), ("a dog", 3)]),
        (r"a cat \(tabby\)", [("a cat (tabby)", 1)]),
        ("a cat :1 AND a dog :0.6", [("a cat", 1), ("a dog", 0.6)]),
        ("a cat AND (a dog:1.2)", [("a cat", 1), ("a dog", 1.2)]),
        ("a cat\nNegative prompt: ((blur)), ugly", [("a cat", 1), ("blur", -1.21), ("ugly", -1)]),
        ("one\ntwo\nNegative prompt: three\nfour", [("one\ntwo", 1), ("three\nfour", -1)]),
    ],
)
def test_emphasis_round_whole_parts_becomes_weights(
    prompt: str, rows: list[tuple[str, float]]
) -> None:
    assert list_prompts(prompt) == rows
    assert read(prompt).grade == "mapped"


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a (red:1.3) cat", "inside a phrase"),
        ("[a cat:a dog:0.5]", "changes while the image is made"),
        ("[a cat|a dog]", "changes while the image is made"),
        ("a cat BREAK a dog", "BREAK"),
        ("((a cat)", "do not match"),
        ("a cat :)", "do not match"),
        ("(" * 40 + "cat" + ")" * 40, "too deep"),
    ],
)
def test_what_is_no_prompt_of_its_own_is_kept_as_written_and_told(prompt: str, reason: str) -> None:
    reading = read(prompt)
    assert [row.text for row in reading.prompts] == [prompt]
    assert reading.grade == "partial"
    assert reason in reading.notes[0]


def test_extra_networks_are_no_part_of_the_prompt() -> None:
    reading = read("a cat <lora:ink:0.8>, <hypernet:x:1>, rain")
    assert [row.text for row in reading.prompts] == ["a cat, rain"]
    assert [(item.name, item.value) for item in reading.unread] == [
        ("lora", "ink:0.8"),
        ("hypernet", "x:1"),
    ]
    assert take_out_networks("a < b and c > d").text == "a < b and c > d"


def test_quoted_values_and_json_hold_commas_and_colons() -> None:
    last = (
        LAST + ', Lora hashes: "ink: abc, pen: def", Civitai resources: [{"type":"x","id":1},'
        '{"id":2}], Template: "a, b: \\"c\\"", Hires upscale: 2'
    )
    reading = read("a cat", last)
    assert reading.facts["Lora hashes"] == "ink: abc, pen: def"
    assert reading.facts["Civitai resources"] == '[{"type":"x","id":1},{"id":2}]'
    assert reading.facts["Template"] == 'a, b: "c"'
    assert [(item.name, item.value) for item in reading.unread] == [("Hires upscale", "2")]


def test_templates_may_follow_the_line_of_parameters() -> None:
    reading = read("a cat", LAST + "\nTemplate: a __animal__,\nin: rain\nNegative Template: x: y")
    assert reading.facts["Template"] == "a __animal__,\nin: rain"
    assert reading.facts["Negative Template"] == "x: y"
    assert reading.grade == "mapped"


def test_a_prompt_that_looks_like_parameters_is_a_prompt() -> None:
    text = "portrait\nlens: 50mm, iso: 100, shutter: 1/200"
    assert read_infotext(text) is None
    assert list_prompts(text) == [(text, 1)]
    inner = "a\nSteps: 1, Seed: 9, Size: 8x8\nb"
    assert list_prompts(inner) == [(inner, 1)]
    assert read(inner).seed == 5


@pytest.mark.parametrize(
    ("last", "name", "value"),
    [
        (LAST.replace("Seed: 5", "Seed: 0"), "Seed", "0"),
        (LAST.replace("Seed: 5", "Seed: 18446744073709551615"), "Seed", "18446744073709551615"),
        (LAST.replace("CFG scale: 7", "CFG scale: 99"), "CFG scale", "99"),
        (LAST.replace("Steps: 20", "Steps: 1e9"), "Steps", "1e9"),
        (LAST.replace("512x512", "many"), "Size", "many"),
        (LAST.replace("Euler a", "Restart"), "sampler", "Restart"),
        (LAST.replace("Euler a", "Euler a Exponential"), "schedule", "exponential"),
        (LAST + ", Clip skip: 2", "Clip skip", "2"),
    ],
)
def test_what_a_request_cannot_hold_is_unread(last: str, name: str, value: str) -> None:
    reading = read("a cat", last)
    assert (name, value) in [(item.name, item.value) for item in reading.unread]
    assert reading.grade == "partial"


def test_brackets_mean_nothing_else_where_no_a1111_wrote_them() -> None:
    assert read_emphasis("[a cat] BREAK", is_a1111=False) == ([("[a cat] BREAK", 1.0)], "")
    assert split_and("SAND AND sea")[0].text == "SAND"
