"""How soon the darkroom is there, what it holds and sends, beside other Textual programs.

    python -m tests.benchmarks.start [--rounds 7] [--keys 60] [--only start,keys,history,commands]
        [--posting PYTHON] [--harlequin PYTHON]

Each program is a process of its own in a pseudo-terminal of 120x40 that answers as an xterm does;
rounds are interleaved, ratios are the median of those of each round. PYTHON is an interpreter in
whose environment posting or harlequin is installed; without one that program is left out.
Numbers of bytes are exact, times are those of this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.journeys.program import Program

COLUMNS, ROWS = 120, 40
IMAGES = 50
SETTLED = 0.4
"""So many seconds without a byte: what was asked for has been sent."""

LOADED = 4.0
"""So many seconds after the first key all is there that the first screen wants."""

PATIENCE = 30.0

MINIMAL = """
from textual.app import App
from textual.widgets import Input, Static
class Minimal(App):
    def compose(self):
        yield Static("minimal app")
        yield Input()
Minimal().run()
"""
EMPTY = """
import typer
app = typer.Typer(rich_markup_mode=None)
@app.callback(invoke_without_command=True)
def main(context: typer.Context):
    "Nothing."
app()
"""
DRAW = """
import asyncio
from engines.base import Run
from engines.builtin.engine import BuiltinEngine
from tests.benchmarks.request import DEFAULT
async def draw():
    return [event async for event in BuiltinEngine().generate(DEFAULT, Run(id="bare"))]
asyncio.run(draw())
"""
PROMPT = "a lighthouse in a storm"

_SEQUENCE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x1b\\|\x07)|\x1b[ -/]*[0-Z\\^-~]", re.DOTALL
)
_ANSWERS = {
    b"\x1b[c": b"\x1b[?64;1;2;6;9;15;18;21;22c",
    b"\x1b[>q": b"\x1bP>|XTerm(390)\x1b\\",
    b"\x1b[>0q": b"\x1bP>|XTerm(390)\x1b\\",
    b"\x1b[16t": b"\x1b[6;20;10t",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
}


class Rival(NamedTuple):
    """A program that is measured: how it is called, and a text of its first screen."""

    name: str
    argv: tuple[str, ...]
    text: str
    environ: Mapping[str, str] = {}


class Screen:
    """A program in a terminal that keeps what comes and answers what an xterm would."""

    def __init__(self, rival: Rival) -> None:
        base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        environ = {**base, **own, **rival.environ}
        self.began = time.perf_counter()
        self.process_id, self._master = pty.fork()
        if self.process_id == 0:
            with contextlib.suppress(OSError):
                os.execvpe(rival.argv[0], list(rival.argv), environ)
            os._exit(127)
        size = struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * 10, ROWS * 20)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self.data = b""
        self._asked = 0

    @property
    def text(self) -> str:
        """What has come, without control sequences."""
        return show(self.data)

    def send(self, text: str) -> None:
        """Type `text`."""
        os.write(self._master, text.encode())

    def read(self, seconds: float) -> bytes:
        """What comes next, within `seconds`."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        try:
            new = os.read(self._master, 1 << 16)
        except OSError as error:
            raise AssertionError(f"the program ended: {self.text[-600:]}") from error
        self.data += new
        for question, answer in _ANSWERS.items():
            if question in self.data[self._asked :]:
                os.write(self._master, answer)
        # A question may be cut in two, but none is answered twice.
        self._asked = len(self.data)
        return new

    def wait_for(self, condition: Callable[[], bool]) -> float:
        """When `condition` held, by `time.perf_counter`."""
        end = time.perf_counter() + PATIENCE
        while not condition():
            self.read(0.2)
            if time.perf_counter() > end:
                raise AssertionError(f"in vain; the screen ends {self.text[-800:]!r}")
        return time.perf_counter()

    def settle(self, seconds: float = SETTLED, limit: float = 3.0) -> int:
        """Read until nothing comes for `seconds`, at most `limit` long: how many bytes did.

        A cursor that blinks never rests.
        """
        before, end = len(self.data), time.perf_counter() + limit
        while (left := end - time.perf_counter()) > 0 and self.read(min(seconds, left)):
            pass
        return len(self.data) - before

    def measure_memory(self) -> float:
        """Resident MiB of the program and the processes below it."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
        family = {self.process_id}
        for _ in parents:
            more = {child for child, parent in parents.items() if parent in family} - family
            if not more:
                break
            family |= more
        total = 0
        for each in family:
            with contextlib.suppress(OSError):
                pages = int(Path(f"/proc/{each}/statm").read_text().split()[1])
                total += pages * os.sysconf("SC_PAGE_SIZE")
        return total / 2**20

    def close(self) -> None:
        """End the program."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process_id, signal.SIGKILL)
        os.waitpid(self.process_id, 0)
        os.close(self._master)


