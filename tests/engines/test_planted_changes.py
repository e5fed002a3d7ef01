"""Changes that are planted one at a time: each is caught and named at its stage, no other one is.

The images are made by the embedded model and verified as the worker does it, in this process.
"""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from engines.builtin import engine as embedded
from engines.builtin import noise, samplers, weights
from engines.builtin.autoencoder import Decoder
from engines.builtin.models import CAPABILITIES
from engines.builtin.text_encoder import TextEncoder
from engines.registry import EngineRegistry
from engines.settings import Settings
from engines.verify import verify_record
from engines.worker.job import JobExecution
from store import history, integrity, queue
from store.database import Database
from store.inputs import store_input
from store.pixels import digest_pixels, open_image
from store.records import Image, Purpose, Verdict, Verification
from store.request import InitialImage, Mask, Upscale, Variation
from tests.factories import make_plain, make_request
from tests.store.helpers import claim, execute, start

MODEL = CAPABILITIES.default_model
PLAIN, DRAWN_OVER, VARIED, LARGER, ODD = range(5)
"""The images by how they were made, in the order of their numbers."""


class Gallery(NamedTuple):
    """A history with an image of each kind, and the engines that verify them."""

    db: Database
    registry: EngineRegistry
    images: list[Image]

    def run(self) -> None:
        """What a worker does with the oldest job."""
        token = start(self.db)
        job = claim(self.db, token)
        asyncio.run(JobExecution(self.db, self.registry, job, token).run())

    def verify(self, image: Image) -> Verification:
        """The verdict on an image, as `verify` would have it."""
        checked = history.check_image(self.db, image.id)
        comparison = verify_record(self.db, checked)
        if comparison is not None and (checked.is_damaged or checked.changes):
            return history.add_verification(self.db, image.id, comparison)
        queue.enqueue_comparison(self.db, image.id, Purpose.VERIFY)
        self.run()
        return history.list_verifications(self.db, image.id)[0]


def list_requests(db: Database) -> list[Any]:
    red = store_input(db, make_plain("red", (128, 128))).sha256
    mask = store_input(db, make_plain("white", (128, 128))).sha256
    small = store_input(db, make_plain("blue", (64, 64))).sha256
    initial = InitialImage(sha256=red, start_schedule=0.6, end_schedule=0.0)
    masked = Mask(sha256=mask, replaces="black", area_init="original")
    quick: dict[str, Any] = {"model": MODEL, "steps": 3, "cfg_scale": 7.0}
    return [
        make_request("a Castle", "fog::-0.5", seed=11, style_preset="anime", **quick),
        make_request("a castle", seed=12, initial_image=initial, mask=masked, **quick),
        make_request("a town", seed=13, variation=Variation(seed=5, strength=0.25), **quick),
        make_request(
            "a town",
            seed=14,
            upscale=Upscale(sha256=small, upscaler="rgb"),
            width=128,
            height=128,
            **quick | {"model": CAPABILITIES.upscale_models[0]},
        ),
        make_request("the sea", seed=15, width=192, height=192, **quick),
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, EngineRegistry]]:
    """The data folder of a history in which nothing was changed, each image verified once."""
    directory: Path = tmp_path_factory.mktemp("whole") / "data"
    registry = EngineRegistry(Settings())
    with Database.open(directory) as db:
        for request in list_requests(db):
            queue.enqueue(db, [request])
            Gallery(db, registry, []).run()
        images = history.list_images(db)[::-1]
        assert len(images) == 5
        for image in images:
            assert Gallery(db, registry, images).verify(image).verdict is Verdict.IDENTICAL
    yield directory, registry
    asyncio.run(registry.close())


@pytest.fixture
def gallery(whole: tuple[Path, EngineRegistry], tmp_path: Path) -> Iterator[Gallery]:
    shutil.copytree(whole[0], tmp_path / "data")
    with Database.open(tmp_path / "data") as db:
        yield Gallery(db, whole[1], history.list_images(db)[::-1])


def test_nothing_is_named_where_nothing_was_changed(gallery: Gallery) -> None:
    """After a restart: the history is another copy, opened anew."""
    for image in gallery.images:
        found = gallery.verify(image)
        assert (found.verdict, found.first_difference) == (Verdict.IDENTICAL, None)
    assert integrity.check_database(gallery.db) == []


