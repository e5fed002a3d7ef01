"""Keys that come in one burst, over a slow line, do what they would one by one.

They come as a terminal with the kitty keyboard protocol sends them: there a key cannot be taken
for text. What holds where it can stands in `tests/tui/test_bursts.py`.
"""

from __future__ import annotations

import functools
import os
import random
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from textual import events

from engines.settings import Settings
from store.draft_json import decode_draft
from store.records import Draft
from tests.journeys.program import Program
from tests.screens import open_terminal
from tests.tui.pilot import press_key
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.darkroom import Darkroom

SCRIPTS = int(os.environ.get("SAFELIGHT_BURSTS", "6"))
"""How many scripts are tried; SAFELIGHT_BURSTS=200 for the long run."""

KEYS_EACH = 30
ARROWS = {"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D"}
NAMES = {
    "\r": "enter",
    "\t": "tab",
    " ": "space",
    "+": "plus",
    "-": "minus",
    "=": "equals_sign",
}
PRESSES = [
    *("a", "d", "D", "J", "K", "u", "l", "\r", "\r", "\r", "\t", " ", "=", "+", "-"),
    *("s", "k", "y", "1", "7", "0", *ARROWS, *ARROWS),
    # Into the history and back, into the jobs and back: as text where it is typed.
    "hq",
    "jq",
]


def make_script(seed: int) -> list[str]:
    """Presses of about `KEYS_EACH` keys, by chance but the same for one `seed`."""
    chance = random.Random(seed)
    return [chance.choice(PRESSES) for _ in range(KEYS_EACH)]


def list_keys(script: Sequence[str]) -> list[events.Key]:
    """The keys of `script` as Textual names them."""
    found = []
    for press in script:
        if press in ARROWS:
            found.append(events.Key(press, None))
        else:
            found += [events.Key(NAMES.get(sign, sign), sign) for sign in press]
    return found


def encode_press(press: str) -> str:
    """The keys of `press`, each as a sequence that says which key it is and what it types."""
    if press in ARROWS:
        return ARROWS[press]
    return "".join(
        f"\x1b[{ord(sign)}u" if sign in "\r\t" else f"\x1b[{ord(sign.lower())};;{ord(sign)}u"
        for sign in press
    )


def strip_chance(draft: Draft) -> Draft:
    """`draft` without what is drawn by chance."""
    return msgspec.structs.replace(draft, seed=None, previous_seeds=())


def read_draft(directory: Path) -> Draft:
    """The draft as it is on the disk."""
    with sqlite3.connect(directory / "history.sqlite3") as connection:
        (stored,) = connection.execute("SELECT draft FROM session").fetchone()
    return strip_chance(decode_draft(stored))


async def press_one_by_one(directory: Path, scripts: Sequence[Sequence[str]]) -> list[Draft]:
    """The draft after each script, each key pressed when the one before is done."""
    drafts = []
    app = SafelightApp(Darkroom(directory, Settings()))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        await pilot.pause()
        for script in scripts:
            for key in list_keys(script):
                await press_key(app, key)
            drafts.append(strip_chance(app.compose_screen.draft))
    return drafts


@pytest.mark.exhaustive
async def test_bursts_give_the_draft_that_the_same_keys_give_one_by_one(
    tmp_path: Path, program: Program
) -> None:
    scripts = [make_script(seed) for seed in range(SCRIPTS)]
    expected = await press_one_by_one(tmp_path / "one", scripts)
    environ = {"SAFELIGHT_HOME": program.environ["SAFELIGHT_HOME"], "HOME": str(program.home)}
    argv = [sys.executable, "-m", "tui"]
    with open_terminal(argv, columns=120, rows=40, environ=environ) as terminal:
        terminal.wait_for_text("worker")
        for number, (script, wanted) in enumerate(zip(scripts, expected, strict=True)):
            terminal.send("".join(encode_press(press) for press in script))
            has_come = functools.partial(has_draft, program.directory, wanted)
            try:
                terminal.wait_until(has_come)
            except AssertionError:
                found = read_draft(program.directory)
                differences = list_differences(found, wanted)
                assert not differences, f"script {number}, {script}: {differences}"


def list_differences(one: Draft, other: Draft) -> list[tuple[str, object, object]]:
    """The fields that differ, and what they are in both."""
    return [
        (name, getattr(one, name), getattr(other, name))
        for name in Draft.__struct_fields__
        if getattr(one, name) != getattr(other, name)
    ]


def has_draft(directory: Path, wanted: Draft) -> bool:
    """Whether `wanted` is what is on the disk."""
    return read_draft(directory) == wanted
