"""Evaluation of the exported model: does it draw what is asked, and only that?

``python -m engines.builtin.training.evaluation.evaluate --classifier FILE --out DIR [--weights DIR]
[--latents DIR]`` draws with the engine itself at the API's defaults, lets the independent
classifier judge, and writes ``evaluation.md``, ``clouds.png`` and ``contact-sheet.png``.
With ``--latents`` every prompt is looked up in the training data first.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from engines.builtin.training.data.generator import sheet
from engines.builtin.training.evaluation.contact_sheet import PROMPTS, draw, make_request
from engines.builtin.training.evaluation.questions import find_seen, make_questions
from engines.builtin.training.evaluation.reports import CLOUDY, Task, report_clouds, report_concepts
from engines.builtin.weights import FOLDER, load_weights

if TYPE_CHECKING:
    from engines.builtin.pipeline import Pipeline

_pipelines: dict[Path, Pipeline] = {}


def _draw_one(folder: Path, task: Task) -> Image.Image:
    """One image, in whatever process this is; the model is loaded once in each."""
    from engines.builtin.pipeline import Pipeline

    if folder not in _pipelines:
        _pipelines[folder] = Pipeline(load_weights(folder), 1)
    return draw(_pipelines[folder], make_request(*task))


def report_prompts(texts: Sequence[str], args: Namespace) -> str:
    """Whether training saw the prompts. Raises `SystemExit` when it saw one."""
    if args.latents is None:
        return "Whether training saw one of the prompts was not checked (no training data given)."
    from engines.builtin.text_encoder import TextEncoder

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
    import torch

    from engines.builtin.training.evaluation.classifier import load_judge

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
        contact = sheet(draw_all([(line, k) for k, line in enumerate(PROMPTS, 1)]), 8)
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
        "Row by row, with the seed. Training saw some of these short prompts as captions:",
        "",
        *(f"{k}. {line}" for k, line in enumerate(PROMPTS, 1)),
    ]
    (args.out / "evaluation.md").write_text("\n".join(text) + "\n")
    print("\n".join(text[: text.index("## Contact sheet")]))


if __name__ == "__main__":
    main()