# In the history


class Row(NamedTuple):
    """A change by hand in the database: of which image, how, and what it must be called."""

    place: int
    statement: str
    name: str


PROMPT = "request_digest = (SELECT request_digest FROM image WHERE number = {0})"
JOB = "id = (SELECT job_id FROM image WHERE number = {0})"
REQUEST = "digest = (SELECT request_digest FROM image WHERE number = {0})"
MASK = (
    "sha256 = (SELECT json_extract(request.mask, '$.sha256') FROM request JOIN image"
    " ON request_digest = digest WHERE number = {0})"
)

ROWS = {
    "a weight": Row(
        PLAIN,
        f"UPDATE prompt SET weight = 1.2 WHERE position = 1 AND {PROMPT}",
        "request.prompts.1.weight",
    ),
    "a prompt's case": Row(
        PLAIN,
        f"UPDATE prompt SET text = lower(text) WHERE position = 1 AND {PROMPT}",
        "request.prompts.1.text",
    ),
    "a prompt that is switched off": Row(
        PLAIN,
        f"UPDATE prompt SET enabled = 0 WHERE position = 2 AND {PROMPT}",
        "request.prompts.2.enabled",
    ),
    "a parameter": Row(VARIED, f"UPDATE request SET steps = 4 WHERE {REQUEST}", "request.steps"),
    "the stored request": Row(
        ODD,
        f"UPDATE request SET json = replace(json, '7.0', '7.5') WHERE {REQUEST}",
        "request.cfg_scale",
    ),
    "the seed": Row(PLAIN, "UPDATE image SET seed = 12 WHERE number = {0}", "seed"),
    "the model's revision": Row(
        PLAIN, f"UPDATE request SET model = 'safelight-128-v1@2' WHERE {REQUEST}", "request.model"
    ),
    "a stage's digest": Row(
        ODD,
        "UPDATE stage SET sha256 = '" + "0" * 64 + "' WHERE image_number = {0} AND position = 4",
        "stages",
    ),
    "a stage that is gone": Row(
        ODD, "DELETE FROM stage WHERE image_number = {0} AND position = 2", "stages"
    ),
    "a row": Row(LARGER, "UPDATE image SET width = 999 WHERE number = {0}", "width"),
    "when it was made": Row(
        LARGER, "UPDATE image SET created_at = 1.0 WHERE number = {0}", "created_at"
    ),
    "the sent message": Row(PLAIN, f"UPDATE job SET wire = x'00' WHERE {JOB}", "job.wire"),
    "the thumbnail": Row(
        VARIED, "UPDATE thumbnail SET data = x'00' WHERE image_number = {0}", "thumbnail"
    ),
    "a verdict": Row(
        VARIED,
        "UPDATE verification SET verdict = 'different'"
        " WHERE image_id = (SELECT id FROM image WHERE number = {0})",
        "verification.3.verdict",
    ),
    "the record of an input": Row(
        DRAWN_OVER, f"UPDATE input SET width = 64 WHERE {MASK}", "mask.width"
    ),
    "what the pixels are said to be": Row(
        PLAIN,
        "UPDATE image SET pixels_sha256 = '" + "0" * 64 + "' WHERE number = {0}",
        "pixels_sha256",
    ),
}


def check_others(gallery: Gallery, place: int) -> None:
    """Nothing is said of any other image, and the next one is identical."""
    others = [image for image in gallery.images if image is not gallery.images[place]]
    for image in others:
        assert integrity.check_record(gallery.db, image) == []
    assert gallery.verify(others[place - 1]).verdict is Verdict.IDENTICAL


@pytest.mark.parametrize("planted", ROWS)
@pytest.mark.samples(12)
def test_a_change_in_the_history_is_named(gallery: Gallery, planted: str) -> None:
    row = ROWS[planted]
    image = gallery.images[row.place]
    execute(gallery.db.directory, row.statement.format(image.number))
    found = gallery.verify(image)
    assert (found.verdict, found.first_difference) == (Verdict.DIFFERENT, row.name)
    check_others(gallery, row.place)


