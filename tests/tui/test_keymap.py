"""`[keys]` of `config.toml`: other keys, and what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engines.keys import SettingsError
from engines.settings import load_settings
from store.records import Draft, DraftPrompt
from tests.journeys.program import Program
from tests.screens import open_terminal, read_screen
from tests.tui.desk_darkroom import UTF8, DeskDarkroom, with_place
from tests.tui.pilot import Hands
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.dialogs import HelpScreen
from tui.keymap import describe_faults, find_line
from tui.terminal.detect import Surroundings

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5))
FILE = """
[interface]
mouse = false

[keys]
"prompt.add" = "b,ctrl+n"
prompt.copy = "a"
nothing.here = "z"
"""


def read_keys(folder: Path, text: str) -> dict[str, str]:
    (folder / "config.toml").write_text(text)
    return dict(load_settings({}, folder / "config.toml").keys)


def test_ids_are_read_with_quotes_and_without(tmp_path: Path) -> None:
    assert read_keys(tmp_path, FILE) == {
        "prompt.add": "b,ctrl+n",
        "prompt.copy": "a",
        "nothing.here": "z",
    }


@pytest.mark.parametrize("text", ["keys = 3", '[keys]\n"prompt.add" = 5', "[keys]\na.b = [1]"])
def test_what_is_no_key_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"\[keys\]"):
        read_keys(tmp_path, text)


def test_an_unknown_id_and_a_clash_are_told_with_their_line() -> None:
    path = Path("config.toml")
    keymap = {"prompt.ad": "b", "prompt.copy": "space"}
    text = '[keys]\n"prompt.ad" = "b"\nprompt.copy = "space"\n'
    assert describe_faults(keymap, path, text) == [
        "config.toml, line 2: [keys] prompt.ad: there is no such action; prompt.add is meant"
        " perhaps.",
        "config.toml, line 3: [keys] prompt.copy: space is the key of prompt.switch.",
    ]


def test_keys_may_change_places_and_share_what_holds_elsewhere() -> None:
    swapped = {"prompt.add": "D", "prompt.copy": "a"}
    elsewhere = {"jobs.cancel": "a"}
    assert describe_faults(swapped | elsewhere, Path("config.toml"), "") == []


def test_a_key_without_a_key_is_told() -> None:
    (fault,) = describe_faults({"generate": " "}, Path("config.toml"), "[keys]\ngenerate=' '")
    assert fault == "config.toml, line 2: [keys] generate: no key is given."


def test_only_the_section_is_looked_at_for_the_line() -> None:
    assert find_line('[x]\nhelp = "a"\n[keys]\n\n"help" = "b"', "help") == 5
    assert find_line("[keys]\n[x]\nhelp = 'a'", "help") is None


async def test_a_changed_key_acts_and_stands_everywhere(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    keymap = {"prompt.add": "b,ctrl+n", "help": "f2", "quit.always": "ctrl+w"}
    app = SafelightApp(darkroom, around=Surroundings(environ=UTF8), keymap=keymap)
    async with app.run_test(size=(120, 120)) as pilot:
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        hands = Hands(pilot)
        await hands.press("a")
        assert len(darkroom.draft.prompts) == 1
        await hands.press("b", "x", "escape")
        assert [prompt.text for prompt in darkroom.draft.prompts] == ["night sky", "x"]
        last = read_screen(app).splitlines()[-1]
        assert "b ctrl+n add" in last
        assert "f2 help" in last
        await hands.press("f2")
        await wait_for(lambda: isinstance(app.screen, HelpScreen), "the help")
        await wait_for(lambda: "b ctrl+n        Add a prompt below" in read_screen(app), "the key")
        await hands.press("escape", "ctrl+w")
        await wait_for(lambda: darkroom.is_closed, "the end")


def test_the_start_says_what_is_wrong_and_the_command_lists_the_ids(program: Program) -> None:
    config = Path(program.environ["SAFELIGHT_HOME"]) / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(FILE)
    environ = {"SAFELIGHT_HOME": program.environ["SAFELIGHT_HOME"], "HOME": str(program.home)}
    with open_terminal([sys.executable, "-m", "tui"], columns=200, environ=environ) as terminal:
        terminal.wait_for_text("safelight keys")
        assert "line 8: [keys] nothing.here: there is no such action" in terminal.text
    config.unlink()
    listed = program.run("keys").stdout
    assert "prompt.add" in listed
    assert "Add a prompt below" in listed
