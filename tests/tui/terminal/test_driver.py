"""The driver: whatever a terminal sends, the next key is heard."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import events
from textual.app import App
from textual.message import Message
from textual.messages import TerminalSupportsSynchronizedOutput

from tests.repeats import draw
from tests.tui.terminal.hostile_input import REPORTS, make_input
from tests.waiting import wait_until
from tui.bursts import Burst
from tui.terminal import driver as drivers
from tui.terminal import sequences
from tui.terminal.driver import TerminalDriver

INPUTS_EACH = 500
QUIT = b"\x11"
PRESSES_MOST = 100
"""Each of them a second and more at the pace of a person."""

HEARD = (
    *(events.Key, events.Paste, events.MouseEvent, events.AppFocus, events.AppBlur, Burst),
    TerminalSupportsSynchronizedOutput,
)


class Listener(TerminalDriver):
    """The driver on a pseudo-terminal of its own; keeps what it would hand on to an app."""

    def __init__(self, app: App[None], terminal: int) -> None:
        super().__init__(app)
        self.fileno = terminal
        self.heard: list[Message] = []

    def process_message(self, message: Message) -> None:
        self.heard.append(message)

    @property
    def pasted(self) -> str:
        """The text of all pastes so far."""
        return "".join(each.text for each in self._list() if isinstance(each, events.Paste))

    @property
    def pressed(self) -> list[str]:
        """The keys so far, those of bursts too."""
        return [each.key for each in self._list() if isinstance(each, events.Key)]

    def _list(self) -> list[Message]:
        found: list[Message] = []
        for each in list(self.heard):
            found += each.inputs if isinstance(each, Burst) else [each]
        return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that waits does so a thousandth as long, so that many can be waited for."""
    for module in (sequences, drivers):
        for name in dir(module):
            if name.endswith("_SECONDS") and name != "GONE_SECONDS":
                monkeypatch.setattr(module, name, getattr(module, name) / 1000)


@contextlib.contextmanager
def listening() -> Iterator[tuple[Listener, int]]:
    """A driver that reads, and the other end of its terminal."""
    signals = (signal.SIGTSTP, signal.SIGCONT)
    before = [signal.getsignal(each) for each in signals]
    far, near = os.openpty()
    tty.setraw(near)

    async def make() -> Listener:
        return Listener(App(), near)

    listener = asyncio.run(make())
    thread = threading.Thread(target=listener.run_input_thread)
    thread.start()
    try:
        yield listener, far
    finally:
        listener.exit_event.set()
        thread.join()
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)
        os.close(far)
        os.close(near)


def is_last_key(listener: Listener, name: str) -> bool:
    return bool(listener.heard) and getattr(listener.heard[-1], "key", "") == name


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("seed", draw(200, exhaustive=5))
def test_after_any_bytes_the_key_that_quits_is_heard(seed: int) -> None:
    chance = random.Random(seed)
    with listening() as (listener, far):
        for _ in range(INPUTS_EACH):
            pieces = make_input(chance)
            listener.heard.clear()
            for piece in pieces:
                os.write(far, piece)
            for press in range(PRESSES_MOST):
                os.write(far, QUIT)
                # It may lie in a paste that never ends, or with a text: then it is pressed again.
                with contextlib.suppress(AssertionError):
                    wait_until(lambda: is_last_key(listener, "ctrl+q"), seconds=0.01 * (1 + press))
                    break
            assert is_last_key(listener, "ctrl+q"), pieces
            assert all(isinstance(each, HEARD) for each in listener.heard), pieces


