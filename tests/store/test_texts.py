"""The prompt texts of the past, by pages."""

from __future__ import annotations

from store.database import Database
from store.request import Prompt
from store.texts import list_texts
from tests.factories import make_request
from tests.store.helpers import make_images


def test_each_text_comes_once_those_of_the_newest_image_first(db: Database) -> None:
    off = Prompt(text="two\nlines", enabled=False)
    make_images(
        db,
        [
            make_request("harbour", seed=1),
            make_request("night", "fog::-1", seed=2),
            make_request("night", "fog::-0.5", seed=3),
            make_request("day", off, "harbour", seed=4),
        ],
    )
    page = list_texts(db)
    assert page.texts == ("day", "two\nlines", "harbour", "night", "fog")
    assert (page.images, page.before) == (4, None)


def test_pages_follow_each_other_to_the_end(db: Database) -> None:
    make_images(db, [make_request(f"prompt {seed}", seed=seed) for seed in range(1, 6)])
    first = list_texts(db, images=2)
    assert first.texts == ("prompt 5", "prompt 4")
    second = list_texts(db, first.before, 2)
    assert second.texts == ("prompt 3", "prompt 2")
    third = list_texts(db, second.before, 2)
    assert (third.texts, third.before) == (("prompt 1",), None)
    assert list_texts(db, 1).texts == ()
