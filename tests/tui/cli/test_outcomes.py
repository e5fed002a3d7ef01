"""`report`: what became of the night's jobs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image as Pillow

from store import history, queue
from store.database import Database
from store.errors import RequestError
from store.records import Comparison, Verdict
from tests.factories import make_request
from tests.store.helpers import claim, make_images, start
from tests.tui.cli.invoking import invoke
from tui.cli.outcomes import read_since

NOW = datetime(2026, 11, 28, 7, 30)


@pytest.fixture
def failed(home: Path) -> str:
    """The id of a job that failed, after two images and a verification, before one that waits."""
    with Database.open(home / "safelight" / "data") as database:
        first, _ = make_images(database, [make_request("a"), make_request("b")])
        history.add_verification(database, first.id, Comparison(verdict=Verdict.IDENTICAL))
        queue.enqueue(database, [make_request("c"), make_request("d")])
        token = start(database)
        job = claim(database, token)
        queue.fail(database, job.id, token, "unreachable", "Cannot reach it.\x1b[2J Try later.")
        return job.id


def test_the_report_says_what_was_made_and_what_to_do(failed: str) -> None:
    invoke(["pause"])
    done = invoke(["report"])
    lines = done.stdout.splitlines()
    assert lines[1:4] == [
        "made       2 images",
        "verified   1: 1 identical",
        "failed     1: 1 unreachable",
    ]
    assert "in queue   1 job, the queue is paused: 'safelight resume' goes on" in lines
    assert f"  {failed[:8]}  " in done.stdout
    assert f"safelight retry {failed[:8]}: tries it again with the same seed." in done.stdout
    assert "\x1b" not in done.stdout


def test_the_report_as_a_document_and_a_contact_sheet(failed: str, tmp_path: Path) -> None:
    sheet = tmp_path / "night.png"
    document = json.loads(invoke(["report", "--since", "8h", "-o", str(sheet), "--json"]).stdout)
    assert (document["made"], document["failed"], document["cancelled"]) == (2, 1, 0)
    assert document["reasons"] == {"unreachable": 1}
    assert document["verdicts"] == {"identical": 1}
    assert [job["job_id"] for job in document["failures"]] == [failed]
    assert (document["waiting"], document["contact_sheet"]) == (1, str(sheet))
    with Pillow.open(sheet) as picture:
        assert picture.size == (2 * (96 + 8) + 8, 96 + 2 * 8)
        # Both images are on it, and they are no background.
        assert all(
            picture.getpixel((8 + 48 + place * 104, 8 + 48)) != (0, 0, 0) for place in (0, 1)
        )
    refused = invoke(["report", "-o", str(sheet)])
    assert refused.exit_code == 2
    assert "there already" in refused.stderr


def test_an_empty_history_has_a_report_too(home: Path, tmp_path: Path) -> None:
    done = invoke(["report", "-o", str(tmp_path / "night.png")])
    assert done.exit_code == 0
    assert "made       0 images" in done.stdout
    assert "no image to show" in done.stdout
    assert not (tmp_path / "night.png").exists()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("22:00", "2026-11-27 22:00"),
        ("06:00", "2026-11-28 06:00"),
        ("yesterday", "2026-11-27 00:00"),
        ("8h", "2026-11-27 23:30"),
        ("2026-11-20T21:15", "2026-11-20 21:15"),
    ],
)
def test_since_when_is_read_as_people_say_it(text: str, moment: str) -> None:
    assert read_since(text, NOW) == datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize("text", ["soon", "2027-01-01", "9999-13-40", "99999y"])
def test_what_is_no_moment_says_what_is(text: str) -> None:
    with pytest.raises(RequestError) as told:
        read_since(text, NOW)
    assert "22:00, 8h, 3d" in told.value.hint
