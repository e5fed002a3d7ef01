"""Dialogs: choosing from a list, asking for a path, the help."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input, Static

from engines.builtin.samplers import FORMULAS
from store.errors import StoreError
from store.records import Draft, DraftPrompt
from tests.screens import join_lines, read_screen, wait_in_app
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.host import Host, press
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.dialogs import Choice, ChoiceScreen, HelpScreen, PathScreen
from tui.keys import Reasoned, is_typing, list_bindings, list_hints
from tui.terminal.glyphs import ASCII, UNICODE
from tui.words import describe_sampler


def get(screen: Screen[Any]) -> Screen[Any]:
    return screen


def is_shown(app: Host, said: str) -> bool:
    return said in join_lines(read_screen(app))


ASCII_TERMINAL = {"TERM": "xterm-256color", "LANG": "C"}


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (("enter",), "k_euler"),
        (("up", "enter"), "ddim"),
        (("end", "enter"), "[red]lms"),
        (("down", "escape"), None),
    ],
)
async def test_a_choice_begins_at_the_value_in_effect(
    keys: tuple[str, ...], answer: str | None
) -> None:
    app = Host(lambda: ChoiceScreen("sampler", ("ddim", "k_euler", "[red]lms"), "k_euler"))
    async with app.run_test() as pilot:
        await wait_in_app(pilot, lambda: "[red]lms" in read_screen(app), "the list")
        assert "enter chooses · esc leaves" in read_screen(app)
        await press(pilot, *keys)
        assert app.answers == [answer]


SAMPLERS = [Choice(name, describe_sampler(name)) for name in FORMULAS]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ("dpm++ 2m", "k_dpmpp_2m"),
        ("Euler A", "k_euler_ancestral"),
        ("kk", "k_euler"),  # none has it: the second k is not taken
        ("plms", "ddpm"),
    ],
)
async def test_letters_leave_the_choices_that_they_stand_in(keys: str, answer: str) -> None:
    app = Host(lambda: ChoiceScreen("sampler", SAMPLERS, "k_heun", "k_dpmpp_2m"))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_in_app(pilot, lambda: "letters find" in read_screen(app), "the list")
        seen = join_lines(read_screen(app))
        assert "● k_heun" in seen
        assert "the default · DPM++ 2M: 1 prediction" in seen
        for letter in keys:
            await press(pilot, "space" if letter == " " else letter)
        assert (f"sampler: {keys}" in read_screen(app)) == (keys != "kk")
        await press(pilot, "home" if keys == "kk" else "up", "enter")
        assert app.answers == [answer if keys != "kk" else "k_euler"]


async def test_escape_takes_back_what_was_looked_for_before_it_leaves() -> None:
    app = Host(lambda: ChoiceScreen("sampler", SAMPLERS, "k_heun"))
    async with app.run_test() as pilot:
        await wait_in_app(pilot, lambda: "k_lms" in read_screen(app), "the list")
        await press(pilot, "l", "m", "backspace", "m")
        assert "k_heun" not in read_screen(app)
        await press(pilot, "escape")
        assert "k_heun" in read_screen(app)
        await press(pilot, "escape")
        assert app.answers == [None]


async def test_a_terminal_without_unicode_gets_none_from_dialogs() -> None:
    async def take(_: Path) -> None:
        pass

    dialogs: tuple[tuple[Screen[Any], str], ...] = (
        (ChoiceScreen("sampler", ("ddim",)), "enter chooses - esc leaves"),
        (PathScreen("a file", "", take), "tab completes - esc leaves"),
    )
    for dialog, said in dialogs:
        app = Host(functools.partial(get, dialog), environ=ASCII_TERMINAL)
        async with app.run_test() as pilot:
            await wait_in_app(pilot, functools.partial(is_shown, app, said), said)


async def test_a_path_is_asked_for_until_it_is_taken(tmp_path: Path) -> None:
    taken: list[Path] = []

    async def take(path: Path) -> None:
        if path.name != "harbour.png":
            raise StoreError("That is [red]no image.")
        taken.append(path)

    (tmp_path / "harbour.png").write_bytes(b"x")
    app = Host(lambda: PathScreen("start from an image file", f"{tmp_path}/", take))
    async with app.run_test(size=(120, 24)) as pilot:
        await wait_in_app(pilot, lambda: isinstance(app.screen, PathScreen), "the question")
        field = app.screen.query_one(Input)
        await press(pilot, "x", "enter")
        assert "! That is [red]no image." in read_screen(app)
        await press(pilot, "backspace", "h")
        assert "A PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file." in read_screen(app)
        await press(pilot, "tab")
        assert field.value == f"{tmp_path}/harbour.png"
        await press(pilot, "enter")
        await wait_in_app(pilot, lambda: app.answers == [None], "the end of the dialog")
        assert taken == [tmp_path / "harbour.png"]


async def test_a_path_is_left_without_taking_it() -> None:
    async def take(_: Path) -> None:
        raise AssertionError

    app = Host(lambda: PathScreen("a file", "/x.png", take))
    async with app.run_test() as pilot:
        await wait_in_app(pilot, lambda: isinstance(app.screen, PathScreen), "the question")
        await press(pilot, "q", "escape")
        assert app.answers == [None]


@pytest.mark.parametrize("dialog", [ChoiceScreen, PathScreen, HelpScreen])
def test_every_key_of_a_dialog_has_a_name_and_a_sentence(dialog: type[Screen[Any]]) -> None:
    bindings = list(list_bindings(dialog))
    assert bindings
    assert all(binding.tooltip and binding.description for binding in bindings)
    assert {binding.key.split(",")[0] for binding in bindings} >= {"escape"}


class Machine(Reasoned, Screen[None]):
    """Two keys, one of which cannot be used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "go", "go", tooltip="Go on until the very end of this line", id="m.go"),
        Binding("R", "stop", "stop", tooltip="Stop [b]now[/b]", id="m.stop"),
    ]

    def compose(self) -> ComposeResult:
        yield Static("machine")

    def why_not(self, action: str) -> str:
        return "It does not run." if action == "stop" else ""


