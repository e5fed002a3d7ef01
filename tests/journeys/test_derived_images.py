"""Images made from other images: what is asked for is recorded, and can be asked for again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.journeys.program import Program

QUICK = ("-s", "2", "-S", "7")


def draw(path: Path, size: tuple[int, int], color: str = "navy") -> str:
    Pillow.new("RGB", size, color).save(path)
    return str(path)


def make(program: Program, *arguments: str) -> Any:
    (image,) = program.run_json("generate", *arguments)["images"]
    return image


def queue(program: Program, *arguments: str) -> Any:
    """What was queued, as the list of jobs tells it."""
    (job,) = program.run_json(*arguments, "--no-wait")["jobs"]
    return next(row for row in program.run_json("jobs")["jobs"] if row["id"] == job["id"])


def repeat(program: Program, command: str) -> Any:
    words = shlex.split(command)
    assert words[0] == "safelight"
    done = program.run(words[1], "--no-wait", "--json", *words[2:])
    (job,) = json.loads(done.stdout)["jobs"]
    return job


@pytest.mark.exhaustive
def test_everything_about_an_initial_image_is_recorded(program: Program, home: Path) -> None:
    start, mask = draw(home / "start.png", (128, 128)), draw(home / "mask.png", (128, 128), "white")
    image = make(
        program, "--init-image", start, "--mask_image", mask, "--mask-replaces", "white",
        "--masked-area-init", "random", "--image-strength", "0.3", "--end_schedule", "0.1",
        "--variation-seed", "9", *QUICK, "night sky", "fog::-1", "--off", "2",
    )  # fmt: skip
    shown = program.run_json("show", "@1")
    parameters = shown["request"]["parameters"]
    assert parameters["initial_image"]["start_schedule"] == 0.7
    assert parameters["initial_image"]["end_schedule"] == 0.1
    assert parameters["mask"]["replaces"] == "white"
    assert parameters["mask"]["area_init"] == "random"
    assert parameters["variation"] == {"seed": 9, "strength": 0.2}
    assert (shown["parent_id"], shown["relation"]) == (None, None)
    Path(start).unlink()
    again = repeat(program, program.run("show", "@1", "--command").stdout)
    assert again["request_id"] == image["request_id"]
    lines = program.run("show", "@1").stdout.splitlines()
    place = lines.index(f"from      the image file {parameters['initial_image']['sha256'][:8]}")
    assert lines[place + 1 : place + 4] == [
        "          start 0.7 (0 keeps it, 1 ignores it), end 0.1",
        f"mask      {parameters['mask']['sha256'][:8]}: white is made anew, from noise",
        "vary seed 9, 0.2 of it mixed in",
    ]
    prompts = lines.index("prompts    +1.0  night sky")
    assert lines[prompts + 1] == "            off  fog"
    assert "[initial image, mask, variation]" in program.run("history").stdout


def test_a_past_image_is_started_from_varied_and_made_larger(program: Program) -> None:
    first = make(program, "night sky", *QUICK, "-W", "192")
    job = queue(program, "generate", "a town", "-i", "@1", "--start-schedule", "0.5", *QUICK)
    assert (job["parent_id"], job["relation"]) == (first["id"], "initial image")
    parameters = job["request"]["parameters"]
    assert parameters["initial_image"]["sha256"] == first["file_sha256"]
    assert (parameters["width"], parameters["height"]) == (192, 128)
    job = queue(program, "vary", first["id"])
    assert (job["parent_id"], job["relation"]) == (first["id"], "variation")
    assert job["request"]["parameters"]["seed"] == 7
    variation = job["request"]["parameters"]["variation"]
    assert variation["strength"] == 0.2
    assert (
        variation["seed"]
        != queue(program, "vary", first["id"])["request"]["parameters"]["variation"]["seed"]
    )
    job = queue(program, "upscale", first["id"][:8])
    assert (job["parent_id"], job["relation"]) == (first["id"], "upscale")
    parameters = job["request"]["parameters"]
    assert (parameters["width"], parameters["height"]) == (384, 256)
    assert parameters["upscale"]["sha256"] == first["file_sha256"]
    assert job["request"]["stack"]["prompts"][0]["text"] == "night sky"
    assert job["request"]["model"] == "safelight-upscale-x2@1"
    again = repeat(program, f"safelight upscale --by 2 -S 7 {first['id']}")
    assert again["request_id"] == job["request_id"]
