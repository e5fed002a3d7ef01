"""The evaluation tells a model that draws what is asked from one that does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines.builtin.training.data.captions import Facts
from engines.builtin.training.data.generator import GROUNDS
from engines.builtin.training.data.labels import CONCEPTS, OBJECTS, SCENES, label
from engines.builtin.training.data.lands import FARS
from engines.builtin.training.data.things import things
from engines.builtin.training.evaluation.contact_sheet import PROMPTS, make_request
from engines.builtin.training.evaluation.plots import plot_shares
from engines.builtin.training.evaluation.questions import Question, find_seen, make_questions
from engines.builtin.training.evaluation.reports import (
    CLOUDY,
    WEIGHTS,
    Task,
    report_clouds,
    report_concepts,
)

NOTHING = [0.0] * len(CONCEPTS)


def present(facts: Facts, *extra: str) -> set[str]:
    values, _ = label(facts, extra)
    return {name for name, value in zip(CONCEPTS, values, strict=True) if value}


def unknown(facts: Facts) -> set[str]:
    _, known = label(facts)
    return {name for name, value in zip(CONCEPTS, known, strict=True) if not value}


def test_concepts_are_the_generators_own() -> None:
    assert len(CONCEPTS) == len(set(CONCEPTS)) == 60
    assert set(OBJECTS) <= {thing.name for thing in things()}
    assert {*GROUNDS, *FARS} <= set(SCENES)


def test_labels_follow_the_facts() -> None:
    facts = Facts(hour="night", features=["crescent moon"], clouds=True, ground="town")
    assert present(facts) == {"night", "moon", "clouds", "town"}
    assert present(facts, "cat") == {"night", "moon", "clouds", "town", "cat"}
    assert present(Facts(things=[("dog", "puppy")], background="white")) == {"dog"}


def test_what_a_picture_cannot_tell_is_unknown() -> None:
    assert unknown(Facts(hour="day", ground="city", far="hills")) == {"hills"}
    assert unknown(Facts(hour="day", ground="harbour")) == {"sea"}
    assert unknown(Facts(hour="sunset", features=["sun"], far="hills", ground="sea")) == {"sun"}
    assert {"day", "night"} <= unknown(Facts(hour="day", ground="sea", style="line-art"))
    assert unknown(Facts(hour="day", features=["sun"], ground="meadow")) == set()


def test_every_concept_is_asked_for() -> None:
    questions = make_questions(4)
    for name in CONCEPTS:
        assert sum(name in q.asked for q in questions) >= 4, name
    for question in questions:
        make_request(question.text, 1)  # A prompt that the engine would refuse raises.
        assert not question.asked & question.allowed
    assert make_questions(4) == questions


def test_the_sheet_has_48_prompts() -> None:
    assert len(set(PROMPTS)) == 48


def test_seen_prompts_are_found(tmp_path: Path) -> None:
    words = {"a": 1, "cat": 2, "sea": 3}
    shard = np.full((2, 2, 5), -1, np.int16)
    shard[:, :, 0] = 0
    shard[1, 0, 1:3] = (1, 2)
    np.savez(tmp_path / "0.npz", ids=shard)

    def read(text: str) -> tuple[int, ...]:
        return (0, *(words[word] for word in text.split()))

    assert find_seen(["a cat", "cat", "a sea"], read, tmp_path) == ({"a cat"}, 4)


@pytest.fixture
def questions() -> list[Question]:
    return make_questions(2)


def test_a_perfect_model_reaches_the_goals(questions: list[Question]) -> None:
    text = "\n".join(
        report_concepts(questions, [set(q.asked) for q in questions], NOTHING, NOTHING)
    )
    assert text.count("100.0% (goal") == 2
    assert "missed" not in text
    assert "scenes 0.0%, objects 0.0%" in text


def test_a_blank_model_misses_them(questions: list[Question]) -> None:
    text = "\n".join(report_concepts(questions, [set() for _ in questions], NOTHING, NOTHING))
    assert text.count("0.0% (goal") == 2
    assert "reached" not in text


def test_things_that_nobody_asked_for_count(questions: list[Question]) -> None:
    found = [set(CONCEPTS) for _ in questions]
    text = "\n".join(report_concepts(questions, found, NOTHING, NOTHING))
    assert "scenes 100.0%, objects 100.0%" in text


class CloudJudge:
    """Sees clouds in a white picture."""

    def find(self, images: Sequence[Image.Image]) -> list[set[str]]:
        return [
            {"clouds"} if image.getpixel((0, 0)) == (255, 255, 255) else set() for image in images
        ]


def paint(cloudy: bool) -> Image.Image:
    return Image.new("RGB", (4, 4), (255, 255, 255) if cloudy else (0, 0, 0))


def weight_of(line: str) -> float:
    return float(line.rpartition("::")[2]) if "::" in line else 0.0


def test_clouds_that_obey_their_weight() -> None:
    def draw(tasks: Sequence[Task]) -> list[Image.Image]:
        return [paint(weight_of(line) >= 0) for line, _ in tasks]

    lines, plot = report_clouds(draw, CloudJudge(), 4, 2)
    text = "\n".join(lines)
    assert "* Without it: 100.0% (goal 80%: reached)." in text
    assert "* At weight -1: 0.0% (goal at most 5%: reached)." in text
    assert "* Monotone: yes." in text
    assert "beside 4 prompts" in text
    assert plot is not None


def test_clouds_that_do_not() -> None:
    def draw(tasks: Sequence[Task]) -> list[Image.Image]:
        return [paint(weight_of(line) in (0.0, -1.0)) for line, _ in tasks]

    text = "\n".join(report_clouds(draw, CloudJudge(), 4, 2)[0])
    assert "* At weight -1: 100.0% (goal at most 5%: missed)." in text
    assert "* Monotone: no, it falls at -0.5, 0.5." in text


def test_prompts_without_clouds_are_no_measure() -> None:
    def draw(tasks: Sequence[Task]) -> list[Image.Image]:
        return [paint(False) for _ in tasks]

    lines, plot = report_clouds(draw, CloudJudge(), 4, 2)
    assert plot is None
    assert "nothing was measured" in lines[0]
    assert not any("cloud" in line for line in CLOUDY)


def test_the_plot_follows_its_points() -> None:
    low = plot_shares([(w, 0.0) for w in WEIGHTS], "t", "x")
    high = plot_shares([(w, 1.0) for w in WEIGHTS], "t", "x")

    def height(image: Image.Image) -> float:
        blue = np.argwhere((np.asarray(image) == (38, 96, 184)).all(-1))
        return float(blue[:, 0].mean())

    assert height(high) < 60 < 240 < height(low)