def show(data: bytes) -> str:
    """What would be read of `data`, without control sequences."""
    return _SEQUENCE.sub(b"", data).decode("utf-8", "replace")


@contextlib.contextmanager
def open_screen(rival: Rival) -> Iterator[Screen]:
    """The program in a terminal; ended with the block."""
    screen = Screen(rival)
    try:
        yield screen
    finally:
        screen.close()


class Start(NamedTuple):
    """Seconds to the first text and to a typed key, MiB when all is quiet."""

    paint: float
    usable: float
    memory: float


def time_start(rival: Rival) -> Start:
    """Start the program, type a letter as soon as its text is there, let it come to rest."""
    with open_screen(rival) as screen:
        painted = screen.wait_for(lambda: rival.text in screen.text)
        place = len(screen.data)
        screen.send("ß")
        usable = screen.wait_for(lambda: "ß" in show(screen.data[place:]))
        # What is loaded behind the first paint comes without a byte.
        while time.perf_counter() < usable + LOADED:
            screen.read(0.2)
        memory = screen.measure_memory()
    return Start(painted - screen.began, usable - screen.began, memory)


class Keys(NamedTuple):
    """Milliseconds from a key to it on the screen, and how many bytes it took."""

    seconds: list[float]
    sizes: list[int]


def time_keys(rival: Rival, count: int) -> Keys:
    """Type letters, each when the one before has come and all is quiet."""
    letters = [chr(0x61 + number % 26) for number in range(count)]
    seconds, sizes = [], []
    with open_screen(rival) as screen:
        screen.wait_for(lambda: rival.text in screen.text)
        screen.settle(1.5)
        for letter in letters:
            place, began = len(screen.data), time.perf_counter()
            screen.send(letter)
            seconds.append(
                screen.wait_for(lambda: letter in show(screen.data[place:])) - began  # noqa: B023
            )
            screen.settle(0.15, 0.4)
            sizes.append(len(screen.data) - place)
    return Keys(seconds, sizes)


