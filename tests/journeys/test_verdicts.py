"""A verdict names what is wrong: the fact that was changed, the file that is missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.journeys.program import Program


def draw(path: Path, color: str) -> str:
    Pillow.new("RGB", (128, 128), color).save(path)
    return str(path)


@contextmanager
def changed(program: Program, *statements: str) -> Iterator[None]:
    """The history after these statements, and as it was before them when the block ends."""
    path = program.directory / "history.sqlite3"
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(":memory:")) as was:
        connection.backup(was)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        try:
            yield
        finally:
            was.backup(connection)
            # It is meant to be older than what was here.
            (program.directory / "history.witness").unlink(missing_ok=True)


@contextmanager
def away(path: Path) -> Iterator[None]:
    aside = path.rename(path.with_name("aside"))
    try:
        yield
    finally:
        aside.rename(path)


def verify(program: Program) -> Any:
    (result,) = program.run_json("verify", "--all", status=1)["results"]
    return result


def judge(program: Program) -> tuple[str, str]:
    result = verify(program)
    return result["verdict"], result["first_difference"]


CHANGES = {
    "width": "UPDATE image SET width = 999",
    "finish_reason": "UPDATE image SET finish_reason = 'filter'",
    "mime": "UPDATE image SET mime = 'image/jpeg'",
    "prompt_text": "UPDATE image SET prompt_text = 'x'",
    "purpose": "UPDATE image SET purpose = 'regenerate'",
    "meta": "UPDATE image SET meta = '{}'",
    "environment": "UPDATE environment SET json = '{}'",
    "thumbnail": "UPDATE thumbnail SET data = x'00'",
    "stages": "UPDATE stage SET position = 1000 WHERE position = 1",
    "request.steps": "UPDATE request SET steps = 9",
    "mask.width": "UPDATE input SET width = 64 WHERE sha256 = '{mask}'",
}


@pytest.mark.exhaustive
def test_what_was_changed_or_lost_is_named(program: Program, home: Path) -> None:
    start, mask = draw(home / "start.png", "navy"), draw(home / "mask.png", "white")
    options = ("-s", "2", "-S", "7", "-i", start, "--mask-image", mask)
    (image,) = program.run_json("generate", "a castle", *options)["images"]
    parameters = program.run_json("show", "@1")["request"]["parameters"]
    digests = {role: parameters[role]["sha256"] for role in ("initial_image", "mask")}
    for name, statement in CHANGES.items():
        with changed(program, statement.replace("{mask}", digests["mask"])):
            assert program.run_json("show", "@1")["changes"] == [name]
            assert judge(program) == ("different", name)
    with changed(program, "DELETE FROM stage", "UPDATE image SET warning = 'x', session = 'y'"):
        said = program.run("verify", "@1", status=1)
        assert "differs at session, warning, stages" in said.stdout
        assert "changed after it was written" in said.stderr
        named = "changed after it was written: session, warning, stages"
        assert named in program.run("show", "@1").stdout
        assert named in program.run("doctor", status=1).stderr
    # The file is whole, and what is made again is what it holds.
    with changed(program, f"UPDATE image SET pixels_sha256 = '{'0' * 64}'"):
        result = verify(program)
        assert (result["verdict"], result["first_difference"]) == ("different", "pixels_sha256")
        assert result["pixels_sha256_now"] == image["pixels_sha256"]
    lost = {"initial_image": "initial image", "mask": "mask"}
    for role, name in lost.items():
        path = program.directory / "images" / digests[role][:2] / f"{digests[role][2:]}.png"
        with changed(program), away(path):
            said = program.run("verify", "@1", status=1)
            assert f"cannot run: {name}\n" in said.stdout
            assert str(path) in said.stderr
            assert "record was changed" not in said.stderr
        data = path.read_bytes()
        with changed(program):
            path.write_bytes(Path(image["path"]).read_bytes())
            assert judge(program) == ("cannot run", name)
        path.write_bytes(data)
    with changed(program, "UPDATE verification SET verdict = 'identical'"):
        assert program.run("doctor").stdout.endswith("no problem found\n")
    (result,) = program.run_json("verify", "--all")["results"]
    assert result["verdict"] == "identical"
    with changed(program, "UPDATE verification SET verdict = 'different'"):
        assert "verification 1" in program.run("doctor", status=1).stderr
        assert judge(program) == ("different", "verification.1.verdict")


@pytest.mark.exhaustive
def test_the_image_to_make_larger_is_named_when_it_is_lost(program: Program, home: Path) -> None:
    path = home / "small.png"
    Pillow.new("RGB", (64, 64), "teal").save(path)
    program.run_json("upscale", str(path))
    digest = program.run_json("show", "@1")["request"]["parameters"]["upscale"]["sha256"]
    (program.directory / "images" / digest[:2] / f"{digest[2:]}.png").unlink()
    assert judge(program) == ("cannot run", "image to make larger")
