"""The person's own editor: which one, and what becomes of what it leaves."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.app import App

from store.errors import RequestError
from tui.external_editor import TEXT_BYTES, edit_text, find_editor

PATH = {"PATH": os.environ["PATH"]}


def test_visual_goes_before_editor_and_may_have_arguments() -> None:
    assert find_editor({**PATH, "VISUAL": "sh -c 'x y'", "EDITOR": "cat"}) == ["sh", "-c", "x y"]
    assert find_editor({**PATH, "EDITOR": "cat"}) == ["cat"]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"EDITOR": "no-such-editor"}, "$EDITOR is 'no-such-editor', which is not installed."),
        ({"VISUAL": "'"}, "$VISUAL is no command"),
        ({"PATH": "/nowhere"}, "Set $EDITOR to the one that you use."),
    ],
)
def test_an_editor_that_is_none_is_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(RequestError) as raised:
        find_editor({**PATH, **environ})
    assert said in str(raised.value)


class Bare(App[None]):
    """An app that has no terminal to hand over."""

    @contextmanager
    def suspend(self) -> Iterator[None]:
        yield


def use_editor(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    words = [sys.executable, "-c", f"import sys; path = sys.argv[1]\n{program}"]
    monkeypatch.setenv("VISUAL", shlex.join(words))


def test_what_the_editor_leaves_is_read_and_the_file_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    use_editor(monkeypatch, "text = open(path).read(); open(path, 'w').write(text + 'ü\\n\\n')")
    assert edit_text(Bare(), "night sky", "prompt.txt") == "night sky\nü"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "said", "is_kept"),
    [
        ("sys.exit(3)", "ended with status 3: nothing was changed.", False),
        ("open(path, 'wb').write(b'\\xff')", "It is not UTF-8 text (byte 0); it is kept in", True),
        (f"open(path, 'w').write('x' * {TEXT_BYTES + 1})", "it is kept in", True),
        ("import os; os.remove(path)", "cannot be read", False),
        ("import os; os.remove(path); os.mkdir(path)", "cannot be read", False),
        ("import os; os.remove(path); os.mkfifo(path)", "it is not a file any more", False),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9: nothing was changed.", False),
        ("import os; os.kill(os.getpid(), 2)", "nothing was changed.", False),
    ],
)
def test_what_cannot_be_read_is_told_and_kept(
    program: str, said: str, is_kept: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    use_editor(monkeypatch, program)
    with pytest.raises(RequestError) as raised:
        edit_text(Bare(), "night sky", "prompt.txt")
    assert said in str(raised.value)
    assert bool(list(tmp_path.iterdir())) == is_kept


def test_a_folder_that_takes_no_file_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "away"))
    with pytest.raises(RequestError, match="No file for the editor can be written"):
        edit_text(Bare(), "night sky", "prompt.txt")


def test_an_interrupt_while_the_editor_runs_is_the_editors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    use_editor(monkeypatch, "import os, signal; os.kill(os.getppid(), signal.SIGINT)")
    assert edit_text(Bare(), "night sky", "prompt.txt") == "night sky"
