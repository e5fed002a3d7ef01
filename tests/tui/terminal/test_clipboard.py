"""What goes to the clipboard of the terminal, through tmux and screen, and into a file."""

from __future__ import annotations

import base64
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from store.errors import StoreError
from tests.waiting import wait_until
from tui.terminal.clipboard import (
    SEQUENCE_BYTES,
    hand_to_tmux,
    keep_copy,
    write_copy,
)

TEXT = "night sky::1\nclouds::-1 ü"
CODED = base64.standard_b64encode(TEXT.encode()).decode()


def test_a_terminal_gets_the_text_in_one_sequence() -> None:
    assert write_copy(TEXT, {"TERM": "xterm-256color"}) == f"\x1b]52;c;{CODED}\x07"


def test_through_tmux_it_is_wrapped() -> None:
    sequence = write_copy(TEXT, {"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0"})
    assert sequence == f"\x1bPtmux;\x1b\x1b]52;c;{CODED}\x07\x1b\\"


def test_through_screen_it_goes_in_pieces_that_screen_takes() -> None:
    text = "x" * 3000
    sequence = write_copy(text, {"TERM": "screen", "STY": "1"})
    pieces = re.findall("\x1bP(.*?)\x1b\\\\", sequence, re.DOTALL)
    assert all(len(piece) <= 768 for piece in pieces)
    inner = "".join(pieces)
    assert base64.b64decode(inner.removeprefix("\x1b]52;c;").removesuffix("\x07")).decode() == text


@pytest.mark.parametrize("term", ["linux", "dumb", ""])
def test_a_terminal_that_would_show_it_gets_none(term: str) -> None:
    assert write_copy(TEXT, {"TERM": term}) == ""


def test_what_no_terminal_would_take_is_not_sent() -> None:
    assert write_copy("x" * SEQUENCE_BYTES, {"TERM": "xterm"}) == ""


def test_the_file_is_private_and_holds_the_newest_text(tmp_path: Path) -> None:
    keep_copy("old", tmp_path)
    path = keep_copy(TEXT, tmp_path)
    assert path.read_text() == f"{TEXT}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        keep_copy(TEXT, tmp_path / "away")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_tmux_takes_the_text_as_its_own(tmp_path: Path) -> None:
    socket = str(tmp_path / "tmux")
    tmux = ["tmux", "-S", socket, "-f", os.devnull]
    subprocess.run([*tmux, "new-session", "-d", "cat"], check=True)
    try:
        assert hand_to_tmux(TEXT, {"TMUX": f"{socket},0,0", "PATH": os.environ["PATH"]})
        shown = subprocess.run([*tmux, "show-buffer"], capture_output=True, check=True)
        assert shown.stdout.decode() == TEXT
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    wait_until(
        lambda: not hand_to_tmux("x", {"TMUX": f"{socket},0,0", "PATH": os.environ["PATH"]}),
        what="the end of tmux",
    )