def test_a_report_is_no_key_however_it_is_cut() -> None:
    with listening() as (listener, far):
        for report in REPORTS:
            for place in range(1, min(len(report), 40) + 1):
                os.write(far, report[:place])
                os.write(far, report[place:])
                os.write(far, b"\x1b[15~")
                wait_until(lambda: "f5" in listener.pressed)
                assert listener.pressed == ["f5"], (report, place)
                listener.heard.clear()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1b[A", ["up"]),
        (b"\x1bOA\x1b[15~\x1b[[A\x1b[Z", ["up", "f5", "f1", "shift+tab"]),
        (b"\x1ba\x1bA\x1b\xc3\xa9", ["alt+a", "alt+shift+a", "alt+é"]),
        (b"\x1b[97u\x1b[106;5u\x1b[65;;65u", ["a", "ctrl+j", "A"]),
        (b"\x1b\x1b[A", ["escape", "up"]),
        (b"\x1b\r", ["enter"]),
        (b"\x1b\x11", ["ctrl+q"]),
        (b"\x1b[3$", ["shift+delete"]),
        (b"\x1b", ["escape"]),
        (b"\x1bP", ["alt+shift+p"]),
        (b"\x1b[12;5\x11", ["ctrl+q"]),
        (b"\x1b]52;c;abc\x11", ["ctrl+q"]),
        (b"\x1b[200~x\x1b[201~", []),
    ],
)
def test_keys_are_what_they_were(data: bytes, expected: list[str]) -> None:
    with listening() as (listener, far):
        os.write(far, data)
        wait_until(lambda: len(listener.pressed) >= len(expected))
        assert listener.pressed == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        # However soon it follows: terminals send alt with its key in one piece.
        ((b"\x1b", b"a"), [("control", "\x1b"), ("text", "a")]),
        (
            (b"\x1b", b"\x1b", b"=\r"),
            [*[("control", "\x1b")] * 2, ("text", "="), ("control", "\r")],
        ),
        ((b"\x1b", "é".encode()), [("control", "\x1b"), ("text", "é")]),
        ((b"\x1ba",), [("sequence", "\x1ba")]),
        # A sequence that a slow line has cut.
        ((b"\x1b", b"[A"), [("sequence", "\x1b[A")]),
        ((b"\x1b", b"OP"), [("sequence", "\x1bOP")]),
        ((b"\x1b", b"]0;x\x1b", b"\\a"), [("text", "a")]),
        ((b"\x1b", b"[200~b\x1b", b"[201~"), [("paste", "b")]),
        ((b"\x1b[200~b\x1b", b"c\x1b[201~"), [("paste", "b\x1bc")]),
    ],
)
def test_an_escape_and_the_key_after_it_are_two(
    pieces: tuple[bytes, ...], expected: list[tuple[str, str]]
) -> None:
    splitter = sequences.Splitter()
    parts = [part for n, piece in enumerate(pieces) for part in splitter.feed(piece, n / 1000)]
    assert [(part.kind, part.text) for part in parts if part.text] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1b[200~a\x1b[0m\rd\n\x1b[106;5u\x1b[201~", "a\x1b[0m\rd\n\x1b[106;5u"),
        (b"\x1b[200~caf\xe9 au lait\x1b[201~", "caf\ufffd au lait"),
        (b"\x1b[200~a\x1b[200~b\x00\x1b[201~", "a\x1b[200~b"),
        (b"\x1b[200~it never ends", "it never ends"),
        (b"\x1b[200~" + b"night " * 20_000 + b"\x1b[201~", "night " * 20_000),
    ],
    ids=["keys", "latin-1", "nested", "open", "long"],
)
def test_what_stands_between_the_marks_of_a_paste_is_text(data: bytes, expected: str) -> None:
    with listening() as (listener, far):
        feeding = threading.Thread(target=os.write, args=(far, data))
        feeding.start()
        wait_until(lambda: len(listener.pasted) >= len(expected), f"{expected[:20]}")
        feeding.join()
        assert listener.pasted == expected
        assert not listener.pressed


def test_a_terminal_that_is_gone_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "GONE_SECONDS", 0.05)
    told: list[object] = []
    with listening() as (listener, _):
        monkeypatch.setattr(listener._app, "call_later", lambda *given: told.extend(given))
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), listener.fileno)
        wait_until(lambda: told, "the end")
    assert told[1:] == [None, 128 + signal.SIGHUP]
