"""What the commands say of a history in which rows were damaged."""

from __future__ import annotations

import json

import pytest

from store.database import Database
from store.folder import find_data_directory
from tests.factories import make_request
from tests.store.helpers import execute, make_images
from tests.tui.cli.invoking import invoke


@pytest.mark.parametrize(
    ("column", "value"),
    [("created_at", "yesterday"), ("created_at", 1e18), ("seed", "abc"), ("width", "wide")],
)
def test_a_damaged_image_is_listed_and_marked_and_the_others_are_as_they_were(
    column: str, value: object
) -> None:
    with Database.open(find_data_directory()) as database:
        images = make_images(database, [make_request("a boat"), make_request("a castle")])
    execute(find_data_directory(), f"UPDATE image SET {column} = ? WHERE number = 1", value)
    done = invoke(["history"])
    assert done.exit_code == 0, done.exception
    newest, oldest = done.stdout.splitlines()
    assert "a castle" in newest
    assert "(damaged)" not in newest
    assert "(damaged) a boat" in oldest
    listed = json.loads(invoke(["history", "--json"]).stdout)["images"]
    assert [image["is_damaged"] for image in listed] == [False, True]
    assert invoke(["show", images[0].id]).exit_code == 0
    doctor = invoke(["doctor"])
    assert doctor.exit_code == 1
    assert f"The row 1 of the table image is damaged: {column}" in doctor.stderr


def test_a_damaged_job_is_listed_and_marked() -> None:
    with Database.open(find_data_directory()) as database:
        make_images(database, [make_request("a boat"), make_request("a castle")])
    execute(find_data_directory(), "UPDATE job SET created_at = 'x' WHERE number = 1")
    newest, oldest = invoke(["jobs"]).stdout.splitlines()
    assert "(damaged)" not in newest
    assert "(damaged)" in oldest
    jobs = json.loads(invoke(["jobs", "--json"]).stdout)["jobs"]
    assert [job["is_damaged"] for job in jobs] == [False, True]
    # `session` has no seal either.
    execute(find_data_directory(), "INSERT INTO session VALUES (1, 'a', '{}', 1, 'word')")
    assert "a" in invoke(["sessions"]).stdout
