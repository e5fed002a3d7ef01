"""How fast the embedded model is, and what its exactness costs: one run, one machine.

``python -m tests.benchmarks.model_speed [--weights DIR] [--repeats N]`` makes the default image
(128x128, two prompts, 30 steps, k_dpmpp_2m) in turn with the engine and, where they are
installed, with the same network in PyTorch and in onnxruntime on as many threads, and prints a
Markdown table. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

from engines.builtin.cpu import describe_kernels
from engines.builtin.weights import FOLDER, load_weights
from tests.benchmarks.peak import (
    count_operations,
    count_threads,
    measure_cold_start,
    measure_peak,
)
from tests.benchmarks.request import DEFAULT
from tests.benchmarks.rivals import Draw, has, make_numpy, make_onnx, make_torch

OURS = "our network alone, exact"


def _engine_draws(folder: Path, threads: int) -> tuple[dict[str, Draw], list[int]]:
    """The whole image as a user gets it, its network alone; text tokens of each pass."""
    from engines.builtin.pipeline import Pipeline
    from engines.builtin.text_encoder import TextEncoder

    weights = load_weights(folder)
    pipeline, encoder = Pipeline(weights, threads), TextEncoder(weights)
    texts = [prompt.text for prompt in DEFAULT.stack.active]
    tokens = [1, *(len(encoder.read(text).ids) for text in texts)]

    def whole() -> object:
        return list(pipeline.generate(DEFAULT))

    network = make_numpy(weights, texts, DEFAULT.parameters.steps, threads)
    return {"engine, previews and digests included": whole, OURS: network}, tokens


def _clock(draw: Draw) -> float:
    begin = time.perf_counter()
    draw()
    return time.perf_counter() - begin


def _collect(
    args: argparse.Namespace, tokens: list[int], threads: int
) -> tuple[dict[str, Draw], list[str]]:
    """The rivals that are installed, and a line for each that is left out."""
    sizes, steps = load_weights(args.weights).manifest.sizes, DEFAULT.parameters.steps
    draws: dict[str, Draw] = {}
    notes = []
    if not has("torch"):
        return draws, ["PyTorch is not installed: PyTorch and onnxruntime are left out."]
    draws["PyTorch"] = make_torch(sizes, tokens, steps, threads)
    if all(map(has, ("onnxruntime", "onnx", "onnxscript"))):
        draws["onnxruntime"] = make_onnx(sizes, tokens, steps, threads)
    else:
        notes.append(
            "onnx, onnxscript and onnxruntime are not all installed: onnxruntime is left out."
        )
    return draws, notes


def main() -> None:
    """Command line: measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=FOLDER)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    threads = count_threads()
    draws, tokens = _engine_draws(args.weights, threads)
    others, notes = _collect(args, tokens, threads)
    draws |= others
    times: dict[str, list[float]] = {name: [] for name in draws}
    for draw in draws.values():
        # Twice: the other processes of the engine start beside its first image.
        draw()
        draw()
    for _ in range(args.repeats):
        for name, draw in draws.items():
            times[name].append(_clock(draw))
    peak = measure_peak(threads)
    operations = count_operations(load_weights(args.weights), tokens, DEFAULT.parameters.steps)
    seconds = {name: median(found) for name, found in times.items()}
    cold = measure_cold_start(args.weights)
    print(f"{threads} threads or processes; {describe_kernels()}; median of {args.repeats}\n")
    print("| | seconds an image | fastest | our network's time over it |")
    print("| --- | ---: | ---: | ---: |")
    for name, value in seconds.items():
        ratio = seconds[OURS] / value
        print(f"| {name} | {value:.3f} | {min(times[name]):.3f} | {ratio:.2f} |")
    rate = operations / seconds[OURS]
    print(f"\n* Matrix products of one image: {operations / 1e9:.1f} billion operations.")
    print(f"* Our network reaches {rate / 1e9:.0f} billion a second, all its work included.")
    print(
        f"* Peak of float32 products of 1024x1024 with the same kernels: {peak / 1e9:.0f} billion, "
        f"share {rate / peak:.0%}."
    )
    if "onnxruntime" in seconds:
        more = seconds[OURS] / seconds["onnxruntime"] - 1
        print(f"* Price of exactness: {more:+.0%} of the time of onnxruntime.")
    print(
        f"* Cold start: imports {cold['imports']:.2f} s, weights {cold['weights']:.2f} s, "
        f"first image {cold['first']:.2f} s."
    )
    print(
        f"* Memory peak of a process that makes images: {cold['mebibytes']:.0f} MiB, and "
        f"{cold['ranks']:.0f} MiB of those that it starts."
    )
    for note in notes:
        print(f"* {note}")


if __name__ == "__main__":
    main()
