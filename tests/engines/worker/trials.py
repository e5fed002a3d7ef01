"""One job from its queuing to its end, in a process that is killed or whose disk fails meanwhile.

A process of its own (`python -m tests.engines.worker.trials FOLDER`) has everything loaded and
forks for each trial. It reads trials and writes what came of them, a line of JSON each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy.util import LRUCache

from engines.base import Event, Produced, Run
from engines.registry import EngineRegistry
from engines.remote import put_aside
from engines.settings import Settings, WorkerSettings
from engines.worker import patience, program
from engines.worker.program import read_serving
from engines.worker.worker import Worker
from store import charges, database, queue, vault
from store.database import Database
from store.errors import SafelightError
from store.history import list_images, read_image
from store.integrity import check_database
from store.request import Request
from tests.engines.painter import Painter
from tests.engines.worker import system_calls
from tests.engines.worker.system_calls import Attendance, Call, Plan
from tests.factories import make_hosted_request

ROOT = Path(__file__).parents[3]
SETTINGS = Settings(worker=WorkerSettings(idle_minutes=0))
PRICE = 2.0
ENOUGH_SECONDS = 60.0
"""How long a process may live after all: no fault lasts so long."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried. `is_first`: in an empty folder. `is_paid`: for a service that takes money.

    `plan`: which system calls are refused, None for none. `kill_after`: seconds until the process
    is killed. `is_slow`: with the waits of a real worker. `is_listing`: tell all calls too.
    """

    is_first: bool = False
    is_paid: bool = False
    plan: Plan | None = None
    kill_after: float | None = None
    is_slow: bool = False
    is_listing: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial.

    `queued`: the id that was acknowledged; `refused`: why none was. `fault`: an error that was
    meant for nobody. `status`: how the process ended. `first_state`: the job's then, `state` and
    `error` once another worker had its turn. `jobs`, `images`: how many there are. `sent`: how
    often the engine was asked, `spent`: what it may have cost. `findings`: of a check of the
    history. `log`: what the worker wrote. `seconds`: how long the process lived, `processor`: the
    share of a processor that it took while calls were refused.
    """

    queued: str | None
    refused: str | None
    fault: str | None
    status: int
    first_state: str | None
    state: str | None
    error: str | None
    jobs: int
    images: int
    sent: int
    spent: float
    findings: list[str]
    log: str
    seconds: float
    processor: float
    calls: list[Call]
    refused_call: Call | None


class Service(Painter):
    """A painter that takes money: what it is asked for and what it answers goes over a wire."""

    def __init__(self, sent: Path, *, is_paid: bool) -> None:
        super().__init__()
        self._sent = sent
        self._is_paid = is_paid

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        return run.id.encode() if self._is_paid else None

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        with self._sent.open("a") as file:
            file.write("sent\n")
        async for event in super().generate(request, run):
            if self._is_paid and isinstance(event, Produced) and event.data is not None:
                await asyncio.to_thread(put_aside, run.spool, event.data, [])
            yield event

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        if not answers:
            return []
        return [Produced(data=answers[-1], mime="image/png", seed=request.parameters.seed)]


