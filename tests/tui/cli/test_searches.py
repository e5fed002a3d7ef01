"""The search language on the command line: flags that are terms, orders, what is wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from store.database import Database
from store.folder import find_data_directory
from store.records import Image
from tests.factories import make_request
from tests.store.helpers import execute, make_images
from tests.tui.cli.invoking import invoke


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Image]:
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path))
    with Database.open(find_data_directory()) as db:
        texts = ("a lighthouse", "clouds over a house", "a red dog")
        made = make_images(db, [make_request(text, seed=100 + n) for n, text in enumerate(texts)])
        execute(db.directory, "INSERT INTO tag VALUES ('night', 2)")
        execute(
            db.directory,
            "INSERT INTO annotation (image_number, rating, is_favourite) VALUES (3, 4, 1)",
        )
        execute(db.directory, "UPDATE image SET created_at = 1e9 WHERE number = 1")
        return made


@pytest.mark.parametrize(
    ("flags", "seeds"),
    [
        ("", "102 101 100"),
        ("--search house", "101 100"),
        ("--search house --search dog", "102"),
        ("--search house --tag night", "101"),
        ("--seed 101", "101"),
        ("--seed 101..102", "102 101"),
        ("--since 2010", "102 101"),
        ("--before 2010 --engine built", "100"),
        ("--model r1 --rating >=3", "102"),
        ("--verdict never --limit 1", "102"),
        ("--sort seed", "100 101 102"),
        ("--sort=-seed", "102 101 100"),
        ("--sort rating --limit 1", "102"),
        ("--search sort:seed", "100 101 102"),
        ("--search is:trashed", ""),
    ],
)
@pytest.mark.samples(5)
def test_flags_are_terms(images: list[Image], flags: str, seeds: str) -> None:
    done = invoke(["history", "--json", *flags.split()])
    assert done.exit_code == 0, done.output
    listed = msgspec.json.decode(done.stdout)["images"]
    assert [image["seed"] for image in listed] == [int(seed) for seed in seeds.split()]


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        (
            ["--search", "night smapler:k"],
            [
                "no key 'smapler:'",
                "  night smapler:k",
                "        ^^^^^^^^",
                "Did you mean sampler:?",
            ],
        ),
        (["--seed", "many"], ["--seed: ", "'many' is none"]),
        (["--since", "mondy"], ["--since: 'mondy' is no day", "Did you mean monday?"]),
        (["--sort", "size"], ["'size' is no order", "date, rating, seed or prompt"]),
    ],
)
def test_what_is_wrong_is_said_at_its_place(
    images: list[Image], flags: list[str], lines: list[str]
) -> None:
    done = invoke(["history", *flags])
    assert done.exit_code == 2
    for line in lines:
        assert line in done.stderr


def test_an_image_is_shown_by_its_seed_and_a_seed_as_an_id_gets_a_hint(
    images: list[Image],
) -> None:
    assert images[1].id in invoke(["show", "seed:101"]).stdout
    done = invoke(["show", "3583975243"])
    assert "seed" not in done.stderr
    with Database.open(find_data_directory()) as db:
        make_images(db, [make_request("new", seed=3583975243), make_request("two", seed=101)])
    done = invoke(["show", "3583975243"])
    assert done.exit_code == 2
    assert "There is an image with that seed: seed:3583975243." in done.stderr
    assert "2 images have the seed 101" in invoke(["show", "seed:101"]).stderr


def test_help_tells_the_whole_language(images: list[Image]) -> None:
    text = invoke(["history", "--help"]).stdout
    for part in ("weight:clouds<0", "since:monday", "from:5ae3", "means not"):
        assert part in text


def test_doctor_makes_a_stale_index_anew(images: list[Image]) -> None:
    execute(find_data_directory(), "DELETE FROM image_search WHERE number = 1")
    assert "'safelight doctor --repair' makes it anew" in invoke(["doctor"]).stderr
    assert "was made anew" in invoke(["doctor", "--repair"]).stderr
    assert "needs no repair" in invoke(["doctor", "--repair"]).stderr
    assert "lighthouse" in invoke(["history", "--search", "lighthouse"]).stdout
