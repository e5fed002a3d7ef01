from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from store import history
from store.annotations import apply_mark, list_tags, undo_marks
from store.database import Database
from store.errors import NotFound, RequestError, StoreError
from store.marks import read_tag
from store.records import Image, Mark
from tests.factories import make_request
from tests.store.helpers import execute, make_images


@pytest.fixture
def images(db: Database) -> list[Image]:
    return make_images(db, [make_request(f"picture {number}") for number in range(4)])


def say(image: Image) -> tuple[Any, ...]:
    return image.rating, image.is_favourite, image.tags, image.note, image.is_trashed


def test_what_is_said_of_an_image_is_listed_with_it(db: Database, images: list[Image]) -> None:
    one, two, *_ = images
    mark = Mark(rating=4, is_favourite=True, note=" keep\r\nthis ", add=("Night  Sky", "sea"))
    done = apply_mark(db, [one.number, one.number, 99], mark)
    assert (done.found, done.changed) == (1, 1)
    apply_mark(db, [two.number], Mark(rating=0))
    assert say(history.get_image(db, one.id)) == (
        *(4, True, ("night sky", "sea"), "keep\nthis"),
        False,
    )
    listed = {image.id: image for image in history.list_images(db)}
    assert say(listed[one.id])[2] == ("night sky", "sea")
    assert listed[two.id].rating == 0
    assert say(listed[images[2].id]) == (None, False, (), None, False)
    apply_mark(db, [one.number], Mark(rating=None, note=None, remove=("NIGHT sky",)))
    assert say(history.get_image(db, one.id)) == (None, True, ("sea",), None, False)
    assert apply_mark(db, [one.number], Mark(is_favourite=True)).changed == 0


def test_marks_are_undone_to_what_each_image_had(db: Database, images: list[Image]) -> None:
    numbers = [image.number for image in images]
    apply_mark(db, numbers[:2], Mark(rating=5, add=("sea",), note="mine"))
    before = [say(image) for image in history.list_images(db)]
    mark = Mark(rating=1, is_favourite=True, note="all", add=("sea", "town"), is_trashed=True)
    done = apply_mark(db, numbers, mark)
    assert done.changed == 4
    assert undo_marks(db, done) == 4
    assert [say(image) for image in history.list_images(db)] == before


def test_many_images_are_marked_in_small_transactions(
    db: Database, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.annotations.CHUNK", 2)
    versions = []

    def list_numbers() -> Iterator[int]:
        for image in images:
            versions.append(execute(db.directory, "SELECT count(*) FROM annotation")[0][0])
            yield image.number

    assert apply_mark(db, list_numbers(), Mark(rating=2)).changed == 4
    assert versions == [0, 0, 2, 2]


def test_tags_are_one_whatever_their_case_and_form(db: Database, images: list[Image]) -> None:
    for image, text in zip(images, ("CAFÉ", "cafe\u0301", "Café au  lait", "tee"), strict=True):
        apply_mark(db, [image.number], Mark(add=(text,)))
    assert list_tags(db) == [("café", 2), ("café au lait", 1), ("tee", 1)]
    assert list_tags(db, "CAFE\u0301 ") == [("café au lait", 1)]
    assert list_tags(db, "caf%") == []
    apply_mark(db, [images[3].number], Mark(is_trashed=True))
    assert "tee" not in dict(list_tags(db))


@pytest.mark.parametrize("text", ["", "  ", "a,b", "-sea", "+sea", 'say "a"', "a\x1bb", "x" * 61])
def test_a_text_that_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        read_tag(text)


@pytest.mark.parametrize(
    ("mark", "field"),
    [
        (Mark(rating=6), "rating"),
        (Mark(rating=-1), "rating"),
        (Mark(note="x" * 4001), "note"),
        (Mark(add=("a",), remove=("A",)), "tag"),
        (Mark(add=("a" * 61,)), "tag"),
    ],
)
def test_what_cannot_be_said_changes_nothing(
    db: Database, images: list[Image], mark: Mark, field: str
) -> None:
    whole = msgspec.structs.replace(mark, is_favourite=True)
    with pytest.raises(RequestError) as caught:
        apply_mark(db, [images[0].number], whole)
    assert caught.value.field == field
    assert not history.get_image(db, images[0].id).is_favourite


def test_an_image_has_a_hundred_tags_at_most(db: Database, images: list[Image]) -> None:
    number = images[0].number
    apply_mark(db, [number], Mark(add=tuple(f"tag {place}" for place in range(100))))
    with pytest.raises(StoreError, match="100 tags"):
        apply_mark(db, [number], Mark(add=("one more",)))
    apply_mark(db, [number], Mark(add=("one more",), remove=("tag 1",)))
    assert len(history.get_image(db, images[0].id).tags) == 100


def test_the_trash_hides_an_image_and_gives_it_back(db: Database, images: list[Image]) -> None:
    newest = images[-1]
    apply_mark(db, [newest.number], Mark(is_trashed=True))
    assert [image.id for image in history.list_images(db)] == [image.id for image in images[2::-1]]
    assert newest.number not in history.list_image_numbers(db)
    assert history.get_image(db, "@1").id == images[2].id
    assert history.get_image(db, newest.id).is_trashed
    assert [image.id for image in history.list_images(db, search="is:trashed")] == [newest.id]
    with pytest.raises(NotFound):
        history.get_image(db, "@4")
    apply_mark(db, [newest.number], Mark(is_trashed=False))
    assert history.get_image(db, "@1").id == newest.id


def test_a_damaged_annotation_hides_nothing(db: Database, images: list[Image]) -> None:
    apply_mark(db, [images[0].number], Mark(rating=3))
    execute(db.directory, "UPDATE annotation SET rating = 'x', note = x'ff00'")
    assert history.get_image(db, images[0].id).rating is None
