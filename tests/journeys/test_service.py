"""A service on loopback behind the whole program: command, worker, engine, record."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engines.stability.protocol import generation
from store.records import JobState
from tests.engines.stability_rest.rest_form import describe_file, parse_form
from tests.engines.stability_rest.rest_server import TOKEN_VARIABLE, paint
from tests.journeys.program import Program
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def serve_rest(home: Path, *arguments: str, **environ: str) -> Iterator[Program]:
    """A program whose `stability-rest` engine speaks to a service of its own on loopback."""
    command = [sys.executable, "-m", "tests.engines.stability_rest.rest_server", *arguments]
    token = {TOKEN_VARIABLE: environ["STABILITY_KEY"]} if "STABILITY_KEY" in environ else {}
    server = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **token}, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    host = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    program = Program(home, STABILITY_REST_HOST=host, **environ)
    try:
        yield program
    finally:
        program.end_worker()
        server.kill()
        server.communicate()


@contextlib.contextmanager
def serve(home: Path, *arguments: str) -> Iterator[Program]:
    """A program whose `stability` engine speaks to a server of its own on loopback."""
    command = [sys.executable, "-m", "tests.engines.stability.server", *arguments, "--port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = server.stdout.readline().split(":")[-1].strip()
    program = Program(home, STABILITY_HOST=f"127.0.0.1:{port}")
    config = home / "safelight" / "config.toml"
    config.parent.mkdir()
    config.write_text('[stability]\nmodels = ["painter", "safelight-128-v1"]\n')
    try:
        yield program
    finally:
        program.end_worker()
        server.kill()
        server.communicate()


def find_job(program: Program) -> Any:
    return program.run_json("jobs")["jobs"][0]


SIZE = ("-W", "128", "-H", "128", "-s", "10", "-S", "7")


def test_a_service_makes_the_pixels_of_the_engine_behind_it(home: Path) -> None:
    prompts = ("night sky above a town", "clouds::-1")
    words = ("night sky above a town", "clouds")
    with serve(home, "--engine", "builtin") as program:
        hosted = program.run_json(
            "generate", *prompts, *SIZE, "-e", "stability", "-m", "safelight-128-v1"
        )
        own = program.run_json("generate", *prompts, *SIZE)
        assert hosted["images"][0]["pixels_sha256"] == own["images"][0]["pixels_sha256"]
        sent = generation.Request.FromString(
            base64.b64decode(program.run_json("show", "@2")["wire"])
        )
        assert [prompt.text for prompt in sent.prompt] == list(words)
        assert program.run_json("show", "@1")["wire"] is None
        (result,) = program.run_json("regenerate", "@2")["results"]
        assert result["verdict"] == "identical"
        (result,) = program.run_json("verify", "@3", status=1)["results"]
        assert result["verdict"] == "not verifiable"


def test_a_filtered_image_is_kept_with_a_warning(home: Path) -> None:
    with serve(home, "--engine", "painter", "--behaviour", "filter_image") as program:
        done = program.run("generate", "sky", *SIZE, "-e", "stability", "--json")
        assert '"finish_reason": "filter"' in done.stdout
        assert "warning: " in done.stderr
        assert "filter" in program.run("show", "@1").stdout


@pytest.mark.exhaustive
def test_a_cancelled_image_says_that_it_may_have_been_charged(home: Path) -> None:
    with serve(home, "--engine", "painter", "--behaviour", "silence") as program:
        program.run("generate", "sky", *SIZE, "-e", "stability", "--no-wait")
        wait_until(lambda: program.list_jobs()[0].state is JobState.RUNNING, "the job's start")
        program.run("cancel", find_job(program)["id"])
        wait_until(lambda: program.list_jobs()[0].state.is_final, "the job's end")
        assert find_job(program)["state"] == "cancelled"
        assert "may have charged" in find_job(program)["error"]


KEY = "sk-CANARY-" + "k" * 41
REST = ("-e", "stability-rest", "-m", "sd3.5-medium", "-S", "7")


@pytest.mark.exhaustive
def test_an_image_over_rest_starts_from_a_file(home: Path) -> None:
    file = home / "start.webp"
    Image.new("RGB", (192, 128), "navy").save(file)
    start = ("--init-image", str(file), "--start_schedule", "0.95", "--end_schedule", "0.1")
    with serve_rest(home) as program:
        done = program.run("generate", "sky", *start, *REST)
        assert "note: The end schedule 0.1 is not sent" in done.stderr
        record = program.run_json("show", "@1")
        form = parse_form(base64.b64decode(record["wire"]))
        assert form["image"] == describe_file(file.read_bytes(), "image/webp")
        assert (form["mode"], form["strength"]) == ("image-to-image", "0.95")
        assert Path(record["path"]).read_bytes() == paint("sd3", form)
        core = ("-e", "stability-rest", "-m", "stable-image-core")
        done = program.run("generate", "sky", *start, *core, status=2)
        assert "The model stable-image-core has no initial image." in done.stderr
        assert len(program.run_json("history")["images"]) == 1


def test_an_image_over_rest_is_made_recorded_and_told_what_it_lost(home: Path) -> None:
    with serve_rest(home, STABILITY_KEY=KEY) as program:
        done = program.run("generate", "sky::2", "town", "fog::-0.5", *REST, "--json")
        told = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
        assert [line.split(" of ")[0] for line in told] == [
            "note: The weights 2 and 1",
            "note: The 2 prompts are sent as one text, joined by commas.",
            "note: The weight -0.5",
        ]
        record = program.run_json("show", "@1")
        assert record["request"]["parameters"]["sampler"] == "server"
        assert (record["width"], record["height"], record["seed"]) == (1024, 1024, 7)
        assert record["warning"] == " ".join(line.removeprefix("note: ") for line in told)
        assert record["environment"]["sampler and steps"] == "decided by the server"
        wire = base64.b64decode(record["wire"])
        assert wire.startswith(b"POST /v2beta/stable-image/generate/sd3 HTTP/1.1\r\n")
        form = parse_form(wire)
        assert (form["prompt"], form["negative_prompt"]) == ("sky, town", "fog")
        assert Path(record["path"]).read_bytes() == paint("sd3", form)
        shown = program.run("show", "@1").stdout
        assert "sampler   server" in shown
        assert "sampler and steps: decided by the server" in shown
        around, said = shown.split("\nengine's  finish reason: SUCCESS\n")
        assert "\nmade by   " in around
        assert "\n          host: 127.0.0.1:" in around
        assert "\n          seed: 7\n" in said
        (result,) = program.run_json("verify", "@1", status=1)["results"]
        assert result["verdict"] == "not verifiable"
        command = program.run("show", "@1", "--command").stdout
        program.run(*shlex.split(command)[1:])
        assert program.run_json("show", "@1")["pixels_sha256"] == record["pixels_sha256"]
        seen = [done.stdout, done.stderr, program.run("jobs").stdout, shown]
        program.end_worker()
        files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
        assert files
        assert not [data for data in (*files, *map(str.encode, seen)) if KEY.encode() in data]


@pytest.mark.exhaustive
def test_a_blurred_image_over_rest_is_kept_with_a_warning(home: Path) -> None:
    with serve_rest(home, "--behaviour", "filtered") as program:
        done = program.run("generate", "sky", *REST, "--json")
        assert '"finish_reason": "filter"' in done.stdout
        assert "warning: The service's filter blurred this image." in done.stderr


def test_a_dropped_line_over_rest_leaves_the_outcome_unknown(home: Path) -> None:
    with serve_rest(home, "--behaviour", "hang_up") as program:
        program.run_json("generate", "sky", *REST, status=1)
        job = find_job(program)
        assert (job["state"], job["kind"]) == ("unknown", "outcome_unknown")
        assert "may have been charged" in job["error"]


def test_what_rest_cannot_take_is_refused_before_a_job_is_made(program: Program) -> None:
    done = program.run("generate", "x" * 6000, "y" * 6000, *REST, status=2)
    assert "12,002 characters together" in done.stderr
    done = program.run("generate", "sky", *REST, "-s", "30", status=2)
    assert "the server decides" in done.stderr
    assert program.run_json("jobs")["jobs"] == []
    listed = program.run("engines").stdout
    assert "stability-rest: Stability API (REST)" in listed
    assert "steps     the server decides" in listed
    assert "sd3.5-flash: cfg scale 1 to 10, default 1" in listed
    assert "stability-rest" in program.run("doctor").stdout
