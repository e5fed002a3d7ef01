"""How many requests `safelight serve` answers, and how soon, with 1, 8 and 64 clients at once.

    python -m tests.benchmarks.server_load [--requests 640] [--bytes 10000]

The server is a process of its own with an engine that makes nothing and hands out one fixed
image at once, so that what is timed is the server. The clients are tasks of this process, each
with a connection of its own and one request after the other; each answer must have the seed that
was asked for and the whole image. 64 requests may wait, so that 64 clients fit; 66 or more would
be refused in part, politely, which counts as refused and not as lost.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

import grpc
import grpc.aio
import msgspec

from engines.base import Run
from engines.stability.connection import OPTIONS
from engines.stability.messages import build_message
from tests.benchmarks.service import make_picture, make_service_request, serving
from tests.engines.server.plain_client import open_method

CLIENTS = (1, 8, 64)
QUEUE = 64


class Load(msgspec.Struct):
    """What came of the requests: the seconds of each that was answered, and the others."""

    seconds: list[float]
    refused: int = 0
    lost: int = 0


async def run_client(host: str, seeds: range, size: int, load: Load) -> None:
    """Ask for the image of each seed, one after the other, over one connection."""
    async with grpc.aio.insecure_channel(host, options=OPTIONS) as channel:
        await channel.channel_ready()
        generate = open_method(channel)
        for seed in seeds:
            began = time.perf_counter()
            found: list[tuple[int, int]] = []
            try:
                async for answer in generate(
                    build_message(make_service_request(seed), Run(id=str(seed)))
                ):
                    found += [(one.seed, len(one.binary)) for one in answer.artifacts]
            except grpc.aio.AioRpcError as error:
                is_refused = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                load.refused += is_refused
                load.lost += not is_refused
            else:
                load.seconds.append(time.perf_counter() - began)
                load.lost += found != [(seed, size)]


async def measure(host: str, clients: int, requests: int, size: int) -> tuple[Load, float]:
    """The load of so many clients at once, and the seconds that it took in all."""
    load, each = Load(seconds=[]), max(1, requests // clients)
    began = time.perf_counter()
    await asyncio.gather(
        *(
            run_client(host, range(1 + n * each, 1 + (n + 1) * each), size, load)
            for n in range(clients)
        )
    )
    return load, time.perf_counter() - began


def main() -> None:
    """Measure each number of clients and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Load the server.")
    parser.add_argument("--requests", type=int, default=640, help="in all, for each line")
    parser.add_argument("--bytes", type=int, default=10_000, help="of the image")
    options = parser.parse_args()
    size = len(make_picture(options.bytes))
    print(f"{size:,} bytes an image\n")
    print("| clients | answered | a second | median, ms | p95, ms | refused | lost |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with serving(size=options.bytes, queue=QUEUE) as host:
        asyncio.run(measure(host, 1, 20, size))
        for clients in CLIENTS:
            load, seconds = asyncio.run(measure(host, clients, options.requests, size))
            middle = statistics.median(load.seconds) * 1000
            p95 = statistics.quantiles(load.seconds, n=20)[-1] * 1000
            rate = len(load.seconds) / seconds
            row = (clients, len(load.seconds), f"{rate:.0f}", f"{middle:.1f}", f"{p95:.1f}")
            print("|", " | ".join(map(str, (*row, load.refused, load.lost))), "|")


if __name__ == "__main__":
    main()
