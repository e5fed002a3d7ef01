"""Photographs as a person gives them: sizes, masks and pixels go by what they look like."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from store.database import Database
from store.decoding import DecodedInput, decode_input
from store.inputs import keep_input
from store.pixels import open_image
from store.request import Upscale
from tests.factories import make_request
from tests.journeys.program import Program
from tests.photographs import P3, draw, encode, make_exif_bomb, make_photograph, make_rgb_profile
from tests.store.helpers import make_images

SIZE = (128, 192)
TURNED = "was turned upright (EXIF orientation 6)."
CONVERTED = "were converted from Display P3 to sRGB."
QUICK = ("-s", "1", "-S", "7")


def write_phone(home: Path) -> str:
    profile = make_rgb_profile("Display P3", P3, 2.2)
    path = home / "phone.jpg"
    path.write_bytes(make_photograph(6, size=SIZE, icc_profile=profile))
    return str(path)


def list_notes(errors: str) -> list[str]:
    return [line.removeprefix("note: ") for line in errors.splitlines()]


@pytest.mark.exhaustive
def test_a_photograph_of_a_phone_is_started_from_as_it_looks(program: Program, home: Path) -> None:
    phone = write_phone(home)
    done = program.run("generate", "castle", "-i", phone, "--start-schedule", "0", *QUICK, "--json")
    (image,) = json.loads(done.stdout)["images"]
    assert (image["width"], image["height"]) == SIZE
    notes = list_notes(done.stderr)
    assert notes[:2] == [
        f"The initial image {TURNED}",
        f"The colours of the initial image {CONVERTED}",
    ]
    assert image["warning"].startswith(" ".join(notes[:2]))
    kept = open_image(decode_input(Path(phone).read_bytes()).data)
    made = open_image(Path(image["path"]).read_bytes())
    np.testing.assert_array_equal(np.asarray(made), np.asarray(kept.convert("RGB")))
    record = program.run_json("show", "@1")
    assert record["warning"] == image["warning"]
    Path(phone).unlink()
    program.run(*shlex.split(record["command"])[1:])
    again = program.run_json("show", "@1")
    assert (again["request_id"], again["warning"]) == (image["request_id"], image["warning"])
    (result,) = program.run_json("verify", "@1")["results"]
    assert result["verdict"] == "identical"


@pytest.mark.exhaustive
def test_a_photograph_is_made_larger_and_masked_as_it_looks(program: Program, home: Path) -> None:
    phone = write_phone(home)
    done = program.run("upscale", phone, "--json")
    (larger,) = json.loads(done.stdout)["images"]
    assert (larger["width"], larger["height"]) == (256, 384)
    assert f"note: The image to make larger {TURNED}" in done.stderr
    upright, stored = home / "upright.png", home / "stored.png"
    Pillow.new("L", SIZE, 255).save(upright)
    Pillow.new("L", SIZE[::-1], 255).save(stored)
    program.run("generate", "castle", "-i", phone, "--mask-image", str(upright), *QUICK)
    done = program.run(
        "generate", "castle", "-i", phone, "--mask-image", str(stored), *QUICK, status=2
    )
    assert "The mask is 192x128, the initial image 128x192." in done.stderr


@pytest.mark.exhaustive
def test_the_holes_of_a_mask_are_made_anew(program: Program, home: Path) -> None:
    start, mask = home / "start.png", home / "holes.png"
    draw(SIZE).save(start)
    holes = draw(SIZE).convert("RGBA")
    holes.paste((0, 0, 0, 0), (0, 0, 128, 96))
    holes.save(mask)
    words = ("castle", "-i", str(start), "--mask-image", str(mask), "-s", "2", "-S", "7")
    done = program.run("generate", *words, "--json")
    assert "note: The mask is transparent in places: they are made anew" in done.stderr
    (image,) = json.loads(done.stdout)["images"]
    made = np.asarray(open_image(Path(image["path"]).read_bytes()))
    np.testing.assert_array_equal(made[104:], np.asarray(draw(SIZE))[104:])
    assert (made[:88] != np.asarray(draw(SIZE))[:88]).mean() > 0.5


@pytest.mark.exhaustive
def test_what_a_library_warns_of_does_not_reach_the_terminal(program: Program, home: Path) -> None:
    """Damaged EXIF data, and a file that says that it is huge."""
    cut, bomb, huge = home / "cut.jpg", home / "bomb.png", home / "huge.png"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12"
    cut.write_bytes(encode(draw(SIZE), "JPEG", exif=exif))
    bomb.write_bytes(encode(draw(SIZE), exif=make_exif_bomb()))
    data = bytearray(encode(draw(SIZE)))
    data[16:24] = (11_000).to_bytes(4) * 2
    huge.write_bytes(bytes(data))
    damaged = "note: The EXIF data of the initial image are damaged: it is taken as it is stored.\n"
    for path in (cut, bomb):
        done = program.run_cold("generate", "castle", "-i", str(path), *QUICK, "--no-wait")
        assert (done.returncode, done.stderr) == (0, damaged)
    done = program.run_cold("generate", "castle", "-i", str(huge), *QUICK)
    assert done.returncode == 2
    said = f"safelight: {huge}: "
    assert done.stderr.startswith(said)
    assert "Warning" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def make_past(program: Program, data: bytes) -> tuple[str, Path]:
    """Keep a file as it came, as it once was done: its digest and where it lies."""
    image = open_image(data)
    sha256 = hashlib.sha256(data).hexdigest()
    with Database.open(program.directory) as db:
        keep_input(
            db,
            DecodedInput(
                data=data,
                sha256=sha256,
                mime="image/jpeg",
                width=image.width,
                height=image.height,
            ),
        )
        return sha256, db.vault.path(sha256, ".jpg")


def read_initial(record: Any) -> str:
    return str(record["request"]["parameters"]["initial_image"]["sha256"])


@pytest.mark.exhaustive
def test_what_was_kept_sideways_can_be_made_again(program: Program, home: Path) -> None:
    phone = write_phone(home)
    past, path = make_past(program, Path(phone).read_bytes())
    start = ("--start-schedule", "0.5", *QUICK)
    program.run("generate", "castle", "-i", str(path), *start)
    record = program.run_json("show", "@1")
    assert read_initial(record) == past
    assert (record["width"], record["height"]) == SIZE
    program.run(*shlex.split(record["command"])[1:])
    again = program.run_json("show", "@1")
    assert (again["request_id"], again["pixels_sha256"]) == (
        record["request_id"],
        record["pixels_sha256"],
    )
    (result,) = program.run_json("verify", "@2")["results"]
    assert result["verdict"] == "identical"
    program.run("generate", "castle", "-i", phone, *start)
    assert read_initial(program.run_json("show", "@1")) != past


@pytest.mark.exhaustive
def test_a_larger_image_of_what_was_kept_sideways_is_asked_for_to_the_digest(
    program: Program, home: Path
) -> None:
    past, _ = make_past(program, Path(write_phone(home)).read_bytes())
    with Database.open(program.directory) as db:
        width, height = (2 * side for side in SIZE[::-1])
        upscale = make_request(
            "castle",
            model="safelight-upscale-x2@1",
            upscale=Upscale(sha256=past, upscaler="rgb"),
            width=width,
            height=height,
        )
        make_images(db, [upscale])
    line = program.run("show", "@1", "--command").stdout
    program.run_shell(line.replace("--request -", "--request - --no-wait"))
    (job, _) = program.list_jobs()
    assert job.request == upscale
