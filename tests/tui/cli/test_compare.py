"""Two images on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from store import queue
from store.database import Database
from store.records import Image
from store.request import Request
from tests.factories import make_plain, make_request, make_result
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
            result = make_result(color, seed=request.parameters.seed)
            images.append(queue.finish(database, job, token, result))
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


def test_a_file_is_compared_by_the_record_in_it(home: Path, tmp_path: Path) -> None:
    one, other = make_images(
        home, (make_request("fog"), "navy"), (make_request("fog::0.5"), "teal")
    )
    assert invoke(["export", one.id, "-o", str(tmp_path)]).exit_code == 0
    (path,) = tmp_path.glob("*.png")
    assert invoke(["diff", str(path), one.id]).exit_code == 0
    done = invoke(["diff", str(path), other.id])
    assert done.exit_code == 1
    assert "prompts   1  +1.0 → +0.5  fog" in done.stdout
    plain = tmp_path / "plain.png"
    plain.write_bytes(make_plain())
    done = invoke(["diff", str(plain), one.id])
    assert done.exit_code == 2
    assert "record" in done.stderr


def test_what_cannot_be_bisected_is_an_error(home: Path) -> None:
    make_images(home, (make_request(), "navy"), (make_request(seed=3), "navy"))
    done = invoke(["bisect", "@2", "@1"])
    assert done.exit_code == 2
    assert "Every pixel of both images is the same." in done.stderr
    make_images(home, (make_request(engine="stability"), "teal"))
    done = invoke(["bisect", "@2", "@1"])
    assert done.exit_code == 2
    assert "does not repeat itself" in done.stderr
    assert invoke(["bisect", "@2", "@1", "--most", "0"]).exit_code == 2
