"""Two thousand prompts in many scripts, each through every way, and whether its digest stays.

    python -m tests.benchmarks.prompt_texts [COUNT] [--screen | --program]

The suite sends all of them through a shell, and some through the screen. This sends all through
the screen, and, a stack at a time, through the installed program: `generate`, its record, the line
of `show --command`, a shell, `generate`, its record. Minutes. Ends with 1 if a digest is another.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines.worker.process import WorkerLock
from engines.worker.program import read_serving
from store import queue
from store.database import Database
from store.folder import find_data_directory
from store.prompts import clean_text
from store.records import Draft, Job
from store.request import Request
from tests.prompt_texts import make_texts
from tests.tui.desk_darkroom import DeskDarkroom
from tests.tui.pilot import running
from tests.tui.prompt_trips import enter_command, enter_screen, write_line
from tui.text import mark_controls

BATCH = 40
"""Texts in one stack: each may be several prompts, and 64 are the most."""


def list_texts(count: int) -> dict[str, Request | None]:
    """The texts that the screen does not change, with what the command line asks for."""
    return {
        text: enter_command(text)
        for text in make_texts(count)
        if mark_controls(clean_text(text)) == clean_text(text)
    }


async def compare_screen(texts: dict[str, Request | None]) -> int:
    """How many texts the screen asks for otherwise than the command line."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        async with running(DeskDarkroom(Path(folder), Draft(seed=5))) as (app, _):
            for text, request in texts.items():
                if await enter_screen(app, text) != request:
                    wrong += 1
                    print(f"the screen: {text!a}")
    return wrong


def compare_program(texts: dict[str, Request | None]) -> int:
    """How many stacks the installed program records otherwise behind a shell."""
    program = [sys.executable, "-m", "tui"]
    taken = [text for text, request in texts.items() if request is not None]
    wrong = 0
    for start in range(0, len(taken), BATCH):
        batch = taken[start : start + BATCH]
        options = ["-S", str(start + 1), "-s", "10", "--no-wait"]
        subprocess.run([*program, "generate", *options, "--", *batch, "drawn"], check=True)
        (first,) = list_jobs(1)
        asked = [request for text in batch if (request := texts[text]) is not None]
        prompts = [prompt for request in asked for prompt in request.stack.prompts[:-1]]
        if list(first.request.stack.prompts[:-1]) != prompts:
            wrong += 1
            print(f"the record of stack {start}")
        for encoding in ("utf-8", "ascii"):
            line = write_line(first.request, encoding).replace(
                "safelight generate", f"{shlex.join(program)} generate --no-wait", 1
            )
            subprocess.run(["/bin/sh"], input=line.encode(), check=True)
            (second,) = list_jobs(1)
            if second.number == first.number or second.request_digest != first.request_digest:
                wrong += 1
                print(f"the {encoding} line of stack {start}")
    return wrong


def list_jobs(limit: int) -> list[Job]:
    """The newest jobs."""
    with Database.open(find_data_directory()) as database:
        return queue.list_jobs(database, limit=limit)


def main() -> int:
    """Compare, and print how many texts and how many differences there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=2000)
    parser.add_argument("--screen", action="store_true", help="the screen only")
    parser.add_argument("--program", action="store_true", help="the program only")
    given = parser.parse_args()
    texts, wrong = list_texts(given.count), 0
    taken = sum(request is not None for request in texts.values())
    print(f"{given.count} texts, {len(texts)} without control characters, {taken} taken")
    if not given.program:
        begun = time.monotonic()
        wrong += asyncio.run(compare_screen(texts))
        print(f"screen: {len(texts)} texts in {time.monotonic() - begun:.0f} s")
    if not given.screen:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as home:
            os.environ["SAFELIGHT_HOME"] = home
            # As nobody draws, what is queued costs no time.
            find_data_directory().mkdir(parents=True, mode=0o700)
            lock = WorkerLock(find_data_directory())
            lock.acquire(read_serving(find_data_directory()))
            wrong += compare_program(texts)
            lock.release()
        print(f"program: {taken} texts in {time.monotonic() - begun:.0f} s")
    print(f"{wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
