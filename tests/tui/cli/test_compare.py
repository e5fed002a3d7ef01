"""Two images on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from store import queue
from store.database import Database
from store.records import Image
from store.request import Request
from tests.factories import make_request, make_result
from tests.tui.cli.invoking import invoke


def make_images(home: Path, *made: tuple[Request, str]) -> Sequence[Image]:
    """Images of these requests, each of one colour."""
    images = []
    with Database.open(home / "safelight" / "data") as database:
        token = queue.recover(database, paid_engines=())
        for request, color in made:
            queue.enqueue(database, [request])
            job = queue.claim(database, token)
            assert job is not None
            images.append(queue.finish(database, job, token, make_result(color)))
    return images


def test_what_differs_is_printed_and_told_by_the_status(home: Path) -> None:
    one, other = make_images(
        home, (make_request("fog"), "navy"), (make_request("fog::0.5"), "teal")
    )
    done = invoke(["diff", one.id, "@1"])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[:5] == [
        f"A         {one.id}",
        f"B         {other.id}",
        "pixels    mean 42.67 of 255, largest 128, 10.8 dB, 100 % of the pixels",
        "stages    all 2 that both have are the same",
        "prompts   1  +1.0 → +0.5  fog",
    ]
    found = msgspec.json.decode(invoke(["diff", one.id, "@1", "--json"]).stdout)
    assert found["images"] == [one.id, other.id]
    assert found["changes"] == [
        {"kind": "weight", "field": "prompts", "prompt": "fog", "before": 1.0, "after": 0.5}
    ]
    assert found["pixels"]["difference"]["maximum"] == 128
    assert (found["is_equal"], found["stages"]["parts_at"]) == (False, None)


def test_equal_images_and_none(home: Path) -> None:
    make_images(home, (make_request(), "navy"), (make_request(), "navy"))
    assert invoke(["diff", "@1", "@2"]).exit_code == 0
    assert invoke(["diff", "@1", "ffff"]).exit_code == 2


def test_a_file_that_is_gone_is_told(home: Path) -> None:
    one, _ = make_images(home, (make_request(), "navy"), (make_request(), "teal"))
    one.path.unlink()
    done = invoke(["diff", "@2", "@1"])
    assert done.exit_code == 1
    assert "they differ, by the record" in done.stdout
    assert "the file of A cannot be read" in done.stdout
