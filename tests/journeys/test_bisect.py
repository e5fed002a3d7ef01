"""Two images are compared and bisected by the program itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.program import Program

QUICK = ("-s", "10", "-W", "128", "-H", "128")


@pytest.mark.exhaustive
def test_the_decisive_change_is_found_and_kept(tmp_path: Path) -> None:
    program = Program(tmp_path)
    try:
        night = ("night sky above a town", "clouds::-1")
        program.run("generate", *night, "-S", "7", *QUICK)
        program.run("generate", "night sky above a town", "clouds::-1.05", "-S", "8", *QUICK)
        found = program.run_json("diff", "@2", "@1", status=1)
        one, other = found["images"]
        assert [change["field"] for change in found["changes"]] == ["prompts", "seed"]
        assert found["stages"]["parts_at"] == "noise"
        bisected = program.run_json("bisect", one, other)
        assert [change["field"] for change in bisected["changes"]] == ["seed"]
        assert bisected["explained"] > 0.5
        assert bisected["images_made"] == len(bisected["trials"])
        # Only what explains it is in the history; it is the request of A with B's seed.
        images = program.run_json("history")["images"]
        assert [image["id"] for image in images] == [bisected["image_id"], other, one]
        assert images[0]["seed"] == 8
        assert images[0]["request"]["stack"]["prompts"][1]["weight"] == -1
        again = program.run_json("bisect", one, other)
        assert again["images_made"] == 0
        assert again["image_id"] == bisected["image_id"]
    finally:
        program.end_worker()
