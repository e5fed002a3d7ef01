"""Opening the darkroom from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.journeys.program import Program
from tests.screens import open_terminal


def test_without_a_terminal_it_says_what_to_do(program: Program) -> None:
    done = program.run(status=2)
    assert "needs a terminal" in done.stderr
    assert "safelight --help" in done.stderr


def test_a_faulty_configuration_is_explained(program: Program, home: Path) -> None:
    config = home / "safelight" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[interface]\nimages = "oil on canvas"\n')
    argv = [sys.executable, "-m", "tui"]
    with open_terminal(argv, environ=program.environ, columns=80, rows=24) as terminal:
        # The path of the file may be longer than the line.
        terminal.wait_until(lambda: "none." in terminal.text, what="the end of the sentence")
        said = terminal.text.replace("\n", "")
        assert f"{config}: [interface] images: " in said
        assert "'oil on canvas'" in said


def test_no_command_line_library_stands_between_the_command_and_the_paint() -> None:
    code = (
        "import sys, tui.cli, tui.start, tui.app;"
        "print([name for name in ('typer', 'sqlmodel', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
