"""`generate --until`, and `series`."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from store import queue, series
from store.database import Database
from store.errors import RequestError
from tests.tui.cli.invoking import invoke
from tui.cli.series import read_until

NOW = datetime(2026, 11, 28, 22, 30)


def test_a_series_is_begun_listed_paused_and_cancelled(home: Path) -> None:
    list_file = home / "list.txt"
    list_file.write_text('a cat\n{"prompt": "a dog", "images": 2}\n')
    done = invoke(["generate", "--from", str(list_file), "--until", "8h", "-s", "9"])
    assert done.exit_code == 0, done.stderr
    with Database.open(home / "safelight" / "data") as database:
        (found,) = series.list_series(database)
        assert queue.list_jobs(database) == []
    assert done.stdout.startswith(f"series {found.id[:8]}  until ")
    assert done.stdout.endswith("  3 images a round\n")
    assert 7.9 * 3600 < found.until - time.time() <= 8 * 3600
    assert f"The series {found.id[:8]} is running, until " in invoke(["jobs"]).stderr
    line = invoke(["series"]).stdout
    assert line.startswith(f"{found.id[:8]}  running    until ")
    assert line.endswith("  0 jobs  a cat\n")
    assert "paused" in invoke(["series", "--pause", found.id]).stdout
    (document,) = json.loads(invoke(["series", "--json"]).stdout)["series"]
    assert (document["state"], document["requests"], document["error"]) == ("paused", 3, None)
    assert "cancelled" in invoke(["series", "--cancel", "@1"]).stdout
    assert "Only one that is running" in invoke(["series", "--pause", "@1"]).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "out"], "Leave out --output"),
        (["--next"], "when no other job waits"),
        (["--priority", "3"], "when no other job waits"),
    ],
)
def test_what_a_series_would_ignore_is_refused(home: Path, arguments: list[str], said: str) -> None:
    done = invoke(["generate", "a cat", "--until", "8h", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("07:00", "2026-11-29 07:00"),
        ("23:15", "2026-11-28 23:15"),
        ("22:30", "2026-11-29 22:30"),
        ("8h", "2026-11-29 06:30"),
        ("90min", "2026-11-29 00:00"),
        ("2d", "2026-11-30 22:30"),
        ("tomorrow", "2026-11-29 00:00"),
        ("2026-11-29", "2026-11-29 00:00"),
        ("2026-11-29T07:15", "2026-11-29 07:15"),
    ],
)
def test_until_when_is_read_as_people_say_it(text: str, moment: str) -> None:
    assert read_until(text, NOW) == datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize("text", ["soon", "", "2026-11-28", "25:00", "7", "99999y", "0h"])
def test_what_is_no_moment_to_come_says_what_is(text: str) -> None:
    with pytest.raises(RequestError) as told:
        read_until(text, NOW)
    assert "07:00, 8h, 90min" in told.value.hint