@pytest.mark.parametrize(("glyphs", "arrow"), [(UNICODE, "←"), (ASCII, "left")])
async def test_help_says_what_a_key_does_where_and_why_not(glyphs: Any, arrow: str) -> None:
    hints = list(list_hints(Machine(), {}))
    app = Host(lambda: HelpScreen([("at the machine", hints)], glyphs))
    async with app.run_test(size=(60, 24)) as pilot:
        await wait_in_app(pilot, lambda: is_shown(app, "It does not run."), "the help")
        lines = [line.strip(" │") for line in read_screen(app).splitlines()]
        assert "at the machine" in lines
        place = lines.index(f"{arrow:<15} Go on until the very end of this")
        assert lines[place + 1] == "line"
        assert "R               Stop [b]now[/b]  (It does not" in lines
        await press(pilot, "question_mark")
        assert app.answers == [None]


async def test_help_is_searched_by_words_of_keys_and_terms() -> None:
    hints = list(list_hints(Machine(), {}))
    terms = [("seed", "the number that the noise is drawn from"), ("job", "one image to be made")]
    app = Host(lambda: HelpScreen([("at the machine", hints)], UNICODE, terms))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_in_app(pilot, lambda: is_shown(app, "It does not run."), "the help")
        await press(pilot, "slash", *"noise")
        await wait_in_app(pilot, lambda: "Stop [b]now" not in read_screen(app), "what was found")
        assert is_shown(app, "the number that the noise is drawn from")
        assert not is_shown(app, "one image to be made")
        await press(pilot, *"xyz")
        await wait_in_app(pilot, lambda: is_shown(app, "Nothing here has these words."), "nothing")
        await press(pilot, "escape")
        await wait_in_app(pilot, lambda: is_shown(app, "It does not run."), "all of it again")
        await press(pilot, "q")
        assert app.answers == [None]


async def test_help_wraps_again_when_the_terminal_gets_another_size() -> None:
    hints = list(list_hints(Machine(), {}))
    app = Host(lambda: HelpScreen([("at the machine", hints)], UNICODE))
    async with app.run_test(size=(60, 24)) as pilot:
        await wait_in_app(pilot, lambda: is_shown(app, "It does not run."), "the help")
        await pilot.resize_terminal(100, 24)
        await wait_in_app(pilot, lambda: "end of this line" in read_screen(app), "one line")


async def test_the_last_line_names_no_keys_of_the_screen_behind_a_dialog(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft()))
    darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_in_app(pilot, lambda: "q quit" in read_screen(app), "the keys")
        await pilot.press("L")
        await wait_in_app(pilot, lambda: "enter chooses" in read_screen(app), "the dialog")
        await wait_in_app(pilot, lambda: "q quit" not in read_screen(app), "no other keys")
        await pilot.press("escape")
        await wait_in_app(pilot, lambda: "q quit" in read_screen(app), "the keys again")


@pytest.mark.parametrize("keys", [("enter",), ("ctrl+p",), ("h", "slash")])
async def test_no_cursor_blinks(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Over a line each blink is sent."""
    draft = with_place(Draft(prompts=(DraftPrompt(text="fog"),)))
    async with running(DeskDarkroom(tmp_path, draft)) as (app, pilot):
        await pilot.press(*keys)
        await wait_for(lambda: is_typing(app.focused), "a field")
        await wait_for(lambda: not getattr(app.focused, "cursor_blink", True), "a still cursor")
