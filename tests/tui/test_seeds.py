"""Seeds by number and by how far back their image is, on the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from store import queue
from store.database import Database
from store.errors import RequestError
from tests.factories import make_quick_request
from tests.store.helpers import make_images
from tests.tui.cli.invoking import invoke
from tui.seeds import RelativeSeed, parse_seed


@pytest.mark.parametrize(
    ("text", "seed"),
    [("7", 7), (" 4294967294 ", 4294967294), ("@-1", RelativeSeed(1)), ("@12", RelativeSeed(12))],
)
def test_a_seed_is_a_number_or_counts_back(text: str, seed: int | RelativeSeed) -> None:
    assert parse_seed("seed", "seed", text) == seed


@pytest.mark.parametrize("text", ["@0", "@-0", "@", "@-", "@x", "@1.5", "@--1", "@+1", "0", "-1"])
def test_what_is_neither_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_seed("seed", "seed", text)
    assert ("@-1" in str(caught.value)) == text.startswith("@")


def test_the_number_that_it_stands_for_is_recorded(home: Path) -> None:
    with Database.open(home / "safelight" / "data") as database:
        make_images(database, [make_quick_request(seed=seed) for seed in (31, 32, 33)])
    for words, seed in ((["generate", "sky"], 33), (["upscale", "@1"], 33)):
        done = invoke([*words, "-S", "@-1", "--no-wait", "--json"])
        assert done.exit_code == 0, done.output
        (job,) = msgspec.json.decode(done.stdout)["jobs"]
        with Database.open(home / "safelight" / "data") as database:
            assert queue.get_job(database, job["id"]).request.parameters.seed == seed
    for words in (["generate", "sky"], ["upscale", "@1"], ["vary", "@1"]):
        done = invoke([*words, "-S", "@-4", "--no-wait"])
        assert done.exit_code == 2
        assert "There is no image @-4 whose seed could be taken" in done.stderr