def test_a_change_of_the_environment_is_named_for_all_that_share_it(gallery: Gallery) -> None:
    execute(gallery.db.directory, "UPDATE environment SET json = '{}'")
    for image in gallery.images:
        assert gallery.verify(image).first_difference == "environment"


# In the files


def flip_a_byte(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def encode_again(data: bytes) -> bytes:
    file = io.BytesIO()
    image = open_image(data)
    image.save(file, "PNG", compress_level=9)
    assert file.getvalue() != data
    assert digest_pixels(open_image(file.getvalue())) == digest_pixels(image)
    return file.getvalue()


def paint_over(data: bytes) -> bytes:
    image = open_image(data)
    image.putpixel((0, 0), (1, 2, 3))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("change", [flip_a_byte, encode_again, paint_over, None])
def test_a_change_of_its_file_is_named(
    gallery: Gallery, change: Callable[[bytes], bytes] | None
) -> None:
    image = gallery.images[ODD]
    if change is None:
        image.path.unlink()
    else:
        image.path.write_bytes(change(image.path.read_bytes()))
    found = gallery.verify(image)
    assert (found.verdict, found.first_difference) == (Verdict.DIFFERENT, "file")
    # What is made again is what was made: it is the file that is another one.
    assert found.pixels_sha256_now == image.pixels_sha256
    check_others(gallery, ODD)


@pytest.mark.parametrize("change", [flip_a_byte, None])
def test_a_change_of_the_file_that_it_starts_from_is_named(
    gallery: Gallery, change: Callable[[bytes], bytes] | None
) -> None:
    image = gallery.images[DRAWN_OVER]
    start_from = image.request.parameters.initial_image
    assert start_from is not None
    path = gallery.db.vault.path(start_from.sha256, ".png")
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    found = gallery.verify(image)
    assert (found.verdict, found.first_difference) == (Verdict.CANNOT_RUN, "initial image")
    check_others(gallery, DRAWN_OVER)


# In what makes images


def test_a_byte_of_the_model_is_named(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = weights.find_weights()
    folder = Path(shutil.copytree(board.folders[3], tmp_path / "weights"))
    path = folder / "model.npz"
    path.write_bytes(flip_a_byte(path.read_bytes()))
    other = weights.Board(folders={3: folder}, packages={}, problems=())
    monkeypatch.setattr(embedded, "find_weights", lambda: other)
    found = gallery.verify(gallery.images[PLAIN])
    assert (found.verdict, found.first_difference) == (Verdict.CANNOT_RUN, "model")
    assert "model.npz was changed" in found.detail


def test_a_revision_that_is_gone_is_named(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = weights.Board(folders={}, packages={}, problems=())
    monkeypatch.setattr(weights, "find_weights", lambda: nothing)
    found = gallery.verify(gallery.images[PLAIN])
    assert (found.verdict, found.first_difference) == (Verdict.CANNOT_RUN, "model")


def change_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = noise.draw_noise

    def draw_other(seed: int, *arguments: Any) -> Any:
        return draw(seed + 1, *arguments)

    monkeypatch.setattr(noise, "draw_noise", draw_other)


def change_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(samplers.FORMULAS, "k_dpmpp_2m", samplers.FORMULAS["k_euler_ancestral"])


def change_words(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = TextEncoder.encode

    def encode_other(self: Any, ids: Any) -> Any:
        return encode(self, ids) + np.float32(0.5)

    monkeypatch.setattr(TextEncoder, "encode", encode_other)


def change_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = Decoder.decode

    def decode_other(self: Any, latent: Any) -> Any:
        pixels = decode(self, latent)
        pixels[0, 0] ^= 1
        return pixels

    monkeypatch.setattr(Decoder, "decode", decode_other)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (change_words, "text of the empty prompt"),
        (change_noise, "noise"),
        (change_sampler, "step 1"),
        (change_pixels, "pixels"),
    ],
)
def test_a_change_in_the_program_is_named_where_it_begins(
    gallery: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
    name: str,
) -> None:
    image = gallery.images[PLAIN]
    with monkeypatch.context() as patch:
        change(patch)
        found = gallery.verify(image)
    assert (found.verdict, found.first_difference) == (Verdict.DIFFERENT, name)
    assert found.psnr_db is not None
    assert "of 255 on average" in found.detail
    assert gallery.verify(image).verdict is Verdict.IDENTICAL
