from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from store import history, integrity, leftovers, queue, trash
from store.annotations import apply_mark
from store.charges import add_charge
from store.database import Database
from store.errors import NotFound, StoreError
from store.inputs import read_input, store_input
from store.records import Comparison, Emptying, Image, Mark, Purpose, Relation, Verdict
from store.trash import empty_trash, plan_emptying, remove_noted_files
from tests.factories import make_request, make_result
from tests.repeats import mark
from tests.store.helpers import execute

TABLES = ("image", "stage", "thumbnail", "annotation", "tag", "verification", "job", "request")


def make(
    db: Database, text: str, color: str = "", parent: Image | None = None, **changes: Any
) -> Image:
    """An image of its own colour; with `parent` one that was edited from it."""
    request = make_request(text, **changes)
    queue.enqueue(
        db,
        [request],
        parent_id=parent.id if parent else None,
        relation=Relation.EDIT if parent else None,
    )
    token = queue.recover(db, paid_engines=())
    job = queue.claim(db, token)
    assert job is not None
    tint = f"#{abs(hash(color or text)) % 0xFFFFFF:06x}"
    return queue.finish(db, job, token, make_result(tint, seed=request.parameters.seed))


def regenerate(db: Database, image: Image, purpose: Purpose = Purpose.REGENERATE) -> Image | None:
    """The image made again and compared, as a worker does."""
    queue.enqueue_comparison(db, image.id, purpose)
    token = queue.recover(db, paid_engines=())
    job = queue.claim(db, token)
    assert job is not None
    comparison = Comparison(verdict=Verdict.IDENTICAL, pixels_sha256_now=image.pixels_sha256)
    data = history.read_image(db, image)
    result = make_result(seed=image.seed, data=data, pixels_sha256=image.pixels_sha256)
    done = queue.finish_comparison(db, job, token, comparison, result=result)
    return history.get_image(db, done.regenerated_id) if done.regenerated_id else None


def throw(db: Database, *images: Image) -> None:
    apply_mark(db, [image.number for image in images], Mark(is_trashed=True))


