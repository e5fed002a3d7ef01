"""How soon the screen is there, and how soon a key is on it, idle and while a job runs.

    python -m tests.benchmarks.responsiveness [--keys 200] [--starts 7]

First paint is timed from the start of the process to the known text on an emulated screen,
alternating with a minimal Textual app, so that the ratio holds on any machine. A key is
timed from its writing to the character on the emulated screen.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.journeys.program import Program
from tests.screens import Terminal, open_terminal
from tests.waiting import wait_until

MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("minimal app")
Minimal().run()
"""
COLUMNS, ROWS = 120, 40
TYPED = "the quick brown fox jumps over a lazy dog "


def time_first_paint(argv: list[str], text: str, environ: dict[str, str]) -> float:
    """Seconds from the start of `argv` until `text` is on the screen."""
    began = time.perf_counter()
    with open_terminal(argv, environ=environ, columns=COLUMNS, rows=ROWS) as terminal:
        terminal.wait_for_text(text)
        return time.perf_counter() - began


def time_keys(terminal: Terminal, count: int) -> list[float]:
    """Seconds from key to screen for `count` characters typed one after the other."""
    seconds: list[float] = []
    for key in itertools.cycle(TYPED):
        before, began = terminal.text, time.perf_counter()
        terminal.send(key)
        if key != " ":
            terminal.wait_until(functools.partial(has_changed, terminal, before), what="an echo")
            seconds.append(terminal.read_at - began)
        terminal.read(0.03)
        if len(seconds) == count:
            break
    return seconds


def has_changed(terminal: Terminal, before: str) -> bool:
    """Whether the screen shows other text than `before`."""
    return terminal.text != before


def find_running(program: Program) -> bool:
    """Whether a job is running and has made a step."""
    jobs = program.run_json("jobs", "--limit", "200")["jobs"]
    return any(job["state"] == "running" and job["step"] > 0 for job in jobs)


def print_times(name: str, seconds: list[float]) -> tuple[float, float]:
    """Print median and 95th percentile in milliseconds; return them."""
    p50 = statistics.median(seconds)
    p95 = statistics.quantiles(seconds, n=20)[-1]
    print(f"{name:<34} p50 {p50 * 1000:7.1f} ms   p95 {p95 * 1000:7.1f} ms   n {len(seconds)}")
    return p50, p95


def main() -> None:
    """Run the benchmark in a home of its own and print its table."""
    parser = argparse.ArgumentParser(description="Time first paint and keystrokes.")
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--starts", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = Program(Path(folder))
        try:
            measure(program, options.keys, options.starts)
        finally:
            program.end_worker()


def measure(program: Program, keys: int, starts: int) -> None:
    """Time starts, then keys idle and while jobs run."""
    own = [sys.executable, "-m", "tui"]
    minimal = [sys.executable, "-c", MINIMAL]
    environ = {"SAFELIGHT_HOME": program.environ["SAFELIGHT_HOME"]}
    program.run("history")
    pairs = []
    for _ in range(starts + 1):
        bare = time_first_paint(minimal, "minimal app", environ)
        pairs.append((bare, time_first_paint(own, "prompts", environ)))
    warm = pairs[1:]
    ratio = statistics.median(mine / bare for bare, mine in warm)
    print(f"first paint, minimal Textual app   {statistics.median(b for b, _ in warm):.3f} s")
    print(f"first paint, Safelight             {statistics.median(m for _, m in warm):.3f} s")
    print(f"ratio, median of {len(warm)} pairs          {ratio:.2f}")
    with open_terminal(own, environ=environ, columns=COLUMNS, rows=ROWS) as terminal:
        terminal.wait_for_text("typing")
        terminal.wait_for_silence(1.0)
        idle = print_times("key to screen, idle", time_keys(terminal, keys))
        program.run("generate", "a lighthouse in a storm", "-s", "150", "-n", "100", "--no-wait")
        wait_until(lambda: find_running(program), "the first step")
        busy = print_times("key to screen, while generating", time_keys(terminal, keys))
        print(f"a job was running to the end of it {'yes' if find_running(program) else 'no'}")
        print(f"ratio busy to idle                 p50 {busy[0] / idle[0]:.2f}   ", end="")
        print(f"p95 {busy[1] / idle[1]:.2f}")


if __name__ == "__main__":
    main()
