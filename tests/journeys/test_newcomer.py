"""The way of a newcomer who reads nothing but the screen: from the first launch to a saved file."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from tests.journeys.program import Program
from tests.journeys.test_terminal_job import ESCAPE, list_images, open_darkroom
from tests.screens import Terminal

QUIT = "\x11"
KEYS_MAXIMUM = 14
"""Most keys beside those that are typed as text."""


class Newcomer:
    """Presses a key only where the last line of the screen, or a dialog, names it and says what.

    Counts the keys.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.pressed: list[str] = []

    def press(self, name: str, word: str, sent: str) -> None:
        """Press `sent`, which the screen calls `name` beside `word`."""
        named = re.compile(rf"(?:^|\s){re.escape(name)}(?: \S+)? {re.escape(word)}\b", re.MULTILINE)
        self.terminal.wait_until(
            lambda: named.search(self.terminal.text), what=f"'{name} {word}' on the screen"
        )
        self.pressed.append(name)
        self.terminal.send(sent)


def test_a_newcomer_gets_from_the_first_launch_to_a_proven_and_saved_image(
    program: Program,
) -> None:
    with open_darkroom(program, 80, 24) as terminal:
        hands = Newcomer(terminal)
        terminal.wait_for_text("typing")
        terminal.send("a lighthouse in a storm")
        terminal.wait_for_text("a lighthouse in a storm")
        hands.press("ctrl+j", "generate", "\n")
        terminal.wait_for_text("unverified")
        hands.press("v", "verify", "v")
        terminal.wait_for_text("identical")
        hands.press("←", "weight", "\x1b[C")
        terminal.wait_for_text("1.1")
        hands.press("S", "again", "S")
        terminal.wait_for_text("unverified")
        hands.press("c", "compare", "c")
        terminal.wait_for_text("+1.0 → +1.1")
        hands.press("esc", "back", ESCAPE)
        terminal.wait_for_text("moving")
        hands.press("s", "save", "s")
        hands.press("enter", "takes it", "\r")
        terminal.wait_for_text("Saved as")
        terminal.send(QUIT)
        assert terminal.wait_for_end() == 0
        assert len(hands.pressed) <= KEYS_MAXIMUM
    newer, older = list_images(program)
    assert older["verdict"] == "identical"
    assert newer["seed"] == older["seed"]
    weights = [image["request"]["stack"]["prompts"][0]["weight"] for image in (older, newer)]
    assert weights == [1.0, 1.1]
    (saved,) = Path(program.home).glob("*.png")
    assert saved.name == f"{newer['seed']}.png"
    with Image.open(saved) as picture:
        assert picture.size == (128, 128)
