"""A terminal that is not in UTF-8: what it cannot show takes the room that it would have."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pytest

from tests.repeats import mark
from tests.screens import Terminal
from tests.tui.terminal.test_terminal import run_program
from tui.terminal.encoding import open_output
from tui.terminal.sequences import choose_encoding


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("latin-1", b"+-+ | # caf\xe9 ?? ~ ?? a?!"),
        ("ascii", b"+-+ | # caf? ?? ~ ?? a?!"),
    ],
)
def test_what_an_encoding_lacks_is_as_wide_as_it_is_shown(
    tmp_path: Path, encoding: str, expected: bytes
) -> None:
    path = tmp_path / "terminal"
    with path.open("wb", buffering=0) as file, io.TextIOWrapper(file, encoding) as given:
        output = open_output(given)
        output.write("╭─╮ │ █ café 夜 … 🙂 aи!")
        output.flush()
        assert path.read_bytes() == expected
        output.close()


def test_in_utf_8_the_output_is_what_it_was(tmp_path: Path) -> None:
    with (tmp_path / "terminal").open("w", encoding="utf-8") as given:
        assert open_output(given) is given


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "utf-8"),
        ("UTF-8", "utf-8"),
        ("ANSI_X3.4-1968", "utf-8"),
        ("ISO-8859-1", "iso8859-1"),
        ("KOI8-R", "koi8-r"),
        ("EUC-JP", "euc_jp"),
        ("GBK", "gbk"),
        ("ISO-2022-JP", "utf-8"),
        ("utf-16", "utf-8"),
        ("EBCDIC-CP-BE", "utf-8"),
        ("no such", "utf-8"),
    ],
)
def test_input_is_in_the_encoding_of_the_locale_where_that_is_plain(
    name: str | None, expected: str
) -> None:
    assert choose_encoding(name) == expected


def is_away(terminal: Terminal, word: str) -> bool:
    """Whether `word` is gone from the screen, and the editor is there."""
    return word not in terminal.text and "moving" in terminal.text


@pytest.mark.parametrize(
    ("environ", "typed"),
    [
        ({"LC_ALL": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "iso8859-1"}, b"caf\xe9"),
        mark(({"LANG": "C"}, "café".encode())),
        mark(({"TERM": "linux"}, "café".encode())),
    ],
)
def test_every_screen_is_whole_where_there_is_only_ascii(
    tmp_path: Path, environ: dict[str, str], typed: bytes
) -> None:
    home = {"SAFELIGHT_HOME": str(tmp_path), "HOME": str(tmp_path), "COLORTERM": ""}
    with run_program("guarded", tmp_path, columns=100, rows=30, environ=home | environ) as terminal:
        terminal.wait_for_text("worker")
        terminal.send(typed)
        terminal.wait_until(lambda: typed in terminal.raw, what="what was typed")
        terminal.send("\x1b")
        terminal.wait_for_text("moving")
        for key, word in (("?", "+- keys"), ("\x10", "Search for"), ("h", "+- history")):
            terminal.send(key)
            terminal.wait_for_text(word)
            terminal.send("\x1b")
            terminal.wait_until(functools.partial(is_away, terminal, word), what=f"no {word}")
        terminal.send("j")
        terminal.wait_for_text("+- jobs")
        assert not {byte for byte in terminal.raw if byte > 0x7F} - set(typed)
        assert b"\\u" not in terminal.raw