class Laboratory:
    """Runs trials below `folder`, each in a folder and a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._template = folder / "template"
        _share_what_is_known()
        self._queue(self._template, is_paid=False)
        # In this process, so that those of the trials find all of it loaded.
        self._work(self._template, folder / "sent", is_paid=False)
        assert self._look(self._template)[0] == {"done": 1}

    def run(self, trial: Trial) -> Outcome:
        """What comes of one trial."""
        self._number += 1
        place = self._folder / str(self._number)
        place.mkdir()
        data, sent, log = place / "data", place / "sent", place / "log"
        if not trial.is_first:
            shutil.copytree(self._template, data)
        attended, said, status, seconds = self._live(trial, data, sent, log)
        first_state = self._find_state(data, said.get("queued"))[0]
        if trial.kill_after is not None or first_state not in (None, "done"):
            # The next one, on a disk that is well and nobody kills, ends whatever was left.
            _run_child(lambda: self._work(data, sent, is_paid=trial.is_paid, log=log))
        counts, findings, images, spent = self._look(data)
        state, error = self._find_state(data, said.get("queued"))
        outcome = Outcome(
            queued=said.get("queued"),
            refused=said.get("refused"),
            fault=said.get("fault"),
            status=status,
            first_state=first_state,
            state=state,
            error=error,
            jobs=sum(counts.values()) - (not trial.is_first),
            images=images - (not trial.is_first),
            sent=sent.read_text().count("sent") if sent.exists() else 0,
            spent=spent,
            findings=findings,
            log=log.read_text(errors="replace") if log.exists() else "",
            seconds=seconds,
            processor=attended.processor,
            calls=attended.calls if trial.is_listing else [],
            refused_call=attended.calls[trial.plan.first]
            if trial.plan is not None and len(attended.calls) > trial.plan.first
            else None,
        )
        shutil.rmtree(place, ignore_errors=True)
        return outcome

    def _live(
        self, trial: Trial, data: Path, sent: Path, log: Path
    ) -> tuple[Attendance, dict[str, str], int, float]:
        """The calls of the process, what it said, how it ended and how long it lived."""
        ours, theirs = socket.socketpair()
        began = time.monotonic()
        process = os.fork()
        if process == 0:
            with _leave(theirs):
                ours.close()
                is_asked = trial.plan is not None or trial.is_listing
                if is_asked:
                    socket.send_fds(theirs, [b"."], [system_calls.install()])
                if not trial.is_slow:
                    _hurry()
                told = self._queue(data, is_paid=trial.is_paid)
                theirs.sendall(msgspec.json.encode(told) + b"\n")
                status = self._work(data, sent, is_paid=trial.is_paid, log=log)
                theirs.sendall(msgspec.json.encode({"status": str(status)}) + b"\n")
        theirs.close()
        attended = Attendance([], 0.0)
        ending = threading.Timer(trial.kill_after or ENOUGH_SECONDS, _kill, (process,))
        ending.start()
        if trial.plan is not None or trial.is_listing:
            _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
            attended = system_calls.attend(listener, process, data, trial.plan)
            os.close(listener)
        with ours.makefile("rb") as lines:
            said: dict[str, str] = {}
            for line in lines:
                with contextlib.suppress(msgspec.DecodeError):
                    said |= msgspec.json.decode(line, type=dict[str, str])
        _, status = os.waitpid(process, 0)
        ending.cancel()
        lived = time.monotonic() - began
        ended = os.waitstatus_to_exitcode(status) or int(said.get("status", 0))
        return attended, said, ended, lived

    def _queue(self, data: Path, *, is_paid: bool) -> dict[str, str]:
        """What who asks for an image is told."""
        try:
            with Database.open(data) as opened:
                request = make_hosted_request(engine="stability" if is_paid else "builtin")
                (job,) = queue.enqueue(opened, [request], wanted=read_serving(data))
        except SafelightError as error:
            return {"refused": str(error)}
        return {"queued": job.id}

    def _work(self, data: Path, sent: Path, *, is_paid: bool, log: Path | None = None) -> int:
        """Be the worker until there is nothing to do, as `engines.worker` is."""
        output = (log or Path(os.devnull)).open("a")
        logging.basicConfig(
            level=logging.INFO, format="%(levelname)s %(message)s", stream=output, force=True
        )
        service = Service(sent, is_paid=is_paid)
        patched: Any = EngineRegistry
        patched.get_engine = lambda registry, name: service
        patched.pin = lambda registry, request, environment=None: request
        patched.estimate_cost = lambda registry, request: PRICE if is_paid else 0.0
        try:
            return asyncio.run(Worker(data, lambda: SETTINGS).run())
        except SafelightError as error:
            logging.getLogger("safelight.worker").error("%s", error)
            return 2

    def _look(self, data: Path) -> tuple[dict[str, int], list[str], int, float]:
        """How many jobs are in which state, faults of the history, images that can be read."""
        with Database.open(data) as opened:
            states: dict[str, int] = {}
            for job in queue.list_jobs(opened):
                states[job.state.value] = states.get(job.state.value, 0) + 1
            images = list_images(opened)
            for image in images:
                read_image(opened, image)
            findings = check_database(opened)
            return states, findings, len(images), charges.sum_charges(opened, 0.0)

    def _find_state(self, data: Path, job_id: str | None) -> tuple[str | None, str | None]:
        if job_id is None:
            return None, None
        with contextlib.closing(sqlite3.connect(data / "history.sqlite3")) as connection:
            row = connection.execute(
                "SELECT state, error FROM job WHERE id = ?", (job_id,)
            ).fetchone()
        return row or ("lost", None)


@contextlib.contextmanager
def _leave(theirs: socket.socket) -> Any:
    """Run the block and end this process, without what its parent would do at its end."""
    status = 0
    try:
        os.setsid()
        yield
    except BaseException as error:  # noqa: BLE001 (it is reported by the parent)
        import traceback

        text = "".join(traceback.format_exception(error))[-3000:]
        with contextlib.suppress(OSError):
            theirs.sendall(msgspec.json.encode({"fault": text}) + b"\n")
        status = 1
    finally:
        os._exit(status)


def _hurry() -> None:
    """Wait less between tries than a real worker, so that many trials can be made."""
    patience.FIRST_SECONDS, patience.LONGEST_SECONDS = 0.02, 0.1
    opening: Any = Database.open
    opening.__func__.__kwdefaults__["busy_seconds"] = 0.2
    vault.READ_AGAIN_SECONDS = (0.01, 0.02, 0.03)


def _run_child(action: Any) -> None:
    """Do `action` in a process of its own."""
    process = os.fork()
    if process == 0:
        try:
            action()
        except BaseException:  # noqa: BLE001 (the parent's work ends elsewhere)
            import traceback

            traceback.print_exc()
        finally:
            os._exit(0)
    ending = threading.Timer(ENOUGH_SECONDS, _kill, (process,))
    ending.start()
    os.waitpid(process, 0)
    ending.cancel()


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _share_what_is_known() -> None:
    """Find out once, for all trials, what takes long and is of no interest to them."""
    digest = program.digest_program()
    known: Any = program
    known.digest_program = lambda: digest
    statements: LRUCache[Any, Any] = LRUCache(500)
    make = sqlalchemy.create_engine

    def make_engine(*arguments: Any, **options: Any) -> Any:
        return make(*arguments, **options).execution_options(compiled_cache=statements)

    opening: Any = database
    opening.create_engine = make_engine


class Experimenter:
    """The laboratory in a process of its own, for tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engines.worker.trials", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, trial: Trial) -> Outcome:
        """What comes of one trial."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(trial) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Outcome)

    def close(self) -> None:
        """End the process, and remove what it made."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> None:
    """Run what comes on standard input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    laboratory = Laboratory(Path(sys.argv[1]))
    for line in sys.stdin.buffer:
        outcome = laboratory.run(msgspec.json.decode(line, type=Trial))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
