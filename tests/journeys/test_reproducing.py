"""The image of last week: found by its seed, made again, proven and saved with its proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.program import Program
from tests.journeys.test_terminal_job import ESCAPE, list_images, open_darkroom
from tests.screens import Terminal

MOST_KEYS = 12
"""How many keys the whole path takes at most, from the opened darkroom on."""


class Keys:
    """What is pressed, one key at a time."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.count = 0

    def press(self, keys: str) -> None:
        for key in keys:
            self._terminal.send(key)
            self.count += 1

    def see(self, text: str) -> None:
        self._terminal.wait_for_text(text)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
@pytest.mark.exhaustive
def test_an_image_is_found_made_again_proven_and_saved_in_twelve_keys(
    program: Program, tmp_path: Path, columns: int, rows: int
) -> None:
    program.run("generate", "a harbour at dawn", "people::-0.5", "-S", "4711")
    program.run("generate", "a lighthouse in a storm", "-S", "2600", "-n", "2")
    with open_darkroom(program, columns, rows) as terminal:
        terminal.wait_for_text("typing")
        terminal.send(ESCAPE)
        terminal.wait_for_text("moving")
        keys = Keys(terminal)
        keys.press("h")
        keys.see("3 images")
        keys.press("/4711\r")
        keys.see("1 image found")
        if columns < 100:
            keys.press("\t")
        keys.see("nothing that decides pixels")
        keys.press("r")
        keys.see("is identical to")
        keys.press("s")
        keys.see("folder")
        keys.press("\r")
        keys.see("Saved as")
        assert keys.count <= MOST_KEYS
        assert "4711.png" in terminal.text
    newest, first = (image for image in list_images(program) if image["seed"] == 4711)
    assert newest["parent_id"] == first["id"]
    assert newest["pixels_sha256"] == first["pixels_sha256"]
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Program(tmp_path / "elsewhere")
    assert "identical" in elsewhere.run("verify", str(program.home / "4711.png")).stdout
