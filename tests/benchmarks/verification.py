"""What verifying costs beside generating: mixed images, made by one worker, verified by the next.

    python -m tests.benchmarks.verification [--images 200]

Both are timed from the start of the first job to the end of the last, in one history and one run of
this program, so that their ratio holds for any machine. Where other programs take the processors
away, only the ratio of processor times means something.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from engines.builtin.models import CAPABILITIES
from engines.worker.process import engage_worker, find_worker
from store import history, queue, verification_runs
from store.database import Database
from store.inputs import store_input
from store.records import RunState
from store.request import InitialImage, Mask, Request, Upscale, Variation
from tests.factories import make_plain, make_request


def list_requests(db: Database, count: int) -> list[Request]:
    """Texts alone, styles, images drawn over with and without mask, variations, sizes, larger."""
    red = store_input(db, make_plain("red", (128, 128))).sha256
    mask = store_input(db, make_plain("white", (128, 128))).sha256
    small = store_input(db, make_plain("blue", (64, 64))).sha256
    initial = InitialImage(sha256=red, start_schedule=0.6, end_schedule=0.0)
    quick: dict[str, Any] = {"model": CAPABILITIES.default_model, "cfg_scale": 7.0, "steps": 20}
    kinds: list[dict[str, Any]] = [
        {},
        {"style_preset": "anime", "sampler": "ddim"},
        {"initial_image": initial},
        {"initial_image": initial, "mask": Mask(sha256=mask, replaces="black", area_init="zero")},
        {"variation": Variation(seed=5, strength=0.25)},
        {"width": 192, "height": 128},
        {"width": 256, "height": 320},
        {
            "upscale": Upscale(sha256=small, upscaler="rgb"),
            "model": CAPABILITIES.upscale_models[0],
        },
    ]
    return [
        make_request("a castle", "fog::-0.5", **quick | {"seed": seed} | kinds[seed % len(kinds)])
        for seed in range(1, count + 1)
    ]


def measure(directory: Path, purpose: str) -> float:
    """Seconds from the start of the first job of this purpose to the end of the last."""
    with closing(sqlite3.connect(directory / "history.sqlite3")) as connection:
        first, last = connection.execute(
            "SELECT min(started_at), max(finished_at) FROM job WHERE purpose = ?", (purpose,)
        ).fetchone()
    return float(last - first)


def end_worker(directory: Path) -> float:
    """Let the worker leave, and wait until it has; the processor seconds of it and its helpers.

    0 where the system does not tell them as Linux does.
    """
    status = find_worker(directory)
    if status.process_id is None:
        return 0.0
    used = measure_processor(status.process_id)
    os.kill(status.process_id, signal.SIGTERM)
    while find_worker(directory).is_running:
        time.sleep(0.05)
    return used


def measure_processor(session: int) -> float:
    """Processor seconds of all processes of a session: user and system, ended children too."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str]) -> int:
    """Print both times and their ratio; 1 when an image is not identical."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    count = parser.parse_args(arguments).images
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "data"
        with Database.open(directory) as db:
            requests = list_requests(db, count)
            with engage_worker(db, ["builtin"]) as wanted:
                queue.enqueue(db, requests, wanted=wanted)
            while queue.count_active(db):
                time.sleep(0.2)
            made_used = end_worker(directory)
            numbers = history.list_image_numbers(db)
            assert len(numbers) == count, f"{len(numbers)} of {count} images were made"
        # As after a restart: another worker, and the history opened anew.
        with Database.open(directory) as db:
            with engage_worker(db, ["builtin"]) as wanted:
                run = verification_runs.begin_run(db, "all", numbers, wanted=wanted)
            while run.state is not RunState.DONE:
                time.sleep(0.2)
                run = verification_runs.get_run(db, run.id)
            verdicts = verification_runs.count_verdicts(db, run.number, after=0, until=count)
            verified_used = end_worker(directory)
        made, verified = measure(directory, "generate"), measure(directory, "verify")
    print(f"{count} images made in {made:.1f} s, verified in {verified:.1f} s")
    print(f"ratio {verified / made:.3f}")
    if made_used:
        print(
            f"processor time {made_used:.1f} s and {verified_used:.1f} s, start of the workers "
            f"included: ratio {verified_used / made_used:.3f}"
        )
    print(f"verdicts {verdicts}")
    return 0 if verdicts == {"identical": count} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
