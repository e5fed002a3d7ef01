from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import history, integrity, queue
from store.database import Database
from store.errors import NotFound
from store.records import Comparison, Image, Verdict
from store.search import SearchError, parse_search, quote_text
from tests.factories import make_request
from tests.store.helpers import execute, make_images


def texts(images: list[Image]) -> list[str]:
    return [image.request.stack.prompts[0].text for image in images]


def test_pages_follow_each_other_without_gaps(db: Database) -> None:
    made = make_images(db, [make_request(f"picture {number}") for number in range(7)])
    pages: list[Image] = []
    before: int | None = None
    while page := history.list_images(db, before=before, limit=3):
        pages += page
        before = page[-1].number
        # What is made meanwhile must not shift the pages that follow.
        make_images(db, [make_request("later")])
    assert [image.id for image in pages] == [image.id for image in made[::-1]]
    assert len(history.list_images(db, limit=4)) == 4


def test_the_numbers_of_all_images_are_those_that_the_pages_show(db: Database) -> None:
    make_images(db, [make_request(text) for text in ("red dog", "blue cat", "red 猫", "fish")])
    for search in (None, "", "red", "re do", "猫", "nothing"):
        images = history.list_images(db, search=search)
        assert list(history.list_image_numbers(db, search=search)) == [
            image.number for image in images
        ]
    assert len(history.list_image_numbers(db)) == 4
    assert len(history.list_image_numbers(db, search="red")) == 2


def test_the_images_beside_one(db: Database) -> None:
    first, second, third = make_images(db, [make_request(f"picture {n}") for n in range(3)])
    assert history.find_neighbour(db, second.number, is_newer=True) == third
    assert history.find_neighbour(db, second.number, is_newer=False) == first
    assert history.find_neighbour(db, third.number, is_newer=True) is None
    assert history.find_neighbour(db, first.number, is_newer=False) is None


def test_order_does_not_follow_the_clock(db: Database) -> None:
    first, second = make_images(db, [make_request("first"), make_request("second")])
    execute(db.directory, "UPDATE image SET created_at = 9e9 WHERE id = ?", first.id)
    assert [image.id for image in history.list_images(db)] == [second.id, first.id]


@pytest.fixture
def gallery(db: Database) -> Database:
    make_images(
        db,
        [
            make_request("a red dog", "clouds"),
            make_request("The café at night, 24mm"),
            make_request("black 黒猫 on a roof"),
            make_request("well-known don't_worry 🐱 C++ 100%"),
        ],
        session="evening",
    )
    make_images(db, [make_request("reddish sky")], session="morning")
    return db


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("dog", ["a red dog"]),
        ("RED", ["reddish sky", "a red dog"]),
        ("re", ["reddish sky", "a red dog"]),
        ("red clo", ["a red dog"]),
        ("dog red", ["a red dog"]),
        ("og", ["a red dog"]),
        ("eddis", ["reddish sky"]),
        ("cafe", ["The café at night, 24mm"]),
        ("24", ["The café at night, 24mm"]),
        ("猫", ["black 黒猫 on a roof"]),
        ("🐱", ["well-known don't_worry 🐱 C++ 100%"]),
        ("C++", ["well"]),
        ("c", ["well", "black", "The café", "a red dog"]),
        ("%", ["well-known don't_worry 🐱 C++ 100%"]),
        ("don't", ["well-known don't_worry 🐱 C++ 100%"]),
        ("well-known", ["well-known don't_worry 🐱 C++ 100%"]),
        ("roof 🐱", []),
        ('"prompt_text:dog"', []),
        ('"\\""', []),
        ('"', ["reddish sky", "well", "black", "The", "a red"]),
        ('"red dog', ["a red dog"]),
        ('"dog red"', []),
        ("-red", ["well", "black", "The"]),
        ("-roof -dog -sky -C++", ["The café at night, 24mm"]),
        ("dog OR sky", []),
        ("NOT", []),
        ("dog*", ["a red dog"]),
        ("(dog", []),
        ("dog\x00", []),
        ("\ud800", []),
    ],
)
@pytest.mark.samples(8)
def test_search_takes_words_wherever_they_stand(
    gallery: Database, search: str, expected: list[str]
) -> None:
    found = texts(history.list_images(gallery, search=search))
    assert len(found) == len(expected)
    assert all(text.startswith(begin) for text, begin in zip(found, expected, strict=True))


def test_search_and_session_and_page_narrow_together(gallery: Database) -> None:
    assert len(history.list_images(gallery, search="  ")) == 5
    assert texts(history.list_images(gallery, session="morning")) == ["reddish sky"]
    assert texts(history.list_images(gallery, search="red", session="evening")) == ["a red dog"]
    newest = history.list_images(gallery, search="red", limit=1)
    assert texts(newest) == ["reddish sky"]
    older = history.list_images(gallery, search="red", before=newest[0].number)
    assert texts(older) == ["a red dog"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=30) | st.text(alphabet="\"'*()-+^:{}ANDORNT \x00\ud800é猫", max_size=20))
def test_any_text_is_searched_or_what_is_wrong_is_told(gallery: Database, search: str) -> None:
    found: SearchError | None = None
    try:
        parse_search(search)
    except SearchError as error:
        found = error
        with pytest.raises(SearchError, match=re.escape(error.message)):
            history.list_images(gallery, search=search)
    else:
        numbers = [image.number for image in history.list_images(gallery, search=search)]
        assert list(history.list_image_numbers(gallery, search=search)) == numbers
    assert found is None or 0 <= found.start <= found.end <= len(search)
    assert len(history.list_images(gallery, search=quote_text(search))) <= 5