def measure_starts(rivals: Sequence[Rival], rounds: int) -> None:
    """Print first paint, usable and memory of each program."""
    starts: dict[str, list[Start]] = {rival.name: [] for rival in rivals}
    for number in range(rounds + 1):
        for rival in rivals:
            found = time_start(rival)
            # The first of each fills the caches of the disk.
            if number:
                starts[rival.name].append(found)
    print("| program | first paint, s | ratio | usable, s | ratio | resident, MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    first = starts[rivals[0].name]
    for name, own in starts.items():
        paint, usable, memory = (
            statistics.median(each[column] for each in own) for column in range(3)
        )
        of_paint, of_usable = (
            statistics.median(a[column] / b[column] for a, b in zip(own, first, strict=True))
            for column in range(2)
        )
        print(
            f"| {name} | {paint:.3f} | {of_paint:.2f} | {usable:.3f} | {of_usable:.2f}"
            f" | {memory:.0f} |"
        )


def measure_keys(rivals: Sequence[Rival], count: int) -> None:
    """Print times and bytes of keys."""
    print("\n| program | key p50, ms | p95 | bytes a key p50 | p95 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for rival in rivals:
        keys = time_keys(rival, count)
        late = statistics.quantiles(keys.seconds, n=20)[-1]
        large = statistics.quantiles(keys.sizes, n=20)[-1]
        print(
            f"| {rival.name} | {statistics.median(keys.seconds) * 1000:.1f} | {late * 1000:.1f}"
            f" | {statistics.median(keys.sizes):.0f} | {large:.0f} |"
        )


def measure_history(rival: Rival) -> None:
    """Print what the history sends: opened, a page, a step of the cursor, an image at rest."""
    with open_screen(rival) as screen:
        screen.wait_for(lambda: rival.text in screen.text)
        screen.settle(1.5)
        screen.send("\x1b")
        screen.settle()
        sizes = {}
        for name, key in (
            ("the history, opened", "h"),
            ("a page of it, its image at rest", "\x1b[6~"),
            ("a step of the cursor, its image at rest", "\x1b[B"),
        ):
            steps = []
            for _ in range(1 if key == "h" else 3):
                screen.send(key)
                steps.append(screen.settle(0.8))
            sizes[name] = statistics.median(steps)
        screen.send("\x1b[B")
        screen.wait_for(lambda: bool(screen.read(0.2)))
        sizes["of it before the image"] = screen.settle(0.03)
    print("\n| what | bytes |\n| --- | ---: |")
    for name, size in sizes.items():
        print(f"| {name} | {size:,.0f} |")


def measure_commands(program: Program, rounds: int) -> None:
    """Print how long whole commands take, beside an empty typer program and a bare draw."""
    own = [sys.executable, "-m", "tui"]
    commands = {
        "an empty typer program, --help": [sys.executable, "-c", EMPTY, "--help"],
        "safelight --help": [*own, "--help"],
        "safelight --version": [*own, "--version"],
        "safelight show @1 --json": [*own, "show", "@1", "--json"],
        "a bare draw": [sys.executable, "-c", DRAW],
        "safelight generate, warm": [*own, "generate", PROMPT],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            began = time.perf_counter()
            subprocess.run(
                argv,
                env={**program.environ, "PYTHONPATH": str(Path.cwd())},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            if number:
                seconds[name].append(time.perf_counter() - began)
    print("\n| whole process | s | ratio |\n| --- | ---: | ---: |")
    names = list(commands)
    for place, name in enumerate(names):
        beside = seconds[names[0] if place < 4 else names[4]]
        ratio = statistics.median(a / b for a, b in zip(seconds[name], beside, strict=True))
        print(f"| {name} | {statistics.median(seconds[name]):.3f} | {ratio:.2f} |")


def list_rivals(
    fresh: Program, used: Program, posting: str | None, harlequin: str | None
) -> list[Rival]:
    """The programs of the table; the minimal one is what the others are measured by."""
    own = (sys.executable, "-m", "tui")
    rivals = [
        Rival("minimal Textual app", (sys.executable, "-c", MINIMAL), "minimal app"),
        Rival("Safelight, fresh", own, "prompts", pick(fresh)),
        Rival(f"Safelight, {IMAGES} images", own, "prompts", pick(used)),
    ]
    if posting:
        rivals.append(
            Rival("posting", (str(Path(posting).parent / "posting"),), "Collection", pick(fresh))
        )
    if harlequin:
        argv = (str(Path(harlequin).parent / "harlequin"), "-a", "sqlite")
        rivals.append(Rival("harlequin", argv, "Query Editor", pick(fresh)))
    return rivals


def pick(program: Program) -> dict[str, str]:
    """What of its environment a program needs to find its home."""
    return {name: program.environ[name] for name in ("HOME", "SAFELIGHT_HOME")}


def main() -> None:
    """Run the benchmark in homes of its own and print its tables."""
    parser = argparse.ArgumentParser(description="Measure start, memory, keys, bytes, commands.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--only", default="start,keys,history,commands")
    parser.add_argument("--posting", metavar="PYTHON")
    parser.add_argument("--harlequin", metavar="PYTHON")
    options = parser.parse_args()
    # Without what Python compiled, each start would compile it anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        fresh, used = Program(Path(folder) / "fresh"), Program(Path(folder) / "used")
        for program in (fresh, used):
            program.home.mkdir()
        try:
            used.run("generate", PROMPT, "-n", str(IMAGES), "-s", "4")
            rivals = list_rivals(fresh, used, options.posting, options.harlequin)
            wanted = options.only.split(",")
            if "start" in wanted:
                measure_starts(rivals, options.rounds)
            if "keys" in wanted:
                measure_keys(rivals, options.keys)
            if "history" in wanted:
                measure_history(rivals[2])
            if "commands" in wanted:
                measure_commands(used, options.rounds)
        finally:
            for program in (fresh, used):
                program.end_worker()


if __name__ == "__main__":
    main()
