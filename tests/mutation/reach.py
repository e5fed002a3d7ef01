"""Which tests run which lines: a plugin of pytest, and what it wrote down.

    python -m pytest -p tests.mutation.reach --reach FILE TESTS...

Only what a test runs in its own process is seen, threads included.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FLOORS = ("store", "engines", "tui")


class Reach(NamedTuple):
    """Which tests ran which lines of a source, and how many seconds each test took.

    `lines[path][number]` are places in `tests`, which are node ids.
    """

    tests: list[str]
    seconds: list[float]
    lines: dict[str, dict[int, list[int]]]

    def find(self, path: str, span: tuple[int, int]) -> list[str]:
        """The tests that ran a line of `span`; where it is run at import, those of the file.

        Those of the test file that mirrors `path` first, then the quickest.
        """
        of_file = self.lines.get(path, {})
        places = {
            each for number in range(span[0], span[1] + 1) for each in of_file.get(number, ())
        }
        if not places and any(number in of_file for number in range(span[0], span[1] + 1)):
            places = {each for tests in of_file.values() for each in tests}
        stem = Path(path).stem if Path(path).stem != "__init__" else Path(path).parent.name

        def order(place: int) -> tuple[bool, float]:
            return (not self.tests[place].split("::")[0].endswith(f"/test_{stem}.py")), (
                self.seconds[place]
            )

        return [self.tests[place] for place in sorted(places, key=order)]


def read_reach(file: Path) -> Reach:
    """What a run with the plugin wrote into `file`."""
    found = json.loads(file.read_text())
    lines = {
        path: {int(number): tests for number, tests in numbers.items()}
        for path, numbers in found["lines"].items()
    }
    return Reach(found["tests"], found["seconds"], lines)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reach", type=Path, help="write which tests run which lines into this file")


class _Recorder:
    """Tells the tracer which test runs, and writes down what it saw."""

    def __init__(self, file: Path, root: Path) -> None:
        import coverage

        self._file = file
        self._root = root
        sources = [str(root / floor) for floor in FLOORS]
        self._tracer = coverage.Coverage(data_file=None, source=sources, config_file=False)
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._tracer.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._tracer.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._tracer.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        self._seconds[name] = self._seconds.get(name, 0.0) + report.duration
        if report.outcome != "passed":
            self._failed.add(name)

    def pytest_sessionfinish(self) -> None:
        self._tracer.stop()
        tests = [name for name in self._seconds if name not in self._failed]
        places = {name: place for place, name in enumerate(tests)}
        data = self._tracer.get_data()
        lines = {
            os.path.relpath(file, self._root): {
                number: sorted(places[name] for name in names if name in places)
                for number, names in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        found = {
            "tests": tests,
            "seconds": [round(self._seconds[name], 3) for name in tests],
            "lines": lines,
        }
        self._file.write_text(json.dumps(found))


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--reach"):
        config.pluginmanager.register(_Recorder(file, config.rootpath))
