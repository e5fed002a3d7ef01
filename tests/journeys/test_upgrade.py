"""A new program on an old history, beside a worker that was there before."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.builtin.code import digest_code
from engines.worker.process import ensure_worker, find_worker
from engines.worker.program import SALT_NAME, digest_settings, read_serving
from store import queue
from store.database import Database
from store.records import JobState, Purpose
from tests.factories import make_hosted_request, make_quick_request
from tests.journeys.program import Program
from tests.repeats import mark
from tests.waiting import SECONDS, wait_until

WITHOUT_REVISIONS = Path(__file__).with_name("without_revisions")
"""A history of the time when requests named no revision: all of its images are of revision 3."""

ROOT = Path(__file__).parents[2]

WORKER = """
import asyncio, sys
from pathlib import Path
from engines.builtin import engine
from engines.worker import job, program, worker
from store import queue

directory, gate, is_silent = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "silent"
program.digest_program = lambda: "an older program"
engine.digest_code = lambda: "older code"
run = job.JobExecution.run
async def wait_and_run(self):
    while not gate.exists():
        await asyncio.sleep(0.02)
    await run(self)
job.JobExecution.run = wait_and_run
if is_silent:
    # As a worker of a version that knew nothing of programs: it looks at its token only.
    recover, claim = queue.recover, queue.claim
    queue.recover = lambda db, **given: recover(db, paid_engines=given["paid_engines"])
    queue.claim = lambda db, token, serving: claim(db, token)
    worker.count_waiting = lambda db, serving: (queue.count_active(db), 0)
sys.exit(asyncio.run(worker.Worker(directory).run()))
"""


@pytest.fixture(params=["says what it is", mark("silent")])
def older(
    program: Program, request: pytest.FixtureRequest
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The worker of an older program, and the file without which it ends no job."""
    program.run("sessions")
    gate = program.home / "gate"
    words = [str(program.directory), str(gate), request.param]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, *words],
        env={**program.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: find_worker(program.directory).process_id == process.pid, "the worker")
    with Database.open(program.directory) as database:
        wait_until(lambda: queue_token(database) > 0, "its token")
    yield process, gate
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait(SECONDS)


def queue_token(database: Database) -> int:
    from store.serving import read_token

    with database.read() as read:
        return read_token(read)


def test_an_old_worker_that_idles_makes_way(
    program: Program, older: tuple[subprocess.Popen[bytes], Path]
) -> None:
    process, gate = older
    gate.touch()
    (image,) = program.run_json("generate", "castle", "-S", "7", "-s", "2")["images"]
    process.wait(SECONDS)
    shown = program.run_json("show", image["id"])
    assert shown["environment"]["code"] == digest_code()
    assert find_worker(program.directory).process_id != process.pid


def test_the_job_that_an_old_worker_runs_ends_and_the_next_is_the_new_ones(
    program: Program, older: tuple[subprocess.Popen[bytes], Path]
) -> None:
    process, gate = older
    with Database.open(program.directory) as database:
        (first,) = queue.enqueue(database, [make_quick_request()])
        wait_until(
            lambda: queue.get_job(database, first.id).state is JobState.RUNNING, "the old one's job"
        )
        # Nobody waits for these: the new worker has to be there by itself.
        program.run("generate", "castle", "-S", "7", "-s", "2", "--no-wait")
        program.run("generate", "castle", "-S", "8", "-s", "2", "--no-wait")
        assert process.poll() is None
        gate.touch()
        jobs = [job.id for job in queue.list_jobs(database)]
        assert len(jobs) == 3
        wait_until(lambda: queue.count_active(database) == 0, "their ends")
        assert [queue.get_job(database, job).state for job in jobs] == [JobState.DONE] * 3
        assert queue.get_job(database, first.id).attempts == 1
    process.wait(SECONDS)
    codes = [program.run_json("show", f"@{n}")["environment"]["code"] for n in (3, 2, 1)]
    assert codes == ["older code", digest_code(), digest_code()]


@pytest.mark.exhaustive
def test_images_of_before_revisions_had_names_are_proven_and_made_again(program: Program) -> None:
    shutil.copytree(WITHOUT_REVISIONS, program.directory)
    assert program.run_json("doctor")["problems"] == []
    results = program.run_json("verify", "--all")["results"]
    assert [row["verdict"] for row in results] == ["identical"] * 4
    for image in program.run_json("history")["images"]:
        program.run("regenerate", image["id"])
        child = program.run_json("show", "@1")
        assert child["request_id"] == image["request_id"]
        assert child["parent_id"] == image["id"]
    (drawn,) = [
        image
        for image in program.run_json("history")["images"]
        if image["seed"] == 7 and image["width"] == 128 and image["parent_id"] is None
    ]
    # It means the revision that made it, so the same request is made again to the digest.
    program.run_shell(program.run("show", drawn["id"], "--command").stdout)
    again = program.run_json("show", "@1")
    assert again["parent_id"] is None
    assert again["request_id"] == drawn["request_id"]
    assert again["pixels_sha256"] == drawn["pixels_sha256"]
    program.run("vary", drawn["id"])
    varied = program.run_json("show", "@1")
    assert varied["request"]["model"] == "safelight-128-v1@3"


