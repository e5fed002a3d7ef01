"""Figures of the evaluation, as Markdown: the sixty concepts, and clouds by weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from PIL import Image

from engines.builtin.training.data.labels import CONCEPTS, OBJECTS, SCENES
from engines.builtin.training.evaluation.plots import plot_shares
from engines.builtin.training.evaluation.questions import Question

Task = tuple[str, int]
"""Prompts in one line, and the seed."""


class Finder(Protocol):
    """Finds concepts in pictures."""

    def find(self, images: Sequence[Image.Image]) -> list[set[str]]:
        """The concepts in each."""
        ...


Draw = Callable[[Sequence[Task]], list[Image.Image]]

SCENE_GOAL, OBJECT_GOAL = 0.95, 0.8
WITH_GOAL, WITHOUT_GOAL = 0.8, 0.05
WEIGHTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
CLOUDY = """
beautiful night sky above japanese town, anime style
quiet meadow under a blue sky
midday sky, hills behind a lake
orange sunset behind the desert
dawn beside a lake, mountains behind
summer day at the quiet beach
morning sky over snowy mountains
blue sky over a town and mount fuji
rainbow behind a large flower field
blue sky, ocean and one sailboat
evening night sky over a city, moon
sunset behind the deep forest
evening glow behind an old harbour
pink morning sky behind the wide desert
dark night above a quiet lake and hills
dawn over one small village
""".strip().splitlines()
"""Prompts that do not name clouds; which of them usually bring some is measured first.

Without storms, which are made of clouds.
"""


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"


class Count:
    """Of so many images, so many in which it was found."""

    def __init__(self) -> None:
        self.whole = self.found = 0

    def add(self, found: bool) -> None:
        """One more image."""
        self.whole += 1
        self.found += found

    @property
    def share(self) -> float:
        """The share in which it was found, 0 where there was none."""
        return self.found / self.whole if self.whole else 0.0


def _mean(counts: Sequence[Count]) -> float:
    return sum(c.share for c in counts) / len(counts)


def _verdict(value: float, goal: float) -> str:
    return f"{value:.1%} (goal {goal:.0%}: {'reached' if value >= goal else 'missed'})"


def report_concepts(
    questions: Sequence[Question],
    found: Sequence[set[str]],
    recall: Sequence[float],
    alarms: Sequence[float],
) -> list[str]:
    """The table of the sixty concepts, in Markdown lines.

    `found`: what the judge found in the image of each question; `recall`, `alarms`: its limits.
    """
    asked = {name: Count() for name in CONCEPTS}
    unasked = {name: Count() for name in CONCEPTS}
    kinds = {"object alone": Count(), "object in a scene": Count()}
    for question, seen in zip(questions, found, strict=True):
        for name in CONCEPTS:
            if name in question.asked:
                asked[name].add(name in seen)
                if name in OBJECTS:
                    kinds[question.kind].add(name in seen)
            elif name not in question.allowed:
                unasked[name].add(name in seen)
    scenes, objects = (_mean([asked[n] for n in names]) for names in (SCENES, OBJECTS))
    good = sum(asked[n].share >= SCENE_GOAL for n in SCENES)
    known = sum(asked[n].share >= OBJECT_GOAL for n in OBJECTS)
    lines = [
        f"* Scenes found when asked, mean of {len(SCENES)}: {_verdict(scenes, SCENE_GOAL)}; "
        f"{good} of {len(SCENES)} reach it by themselves.",
        f"* Objects found when asked, mean of {len(OBJECTS)}: {_verdict(objects, OBJECT_GOAL)}; "
        f"{known} of {len(OBJECTS)} reach it by themselves.",
        *(f"* Of these, {k}: {_share(c.found, c.whole)} of {c.whole}." for k, c in kinds.items()),
        f"* Found when not asked: scenes {_mean([unasked[n] for n in SCENES]):.1%}, "
        f"objects {_mean([unasked[n] for n in OBJECTS]):.1%} on average. A prompt that leaves "
        "sky, far land or ground open lets the model choose, so some of it is no mistake.",
        "",
        "| concept | asked in | found | not asked in | found | judge: there | judge: not there |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for k, name in enumerate(CONCEPTS):
        a, u = asked[name], unasked[name]
        lines.append(
            f"| {name} | {a.whole} | {_share(a.found, a.whole)} | {u.whole} | {u.share:.1%} "
            f"| {recall[k]:.1%} | {alarms[k]:.1%} |"
        )
    return lines


def choose_cloudy(draw_all: Draw, judge: Finder, count: int) -> list[str]:
    """The first `count` prompts that bring clouds in at least two of three images."""
    tasks = [(line, seed) for line in CLOUDY for seed in (501, 502, 503)]
    found = ["clouds" in seen for seen in judge.find(draw_all(tasks))]
    return [line for k, line in enumerate(CLOUDY) if sum(found[3 * k : 3 * k + 3]) >= 2][:count]


def report_clouds(
    draw_all: Draw, judge: Finder, count: int, seeds: int
) -> tuple[list[str], Image.Image | None]:
    """Presence of clouds over the weight of the prompt "clouds": table and plot."""
    lines = choose_cloudy(draw_all, judge, count)
    if not lines:
        return ["No prompt tried brings clouds by itself, so nothing was measured."], None
    cells = [(line, 601 + k) for line in lines for k in range(seeds)]
    shares, counts = [], {}
    for weight in WEIGHTS:
        tail = f" | clouds::{weight:g}" if weight else ""
        seen = judge.find(draw_all([(line + tail, seed) for line, seed in cells]))
        cloudy = ["clouds" in one for one in seen]
        shares.append(sum(cloudy) / len(cells))
        counts[weight] = [sum(cloudy[k : k + seeds]) for k in range(0, len(cells), seeds)]
    falls = [
        f"{b:g}"
        for (b, now), before in zip(
            list(zip(WEIGHTS, shares, strict=True))[1:], shares[:-1], strict=True
        )
        if now < before
    ]
    base, less = shares[WEIGHTS.index(0)], shares[WEIGHTS.index(-1)]
    ok = "reached" if less <= WITHOUT_GOAL else "missed"
    text = [
        f'The prompt "clouds" beside {len(lines)} prompts that do not name clouds and usually '
        f"bring them (chosen on other seeds), {seeds} seeds each, the same at every weight: "
        f"{len(cells)} images a row.",
        "",
        "| weight | clouds found |",
        "| ---: | ---: |",
        *(f"| {w:g} | {s:.0%} |" for w, s in zip(WEIGHTS, shares, strict=True)),
        "",
        f"* Without it: {_verdict(base, WITH_GOAL)}.",
        f"* At weight -1: {less:.1%} (goal at most {WITHOUT_GOAL:.0%}: {ok}).",
        "* Monotone: " + (f"no, it falls at {', '.join(falls)}." if falls else "yes."),
        "",
        f"| prompt | with clouds, of {seeds} | at weight -1 |",
        "| --- | ---: | ---: |",
        *(f"| {line} | {counts[0][k]} | {counts[-1][k]} |" for k, line in enumerate(lines)),
    ]
    title = f'Images with clouds, by the weight of "clouds" ({len(cells)} a point)'
    points = list(zip(WEIGHTS, shares, strict=True))
    return text, plot_shares(points, title, "weight", (WITHOUT_GOAL, WITH_GOAL))
