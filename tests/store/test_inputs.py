"""Images that requests start from: plain ones are kept untouched, all of them are checked."""

from __future__ import annotations

import hashlib

import pytest

from store import integrity, queue
from store.database import Database
from store.decoding import DecodedInput, Input
from store.errors import NotFound, RequestError, StoreError
from store.inputs import (
    get_input,
    keep_input,
    list_notes,
    read_input,
    recall_input,
    store_input,
)
from store.pixels import open_image
from store.request import InitialImage, Mask
from tests.factories import make_plain, make_request
from tests.photographs import SIZE, make_photograph
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


def test_what_was_changed_is_kept_beside_the_file_and_told_again(db: Database) -> None:
    data = make_photograph(6)
    first = store_input(db, data)
    assert first.sha256 != hashlib.sha256(data).hexdigest()
    assert (first.mime, first.width, first.height) == ("image/png", *SIZE)
    assert first.notes == ("The initial image was turned upright (EXIF orientation 6).",)
    assert get_input(db, first.sha256) == first
    assert store_input(db, data) == first
    mask = store_input(db, make_photograph(3, "PNG"), "mask")
    request = make_request(
        initial_image=InitialImage(sha256=first.sha256, start_schedule=0.6, end_schedule=0.0),
        mask=Mask(sha256=mask.sha256, replaces="black", area_init="zero"),
    )
    assert list_notes(db, request) == (*first.notes, *mask.notes)
    assert list_notes(db, make_request()) == ()


def keep_as_before(db: Database, data: bytes) -> Input:
    """Keep a file in the form in which it came, as it once was done."""
    image = open_image(data)
    return keep_input(
        db,
        DecodedInput(
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
            mime="image/jpeg" if image.format == "JPEG" else "image/png",
            width=image.width,
            height=image.height,
        ),
    )


def test_what_was_kept_sideways_stays_and_is_measured_as_it_looks(db: Database) -> None:
    data = make_photograph(6)
    past = keep_as_before(db, data)
    found = recall_input(db, data)
    assert found is not None
    assert (found.data, found.width, found.height) == (data, *SIZE)
    assert read_input(db, past.sha256) == data
    assert recall_input(db, draw("red")) is None
    again = store_input(db, data)
    assert again.sha256 != past.sha256


@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]], ids=["as it looks", "as it is stored"])
def test_a_photograph_of_before_goes_with_both_masks(db: Database, size: tuple[int, int]) -> None:
    start = InitialImage(
        sha256=keep_as_before(db, make_photograph(6)).sha256, start_schedule=0.6, end_schedule=0.0
    )
    mask = store_input(db, make_plain("white", size), "mask").sha256
    queue.enqueue(
        db,
        [
            make_request(
                initial_image=start, mask=Mask(sha256=mask, replaces="black", area_init="zero")
            )
        ],
    )


def test_a_photograph_goes_with_a_mask_as_it_looks(db: Database) -> None:
    start = InitialImage(
        sha256=store_input(db, make_photograph(6)).sha256, start_schedule=0.6, end_schedule=0.0
    )
    mask = store_input(db, make_plain("white", SIZE[::-1]), "mask").sha256
    with pytest.raises(RequestError, match="The mask is 96x64, the initial image 64x96"):
        queue.enqueue(
            db,
            [
                make_request(
                    initial_image=start, mask=Mask(sha256=mask, replaces="black", area_init="zero")
                )
            ],
        )


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
