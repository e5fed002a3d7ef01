"""How much of the project's code a key goes through: files, calls, moves between files.

    python -m tests.benchmarks.call_trace [--repeats 9]

Only code of tui, engines and store is counted, in all threads of the app's process, from the
key until what it does is done: a typed character and a weight step until they are in the
database, `v` and generate until their job is in the queue, the history until its first image is
chosen. A move is a call from one file into another one, thread by thread. The figures are
medians; the app runs headless at 120 x 40 on a data directory of its own, with one image in it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FLOORS = tuple(f"{ROOT / name}{os.sep}" for name in ("tui", "engines", "store"))
SECONDS = 60.0
DRAFT = "SELECT draft FROM session"


class Figures(NamedTuple):
    """What one key went through."""

    files: int
    calls: int
    moves: int
    functions: tuple[tuple[str, int], ...]


class Tracer:
    """Counts calls of project code while `is_on`, in every thread that was started after it."""

    def __init__(self) -> None:
        self.is_on = False
        self.calls: list[tuple[int, str, str]] = []
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and self.is_on:
            file = frame.f_code.co_filename
            if file.startswith(FLOORS):
                self.calls.append((threading.get_ident(), file, frame.f_code.co_qualname))

    def begin(self) -> None:
        """Count from now on."""
        self.calls = []
        self.is_on = True

    def end(self) -> Figures:
        """Stop, and say what was counted."""
        self.is_on = False
        last: dict[int, str] = {}
        moves = 0
        for thread, file, _ in self.calls:
            moves += last.get(thread, file) != file
            last[thread] = file
        functions = Counter(
            f"{Path(file).relative_to(ROOT)} {name}" for _, file, name in self.calls
        )
        files = {file for _, file, _ in self.calls}
        return Figures(len(files), len(self.calls), moves, tuple(sorted(functions.items())))


async def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return when `condition()` is true; it is asked between any two steps of the loop."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while not condition():
        if loop.time() > end:
            raise SystemExit(f"waited in vain for {what}")
        await asyncio.sleep(0)


class Bench:
    """The app, the tracer, and a connection of its own that sees what is committed."""

    def __init__(self, app: Any, tracer: Tracer, database: Path) -> None:
        self.app, self.tracer, self.database = app, tracer, database
        self._connection: sqlite3.Connection | None = None

    def ask(self, query: str) -> str:
        """The first value of the first row."""
        if self._connection is None:
            self._connection = sqlite3.connect(self.database)
        return str(self._connection.execute(query).fetchone()[0])

    def press(self, key: str) -> None:
        """Send a key, as the terminal does."""
        from textual import events

        self.app.post_message(events.Key(key, key if len(key) == 1 else None))

    async def measure_written(self, key: str, text: str) -> Figures:
        """What goes on from `key` until `text` stands in the draft in the database."""
        return await self.measure(key, lambda: text in self.ask(DRAFT), text)

    async def measure_queued(self, key: str) -> Figures:
        """What goes on from `key` until another job is in the database."""
        before = self.count_jobs()
        return await self.measure(key, lambda: self.count_jobs() > before, "the job")

    async def measure(self, key: str, condition: Callable[[], object], what: str) -> Figures:
        """What goes on from `key` until `condition()` is true."""
        await self.rest()
        self.tracer.begin()
        self.press(key)
        await wait_for(condition, what)
        return self.tracer.end()

    async def rest(self) -> None:
        """Let everything come to rest."""
        await asyncio.sleep(0.3)

    def count_jobs(self) -> int:
        """The jobs in the database."""
        return int(self.ask("SELECT count(*) FROM job"))


async def measure_all(bench: Bench, repeats: int) -> dict[str, list[Figures]]:
    """Each key, some times."""
    app = bench.app
    found: dict[str, list[Figures]] = {
        name: []
        for name in ("a typed character", "a weight step", "v", "generate", "opening the history")
    }
    text = "sky"
    for key in text:
        bench.press(key)
    await wait_for(lambda: '"sky"' in bench.ask(DRAFT), "the first word")
    for _ in range(repeats):
        text += "x"
        found["a typed character"].append(await bench.measure_written("x", f'"{text}"'))
    bench.press("escape")
    for step in range(1, repeats + 1):
        weight = f'"weight":{round(1.0 + 0.1 * step, 1)}'
        found["a weight step"].append(await bench.measure_written("right", weight))
    await make_image(bench)
    for name, key in (("v", "v"), ("generate", "f5")):
        for _ in range(repeats):
            found[name].append(await bench.measure_queued(key))
            await wait_until_idle(bench)
    for _ in range(repeats):
        figures = await bench.measure("h", lambda: has_history(app), "the history")
        found["opening the history"].append(figures)
        bench.press("escape")
        await wait_for(lambda: app.screen is app.compose_screen, "the way back")
    return found


def has_history(app: Any) -> object:
    """Whether the history is on the screen and an image is chosen in it."""
    screen = app.screen
    if type(screen).__name__ != "HistoryScreen":
        return False
    return getattr(screen, "image", None) or getattr(screen.history_list, "chosen", None)


async def make_image(bench: Bench) -> None:
    """One image, made by a worker."""
    before = bench.count_jobs()
    bench.press("f5")
    await wait_for(lambda: bench.count_jobs() > before, "the first job")
    await wait_until_idle(bench)
    await wait_for(lambda: "seed" in bench.app.compose_screen.query_one("#image").said, "the image")


async def wait_until_idle(bench: Bench) -> None:
    """Until no job waits or runs."""
    query = "SELECT count(*) FROM job WHERE state IN ('waiting', 'running')"
    end = asyncio.get_running_loop().time() + SECONDS
    while bench.ask(query) != "0" and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.05)


async def run(repeats: int) -> dict[str, list[Figures]]:
    """The app on the data directory of SAFELIGHT_HOME."""
    tracer = Tracer()
    from engines.settings import load_user_settings
    from tui.app import SafelightApp
    from tui.darkroom import Darkroom
    from tui.terminal.detect import Surroundings

    directory = find_data_directory()
    environ = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}
    app = SafelightApp(
        Darkroom(directory, load_user_settings()), around=Surroundings(environ=environ)
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        await pilot.pause()
        bench = Bench(app, tracer, directory / "history.sqlite3")
        return await measure_all(bench, repeats)


def find_data_directory() -> Path:
    """The data directory of SAFELIGHT_HOME, wherever the function stands."""
    try:
        from store.folder import find_data_directory as find
    except ImportError:
        from store.folder import find_data_directory as find
    return Path(find())


def main() -> None:
    """Measure in a home of its own and print the table."""
    parser = argparse.ArgumentParser(description="Count what a key goes through.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--functions", action="store_true", help="list what was called, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAFELIGHT_HOME"] = folder
        found = asyncio.run(run(options.repeats))
        subprocess_stop()
    print(f"{'':22}{'files':>8}{'calls':>8}{'moves':>8}")
    for name, figures in found.items():
        medians = [statistics.median(each) for each in list(zip(*figures, strict=True))[:3]]
        print(f"{name:22}" + "".join(f"{round(value):>8}" for value in medians))
        if options.functions:
            middle = sorted(figures, key=lambda each: each.calls)[len(figures) // 2]
            print("\n".join(f"    {count:4} {function}" for function, count in middle.functions))


def subprocess_stop() -> None:
    """Ask the worker of this data directory to leave."""
    import signal

    from engines.worker.process import find_worker

    status = find_worker(find_data_directory())
    if status.is_running and status.process_id is not None:
        os.kill(status.process_id, signal.SIGTERM)


if __name__ == "__main__":
    main()
