"""Evaluation of the exported model: does it draw what is asked, and only that?

``python -m engines.builtin.training.evaluation --classifier FILE --out DIR [--weights DIR]
[--latents DIR]`` draws with the engine itself at the API's defaults, lets the independent
classifier judge, and writes ``evaluation.md``, ``clouds.png`` and ``contact-sheet.png``.
With ``--latents`` every prompt is looked up in the training data first.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from engines.builtin.kernels import has_pinned_environment
from engines.builtin.training.concepts import CONCEPTS, OBJECTS, SCENES
from engines.builtin.training.contact_sheet import PROMPTS, draw, make_request
from engines.builtin.training.generator import sheet
from engines.builtin.training.plots import plot_shares
from engines.builtin.training.questions import Question, find_seen, make_questions
from engines.builtin.weights import FOLDER, load_weights

if TYPE_CHECKING:
    from engines.builtin.pipeline import Pipeline

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
storm over the wide ocean
heavy rain over the city during a storm
lightning behind the harbour
dark stormy weather over green hills
""".strip().splitlines()
"""Prompts that do not name clouds; which of them usually bring some is measured first."""

_pipelines: dict[Path, Pipeline] = {}


def _draw_one(folder: Path, task: Task) -> Image.Image:
    """One image, in whatever process this is; the model is loaded once in each."""
    from engines.builtin.pipeline import Pipeline

    if folder not in _pipelines:
        _pipelines[folder] = Pipeline(load_weights(folder))
    return draw(_pipelines[folder], make_request(*task))


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


def report_prompts(texts: Sequence[str], args: Namespace) -> str:
    """Whether training saw the prompts. Raises `SystemExit` when it saw one."""
    if args.latents is None:
        return "Whether training saw one of the prompts was not checked (no training data given)."
    from engines.builtin.text import TextEncoder

    encoder = TextEncoder(load_weights(args.weights))
    seen, count = find_seen(texts, lambda text: encoder.read(text).ids, args.latents)
    if seen:
        raise SystemExit(f"Training saw these prompts: {'; '.join(sorted(seen))}.")
    return (
        f"None of the {len(set(texts))} prompts here and under clouds is among the {count:,} "
        "captions of the training data, compared as the model reads them (known words in order)."
    )


class Namespace(argparse.Namespace):
    """The command line."""

    classifier: Path
    out: Path
    weights: Path
    latents: Path | None
    rounds: int
    cloudy: int
    seeds: int
    processes: int


def parse() -> Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=FOLDER)
    parser.add_argument("--latents", type=Path, help="training data, to look the prompts up in")
    parser.add_argument("--rounds", type=int, default=6, help="prompts a concept")
    parser.add_argument("--cloudy", type=int, default=8, help="prompts that bring clouds, at most")
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each of these")
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args(namespace=Namespace())


def main() -> None:
    """Command line: draw, judge, write."""
    args = parse()
    if not has_pinned_environment():
        raise SystemExit("Start with OPENBLAS_CORETYPE=Haswell OPENBLAS_NUM_THREADS=1.")
    import torch

    from engines.builtin.training.classifier import load_judge

    torch.set_num_threads(1)
    judge, manifest = load_judge(args.classifier), load_weights(args.weights).manifest
    args.out.mkdir(parents=True, exist_ok=True)
    questions = make_questions(args.rounds)
    held_out = report_prompts([*(q.text for q in questions), *CLOUDY], args)
    begin, drawn = time.perf_counter(), 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.processes, context) as pool:

        def draw_all(tasks: Sequence[Task]) -> list[Image.Image]:
            nonlocal drawn
            drawn += len(tasks)
            return list(pool.map(_draw_one, [args.weights] * len(tasks), tasks))

        found = judge.find(draw_all([(q.text, 1001 + k) for k, q in enumerate(questions)]))
        print(f"{drawn} images judged", flush=True)
        clouds, plot = report_clouds(draw_all, judge, args.cloudy, args.seeds)
        contact = sheet(draw_all([(line, 1) for line in PROMPTS]), 8)
    minutes = (time.perf_counter() - begin) / 60
    contact.quantize(256).save(args.out / "contact-sheet.png", optimize=True)
    if plot is not None:
        plot.quantize(32).save(args.out / "clouds.png", optimize=True)
    text = [
        f"Model {manifest.model}, revision {manifest.revision}, trained on {manifest.pictures:,} "
        f"pictures. {drawn} images at the API's defaults (30 steps, cfg scale 7, k_dpmpp_2m, "
        f"128x128) in {minutes:.1f} minutes.",
        "",
        "## Sixty concepts",
        "",
        f"{len(questions)} prompts, one seed each, {args.rounds} made for each concept; a scene's "
        f"prompt names several. {held_out} The judge is a classifier trained on the generator's "
        "pictures only; its own figures on held-out pictures stand beside each concept and bound "
        "what can be seen here.",
        "",
        *report_concepts(questions, found, judge.recall, judge.alarms),
        "",
        "## Clouds by weight",
        "",
        *clouds,
        "",
        "## Contact sheet",
        "",
        "Seed 1, row by row. Training saw some of these short prompts as captions:",
        "",
        *(f"{k}. {line}" for k, line in enumerate(PROMPTS, 1)),
    ]
    (args.out / "evaluation.md").write_text("\n".join(text) + "\n")
    print("\n".join(text[: text.index("## Contact sheet")]))


if __name__ == "__main__":
    main()
