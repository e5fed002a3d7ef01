"""What the README shows is what its commands make."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from store.pixels import digest_pixels, open_image
from tests.journeys.program import Program
from tests.repeats import mark

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("place", "picture"), [mark((0, "example-plain")), (1, "example-clouds")])
@pytest.mark.exhaustive
def test_the_pictures_are_made_by_the_commands_beside_them(
    program: Program, place: int, picture: str
) -> None:
    commands = re.findall(
        r"^safelight (generate .* -S 1229080980 -s 50 -C 8)$", README, re.MULTILINE
    )
    (image,) = program.run_json(*shlex.split(commands[place]))["images"]
    shown = open_image((ROOT / "docs" / f"{picture}.png").read_bytes())
    assert image["pixels_sha256"] == digest_pixels(shown)


def test_every_command_of_the_tour_exists(program: Program) -> None:
    names = set(re.findall(r"^safelight ([a-z]+)", README, re.MULTILINE))
    assert {"generate", "regenerate", "verify", "history", "show", "serve"} <= names
    listed = program.run("--help").stdout
    assert all(f"  {name} " in listed for name in names)


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"docs/[a-z0-9-]+\.png", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
