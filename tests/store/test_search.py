"""The search language: what terms mean, what is wrong is told at its place, any text is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import history, integrity, search_index
from store.database import Database
from store.errors import RequestError
from store.migrations import MIGRATIONS
from store.records import Comparison, Image, Verdict
from store.request import Prompt, PromptStack
from store.search import (
    KEYS,
    LONGEST,
    MOST_TERMS,
    Clue,
    Name,
    Search,
    SearchError,
    Sort,
    SortKey,
    Span,
    Words,
    fold,
    parse_moment,
    parse_search,
    parse_sort,
    quote_text,
)
from store.selection import Selection
from store.sqlite import unwrap
from tests.factories import make_request
from tests.store.helpers import execute, make_images
from tests.store.strategies import TEXTS

NOW = datetime(2026, 11, 26, 15, 30, 20)
"""A Thursday."""


def read(text: str) -> list[Any]:
    return [term.condition for term in parse_search(text, NOW).terms]


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("Lighthouse", Words("lighthouse")),
        ("CAFÉ", Words("cafe")),
        ('"a  b"', Words("a  b")),
        ('"a \\"b\\" \\\\ \\n"', Words('a "b" \\ \\n')),
        ("hous*", Words("hous")),
        ("16:9", Words("16:9")),
        ("forest::-0.5", Words("forest::-0.5")),
        ("steps:30", Span("steps", 30, 30)),
        ("steps:>30", Span("steps", low=30, is_above=True)),
        ("steps:>=30", Span("steps", low=30)),
        ("steps:<30", Span("steps", high=30, is_below=True)),
        ("cfg:5..8", Span("cfg", 5, 8)),
        ("cfg:5.5..", Span("cfg", low=5.5)),
        ("cfg_scale:..8", Span("cfg", high=8)),
        ("CFG:7.", Span("cfg", 7, 7)),
        ("rating:≥3", Span("rating", low=3)),
        ("1229080980", Clue("1229080980", 1229080980, "1229080980")),
        ("24", Clue("24", 24, None)),
        ("99999999999", Clue("99999999999", None, "99999999999")),
        ("0", Words("0")),
        ("5ae3", Clue("5ae3", None, "5ae3")),
        ("5AE3", Clue("5ae3", None, "5ae3")),
        ("faded", Words("faded")),
        ("deadbeef", Clue("deadbeef", None, "deadbeef")),
        ("engine:stab", Name("engine", "stab")),
        ('session:"my towns"', Name("session", "my towns", is_exact=True)),
    ],
)
def test_a_term_means_one_condition(text: str, condition: object) -> None:
    assert read(text) == [condition]
    [term] = parse_search(f"  -{text} ").terms
    assert (term.condition, term.is_excluded) == (condition, True)
    assert (term.start, term.end) == (2, 3 + len(text))


def test_terms_are_joined_and_what_says_nothing_is_left_out() -> None:
    assert len(read('night "red dog" -blurry seed:7 "" ')) == 4
    assert read("-") == [Words("-")]
    assert read("--sampler") == [Words("-sampler")]
    assert parse_search("   ") == Search(text="   ")
    assert parse_search("night sort:-seed").sort == Sort(SortKey.SEED, True)
    assert parse_search("is:trashed").wants_trashed
    assert not parse_search("-is:trashed").wants_trashed
    assert read("is:favorite") == read("is:favourite")


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("night smapler:k_euler sea", "smapler:", "no key 'smapler:'", "sampler:?"),
        ("steps:many", "many", "takes a whole number", ">=N"),
        ("steps:7.5", "7.5", "takes a whole number", ">=N"),
        ("cfg:8..5", "8..5", "Nothing is from 8 to 5", "lower number first"),
        ("seed:", "seed:", "needs a value", "seed:1229080980"),
        ("size:128", "128", "no size", "WIDTHxHEIGHT"),
        ("since:mondy x", "mondy", "no day and no time", "monday?"),
        ("before:2026-13-01", "2026-13-01", "no day and no time", "2026-11-20"),
        ("verdict:diferent", "diferent", "does not know", "different?"),
        ("is:nice", "nice", "does not know", "favourite"),
        ("id:xyz", "xyz", "does not begin an id", "0-9 and a-f"),
        ("from:@0", "@0", "does not begin an id", "@1"),
        ("weight:clouds", "clouds", "needs a word and a weight", "weight:clouds<0"),
        ("weight:clouds<low", "<low", "takes a number", ">N"),
        ("sort:size", "size", "no order", "seed"),
        ("-sort:seed", "-sort:seed", "behind the colon", "sort:-seed"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, place: str, message: str, hint: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse_search(text, NOW)
    error = caught.value
    assert error.text_at == place
    assert message in error.message
    assert hint in error.hint


def test_a_search_is_bounded() -> None:
    parse_search("a " * MOST_TERMS)
    for text in ("x" * (LONGEST + 1), "a " * (MOST_TERMS + 1)):
        with pytest.raises(SearchError):
            parse_search(text)


def test_every_key_has_an_example_that_can_be_searched_for(db: Database) -> None:
    for key in KEYS.values():
        assert key.example.startswith(f"{key.name}:")
        for example in (key.example, *(f"{key.name}:{word}" for word in key.words)):
            assert history.list_images(db, search=example) == []
            if key.name != "sort":
                assert history.list_images(db, search=f"-{example}") == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today", "2026-11-26 00:00"),
        ("yesterday", "2026-11-25 00:00"),
        ("thursday", "2026-11-26 00:00"),
        ("Monday", "2026-11-23 00:00"),
        ("fri", "2026-11-20 00:00"),
        ("week", "2026-11-23 00:00"),
        ("month", "2026-11-01 00:00"),
        ("year", "2026-01-01 00:00"),
        ("november", "2026-11-01 00:00"),
        ("dec", "2025-12-01 00:00"),
        ("14:05", "2026-11-26 14:05"),
        ("2026-11-20", "2026-11-20 00:00"),
        ("2026-11", "2026-11-01 00:00"),
        ("2025", "2025-01-01 00:00"),
        ("2026-11-20t07:45", "2026-11-20 07:45"),
    ],
)
def test_days_and_times_in_words_and_numbers(text: str, moment: str) -> None:
    assert parse_moment(text, NOW) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("3d", "2026-11-23 15:30:20"),
        ("2w", "2026-11-12 15:30:20"),
        ("90min", "2026-11-26 14:00:20"),
        ("1d12h", "2026-11-25 03:30:20"),
        ("9mo", "2026-02-26 15:30:20"),
        ("1y", "2025-11-26 15:30:20"),
    ],
)
def test_an_age_is_counted_to_the_second(text: str, moment: str) -> None:
    assert parse_moment(text, NOW) == datetime.fromisoformat(moment)


def test_a_month_back_from_its_last_day_ends_on_a_last_day() -> None:
    assert parse_moment("1mo", datetime(2026, 3, 31)) == datetime(2026, 2, 28)
    with pytest.raises(ValueError, match="year"):
        parse_moment("3000y", NOW)
    with pytest.raises(SearchError):
        parse_search("since:99999y", NOW)


def test_an_order_that_is_none_is_told() -> None:
    assert str(parse_sort("-Rating")) == "-rating"
    with pytest.raises(RequestError, match="no order"):
        parse_sort("size")


@given(st.text())
def test_folding_twice_changes_nothing_and_ascii_is_as_sqlite_has_it(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    plain = text.encode("ascii", "ignore").decode()
    assert fold(plain) == plain.lower()


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.data())
@pytest.mark.exhaustive
def test_any_text_that_is_quoted_finds_itself(db: Database, texts: list[str], data: Any) -> None:
    stack = PromptStack(prompts=tuple(Prompt(text=text) for text in texts))
    [image] = make_images(db, [msgspec.structs.replace(make_request(), stack=stack)])
    text = data.draw(st.sampled_from(texts))
    begin = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(begin + 1, len(text)))
    for searched in (text, text.upper().lower()):
        found = history.list_image_numbers(db, search=quote_text(searched))
        if fold(searched) in fold(text):
            assert image.number in found
    part = quote_text(text[begin:end])
    if fold(text[begin:end]) in fold(text):
        assert image.number in history.list_image_numbers(db, search=part)
        assert image.number not in history.list_image_numbers(db, search=f"-{part}") or not fold(
            text[begin:end]
        )


# What terms find


class Gallery(NamedTuple):
    """Five images that differ in everything that can be searched for, by a name."""

    db: Database
    images: dict[str, Image]

    def name(self, numbers: Iterable[int]) -> list[str]:
        known = {image.number: name for name, image in self.images.items()}
        return [known[number] for number in numbers]


def make_gallery(db: Database) -> Gallery:
    made = {
        "lighthouse": make_request(
            "a lighthouse", "clouds::-1", seed=101, steps=20, cfg_scale=5.0, sampler="k_euler"
        ),
        "clouds": make_request("clouds over a house", seed=102, steps=30, cfg_scale=7.5),
        "hosted": msgspec.structs.replace(
            make_request("Ärger in Łódź", seed=103, style_preset="anime"),
            engine="stability",
            model="stable-diffusion-xl-1024-v1-0",
        ),
        "cat": make_request("黒猫 on a roof", seed=104),
        "dog": make_request("a red dog", seed=105),
    }
    images = {}
    for name, request in made.items():
        [images[name]] = make_images(db, [request], session=f"of {name}")

    def run(statement: str, name: str, *values: object) -> None:
        execute(db.directory, statement, *values, images[name].number)

    note = "INSERT INTO annotation (is_favourite, rating, note, trashed_at, image_number)"
    run(f"{note} VALUES (1, 4, NULL, NULL, ?)", "cat")
    run(f"{note} VALUES (0, 2, 'my best', NULL, ?)", "clouds")
    run(f"{note} VALUES (0, NULL, NULL, 1.0, ?)", "dog")
    run("INSERT INTO tag VALUES ('night', ?)", "cat")
    run("UPDATE image SET created_at = 1000000000 WHERE number = ?", "lighthouse")
    run("UPDATE image SET width = 96, height = 64 WHERE number = ?", "lighthouse")
    run("UPDATE image SET parent_id = ? WHERE number = ?", "cat", images["clouds"].id)
    for verdict in (Verdict.DIFFERENT, Verdict.IDENTICAL):
        history.add_verification(db, images["cat"].id, Comparison(verdict=verdict))
    history.add_verification(db, images["hosted"].id, Comparison(verdict=Verdict.CANNOT_RUN))
    return Gallery(db, images)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """For tests that change nothing in it."""
    with Database.open(tmp_path_factory.mktemp("gallery") / "data") as db:
        yield make_gallery(db)


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("house", "lighthouse clouds"),
        ("HOUSE -light", "clouds"),
        ("arger lodz", "hosted"),
        ("ŁÓDŹ", "hosted"),
        ("猫", "cat"),
        ("黒猫", "cat"),
        ("zq", ""),
        ("seed:102", "clouds"),
        ("seed:102..103", "clouds hosted"),
        ("102", "clouds"),
        ("engine:stab", "hosted"),
        ("-engine:stability", "lighthouse clouds cat"),
        ('engine:"stab"', ""),
        ("model:sdxl", ""),
        ("model:diffusion-XL", "hosted"),
        ("sampler:euler", "lighthouse"),
        ("style:anime", "hosted"),
        ("-style:anime", "lighthouse clouds cat"),
        ("steps:20", "lighthouse"),
        ("steps:<30", "lighthouse"),
        ("cfg:>7", "clouds hosted cat"),
        ("cfg:7.1..7.9", "clouds"),
        ("size:96x64 steps:20", "lighthouse"),
        ("size:64x96", ""),
        ("width:>128", ""),
        ("height:64 house", "lighthouse"),
        ("session:clouds", "clouds"),
        ('session:"of cat"', "cat"),
        ("tag:nig", "cat"),
        ("rating:>=3", "cat"),
        ("rating:<4", "clouds"),
        ("-rating:>=3", "lighthouse clouds hosted"),
        ("has:rating", "clouds cat"),
        ("has:note", "clouds"),
        ("has:tag", "cat"),
        ("is:favourite", "cat"),
        ("is:trashed", "dog"),
        ("-is:trashed dog", ""),
        ("is:trashed seed:105", "dog"),
        ("is:thinned", ""),
        ("verdict:identical", "cat"),
        ("verdict:different", ""),
        ("verdict:cannot-run", "hosted"),
        ("verdict:never", "lighthouse clouds"),
        ("-verdict:identical", "lighthouse clouds hosted"),
        ("weight:clouds<0", "lighthouse"),
        ("weight:clouds>0", "clouds"),
        ("weight:CLOUDS=-1", "lighthouse"),
        ('weight:"clouds over">=1', "clouds"),
        ("-weight:clouds<0", "clouds hosted cat"),
        ("weight:łódź>0", "hosted"),
        ("before:2001-09-10", "lighthouse"),
        ("since:2001-09-10", "clouds hosted cat"),
        ("since:2001 before:2002", "lighthouse"),
        ("house -since:2010", "lighthouse"),
    ],
)
def test_a_search_finds_what_it_says(gallery: Gallery, search: str, names: str) -> None:
    db = gallery.db
    found = history.list_images(db, search=search)
    numbers = [image.number for image in found]
    assert gallery.name(numbers)[::-1] == names.split()
    assert list(history.list_image_numbers(db, search=search)) == numbers
    for key in SortKey:
        for is_reversed in (False, True):
            sort = Sort(key, is_reversed)
            assert sorted(history.list_image_numbers(db, search=search, sort=sort)) == (
                sorted(numbers)
            )
    asked = [image.number for image in gallery.images.values()]
    assert history.load_images(db, asked, search=search) == found[::-1]


def test_ids_and_parents_are_found(gallery: Gallery) -> None:
    db, clouds, cat = gallery.db, gallery.images["clouds"], gallery.images["cat"]
    for search in (f"id:{clouds.id[:6]}", f"id:{clouds.id.upper()}", clouds.id):
        assert [image.id for image in history.list_images(db, search=search)] == [clouds.id]
    for search in (f"from:{clouds.id[:8]}", "from:@3"):
        assert [image.id for image in history.list_images(db, search=search)] == [cat.id]
    assert history.list_images(db, search=f"from:{cat.id}") == []


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("date", "cat hosted clouds lighthouse"),
        ("-date", "lighthouse clouds hosted cat"),
        ("rating", "cat clouds hosted lighthouse"),
        ("-rating", "lighthouse hosted clouds cat"),
        ("seed", "lighthouse clouds hosted cat"),
        ("-seed", "cat hosted clouds lighthouse"),
        ("prompt", "lighthouse hosted clouds cat"),
        ("-prompt", "cat clouds hosted lighthouse"),
    ],
)
def test_a_list_is_sorted_in_pages_from_both_ends(gallery: Gallery, sort: str, names: str) -> None:
    db = gallery.db
    expected = [gallery.images[name].number for name in names.split()]
    order = parse_sort(sort)
    for size in (1, 2, 3, 10):
        chunks = history.iterate_numbers(db, sort=order, limit=size)
        assert [number for chunk in chunks for number in chunk] == expected
    assert [image.number for image in history.list_images(db, sort=order)] == expected
    rest = history.list_images(db, sort=order, before=expected[1])
    assert [image.number for image in rest] == expected[2:]
    last = history.read_numbers(db, sort=order, limit=3, from_end=True)
    assert list(last.numbers) == expected[:0:-1]
    assert list(history.list_image_numbers(db, search=f"sort:{sort}")) == expected


def test_walking_and_the_index_find_the_same(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = ("house", "house -light", "seed:102", "engine:builtin", "is:trashed", "clouds 102")
    with gallery.db.read() as session:
        connection = unwrap(session)
        by_index = [Selection(connection, parse_search(text)).read() for text in searches]
        monkeypatch.setattr("store.selection._FEW", 0)
        monkeypatch.setattr("store.selection._FEW_TEXTS", 0)
        assert [Selection(connection, parse_search(text)).read() for text in searches] == by_index


# The index follows the rows


def test_the_index_follows_what_others_write(db: Database) -> None:
    make_gallery(db)

    def count(search: str) -> int:
        return len(history.list_images(db, search=search))

    execute(db.directory, "UPDATE annotation SET rating = NULL, trashed_at = 5")
    assert (count("rating:>0"), count("is:trashed")) == (0, 3)
    execute(db.directory, "DELETE FROM annotation")
    assert (count(""), count("is:trashed")) == (5, 0)
    execute(db.directory, "DELETE FROM verification WHERE verdict = 'identical'")
    assert (count("verdict:identical"), count("verdict:different")) == (0, 1)
    execute(db.directory, "UPDATE request SET sampler = 'k_heun' WHERE seed = 101")
    assert count("sampler:heun") == 1
    execute(db.directory, "UPDATE image SET prompt_text = 'a Barn', seed = 9 WHERE seed = 102")
    assert (count("barn seed:9"), count("over")) == (1, 0)


def test_a_stale_index_is_found_and_made_anew(db: Database) -> None:
    make_images(db, [make_request("Ärger", seed=seed) for seed in (101, 102, 103)])
    assert integrity.repair_index(db) == []
    for damage in (
        "DROP TRIGGER image_search_verified",
        "DROP INDEX ix_image_search_seed",
        "UPDATE image_search SET seed = 1",
        "DELETE FROM image_search WHERE seed = 101",
        "DELETE FROM image_text WHERE rowid = 2",
        "DROP TABLE image_text",
    ):
        execute(db.directory, damage)
        assert any("search index" in finding for finding in integrity.check_database(db)), damage
        assert integrity.repair_index(db)
        assert integrity.check_database(db) == []
    assert len(history.list_images(db, search="arger")) == 3


def test_an_older_sqlite_is_refused_in_words(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.31.1")
    with pytest.raises(Exception, match=r"3\.31\.1, older than 3\.34"):
        Database.open(tmp_path / "data")


def test_the_index_is_what_the_last_change_left(db: Database) -> None:
    assert MIGRATIONS[7].keeps_rows
    with db.raw() as connection:
        assert search_index.list_faults(connection) == []
