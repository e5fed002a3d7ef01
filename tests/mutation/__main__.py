"""Draw changes to the source by a seed, run the tests that belong to each, say what survived.

    pip install -e ".[mutation]"
    python -m tests.mutation --seed 1 [--changes 150] [--areas store worker ...]
        [--folder FOLDER] [--seconds 60] [--no-programs] [--again] [--at PATH[:LINE] ...]

Works on a copy of the tree in FOLDER, on one processor. First it finds out which tests run which
lines (once; the file `reach-AREA.json` there can be removed). A change is caught when a test fails
that passed before. What has been tried stands in `SEED.jsonl` and is not tried again, so that it
can be ended and begun anew; `--again` tries those once more that were not caught, with the tests
of now. `--at` tries every change at a place instead of a draw. Status 1: something survived.

A survivor is not always a fault of the tests: some changes can be seen by nobody.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutation.areas import AREAS, Area
from tests.mutation.changes import Change, is_program, list_changes
from tests.mutation.reach import FLOORS, Reach, read_reach

ROOT = Path(__file__).parents[2]
_COPIED = (*FLOORS, "tests", "docs", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml")
_PYTEST = (
    "-q",
    "-n0",
    "-x",
    "-m",
    "not campaign",
    "-p",
    "no:cacheprovider",
    "--tb=no",
    "--no-header",
)
_LOADED = (
    "asyncio",
    "httpx",
    "hypothesis",
    "msgspec",
    "numpy",
    "PIL.Image",
    "pytest",
    "pytest_asyncio",
    "rich.console",
    "sqlalchemy.orm",
    "sqlmodel",
    "textual.app",
    "textual.widgets",
    "typer",
)
"""Packages of others that are loaded once; each change is tried in a child that has them."""

PROGRAM_SECONDS = 900.0
"""How long tests of whole programs may take; a test of them that hangs ends before."""

_CAUGHT, _SURVIVED, _UNREACHED, _OUT_OF_TIME = (
    "caught",
    "survived",
    "no test runs it",
    "out of time",
)


class Trial(NamedTuple):
    """A change and what its tests said: `caught`, `survived`, `no test runs it`, `out of time`."""

    area: str
    change: Change
    end: str
    tests: int
    seconds: float


class Copy:
    """A copy of the tree, in which one file at a time is another."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self._moment = int(time.time()) - 1_000_000
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        for name in _COPIED:
            source, target = ROOT / name, self.root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, target)

    def try_tests(self, tests: Sequence[str], seconds: float, *more: str) -> int | None:
        """The exit status of these tests, None when they did not end."""
        child = os.fork()
        if child == 0:
            self._run_pytest([*_PYTEST, *more, *tests])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None

    def _run_pytest(self, arguments: Sequence[str]) -> None:
        """Be the child: never comes back."""
        os.setpgid(0, 0)
        os.chdir(self.root)
        # What the tests start has these sources too: this goes before where they are installed.
        os.environ["PYTHONPATH"] = str(self.root)
        sys.path.insert(0, str(self.root))
        for name in [each for each in sys.modules if each.split(".")[0] in (*FLOORS, "tests")]:
            del sys.modules[name]
        said = os.open(self.root.parent / "pytest.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        import pytest

        status = 70
        try:
            status = int(pytest.main([*arguments]))
        finally:
            sys.stdout.flush()
            os._exit(status)

    def put(self, path: str, data: bytes) -> None:
        """Write a source. Its time is one that no source had: bytecode is found by it."""
        target = self.root / path
        target.write_bytes(data)
        self._moment += 2
        os.utime(target, (self._moment, self._moment))


def find_reach(copy: Copy, folder: Path, area: Area) -> Reach:
    """Which tests of the area run which lines."""
    file = folder / f"reach-{area.name}.json"
    if not file.exists():
        _say(f"{area.name}: finding out which tests run which lines")
        copy.try_tests(
            area.tests,
            3600,
            "-p",
            "tests.mutation.reach",
            f"--reach={file}",
            "--maxfail=1000",
        )
    return read_reach(file)


def draw(seed: int, number: int, areas: Sequence[Area]) -> list[tuple[Area, Change]]:
    """`number` changes, as many from each area as there are, up to an equal share."""
    chance = random.Random(seed)
    found = []
    left = number
    # The small ones first: what they do not have goes to the others.
    lists = {
        area: [each for path in area.sources for each in list_changes(ROOT, path)] for area in areas
    }
    for place, area in enumerate(sorted(areas, key=lambda each: len(lists[each]))):
        share = min(left // (len(areas) - place), len(lists[area]))
        left -= share
        mixed = chance.sample(lists[area], len(lists[area]))
        kept = (each for each in mixed if is_program(ROOT, each))
        found += [(area, each) for each in itertools.islice(kept, share)]
    return found


def find_at(places: Iterable[str], areas: Sequence[Area]) -> list[tuple[Area, Change]]:
    """All changes at places that are named `PATH` or `PATH:LINE`."""
    found = []
    for place in places:
        path, _, line = place.partition(":")
        area = next(each for each in areas if path in each.sources)
        for change in list_changes(ROOT, path):
            first, last = change.lines
            if (not line or first <= int(line) <= last) and is_program(ROOT, change):
                found.append((area, change))
    return found


def try_change(
    copy: Copy, area: Area, change: Change, reach: Reach, seconds: float, *, has_programs: bool
) -> Trial:
    """Make the change, run its tests, take it back.

    Where no test runs it in its own process, those that start the program are tried, if
    `has_programs`.
    """
    tests = reach.find(change.path, change.lines)
    limited: list[str] = []
    used = 0.0
    costs = dict(zip(reach.tests, reach.seconds, strict=True))
    for test in tests:
        used += costs[test]
        if limited and used > seconds:
            break
        limited.append(test)
    before = (copy.root / change.path).read_bytes()
    began = time.monotonic()
    end = _UNREACHED
    copy.put(change.path, change.apply(before))
    try:
        if chosen := limited or [*(area.programs if has_programs else ())]:
            patience = 10 * seconds + 60 if limited else PROGRAM_SECONDS
            status = copy.try_tests(chosen, patience, "--timeout=60")
            end = {0: _SURVIVED, None: _OUT_OF_TIME}.get(status, _CAUGHT)
    finally:
        copy.put(change.path, before)
    return Trial(area.name, change, end, len(limited), round(time.monotonic() - began, 1))


def main() -> int:
    """Try the changes that are asked for, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--changes", type=int, default=150)
    parser.add_argument("--areas", nargs="+", choices=[area.name for area in AREAS])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "mutation"))
    parser.add_argument("--seconds", type=float, default=60, help="of the tests of one change")
    parser.add_argument("--at", nargs="+", default=[], metavar="PATH[:LINE]")
    parser.add_argument("--again", action="store_true", help="try those again that survived")
    parser.add_argument("--no-programs", action="store_true", help="tests in one process only")
    told = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    areas = [area for area in AREAS if told.areas is None or area.name in told.areas]
    drawn = find_at(told.at, areas) if told.at else draw(told.seed, told.changes, areas)
    told.folder.mkdir(parents=True, exist_ok=True)
    record = told.folder / ("at.jsonl" if told.at else f"{told.seed}.jsonl")
    if told.at:
        record.unlink(missing_ok=True)
    known = _read_record(record)
    if told.again:
        known = {name: trial for name, trial in known.items() if trial.end == _CAUGHT}
    copy = Copy(told.folder)
    for name in _LOADED:
        __import__(name)
    trials = []
    for number, (area, change) in enumerate(drawn, 1):
        trial = known.get(change.name)
        if trial is None:
            reach = find_reach(copy, told.folder, area)
            trial = try_change(
                copy, area, change, reach, told.seconds, has_programs=not told.no_programs
            )
            with record.open("a") as file:
                file.write(json.dumps(trial._asdict() | {"change": change._asdict()}) + "\n")
            _say(f"{number:4}/{len(drawn)} {_describe(trial)}")
        trials.append(trial)
    return report(trials)


def report(trials: Sequence[Trial]) -> int:
    """Print how many were caught in each area, and the others one by one."""
    ends = (_CAUGHT, _SURVIVED, _UNREACHED, _OUT_OF_TIME)
    print("\n" + "".join(f"{title:>16}" for title in ("area", "changes", *ends)))
    names = dict.fromkeys(trial.area for trial in trials)
    for name in (*names, "all"):
        found = [trial.end for trial in trials if name in (trial.area, "all")]
        row = (name, len(found), *(found.count(end) for end in ends))
        print("".join(f"{cell:>16}" for cell in row))
    others = [trial for trial in trials if trial.end != _CAUGHT]
    for trial in others:
        print(f"\n{_describe(trial)}")
        print(f"  - {trial.change.before}\n  + {trial.change.after}")
    return 1 if others else 0


def _describe(trial: Trial) -> str:
    change = trial.change
    return (
        f"{trial.end}: {change.path}:{change.lines[0]} {change.where}: {change.kind} "
        f"({trial.tests} tests, {trial.seconds:g} s)"
    )


def _read_record(record: Path) -> dict[str, Trial]:
    if not record.exists():
        return {}
    found = {}
    for line in record.read_text().splitlines():
        values = json.loads(line)
        change = values.pop("change")
        change["lines"] = tuple(change["lines"])
        trial = Trial(change=Change(**change), **values)
        found[trial.change.name] = trial
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
