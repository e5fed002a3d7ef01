"""A service on loopback behind the whole program: command, worker, engine, record."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.stability.wire import generation
from tests.program import Program, wait_until

ROOT = Path(__file__).parents[1]


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


def test_a_cancelled_image_says_that_it_may_have_been_charged(home: Path) -> None:
    with serve(home, "--engine", "painter", "--behaviour", "silence") as program:
        program.run("generate", "sky", *SIZE, "-e", "stability", "--no-wait")
        wait_until(lambda: find_job(program)["state"] == "running", "the job's start")
        program.run("cancel", find_job(program)["id"])
        wait_until(lambda: find_job(program)["state"] == "cancelled", "the job's end")
        assert "may have charged" in find_job(program)["error"]
