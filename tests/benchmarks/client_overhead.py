"""What our client costs over a raw call of gRPC, for images of 1.5 MB on loopback.

    python -m tests.benchmarks.client_overhead [--pairs 40] [--slow-pairs 10] [--seconds 1.0]

Both sides speak to one server in a process of its own, in turns, the order changing from pair
to pair. Raw: the method on a channel of its own for each call, as a program makes that
wants one image, until the stream has ended. Ours: `generate` of the engine, with a spool that
writes and syncs as a job's does, until the image is handed over; and until its bytes are there.
The first table has a server that answers at once, so that nothing hides the cost; the second
one that takes as long as a fast service. The last row is what a job does afterwards: it
decodes the image and makes the pixels' digest, the thumbnail and the file; no call waits for it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc.aio

from engines.base import Produced, Run
from engines.stability.connection import OPTIONS
from engines.stability.engine import StabilityEngine
from engines.stability.messages import build_message
from engines.stability.models import StabilitySettings
from store.pixels import digest_pixels, make_thumbnail, open_image
from store.vault import Vault
from tests.benchmarks.service import MODEL, make_service_request, serving
from tests.engines.server.plain_client import open_method

Times = dict[str, list[float]]


async def call_raw(host: str, seed: int) -> bytes:
    """The image by gRPC and nothing else."""
    data = b""
    async with grpc.aio.insecure_channel(host, options=OPTIONS) as channel:
        generate = open_method(channel)
        async for answer in generate(build_message(make_service_request(seed), Run(id="raw"))):
            for artifact in answer.artifacts:
                data = artifact.binary
    return data


async def call_ours(engine: StabilityEngine, vault: Vault, seed: int) -> tuple[bytes, float]:
    """The image by the engine, and when its bytes were there."""
    job, arrived = uuid.uuid4().hex, 0.0

    def spool(data: bytes) -> None:
        nonlocal arrived
        arrived = time.perf_counter()
        vault.spool(job, data)

    image = b""
    async for event in engine.generate(make_service_request(seed), Run(id=job, spool=spool)):
        if isinstance(event, Produced) and event.data is not None:
            image = event.data
    return image, arrived


def record(vault: Vault, data: bytes) -> None:
    """What a job does with an image, but for its row."""
    image = open_image(data)
    digest_pixels(image)
    make_thumbnail(image)
    vault.put(data, "png")


async def measure(host: str, pairs: int, folder: Path) -> Times:
    """Seconds of each, a pair at a time; the first pair warms up."""
    engine = StabilityEngine(StabilitySettings(host=host, models=(MODEL,)))
    vault, times = Vault(folder), Times(raw=[], arrived=[], ours=[], recorded=[])

    async def time_raw(seed: int) -> None:
        began = time.perf_counter()
        assert len(await call_raw(host, seed)) > 1000
        times["raw"].append(time.perf_counter() - began)

    async def time_ours(seed: int) -> None:
        began = time.perf_counter()
        data, arrived = await call_ours(engine, vault, seed)
        times["ours"].append(time.perf_counter() - began)
        times["arrived"].append(arrived - began)
        began = time.perf_counter()
        record(vault, data)
        times["recorded"].append(time.perf_counter() - began)

    both: tuple[Callable[[int], Awaitable[None]], ...] = (time_raw, time_ours)
    for pair in range(pairs + 1):
        for one in both if pair % 2 else both[::-1]:
            await one(pair + 1)
    return {name: seconds[1:] for name, seconds in times.items()}


def print_table(title: str, times: Times) -> None:
    """Medians in milliseconds, and the median of the ratios of the pairs."""
    print(f"\n{title}\n")
    print("| | median, ms | ratio to raw |\n| --- | --- | --- |")
    names = {
        "raw": "raw call of the stub",
        "arrived": "ours, until the image's bytes are there",
        "ours": "ours, until the image is handed over",
        "recorded": "recording it, afterwards",
    }
    for key, name in names.items():
        ratios = (mine / raw for mine, raw in zip(times[key], times["raw"], strict=True))
        ratio = "" if key == "recorded" else f"{statistics.median(ratios):.3f}"
        print(f"| {name} | {statistics.median(times[key]) * 1000:.1f} | {ratio} |")


def main() -> None:
    """Measure both and print two Markdown tables."""
    parser = argparse.ArgumentParser(description="Time our client against a raw call.")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--slow-pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="that the slow server takes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        for seconds, pairs in ((0.0, options.pairs), (options.seconds, options.slow_pairs)):
            with serving(seconds=seconds) as host:
                times = asyncio.run(measure(host, pairs, Path(folder)))
            print_table(f"A server that answers after {seconds:g} s, {pairs} pairs", times)


if __name__ == "__main__":
    main()