def test_search_keeps_step_with_what_is_deleted(gallery: Database) -> None:
    with gallery.write() as write:
        run = write.connection().exec_driver_sql
        [number] = run("SELECT max(number) FROM image").one()
        for table in ("stage", "thumbnail"):
            run(f"DELETE FROM {table} WHERE image_number = ?", (number,))
        run("DELETE FROM image WHERE number = ?", (number,))
    assert texts(history.list_images(gallery, search="red")) == ["a red dog"]
    assert integrity.check_database(gallery) == []
    # The number of a deleted image is not given again: order by number stays order in time.
    [image] = make_images(gallery, [make_request("new")])
    assert image.number > number


def test_an_image_is_found_by_the_beginning_of_its_id_or_its_place(db: Database) -> None:
    images = make_images(db, [make_request(f"picture {number}") for number in range(3)])
    for place, image in enumerate(images[::-1], 1):
        assert history.get_image(db, f"@{place}").id == image.id
        assert history.get_image(db, image.id).id == image.id
        assert history.get_image(db, image.id[:20].upper()).id == image.id


def test_an_image_is_found_by_its_seed_the_newest_of_several(db: Database) -> None:
    images = make_images(db, [make_request(str(n), seed=n) for n in (77, 78, 77)])
    assert history.get_image(db, "seed:78").id == images[1].id
    assert history.get_image(db, " SEED:77 ").id == images[2].id
    assert "2 images have the seed 77" in history.explain_reference(db, "seed:77", images[2])
    assert history.explain_reference(db, "seed:78", images[1]) == ""
    execute(
        db.directory,
        "INSERT INTO annotation (image_number, is_favourite, trashed_at) VALUES (?, 0, 1)",
        images[2].number,
    )
    assert history.get_image(db, "seed:77").id == images[0].id
    assert history.get_image(db, "@1").id == images[1].id


@pytest.mark.parametrize("reference", ["seed:5", "seed:x", "seed:", "seed:0", "seed:99999999999"])
def test_a_seed_that_no_image_has_is_told(db: Database, reference: str) -> None:
    make_images(db, [make_request(seed=4)])
    with pytest.raises(NotFound, match="seed"):
        history.get_image(db, reference)
    with pytest.raises(NotFound, match="seed"):
        queue.get_job(db, reference)


def test_a_seed_that_was_given_as_an_id_is_told(db: Database) -> None:
    [image] = make_images(db, [make_request(seed=3583975243)])
    with pytest.raises(NotFound) as caught:
        history.get_image(db, "3583975243")
    assert caught.value.hint == "There is an image with that seed: seed:3583975243."
    execute(db.directory, "UPDATE image SET id = '123456' || substr(id, 7)")
    [other] = make_images(db, [make_request(seed=123456)])
    found = history.get_image(db, "123456")
    assert found.number == image.number
    assert "seed:123456" in history.explain_reference(db, "123456", found)
    assert history.explain_reference(db, "seed:123456", other) == ""


def test_a_job_is_found_by_its_seed_before_and_after_it_has_an_image(db: Database) -> None:
    make_images(db, [make_request(seed=9)])
    assert queue.get_job(db, "seed:9").image_id is not None
    [waiting] = queue.enqueue(db, [make_request(seed=9)])
    assert queue.get_job(db, "seed:9").id == waiting.id
    assert queue.get_job(db, "seed:9").image_id is None


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("@0", "no image @0"),
        ("@4", "fewer"),
        ("@999999999999999999999", "no image"),
        ("@", "not the id of an image"),
        ("@²", "not the id"),
        ("", "not the id"),
        ("xyz", "not the id"),
        ("%", "not the id"),
        ("a" * 33, "not the id"),
        ("abc", "More than one image"),
        ("abcd", "no image whose id begins with abcd"),
    ],
)
@pytest.mark.samples(4)
def test_what_names_no_image_or_several_is_an_error_that_says_so(
    db: Database, reference: str, message: str
) -> None:
    images = make_images(db, [make_request(f"picture {number}") for number in range(3)])
    for image, begin in zip(images, ("abc0", "abc1", "f000"), strict=True):
        execute(
            db.directory,
            "UPDATE image SET id = ? || substr(id, 5) WHERE id = ?",
            begin,
            image.id,
        )
    assert history.get_image(db, "abc1").number == images[1].number
    assert history.get_image(db, "f").number == images[2].number
    with pytest.raises(NotFound, match=message):
        history.get_image(db, reference)


def test_thumbnails_come_for_the_numbers_that_are_asked(db: Database) -> None:
    images = make_images(db, [make_request(f"picture {number}") for number in range(3)])
    wanted = [images[0].number, images[2].number]
    assert sorted(history.get_thumbnails(db, wanted)) == wanted
    assert history.get_thumbnails(db, []) == {}


def test_the_newest_verdict_shows_and_none_is_lost(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    assert history.get_image(db, image.id).verdict is None
    history.add_verification(
        db,
        image.id[:6],
        Comparison(verdict=Verdict.DIFFERENT, first_difference="step 3", psnr_db=31.5),
    )
    history.add_verification(db, image.id, Comparison(verdict=Verdict.IDENTICAL, detail="Equal."))
    verifications = history.list_verifications(db, image.id)
    assert [found.verdict for found in verifications] == [Verdict.IDENTICAL, Verdict.DIFFERENT]
    assert (verifications[1].first_difference, verifications[1].psnr_db) == ("step 3", 31.5)
    assert history.list_images(db)[0].verdict is Verdict.IDENTICAL
    with pytest.raises(NotFound):
        history.list_verifications(db, "abcdef012")
