"""Programs that the tests of the terminal run in one: `python -m tests.tui.terminal_program`.

The first argument names the program, the second a folder for what it leaves behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from tui.terminal.detect import Surroundings, note_colours, prepare_environment, read_display

PAYLOADS = (
    "\x1b]52;c;cGF5bG9hZA==\x1b\\",
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\u009b31m",
    "\u009d0;owned\u009c",
    "\x7f\x08\x0e",
)
"""What a text from outside might hold."""

CLEAN_SECONDS = 30.0
"""However busy the machine is, an app that can end cleanly does so meanwhile."""

prepare_environment(os.environ, Surroundings())
note_colours(os.environ, read_display().colours)

# Textual reads the environment when it is imported.
from textual.app import App, ComposeResult  # noqa: E402
from textual.content import Content  # noqa: E402
from textual.filter import LineFilter  # noqa: E402
from textual.widgets import Button, Input, Label, OptionList, Static, TextArea  # noqa: E402
from textual.widgets.option_list import Option  # noqa: E402

from engines.settings import Settings  # noqa: E402
from store.errors import SafelightError  # noqa: E402
from store.records import Draft, Job, Turn  # noqa: E402
from tests.factories import make_png, make_request  # noqa: E402
from tests.tui.history.opening import make_host  # noqa: E402
from tests.tui.memory_darkroom import MemoryDarkroom  # noqa: E402
from tui.app import SafelightApp  # noqa: E402
from tui.darkroom import USUAL_TURN, Darkroom  # noqa: E402
from tui.terminal.filter import ControlFilter  # noqa: E402
from tui.terminal.hangup import HANGUP_SECONDS, unblock_signals, watch_hangup  # noqa: E402
from tui.widgets.picture import Picture  # noqa: E402


class SafeApp(App[None]):
    """An app with the gate for control characters."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), ControlFilter()]


class Ticking(SafeApp):
    """Changes twenty times a second, and says when it ends cleanly."""

    ticks = 0

    def compose(self) -> ComposeResult:
        yield Input(id="field")
        yield Static(id="ticks")

    def on_mount(self) -> None:
        self.set_interval(0.05, self._tick)

    def _tick(self) -> None:
        self.ticks += 1
        lines = "\n".join(f"tick {self.ticks} line {line}" for line in range(20))
        self.query_one("#ticks", Static).update(Content(lines))
        (self.folder / "ticks").write_text(str(self.ticks))

    def on_unmount(self) -> None:
        (self.folder / "unmounted").touch()


class Stuck(Ticking):
    """Stands still as soon as nobody reads: it cannot end by itself then."""


class Parent(SafeApp):
    """Starts a child process, as an editor would be."""

    def compose(self) -> ComposeResult:
        yield Static("parent", id="said")

    def on_mount(self) -> None:
        code = "import time\nprint(flush=True)\ntime.sleep(600)"
        with unblock_signals():
            child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        (self.folder / "child").write_text(str(child.pid))
        self.query_one("#said", Static).update("child started")


class Widgets(SafeApp):
    """Every kind of widget that the screens use, each with the same text from outside."""

    CSS = "Screen > * { height: 3; }"

    def compose(self) -> ComposeResult:
        text = "".join(PAYLOADS)
        yield Static(text, markup=False)
        yield Label(Content(text))
        yield Input(value=text, placeholder=text)
        yield TextArea(text)
        yield OptionList(Option(Content(text)))
        yield Button(Content(text))
        titled = Static("titled")
        titled.styles.border = ("round", "red")
        titled.border_title = Content(text)
        yield titled
        yield Picture(id="picture")

    def on_mount(self) -> None:
        self.query_one(Picture).show_image(None, caption="".join(PAYLOADS))
        self.notify("".join(PAYLOADS), markup=False)
        self.call_after_refresh(self._say_ready)

    def _say_ready(self) -> None:
        (self.folder / "ready").touch()


class Shows(SafeApp):
    """One picture."""

    def compose(self) -> ComposeResult:
        yield Picture(id="picture")

    def on_mount(self) -> None:
        self.query_one(Picture).show_image(make_png(7), caption="a picture in words")


def make_history_app(folder: Path) -> App[None]:
    """The history screen with prompts that look like markup."""
    darkroom = MemoryDarkroom()
    for text in ("[/x]", "[@click=app.quit]boo", "night sky"):
        image = darkroom.add_image(make_request(text), warning="".join(PAYLOADS))
    darkroom.files.pop(image.id)
    return make_host(darkroom)


class UnpaidDarkroom(Darkroom):
    """The darkroom, in which no job is made."""

    async def generate(
        self, draft: Draft, session: str | None = None, turn: Turn = USUAL_TURN
    ) -> list[Job]:
        raise SafelightError("No job is made here.")


class Guarded(SafelightApp):
    """The whole program, which can be left only once the file `end` is there."""

    CSS_PATH: ClassVar[list[str | PurePath]] = [
        Path(sys.modules[SafelightApp.__module__].__file__ or "").parent / path
        for path in SafelightApp.CSS_PATH
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(UnpaidDarkroom(folder / "data", Settings()))
        self.folder = folder

    async def action_quit(self) -> None:
        if (self.folder / "end").exists():
            await super().action_quit()


PROGRAMS: dict[str, Callable[[Path], App[None]]] = {
    "ticking": Ticking,
    "stuck": Stuck,
    "parent": Parent,
    "widgets": Widgets,
    "shows": Shows,
    "guarded": Guarded,
    "history": make_history_app,
}


def main() -> int:
    """Run the program that the arguments name."""
    app = PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
    watch_hangup(app, HANGUP_SECONDS if isinstance(app, Stuck) else CLEAN_SECONDS)
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
