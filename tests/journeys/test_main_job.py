"""The promise: an image made from a request can be made again, and proven the same."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import engines
from engines.worker.process import find_worker
from store import sessions
from store.database import Database
from store.records import Draft, DraftPrompt, JobState
from tests.journeys.program import Program
from tests.waiting import SECONDS, wait_until

EXAMPLE = (
    "beautiful night sky above japanese town, anime style",
    "clouds::-1",
    "-S",
    "1229080980",
)
QUICK = ("-s", "8")
LONG = ("-s", "150", "-W", "256", "-H", "256")
"""So much work that a busy machine gets round to a cancelling before it is done."""


def make(program: Program, *arguments: str) -> Any:
    document = program.run_json("generate", *arguments)
    assert document["failed"] == []
    return document["images"]


@pytest.mark.exhaustive
def test_the_same_request_gives_the_same_pixels_anywhere(program: Program, tmp_path: Path) -> None:
    (image,) = make(program, *EXAMPLE)
    assert image["seed"] == 1229080980
    assert (image["width"], image["height"]) == (128, 128)
    assert Path(image["path"]).read_bytes()[:4] == b"\x89PNG"
    other = Program(tmp_path / "other")
    other.home.mkdir()
    try:
        (again,) = make(other, *EXAMPLE)
    finally:
        other.end_worker()
    assert again["pixels_sha256"] == image["pixels_sha256"]
    assert again["request_id"] == image["request_id"]
    assert again["id"] != image["id"]


@pytest.mark.exhaustive
def test_images_of_one_call_equal_those_made_alone(program: Program) -> None:
    together = make(program, "a cat on a beach", *QUICK, "-S", "7", "-n", "3")
    assert [image["seed"] for image in together] == [7, 8, 9]
    assert len({image["pixels_sha256"] for image in together}) == 3
    (alone,) = make(program, "a cat on a beach", *QUICK, "-S", "9")
    assert alone["pixels_sha256"] == together[2]["pixels_sha256"]


@pytest.mark.exhaustive
def test_every_parameter_counts(program: Program) -> None:
    base = ("night sky", "clouds::-1", *QUICK, "-S", "7")
    variants = (
        base,
        (*base[:-1], "8"),
        ("night sky", "clouds::-0.5", *QUICK, "-S", "7"),
        ("night sky::1.5", "clouds::-1", *QUICK, "-S", "7"),
        ("night sea", "clouds::-1", *QUICK, "-S", "7"),
        ("night sky", "clouds::-1", "-s", "9", "-S", "7"),
        (*base, "-C", "3"),
        (*base, "-A", "k_euler_ancestral"),
    )
    digests = [make(program, *variant)[0]["pixels_sha256"] for variant in variants]
    assert len(set(digests)) == len(variants)


def test_regenerate_makes_a_proven_child_and_verify_adds_none(program: Program) -> None:
    (image,) = make(program, "sunset over the sea", *QUICK)
    (result,) = program.run_json("regenerate", "@1")["results"]
    assert result["verdict"] == "identical"
    assert result["image_id"] == image["id"]
    assert result["pixels_sha256_then"] == result["pixels_sha256_now"] == image["pixels_sha256"]
    assert result["first_difference"] is result["psnr_db"] is None
    child = program.run_json("show", result["regenerated_id"])
    assert child["parent_id"] == image["id"]
    assert child["purpose"] == "regenerate"
    assert [row["id"] for row in program.run_json("history")["images"]] == [
        child["id"],
        image["id"],
    ]
    results = program.run_json("verify", "--all")["results"]
    assert [row["verdict"] for row in results] == ["identical", "identical"]
    assert len(program.run_json("history")["images"]) == 2
    shown = program.run_json("show", image["id"][:8])
    assert shown["verdict"] == "identical"
    assert shown["request"]["parameters"]["seed"] == image["seed"]


def change_row(program: Program, statement: str) -> None:
    connection = sqlite3.connect(program.directory / "history.sqlite3")
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE request SET json = replace(json, '\"steps\":8', '\"steps\":9')", "steps"),
        ("UPDATE request SET cfg_scale = 9.0", "cfg_scale"),
    ],
)
@pytest.mark.samples(1)
def test_a_changed_record_is_noticed_and_named(
    program: Program, statement: str, named: str
) -> None:
    make(program, "sunset over the sea", *QUICK)
    program.end_worker()
    change_row(program, statement)
    done = program.run("verify", "--all", status=1)
    assert named in done.stdout + done.stderr


def test_a_damaged_image_file_is_noticed(program: Program) -> None:
    (image,) = make(program, "sunset over the sea", *QUICK)
    path = Path(image["path"])
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    (result,) = program.run_json("verify", "@1", status=1)["results"]
    assert result["first_difference"] == "file"
    assert result["pixels_sha256_now"] == image["pixels_sha256"]


@pytest.mark.exhaustive
def test_a_changed_model_file_is_noticed_and_named(home: Path, tmp_path: Path) -> None:
    code = Path(engines.__file__).parents[1]
    for package in ("tui", "engines", "store"):
        shutil.copytree(code / package, tmp_path / package)
    program = Program(home, PYTHONPATH=str(tmp_path))
    try:
        make(program, "sunset over the sea", *QUICK)
        path = tmp_path / "engines" / "builtin" / "weights" / "3" / "model.npz"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        (result,) = program.run_json("verify", "@1", status=1)["results"]
        assert result["verdict"] == "cannot run"
        assert result["first_difference"] == "model"
        program.end_worker()
        assert "model.npz" in program.run("verify", "--all", status=1).stderr
        assert "model.npz" in program.run("doctor", status=1).stderr
    finally:
        program.end_worker()


def test_show_command_makes_the_same_image(program: Program) -> None:
    (image,) = make(program, "it's a [bold] cat::1.3", "fog::-0.2", *QUICK)
    command = program.run("show", "@1", "--command").stdout.strip()
    words = command.removeprefix("safelight generate ")
    shell = f'exec "{sys.executable}" -m tui generate --json {words}'
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        env=program.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert image["pixels_sha256"] in done.stdout


def test_a_job_survives_kill_9_of_its_worker(program: Program) -> None:
    slow = ("a lighthouse in a storm", "-s", "50", "-S", "5")
    (job,) = program.run_json("generate", *slow, "--no-wait")["jobs"]

    wait_until(lambda: program.list_jobs()[0].step > 0, "the first step")
    program.kill_worker()
    assert program.run_json("jobs")["jobs"][0]["image_id"] is None
    make(program, "a cat", *QUICK)
    wait_until(lambda: all(each.state.is_final for each in program.list_jobs()), "the jobs' ends")
    (again,) = make(program, *slow)
    assert read_finished(program, job["id"])["pixels_sha256"] == again["pixels_sha256"]


def read_finished(program: Program, job_id: str) -> Any:
    for job in program.run_json("jobs")["jobs"]:
        if job["id"] == job_id and job["state"] == "done":
            return program.run_json("show", job["image_id"])
    return None


def test_cancel_stops_a_job(program: Program) -> None:
    (job,) = program.run_json("generate", "a cat", *LONG, "--no-wait")["jobs"]
    program.run("cancel", job["id"])
    wait_until(lambda: program.list_jobs()[0].state.is_final, "the job's end")
    assert list_states(program) == ["cancelled"]
    assert program.run_json("history")["images"] == []


@pytest.mark.exhaustive
def test_a_worker_leaves_when_its_folder_is_taken_away(program: Program) -> None:
    make(program, "a cat", "-s", "2")
    left = find_worker(program.directory).process_id
    assert left is not None
    shutil.rmtree(program.home / "safelight")
    wait_until(lambda: not is_alive(left), "the worker's end")
    make(program, "a cat", "-s", "2")


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.exhaustive
def test_a_backup_is_a_history_of_its_own(program: Program, tmp_path: Path) -> None:
    (image,) = make(program, "a cat", "-s", "2")
    copy = tmp_path / "copy" / "safelight" / "data"
    copy.mkdir(parents=True, mode=0o700)
    program.run("backup", str(copy / "history.sqlite3"))
    assert "exists" in program.run("backup", str(copy / "history.sqlite3"), status=2).stderr
    other = Program(tmp_path / "copy")
    assert [row["id"] for row in other.run_json("history")["images"]] == [image["id"]]


def test_sessions_are_listed_with_what_is_in_them(program: Program) -> None:
    assert program.run_json("sessions")["sessions"] == []
    with Database.open(program.directory) as database:
        sessions.save_draft(database, "town", Draft(prompts=(DraftPrompt(text="a town"),)))
    (session,) = program.run_json("sessions")["sessions"]
    assert (session["name"], session["prompts"][0]["text"]) == ("town", "a town")
    assert "town  a town" in program.run("sessions").stdout


@pytest.mark.exhaustive
def test_ctrl_c_cancels_what_was_asked_for(program: Program) -> None:
    command = [sys.executable, "-m", "tui", "generate", "a cat", *LONG, "-n", "3"]
    with subprocess.Popen(command, env=program.environ, cwd=program.home) as process:
        wait_until(
            lambda: any(job.state is JobState.RUNNING for job in program.list_jobs()),
            "the first job's start",
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 128 + signal.SIGINT
    wait_until(lambda: all(job.state.is_final for job in program.list_jobs()), "the jobs' end")
    assert list_states(program) == ["cancelled"] * 3


def list_states(program: Program) -> list[str]:
    return [job["state"] for job in program.run_json("jobs")["jobs"]]


@pytest.mark.exhaustive
def test_one_worker_for_two_callers_at_once(program: Program) -> None:
    command = [sys.executable, "-m", "tui", "generate", "a cat", *QUICK, "--json"]
    both = [
        subprocess.Popen(command, env=program.environ, stdout=subprocess.PIPE) for _ in range(2)
    ]
    for process in both:
        process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    assert len(program.run_json("history")["images"]) == 2
    status = find_worker(program.directory)
    assert status.process_id is not None
    os.kill(status.process_id, signal.SIGTERM)
    wait_until(lambda: not find_worker(program.directory).is_running, "the worker's leave")
