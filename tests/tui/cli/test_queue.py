"""Jobs on the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engines.worker.program import read_serving
from store import queue
from store.database import Database
from tests.factories import make_request
from tests.store.helpers import execute
from tests.tui.cli.invoking import invoke


def test_a_job_that_waits_for_other_settings_says_so(home: Path) -> None:
    directory = home / "safelight" / "data"
    with Database.open(directory) as database:
        ours = read_serving(directory)
        theirs = msgspec.structs.replace(ours, settings={**ours.settings, "stability": "others"})
        queue.enqueue(database, [make_request(engine="stability")], wanted=theirs)
        queue.enqueue(database, [make_request()], wanted=ours)
    execute(directory, "UPDATE job SET created_at = created_at - 60")
    first, second = invoke(["jobs"]).stdout.splitlines()
    assert "waiting for the settings it was queued with" not in first
    assert second.endswith("waiting for the settings it was queued with")
    found = msgspec.json.decode(invoke(["jobs", "--json"]).stdout)["jobs"]
    assert [job["is_for_others"] for job in found] == [False, True]
