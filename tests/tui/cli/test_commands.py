"""What the program lists and what it loads for it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from store import sessions
from store.database import Database
from store.records import Draft
from tests.journeys.program import Program
from tui.cli.commands import ENTRIES, load_family

HEAVY = ("sqlmodel", "sqlalchemy", "pydantic", "numpy", "PIL", "textual", "rich")


@pytest.mark.parametrize("family", sorted({entry.family for entry in ENTRIES}))
def test_help_lists_what_the_modules_have_in_their_words(family: str) -> None:
    listed = {entry.name: entry.summary for entry in ENTRIES if entry.family == family}
    has = {name: command.get_short_help_str(1000) for name, command in load_family(family).items()}
    assert listed == has


def test_no_command_is_left_out_and_none_is_there_twice() -> None:
    folder = Path(__file__).parents[3] / "tui" / "cli"
    with_commands = {
        path.stem for path in folder.glob("*.py") if "\ndef register(" in path.read_text("utf-8")
    }
    assert {entry.family for entry in ENTRIES} == with_commands
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_what_needs_no_history_loads_no_database(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys, atexit; from tui.cli import main;"
        f"atexit.register(lambda: print([n for n in {HEAVY!r} if n in sys.modules]));"
        f"sys.argv[1:] = {list(arguments)!r}; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_command_nearly_named_is_suggested(program: Program) -> None:
    assert "Did you mean 'generate'" in program.run("geneate", status=2).stderr


def make_completer(program: Program) -> Callable[..., list[str]]:
    """What completes a line as bash asks for it."""
    safelight = Path(sysconfig.get_path("scripts")) / "safelight"

    def complete(*words: str) -> list[str]:
        environ = {
            **program.environ,
            "_SAFELIGHT_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        done = subprocess.run([safelight], env=environ, capture_output=True, text=True, check=True)
        return done.stdout.split()

    return complete


def test_a_shell_completes_commands_and_their_options(program: Program) -> None:
    complete = make_completer(program)
    assert complete("safelight", "ver") == ["verify"]
    assert "--steps" in complete("safelight", "generate", "--st")


@pytest.mark.exhaustive
def test_a_shell_completes_what_stands_in_the_history(program: Program) -> None:
    complete = make_completer(program)
    assert complete("safelight", "show", "") == []
    program.run("generate", "sky", "-W", "128", "-H", "128", "-s", "10", "-S", "77123")
    (image,) = program.run_json("history")["images"]
    name = image["id"][:8]
    assert complete("safelight", "show", image["id"][:3]) == [name]
    assert complete("safelight", "verify", "seed:7") == ["seed:77123"]
    assert complete("safelight", "tag", "zz") == []
    assert complete("safelight", "generate", "-A", "k_dpmpp_2") == [
        "k_dpmpp_2s_ancestral",
        "k_dpmpp_2m",
    ]
    assert complete("safelight", "generate", "-e", "b") == ["builtin"]
    (job,) = program.run_json("jobs")["jobs"]
    assert complete("safelight", "retry", job["id"][:4]) == [job["id"][:8]]
    with Database.open(program.directory) as database:
        sessions.save_draft(database, "night", Draft())
    assert complete("safelight", "history", "--session", "n") == ["night"]
    assert complete("safelight", "--session", "ni") == ["night"]
