"""Prompts in many scripts keep their request's digest on every way."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from store.records import Draft
from store.request import Prompt, Request
from tests.factories import make_request
from tests.prompt_texts import make_texts
from tests.tui.desk_darkroom import DeskDarkroom
from tests.tui.pilot import running
from tests.tui.prompt_trips import (
    enter_command,
    enter_screen,
    read_document,
    read_lines,
    write_line,
)
from tui.cli.run import print_json
from tui.text import mark_controls

COUNT = 2000
ON_SCREEN = 12
UNCLEAR = ("\ufeffcastle", "a\u2028b", "hot:: dog", "A::2 B", "a\uff1a\uff1a2 b")
SHELLS = [["sh"], ["bash", "--posix"], ["zsh", "-f"], ["mksh"], ["busybox", "sh"]]


@pytest.fixture(scope="module")
def requests() -> dict[str, Request]:
    """What the command line asks for, by the text that it was given; none where it refuses."""
    asked = {text: enter_command(text) for text in make_texts(COUNT)}
    return {text: request for text, request in asked.items() if request is not None}


def test_most_texts_are_taken_and_no_control_character_is(requests: dict[str, Request]) -> None:
    assert COUNT * 0.7 < len(requests) < COUNT
    for request in requests.values():
        for prompt in request.stack.prompts:
            assert mark_controls(prompt.text) == prompt.text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.samples(4)
def test_a_shell_asks_for_the_same(
    requests: dict[str, Request], shell: list[str], encoding: str
) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    lines = [write_line(request, encoding) for request in requests.values()]
    read = read_lines(lines, shell, is_utf8=encoding == "utf-8")
    assert [one.digest for one in read] == [one.digest for one in requests.values()]


def test_a_document_holds_the_same(
    requests: dict[str, Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoding in ("utf-8", "ascii"):
        for request in list(requests.values())[:500]:
            shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            monkeypatch.setattr(sys, "stdout", shown)
            print_json({"request": msgspec.to_builtins(request)})
            text = shown.buffer.getvalue().decode(encoding)
            assert text.replace("\n", "").isprintable()
            assert read_document(text).digest == request.digest


@pytest.mark.exhaustive
async def test_the_screen_asks_for_the_same(tmp_path: Path, requests: dict[str, Request]) -> None:
    texts = [text for text in make_texts(COUNT) if mark_controls(text) == text or "\r" in text]
    async with running(DeskDarkroom(tmp_path, Draft(seed=5))) as (app, _):
        for text in texts[:: len(texts) // ON_SCREEN]:
            asked = await enter_screen(app, text)
            assert asked == requests.get(text), repr(text)


@pytest.mark.parametrize(
    "text",
    [*UNCLEAR, "fe80::1", "a\uff1a\uff1a2", "::", "a::", "a:", "-", "=x", "a\n", "std::vector"],
)
def test_a_text_that_would_be_read_otherwise_is_told_to_be_taken_as_it_is(text: str) -> None:
    request = make_request(Prompt(text=text, weight=-1), Prompt(text="drawn"))
    line = write_line(request)
    assert ("--verbatim" in line) == (text in UNCLEAR)
    (read,) = read_lines([line], ["sh"])
    assert read.digest == request.digest
