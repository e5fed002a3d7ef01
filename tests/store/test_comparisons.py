"""Jobs that make a past image again, to compare or to keep."""

from __future__ import annotations

import pytest

from store import history, queue
from store.database import Database
from store.errors import StoreError
from store.records import (
    Comparison,
    Image,
    Job,
    JobState,
    Purpose,
    Verdict,
)
from tests.factories import make_request, make_result
from tests.store.helpers import claim, execute, make_images, start


def compare(db: Database, purpose: Purpose, image: Image, **facts: object) -> Job:
    job = queue.enqueue_comparison(db, image.id[:12], purpose)
    epoch = start(db)
    assert claim(db, epoch).id == job.id
    comparison = Comparison(
        verdict=Verdict.IDENTICAL, pixels_sha256_now=image.pixels_sha256, detail="All equal."
    )
    queue.finish_comparison(db, job, epoch, comparison, result=make_result(seconds=2.0))
    return queue.get_job(db, job.id)


def test_a_regenerated_image_is_a_child_and_the_original_stays(db: Database) -> None:
    [image] = make_images(db, [make_request()], session="evening")
    job = compare(db, Purpose.REGENERATE, image)
    [verification] = history.list_verifications(db, image.id)
    assert job.state is JobState.DONE
    assert job.verification_number == verification.number
    assert job.image_id == verification.regenerated_id
    child = history.get_image(db, "@1")
    assert child.id == verification.regenerated_id
    assert (child.parent_id, child.purpose, child.session) == (image.id, "regenerate", "evening")
    assert child.request == image.request
    original = history.get_image(db, image.id)
    assert original.verdict is Verdict.IDENTICAL
    assert verification.environment_digest == image.environment_digest
    assert (verification.pixels_sha256_then, verification.pixels_sha256_now) == (
        image.pixels_sha256,
        image.pixels_sha256,
    )


def test_a_verification_keeps_no_image(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    job = compare(db, Purpose.VERIFY, image)
    assert job.image_id is None
    assert len(history.list_images(db)) == 1
    [verification] = history.list_verifications(db, image.id)
    assert verification.regenerated_id is None


def test_a_comparison_is_fenced_too(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    job = queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
    epoch = start(db)
    claim(db, epoch)
    start(db)
    with pytest.raises(StoreError, match="no longer"):
        queue.finish_comparison(db, job, epoch, Comparison(verdict=Verdict.IDENTICAL), result=None)
    assert history.list_verifications(db, image.id) == []


def test_a_damaged_record_is_not_made_again(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    execute(db.directory, "UPDATE request SET json = replace(json, '8.0', '9.0')")
    with pytest.raises(StoreError, match="damaged"):
        queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