@pytest.mark.exhaustive
def test_an_image_of_a_revision_that_is_not_on_board_cannot_run(program: Program) -> None:
    shutil.copytree(WITHOUT_REVISIONS, program.directory)
    with Database.open(program.directory) as database, database.write() as write:
        from sqlmodel import select

        from store.mapping import store_environment
        from store.records import EnvironmentRecord
        from store.seals import seal_image
        from store.tables import ImageRow

        earlier = store_environment(write, EnvironmentRecord(values={"engine revision": "2"}))
        for row in write.exec(select(ImageRow)).all():
            row.environment_digest = earlier
            write.add(row)
        write.flush()
        for number in write.exec(select(ImageRow.number)).all():
            seal_image(write, number or 0)
    # The command names what the record says, not what the request would mean today.
    assert "--model safelight-128-v1@2" in program.run("show", "@2", "--command").stdout
    results = program.run_json("verify", "--all", status=1)["results"]
    verdicts = [(row["verdict"], row["first_difference"]) for row in results]
    # The upscaler has been the same since it is there.
    assert verdicts == [("identical", None), *[("cannot run", "model")] * 3]
    said = program.run("verify", "@2", status=1).stderr
    assert "Revision 2 of safelight-128-v1 is not on board; on board: 3." in said


@contextlib.contextmanager
def listen() -> Iterator[tuple[str, list[int]]]:
    """The address of a host that hangs up on every call, and its calls."""
    calls: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    calls.append(1)
                    connection.close()

        threading.Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", calls
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.exhaustive
def test_an_old_host_is_never_called_for_a_job_of_new_settings(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst order: the job is queued while nobody has asked the old worker to leave."""
    with listen() as (old, old_calls), listen() as (new, new_calls):
        program.environ |= {"STABILITY_HOST": old, "STABILITY_KEY": "old-key"}
        program.run("generate", "sky", "-S", "1", "-s", "1")
        first = find_worker(program.directory).process_id
        program.environ |= {"STABILITY_HOST": new, "STABILITY_KEY": "new-key"}
        request = make_hosted_request("stable-diffusion-xl-1024-v1-0", width=1024, height=1024)
        with Database.open(program.directory) as database:
            wanted = read_serving(program.directory, program.environ)
            (job,) = queue.enqueue(database, [request], wanted=wanted)
            wait_until(lambda: not find_worker(program.directory).is_running, "the old one's end")
            assert queue.get_job(database, job.id).state is JobState.WAITING
            # One that is started with the old settings leaves it alone, too, and goes.
            monkeypatch.setenv("STABILITY_HOST", old)
            monkeypatch.setenv("STABILITY_KEY", "old-key")
            ensure_worker(program.directory)
            wait_until(lambda: not find_worker(program.directory).is_running, "its end")
            assert queue.get_job(database, job.id).state is JobState.WAITING
            monkeypatch.setenv("STABILITY_HOST", new)
            monkeypatch.setenv("STABILITY_KEY", "new-key")
            assert ensure_worker(program.directory).process_id != first
            wait_until(lambda: queue.get_job(database, job.id).state.is_final, "the job's end")
    assert (len(old_calls), bool(new_calls)) == (0, True)


@pytest.mark.exhaustive
def test_terminals_with_other_settings_that_take_turns_lose_no_job(program: Program) -> None:
    with listen() as (one, _), listen() as (other, _):
        for turn in range(6):
            host = (one, other)[turn % 2]
            program.environ |= {"STABILITY_HOST": host, "STABILITY_KEY": f"key-of-{host}"}
            program.run("generate", "sky", "-e", "stability", "-S", str(turn + 1), "--no-wait")
        with Database.open(program.directory) as database:
            wait_until(lambda: queue.count_active(database) == 0, "the end of all jobs")
            jobs = queue.list_jobs(database)
        assert len(jobs) == 6
        assert {job.state for job in jobs} <= {JobState.FAILED, JobState.UNKNOWN}
        assert {job.attempts for job in jobs} == {1}


def test_what_settings_come_from_is_told_apart_and_not_told(tmp_path: Path) -> None:
    environ = {"SAFELIGHT_HOME": str(tmp_path), "STABILITY_KEY": "sk-of-mine"}
    found = digest_settings(tmp_path, environ)
    assert digest_settings(tmp_path, environ) == found
    assert "builtin" not in found, "it has no settings"
    for change in ({"STABILITY_KEY": "other"}, {"STABILITY_HOST": "x"}, {"SAFELIGHT_HOME": "/x"}):
        assert digest_settings(tmp_path, environ | change)["stability"] != found["stability"]
    assert (tmp_path / SALT_NAME).stat().st_mode & 0o777 == 0o600
    assert "sk-of-mine" not in str(found)
    (tmp_path / SALT_NAME).unlink()
    assert digest_settings(tmp_path, environ) != found, "nothing can be compared without its key"


@pytest.mark.parametrize("purpose", [Purpose.VERIFY, Purpose.REGENERATE])
@pytest.mark.samples(1)
@pytest.mark.exhaustive
def test_a_verdict_is_the_new_programs(
    program: Program, older: tuple[subprocess.Popen[bytes], Path], purpose: Purpose
) -> None:
    process, gate = older
    gate.touch()
    with Database.open(program.directory) as database:
        (job,) = queue.enqueue(database, [make_quick_request()])
        wait_until(lambda: queue.get_job(database, job.id).state.is_final, "an old image")
    assert program.run_json("show", "@1")["environment"]["code"] == "older code"
    program.run(purpose.value, "@1")
    process.wait(SECONDS)
    log = (program.directory / "worker.log").read_text()
    assert f": {purpose.value}" in log
    assert os.getpid() != find_worker(program.directory).process_id != process.pid
