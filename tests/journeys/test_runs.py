"""Runs of verifications from the command line: behind people's jobs, over restarts, reported."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.journeys.program import Program
from tests.waiting import wait_until

QUICK = ("-s", "2")


def list_runs(program: Program) -> list[dict[str, object]]:
    found: list[dict[str, object]] = program.run_json("runs")["runs"]
    return found


@pytest.mark.exhaustive
def test_a_run_in_the_background_lets_people_go_first_and_survives_its_worker(
    program: Program,
) -> None:
    program.run("generate", "a castle", "fog::-0.5", *QUICK, "-n", "8")
    # Long enough that it is not over before somebody else comes.
    program.run("generate", "a lighthouse", "-s", "60", "-n", "2")
    begun = program.run_json("verify", "--all", "--background")["run"]
    assert (begun["total"], begun["search"]) == (10, "all")
    made = program.run_json("generate", "mine", *QUICK)["images"]
    assert len(made) == 1
    program.run("runs", "--pause", begun["id"][:8])
    (paused,) = list_runs(program)
    assert paused["state"] == "paused"
    program.kill_worker()
    (still,) = list_runs(program)
    assert still["state"] == "paused"
    assert "cannot be paused" in program.run("runs", "--pause", "@1", status=2).stderr
    program.run("runs", "--resume", "@1")
    program.kill_worker()
    # Whoever looks starts a worker for what is left.
    done = program.run("verify", "--last", "1")
    assert done.stdout.endswith("identical\n")
    wait_until(lambda: list_runs(program)[-1]["state"] == "done", "the end of the run")
    first = list_runs(program)[-1]
    assert first["verdicts"] == {"identical": 10}
    assert "10 identical" in program.run("runs").stdout
    # It had its turn in between, not at the end.
    (mine,) = [job for job in program.list_jobs() if job.image_id == made[0]["id"]]
    own = [job for job in program.list_jobs() if job.is_background and job.number > mine.number]
    assert len(own) > 1
    results = program.run_json("runs", "@2")["results"]
    assert [row["verdict"] for row in results] == ["identical"] * 10


def test_what_differs_is_in_the_report_and_in_the_status(program: Program, home: Path) -> None:
    program.run("generate", "<script>alert(1)</script> castle", *QUICK, "-n", "3")
    with closing(sqlite3.connect(program.directory / "history.sqlite3")) as connection:
        connection.execute("UPDATE image SET width = 999 WHERE number = 2")
        connection.commit()
    page = home / "report.html"
    said = program.run("verify", "--search", "castle", "--report", str(page), status=1)
    assert said.stdout.count("identical") == 2
    assert "differs at width" in said.stdout
    text = page.read_text()
    assert "2 identical, 1 different" in text
    assert "<script" not in text
    assert "data:image/webp;base64," in text
    before = page.read_bytes()
    again = program.run("runs", "@1", "--report", str(page), status=2)
    assert "is there already" in again.stderr
    assert page.read_bytes() == before
    assert "There is no run" in program.run("runs", "ffff", status=2).stderr
    sample = program.run_json("verify", "--sample", "1", "--sample-seed", "5", status=0)
    again_sample = program.run_json("verify", "--sample", "1", "--sample-seed", "5", status=0)
    assert [row["image_id"] for row in sample["results"]] == [
        row["image_id"] for row in again_sample["results"]
    ]
    assert sample["run"]["search"] == "sample 1 of all, sample seed 5"


@pytest.mark.exhaustive
def test_what_is_other_now_is_told_before_anything_is_made(program: Program, home: Path) -> None:
    program.run("generate", "a castle", *QUICK)
    made = len(program.list_jobs())
    said = program.run("verify", "@1", "--dry-run").stdout
    assert "since then: nothing that decides pixels" in said
    (outlook,) = program.run_json("verify", "--all", "--dry-run")["outlooks"]
    assert (outlook["outlook"], outlook["changes"], outlook["cost"]) == ("identical", [], 0)
    with closing(sqlite3.connect(program.directory / "history.sqlite3")) as connection:
        connection.execute("UPDATE image SET width = 999")
        connection.commit()
    changed = program.run("verify", "@1", "--dry-run", status=1).stdout
    assert "width: decides" in changed
    small = home / "small.png"
    small.write_bytes(Path(program.run_json("show", "@1")["path"]).read_bytes())
    program.run("generate", "a castle", *QUICK, "-i", str(small))
    digest = program.run_json("show", "@1")["request"]["parameters"]["initial_image"]["sha256"]
    (program.directory / "images" / digest[:2] / f"{digest[2:]}.png").unlink()
    lost = program.run("verify", "@1", "--dry-run", status=2).stdout
    assert "it cannot be made again now" in lost
    assert "initial image: prevents" in lost
    assert len(program.list_jobs()) == made + 1
