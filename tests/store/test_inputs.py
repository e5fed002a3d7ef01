"""Images that requests start from: kept untouched, needed before a job is queued, checked."""

from __future__ import annotations

import pytest

from store import integrity, queue
from store.database import Database
from store.errors import NotFound, RequestError, StoreError
from store.inputs import get_input, read_input, store_input
from store.request import InitialImage, Mask
from tests.factories import make_plain, make_request
from tests.store.helpers import make_images


def draw(color: str, kind: str = "PNG") -> bytes:
    return make_plain(color, (128, 192), kind)


@pytest.mark.parametrize(
    ("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_the_file_is_kept_byte_for_byte(db: Database, kind: str, mime: str) -> None:
    data = draw("red", kind)
    first = store_input(db, data)
    assert store_input(db, data) == first == get_input(db, first.sha256)
    assert (first.mime, first.width, first.height) == (mime, 128, 192)
    assert read_input(db, first.sha256) == data


def test_what_is_no_image_is_refused(db: Database) -> None:
    with pytest.raises(StoreError, match="not a readable"):
        store_input(db, b"GIF89a but not really")


def test_a_job_needs_its_files(db: Database) -> None:
    kept = store_input(db, draw("red")).sha256
    start = InitialImage(sha256=kept, start_schedule=0.6, end_schedule=0.0)
    lost = Mask(sha256="0" * 64, replaces="black", area_init="original")
    with pytest.raises(RequestError, match="not kept here"):
        queue.enqueue(db, [make_request(initial_image=start, mask=lost)])
    assert queue.list_jobs(db) == []
    [job] = queue.enqueue(db, [make_request(initial_image=start)])
    assert job.request.parameters.inputs == (kept,)
    with pytest.raises(NotFound, match="no input image"):
        read_input(db, "0" * 64)


def test_a_lost_or_changed_file_is_named_by_the_record(db: Database) -> None:
    found = store_input(db, draw("red"))
    start = InitialImage(sha256=found.sha256, start_schedule=0.6, end_schedule=0.0)
    [image] = make_images(db, [make_request(initial_image=start)])
    assert integrity.check_record(db, image) == []
    path = db.vault.path(found.sha256, ".png")
    path.write_bytes(draw("blue"))
    [finding] = integrity.check_record(db, image)
    assert finding.startswith("initial_image: The image file")
    assert "was changed" in finding
    path.unlink()
    [finding] = integrity.check_record(db, image)
    assert "is missing" in finding


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(RequestError, match="needs an initial image"):
        make_request(mask=Mask(sha256="0" * 64, replaces="white", area_init="zero"))
    with pytest.raises(RequestError, match="above the start schedule"):
        InitialImage(sha256="0" * 64, start_schedule=0.2, end_schedule=0.5)
