"""Nothing that comes from outside is obeyed, nothing secret is shown, nothing slow is imported."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from textual.app import App

from store.records import Draft, DraftPrompt, JobState
from tests.factories import make_request
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, make_app, with_place
from tests.tui.pilot import running
from tests.waiting import wait_for
from tui.dialogs import ChoiceScreen, HelpScreen
from tui.text import clean_paste

HOSTILE = [
    "[/x]",
    "[@click=app.quit]press[/]",
    "[bold red]x",
    "\x1b]52;c;aGFjaw==\x07",
    "\x1b]0;title\x1b\\",
    "\x9b31m",
    "a\u202eb\u200bc",
]
SLOW = (
    *("sqlmodel", "sqlalchemy", "numpy", "grpc", "chafa", "PIL", "stability_sdk"),
    *("google.protobuf", "tokenizers", "ftfy"),
)


def test_nothing_slow_is_imported_before_the_first_paint() -> None:
    code = (
        "import sys, tui.app, tui.dialogs;"
        f"print([name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.samples(3)
async def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path, text: str) -> None:
    valid = clean_paste(text)
    draft = with_place(
        Draft(
            prompts=(DraftPrompt(text=text), DraftPrompt(text="fog")),
            seed=5,
            sampler=text,
            model=text,
            engine="builtin",
        )
    )
    darkroom = DeskDarkroom(tmp_path, draft)
    darkroom.sessions = {"main": draft}
    darkroom.add_image(make_request(f"sky {valid}"), warning=text, first_difference=text)
    darkroom.add_image(make_request(f"sea {valid}"), warning=text)
    app = make_app(darkroom)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        darkroom.add_job(JobState.FAILED, error=text)
        await wait_for(lambda: "failed" in read_screen(app), "the job")
        await pilot.press("enter", "x", "escape")
        app.compose_screen.say(text)
        await pilot.click("#prompts", offset=(30, 1))
        await pilot.pause()
        sent = send_to_terminal(app)
        assert app.is_running
        for sequence in ("\x1b]", "\x9b", "\x07", "\u202e", "\u200b"):
            assert sequence not in sent
        if text.isprintable():
            assert text in read_screen(app)


def send_to_terminal(app: App[None]) -> str:
    """What the terminal would get for the whole screen."""
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="truecolor", width=app.size.width
    )
    with console.capture() as capture:
        console.print(app.screen._compositor.render_update(full=True))
    return capture.get()


async def test_the_crash_screen_shows_no_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft(prompts=(DraftPrompt(text="x"),), seed=5)))
    app = make_app(darkroom)

    def break_down() -> None:
        secret = "".join(("top", "secret", "value"))
        raise RuntimeError(f"{len(secret)} characters")

    async def run_until_it_breaks() -> None:
        async with app.run_test() as pilot:
            await wait_for(lambda: app.compose_screen.is_ready, "the session")
            app.call_later(break_down)
            await pilot.pause()

    with pytest.raises(RuntimeError):
        await run_until_it_breaks()
    shown = capsys.readouterr()
    assert "characters" in shown.err
    assert "topsecretvalue" not in shown.err + shown.out
    assert darkroom.draft.prompts[0].text == "x"


async def test_help_and_lists_take_hostile_text(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="x"),), seed=5), part="parameters")
    draft = msgspec.structs.replace(draft, place={"part": "parameters", "field": "sampler"})
    darkroom = DeskDarkroom(tmp_path, draft)
    async with running(darkroom) as (app, pilot):
        await app.push_screen(ChoiceScreen("[/x]", ["[/x]", "[@click=app.quit]q"], "[/x]"))
        await wait_for(lambda: "[@click=app.quit]q" in read_screen(app), "the list")
        await pilot.press("escape", "question_mark")
        await wait_for(lambda: isinstance(app.screen, HelpScreen), "the help")
