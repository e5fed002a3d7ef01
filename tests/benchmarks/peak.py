"""What a machine and a network can do: float32 peak, products of one image, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from engines.builtin.parallel.group import MOST_PROCESSES, count_processors
from engines.builtin.weights import Weights

ROOT = Path(__file__).parents[2]

_PEAK = """
import json, sys, threading, time
import numpy as np
threads, size = int(sys.argv[1]), 1024
def work():
    a = np.random.default_rng(1).random((size, size), np.float32)
    b, out = a.T.copy(), np.empty_like(a)
    for _ in range(16):
        np.matmul(a, b, out=out)
best = float("inf")
for _ in range(5):
    group = [threading.Thread(target=work) for _ in range(threads)]
    begin = time.perf_counter()
    for one in group: one.start()
    for one in group: one.join()
    best = min(best, time.perf_counter() - begin)
print(json.dumps(threads * 16 * 2 * size**3 / best))
"""

_COLD = """
import sys, time
begin = time.perf_counter()
from pathlib import Path
from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from tests.benchmarks.request import DEFAULT
imported = time.perf_counter()
pipeline = Pipeline(load_weights(Path(sys.argv[1])))
loaded = time.perf_counter()
for _ in pipeline.generate(DEFAULT): pass
first = time.perf_counter()
import json
for _ in pipeline.generate(DEFAULT): pass
def measure(process):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0]) / 1024
print(json.dumps({
    "imports": imported - begin, "weights": loaded - imported, "first": first - loaded,
    "mebibytes": measure("self"), "ranks": sum(map(measure, pipeline.process_ids)),
}))
pipeline.close()
"""


def count_threads() -> int:
    """Threads for everyone: the processors of this process, as many as the engine uses."""
    return min(MOST_PROCESSES, count_processors())


def _run(code: str, argument: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env={**environment, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.stdout


def measure_peak(threads: int) -> float:
    """Most float32 operations a second in products of 1024x1024, one product a thread."""
    chosen = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in chosen}
    return float(json.loads(_run(_PEAK, str(threads), environment | {chosen[1]: "1"})))


def measure_cold_start(folder: Path) -> dict[str, float]:
    """Seconds of a fresh process until its first image, in parts, and memory peaks in MiB."""
    found: dict[str, float] = json.loads(_run(_COLD, str(folder), {**os.environ}))
    return found


def count_operations(weights: Weights, tokens: list[int], steps: int) -> int:
    """Operations in the matrix products of one 128x128 image (a multiplication and a sum: 2).

    `tokens`: text tokens of each of a step's passes.
    """
    sizes, fine, coarse, picture = weights.manifest.sizes, 256, 64, 1024
    one_pass = decode = 0
    for name, array in weights.arrays.items():
        part = name.split(".")[0]
        if array.ndim != 2:
            continue
        if part in ("conv_in", "conv_out", "fine_in", "fine_out") and "shift" not in name:
            one_pass += fine * array.size
        elif part in ("patch", "unpatch") or (
            part == "layer" and name.endswith(("enter", "leave"))
        ):
            one_pass += coarse * array.size
        elif part == "dec":
            decode += (picture if "fine" in name or "leave" in name else fine) * array.size
    attention = [2 * coarse * (coarse + t) * sizes["width"] * sizes["layers"] for t in tokens]
    return 2 * (steps * (len(tokens) * one_pass + sum(attention)) + decode)
