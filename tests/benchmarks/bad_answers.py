"""What answers that are too much cost the worker, and what becomes of the jobs.

    python -m tests.benchmarks.bad_answers [--limit 1024] [--only WORDS]

One worker, which may have `limit` MiB of address space, asks services on loopback for an image
each time. Beforehand each has given it a good one. Printed for each answer: how the job ended,
what was kept, the seconds, the most memory that the worker had, and how much more it has
afterwards than before all. The exit status is 1 where one ended in another state than the table
of answers says, or left more than 100 MiB, or a traceback in the log.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from store import queue
from store.database import Database
from store.records import Job
from store.request import Request
from tests.engines.floods.flood import MEBIBYTE, Flood
from tests.engines.floods.grpc_floods import (
    FrameServer,
    MessageServer,
    list_frame_floods,
    list_message_floods,
)
from tests.engines.floods.rest_floods import RestService, list_floods
from tests.engines.painter import MODEL
from tests.factories import make_hosted_request, make_rest_request
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
LEFT_LIMIT = 100
"""Mebibytes that may be left after an answer."""

SHORT, LONG = 4.0, 60.0
"""Seconds that a job has: where the answer lasts until then, and elsewhere."""

_GUARD = 120.0
_SETTLING = 3.0

Service = RestService | MessageServer | FrameServer


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one answer. Memory is in MiB, `left` beside what it was before all."""

    ended: str
    kept: str
    said: str
    seconds: float
    peak: float
    left: float
    has_traceback: bool

    def list_faults(self, flood: Flood) -> list[str]:
        """What is not as the table says."""
        wanted = [kind.value for kind in flood.kinds] or ["done"]
        found = []
        if self.ended not in wanted:
            found.append(f"ended as {self.ended}, not {' or '.join(wanted)}")
        if self.kept != flood.keeps:
            found.append(f"kept {self.kept or 'nothing'}, not {flood.keeps or 'nothing'}")
        if flood.words not in self.said:
            found.append(f"does not say {flood.words!r}")
        if flood.kinds and "charged" not in self.said:
            found.append("does not say that it may have been charged")
        if self.left > LEFT_LIMIT:
            found.append(f"left {self.left:.0f} MiB")
        if self.has_traceback:
            found.append("left a traceback in the log")
        return found


class Bench:
    """A worker with its limit, and the services that it asks."""

    def __init__(self, home: Path, limit: int) -> None:
        self._home = home
        self._directory = home / "data"
        self._limit = limit * MEBIBYTE
        self.rest, self.messages, self.frames = RestService(), MessageServer(), FrameServer()
        self._database = Database.open(self._directory)
        self._log = home / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._before = 0.0

    def list_all(self) -> list[tuple[Service, Flood]]:
        """Each answer with the service that gives it."""
        return [
            *((self.rest, one) for one in list_floods()),
            *((self.messages, one) for one in list_message_floods()),
            *((self.frames, one) for one in list_frame_floods()),
        ]

    def close(self) -> None:
        """End all."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_GUARD)
        self._database.close()
        for service in (self.rest, self.messages, self.frames):
            service.close()

    def start(self) -> None:
        """Start the worker and have it make one good image of each engine."""
        self._configure(self.messages)
        environ = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engines.worker", "--directory", str(self._directory)],
                env=environ | {"SAFELIGHT_HOME": str(self._home), "HOME": str(self._home)},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: resource.setrlimit(
                    resource.RLIMIT_AS, (self._limit, self._limit)
                ),
            )
        for service in (self.messages, self.rest):
            job = self._run(service)
            assert job.image_id is not None, job.error
        time.sleep(_SETTLING / 3)
        self._before = self._measure("VmRSS")

    def try_flood(self, service: Service, flood: Flood) -> Outcome:
        """Have one job get this answer."""
        assert self._process is not None
        service.flood = flood
        logged = self._log.stat().st_size
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        began = time.perf_counter()
        try:
            job = self._run(service)
        finally:
            service.flood = None
        seconds = time.perf_counter() - began
        spool = self._directory / "spool" / f"{job.id}.spool"
        kept = "image" if job.image_id else "spool" if spool.exists() else ""
        spool.unlink(missing_ok=True)
        peak = self._measure("VmHWM")
        self._settle()
        with self._log.open("rb") as log:
            log.seek(logged)
            has_traceback = b"Traceback" in log.read()
        return Outcome(
            ended=job.error_kind or job.state.value,
            kept=kept,
            said=f"{job.error or ''} {job.warning or ''}",
            seconds=seconds,
            peak=peak,
            left=self._measure("VmRSS") - self._before,
            has_traceback=has_traceback,
        )

    def _run(self, service: Service) -> Job:
        self._configure(service)
        (job,) = queue.enqueue(self._database, [_make_request(service)])

        def is_over() -> bool:
            assert self._process is not None
            if (status := self._process.poll()) is not None:
                raise AssertionError(f"the worker ended ({status}): {self._read_log()[-2000:]}")
            return queue.get_job(self._database, job.id).state.is_final

        wait_until(is_over, "the end of the job", _GUARD)
        return queue.get_job(self._database, job.id)

    def _read_log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def _configure(self, service: Service) -> None:
        grpc_host = self.messages.host if service is self.rest else service.host
        seconds = SHORT if service.flood is not None and service.flood.is_slow else LONG
        times = f"deadline_seconds = {seconds:g}\nidle_seconds = {seconds:g}\n"
        (self._home / "config.toml").write_text(
            f'[stability]\nhost = "{grpc_host}"\nmodels = ["{MODEL}"]\n{times}'
            f'[stability-rest]\nhost = "{self.rest.host}"\n{times}'
        )

    def _measure(self, name: str) -> float:
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values[name].split()[0]) / 1024

    def _settle(self) -> None:
        """Wait until the memory is back, or for some seconds."""
        end = time.monotonic() + _SETTLING
        while self._measure("VmRSS") - self._before > LEFT_LIMIT / 2 and time.monotonic() < end:
            time.sleep(0.05)


def _make_request(service: Service) -> Request:
    if isinstance(service, RestService):
        return make_rest_request(seed=7)
    return make_hosted_request(seed=41)


@contextmanager
def running(limit: int = 1024) -> Iterator[Bench]:
    """A bench whose worker is ready."""
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), limit)
        try:
            bench.start()
            yield bench
        finally:
            bench.close()


def main() -> int:
    """Try them all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--limit", type=int, default=1024, help="MiB of address space")
    parser.add_argument("--only", default="", help="answers with these words in their names")
    options = parser.parse_args()
    failed = 0
    print("| Answer | Ended | Kept | Seconds | Peak MiB | Left MiB |")
    print("|---|---|---|---:|---:|---:|")
    with running(options.limit) as bench:
        for service, flood in bench.list_all():
            if options.only not in flood.name:
                continue
            found = bench.try_flood(service, flood)
            way = "REST" if service is bench.rest else "gRPC"
            print(
                f"| {way}: {flood.name} | {found.ended} | {found.kept or 'nothing'} "
                f"| {found.seconds:.1f} | {found.peak:.0f} | {found.left:.0f} |",
                flush=True,
            )
            for fault in found.list_faults(flood):
                print(f"    {fault}: {found.said}", flush=True)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