def count_rows(db: Database) -> dict[str, int]:
    return {table: execute(db.directory, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def list_files(db: Database) -> set[Path]:
    return set((db.directory / "images").rglob("*.png"))


def empty(db: Database) -> Emptying:
    """Empties, after what was said before; nothing is damaged afterwards."""
    plan = plan_emptying(db)
    done = empty_trash(db)
    assert done == plan
    assert integrity.check_database(db) == []
    return done


def test_an_emptied_image_leaves_nothing_behind(db: Database) -> None:
    kept = make(db, "kept")
    before = count_rows(db)
    files = list_files(db)
    image = make(db, "gone")
    apply_mark(db, [image.number], Mark(rating=3, add=("sea",), note="mine"))
    regenerate(db, image, Purpose.VERIFY)
    throw(db, image)
    size = image.path.stat().st_size
    assert empty(db) == Emptying(images=1, files=1, file_bytes=size)
    assert count_rows(db) == before
    assert list_files(db) == files
    assert not history.get_image(db, kept.id).is_trashed
    with pytest.raises(NotFound):
        history.get_image(db, image.id)
    assert empty_trash(db) == Emptying()


def test_a_file_that_something_else_uses_stays(db: Database) -> None:
    one, two, three = make(db, "one", "navy"), make(db, "two", "navy"), make(db, "three")
    store_input(db, history.read_image(db, three))
    throw(db, one, three)
    assert empty(db) == Emptying(images=2)
    assert history.read_image(db, two)
    throw(db, two)
    assert empty(db).files == 1


def test_two_images_of_one_file_free_it_once(db: Database) -> None:
    one, two = make(db, "one", "navy"), make(db, "two", "navy")
    throw(db, one, two)
    assert empty(db) == Emptying(images=2, files=1, file_bytes=one.file_bytes)
    assert list_files(db) == set()


def test_an_image_that_others_were_made_from_stays_as_a_record(db: Database) -> None:
    first = make(db, "first")
    second = make(db, "second", parent=first)
    third = make(db, "third", parent=second)
    apply_mark(db, [first.number], Mark(rating=5, note="mine", add=("sea",)))
    throw(db, first, second)
    done = empty(db)
    assert (done.images, done.records, done.files) == (0, 2, 2)
    record = history.check_image(db, first.id)
    assert record.is_emptied
    assert not record.is_trashed
    assert (record.rating, record.note, record.tags, record.changes) == (None, None, (), ())
    assert record.stages
    assert history.get_thumbnails(db, [first.number]) == {}
    assert [image.id for image in history.list_images(db)] == [third.id]
    with pytest.raises(StoreError, match="only its record"):
        history.read_image(db, record)
    assert integrity.check_record(db, record) == []
    assert history.list_images(db, search="is:trashed") == []
    assert history.count_images(db) == 1
    assert apply_mark(db, [first.number], Mark(is_trashed=False)).found == 0
    # The record goes with the last image that needs it.
    throw(db, third)
    assert empty(db).images == 3
    assert count_rows(db)["image"] == 0


def test_families_that_were_verified_go_together(db: Database) -> None:
    first = make(db, "first")
    again = regenerate(db, first)
    assert again is not None
    twice = regenerate(db, again)
    assert twice is not None
    throw(db, first, again, twice)
    done = empty(db)
    assert (done.images, done.records) == (3, 0)
    assert count_rows(db) == dict.fromkeys(TABLES, 0)


def test_what_a_kept_verification_speaks_of_stays_as_a_record(db: Database) -> None:
    first = make(db, "first")
    again = regenerate(db, first)
    assert again is not None
    throw(db, again)
    assert empty(db) == Emptying(records=1)
    verifications = history.list_verifications(db, first.id)
    assert [row.regenerated_id for row in verifications] == [again.id]
    throw(db, first)
    assert empty(db).images == 2


def test_the_newest_verification_may_go_and_a_lost_one_is_still_found(db: Database) -> None:
    first, second = make(db, "first"), make(db, "second")
    regenerate(db, first, Purpose.VERIFY)
    regenerate(db, second, Purpose.VERIFY)
    throw(db, second)
    empty(db)
    regenerate(db, first, Purpose.VERIFY)
    assert integrity.check_database(db) == []
    execute(db.directory, "DELETE FROM verification WHERE number = 3")
    assert "verification 3" in integrity.check_database(db)[0]


def test_images_that_jobs_are_about_stay_in_the_trash(db: Database) -> None:
    image = make(db, "wanted")
    job = queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
    throw(db, image)
    assert empty(db) == Emptying(held=1)
    assert history.read_image(db, image)
    queue.request_cancel(db, job.id)
    assert empty(db).images == 1


def test_what_was_paid_is_still_counted(db: Database) -> None:
    image = make(db, "paid")
    add_charge(db, image.job_id, 1.5)
    throw(db, image)
    empty(db)
    assert execute(db.directory, "SELECT credits FROM charge") == [(1.5,)]
    job = queue.get_job(db, image.job_id)
    assert (job.image_id, job.is_damaged) == (None, False)


def test_a_changed_record_is_still_told_after_emptying(db: Database) -> None:
    first = make(db, "first")
    make(db, "second", parent=first)
    execute(db.directory, "UPDATE image SET width = 64 WHERE id = ?", first.id)
    throw(db, first)
    empty_trash(db)
    assert "width" in history.check_image(db, first.id).changes


def test_put_back_in_time_nothing_is_removed(db: Database) -> None:
    image = make(db, "mine")
    throw(db, image)
    apply_mark(db, [image.number], Mark(is_trashed=False))
    assert empty(db) == Emptying()
    assert history.read_image(db, image)


class Killed(BaseException):
    """Ends what runs, as a power cut does."""


@pytest.mark.parametrize("place", ["_unlink", "_delete", "_strip", "_delete_request", "sync"])
@pytest.mark.parametrize("call", [mark(1), 3])
@pytest.mark.samples(2)
def test_wherever_it_ends_all_is_whole_and_the_next_one_goes_on(
    db: Database, monkeypatch: pytest.MonkeyPatch, place: str, call: int
) -> None:
    monkeypatch.setattr("store.trash.CHUNK", 2)
    monkeypatch.setattr("store.trash._FILES", 1)
    images = [make(db, f"picture {number}") for number in range(6)]
    parents = [make(db, f"parent {number}") for number in range(3)]
    kept = [make(db, f"child {parent.number}", parent=parent) for parent in parents]
    throw(db, *images, *parents)
    calls = 0

    def kill(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            nonlocal calls
            done = method(*arguments)
            calls += 1
            if calls == call:
                raise Killed
            return done

        return run

    with monkeypatch.context() as patch:
        holders: tuple[Any, ...] = (leftovers, trash._Emptier)
        holder = next(each for each in holders if hasattr(each, place))
        patch.setattr(holder, place, kill(getattr(holder, place)))
        with pytest.raises(Killed):
            empty_trash(db)
    for finding in integrity.check_database(db):
        assert "left over" in finding
    for image in kept:
        assert history.read_image(db, image)
    empty_trash(db)
    assert integrity.check_database(db) == []
    assert {image.path for image in kept} == list_files(db)
    assert count_rows(db)["image"] == 6


def test_left_over_files_are_told_until_they_are_removed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make(db, "gone")
    throw(db, image)
    with monkeypatch.context() as patch:
        patch.setattr("store.trash.remove_noted_files", lambda _: (0, 0))
        empty_trash(db)
    assert integrity.check_database(db) == [
        "1 file of removed images may be left over; safelight trash --empty removes them."
    ]
    assert empty_trash(db).files == 1


@pytest.mark.parametrize("what", ["image", "input"])
def test_a_file_that_is_stored_again_meanwhile_is_kept(
    db: Database, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    image = make(db, "one", "navy")
    data = history.read_image(db, image)
    throw(db, image)
    put = db.vault.put

    def put_and_empty(data: bytes, suffix: str) -> str:
        # Between the file and the row that names it.
        monkeypatch.setattr(db.vault, "put", put)
        sha256 = put(data, suffix)
        empty_trash(db)
        return sha256

    monkeypatch.setattr(db.vault, "put", put_and_empty)
    if what == "image":
        assert history.read_image(db, make(db, "two", "navy")) == data
    else:
        assert read_input(db, store_input(db, data).sha256) == data
    assert remove_noted_files(db) == (0, 0)
    assert integrity.check_database(db) == []


def test_a_job_whose_image_is_gone_says_so(db: Database) -> None:
    image = make(db, "gone")
    edited, compared = _cancel(db, image)
    throw(db, image)
    empty(db)
    assert queue.retry(db, edited).parent_id is None
    with pytest.raises(NotFound):
        queue.get_job(db, compared)


def _cancel(db: Database, image: Image) -> Sequence[str]:
    """Two cancelled jobs about it: a child, and a comparison."""
    (edited,) = queue.enqueue(db, [make_request("child")], parent_id=image.id)
    compared = queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
    for job in (edited, compared):
        queue.request_cancel(db, job.id)
    return edited.id, compared.id


def test_it_can_be_ended_between_two_parts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.trash.CHUNK", 2)
    throw(db, *(make(db, f"picture {number}") for number in range(5)))
    assert empty_trash(db, lambda done: done < 4).images == 4
    assert integrity.check_database(db) == []
    assert empty(db).images == 1


def test_who_needs_a_file_is_found_by_index(db: Database) -> None:
    of_file = leftovers.OF_FILE.replace(":sha256", f"'{'a' * 64}'")
    statement = f"EXPLAIN QUERY PLAN SELECT count(*) FROM image WHERE {of_file}"
    [plan] = execute(db.vault.directory, statement)
    assert "USING INDEX ix_image_file_sha256" in plan[-1]
