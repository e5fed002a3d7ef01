"""Which images lose their pixels, which keep them and why, and what may come back."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import msgspec
import pytest
from PIL import Image as Pillow

from engines.builtin import pipeline, samplers
from engines.builtin.models import MODEL as EMBEDDED_MODEL
from engines.builtin.pixels import encode_png
from engines.registry import EngineRegistry
from engines.thinning import thin, why_no_restore
from engines.worker.job import JobExecution
from store import history, integrity, queue, thinning
from store.database import Database
from store.errors import StoreError
from store.inputs import store_input
from store.records import (
    Comparison,
    EnvironmentRecord,
    Image,
    Job,
    JobState,
    Purpose,
    Result,
    Verdict,
)
from store.watch import read_fingerprint
from tests.factories import (
    SEED,
    make_hosted_request,
    make_plain,
    make_request,
    make_result,
)
from tests.store.helpers import claim, execute, start

FAVOURITE = "INSERT INTO annotation (image_number, is_favourite) VALUES (?, 1)"


def make(
    database: Database, color: str = "navy", engine: str = "builtin", data: bytes | None = None
) -> tuple[Image, Result]:
    """An image whose file is the one that the engine writes, unless it is `data`."""
    request = make_request(color, model=EMBEDDED_MODEL)
    queue.enqueue(database, [request if engine == "builtin" else make_hosted_request()])
    token = start(database)
    data = data or encode_png(Pillow.new("RGB", (128, 192), color))
    result = make_result(color, seed=SEED, data=data)
    return queue.finish(database, claim(database, token), token, result), result


def prove(
    database: Database,
    image: Image,
    environment: EnvironmentRecord | None,
    verdict: Verdict = Verdict.IDENTICAL,
) -> None:
    queue.enqueue_comparison(database, image.id, Purpose.VERIFY)
    token = start(database)
    comparison = Comparison(verdict=verdict)
    job = claim(database, token)
    queue.finish_comparison(database, job, token, comparison, result=None, environment=environment)


def list_kept(database: Database, registry: EngineRegistry) -> list[str]:
    done = thin(database, registry, [1])
    assert done.images == 0
    return list(done.kept)


def test_what_was_verified_here_loses_its_pixels_and_nothing_else(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    image, result = make(database)
    prove(database, image, here)
    would = thin(database, registry, [image.number], is_rehearsal=True)
    assert (would.images, would.files, would.freed) == (1, 1, len(result.data))
    assert image.path.exists()
    seen = read_fingerprint(database)
    assert thin(database, registry, [image.number]) == would
    assert not image.path.exists()
    assert read_fingerprint(database) != seen
    now = history.check_image(database, image.id)
    assert now.is_thinned
    assert now.changes == ()
    assert now.request == image.request
    assert history.get_thumbnails(database, [image.number]) == {image.number: result.thumbnail}
    assert integrity.check_database(database) == []
    assert integrity.check_record(database, now) == []
    with pytest.raises(StoreError, match="were dropped") as caught:
        history.read_image(database, now)
    assert f"safelight restore {image.id[:8]}" in caught.value.hint
    assert thin(database, registry, [image.number]).images == 0
    assert thinning.list_thinned(database) == [image.number]


def test_others_keep_theirs_and_it_is_said_why(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    image, _ = make(database)
    assert list_kept(database, registry) == ["never verified"]
    prove(database, image, None)
    elsewhere = msgspec.structs.replace(here, values={**here.values, "machine": "another"})
    prove(database, image, elsewhere)
    assert list_kept(database, registry) == ["not verified with this engine on this machine"]
    prove(database, image, here)
    prove(database, image, here, Verdict.DIFFERENT)
    assert list_kept(database, registry) == ["verified as different"]
    prove(database, image, here)
    execute(database.directory, FAVOURITE, image.number)
    assert list_kept(database, registry) == ["a favourite"]
    execute(database.directory, "UPDATE annotation SET is_favourite = 0, trashed_at = 1.0")
    assert list_kept(database, registry) == ["in the trash"]
    execute(database.directory, "DELETE FROM annotation")
    image.path.write_bytes(b"harmed")
    assert list_kept(database, registry) == ["its record or file is not whole"]
    assert image.path.exists()
    image.path.unlink()
    assert list_kept(database, registry) == ["its record or file is not whole"]
    assert thin(database, registry, [image.number], made_before=image.created_at).kept == {}


def test_a_file_that_would_be_written_otherwise_stays(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    image, result = make(database, data=make_result("navy").data)
    assert result.data != encode_png(Pillow.new("RGB", (128, 192), "navy"))
    prove(database, image, here)
    kept = ["its file is written otherwise than it would be now"]
    assert list(thin(database, registry, [1], is_rehearsal=True).kept) == kept
    assert list_kept(database, registry) == kept
    assert history.read_image(database, image) == result.data


def test_an_engine_that_does_not_repeat_itself(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    image, _ = make(database, engine="stability")
    prove(database, image, here)
    assert list_kept(database, registry) == ["not verified with this engine on this machine"]


def test_a_file_goes_only_when_all_that_share_it_can_be_made_again(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    first, result = make(database)
    second, _ = make(database)
    assert first.path == second.path
    prove(database, first, here)
    kept = thin(database, registry, [first.number, second.number]).kept
    assert kept == {"never verified": 1, "its file is also that of an image that is kept": 1}
    prove(database, second, here)
    both = [first.number, second.number]
    assert thin(database, registry, both[:1]).images == 0
    done = thin(database, registry, both)
    assert (done.images, done.files, done.freed) == (2, 1, len(result.data))
    assert not first.path.exists()
    # One that is made anew brings the file back for itself.
    third, _ = make(database)
    assert third.path.exists()
    assert history.read_image(database, history.get_image(database, first.id)) == result.data


def test_those_that_share_a_file_are_thinned_together(
    database: Database,
    registry: EngineRegistry,
    here: EnvironmentRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sharing = [make(database)[0] for _ in range(2)]
    for image in sharing:
        prove(database, image, here)
    monkeypatch.setattr("engines.thinning.PAGE", 1)
    done = thin(database, registry, [image.number for image in sharing])
    assert (done.images, done.kept) == (2, {})


def test_the_file_of_an_input_stays(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    queue.enqueue(database, [make_request("red", model=EMBEDDED_MODEL)])
    token = start(database)
    data = make_plain("red", (128, 192))
    kept = store_input(database, data)
    result = msgspec.structs.replace(make_result("red", seed=SEED), data=data)
    image = queue.finish(database, claim(database, token), token, result)
    assert image.file_sha256 == kept.sha256
    prove(database, image, here)
    assert list_kept(database, registry) == ["other images start from its file"]


def test_what_changes_between_looking_and_dropping_stays(
    database: Database, here: EnvironmentRecord
) -> None:
    image, _ = make(database)
    prove(database, image, here)
    states = thinning.list_states(database, [image.number])
    prove(database, image, here, Verdict.DIFFERENT)
    assert thinning.thin_images(database, states) == (0, 0, 0)
    states = thinning.list_states(database, [image.number])
    execute(database.directory, FAVOURITE, image.number)
    assert thinning.thin_images(database, states) == (0, 0, 0)
    assert image.path.exists()


def test_a_file_that_an_interruption_left_there_goes_the_next_time(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    image, result = make(database)
    prove(database, image, here)
    thin(database, registry, [image.number])
    database.vault.put(result.data, ".png")
    assert history.read_image(database, history.get_image(database, image.id)) == result.data
    assert integrity.check_database(database) == []
    done = thin(database, registry, [])
    assert (done.images, done.files, done.freed) == (0, 1, len(result.data))
    assert not image.path.exists()


def test_a_row_that_says_so_does_not_hide_a_lost_file(database: Database) -> None:
    image, _ = make(database)
    prove(database, image, None, Verdict.DIFFERENT)
    execute(database.directory, "INSERT INTO thinned VALUES (?, 1, 1.0)", image.number)
    image.path.unlink()
    assert "nothing found it identical" in integrity.check_database(database)[0]
    [finding] = integrity.check_record(database, image)
    assert finding.startswith("thinned: ")


def test_only_the_same_file_comes_back(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    image, result = make(database)
    with pytest.raises(StoreError, match="nothing to restore"):
        queue.enqueue_comparison(database, image.id, Purpose.RESTORE)
    prove(database, image, here)
    thin(database, registry, [image.number])
    same = msgspec.structs.replace(result, data=result.data + b"\0")
    assert "other pixels" in why_no_restore(image, make_result("red"))
    assert "another file" in why_no_restore(image, same)
    assert "not made again" in why_no_restore(image, None)
    assert why_no_restore(image, result) == ""
    queue.enqueue_comparison(database, image.id, Purpose.RESTORE)
    token = start(database)
    job = claim(database, token)
    identical = Comparison(verdict=Verdict.IDENTICAL)
    with pytest.raises(StoreError, match="not the file"):
        queue.finish_comparison(database, job, token, identical, result=same)
    assert history.get_image(database, image.id).is_thinned
    queue.finish_comparison(database, job, token, identical, result=result)
    assert history.read_image(database, history.get_image(database, image.id)) == result.data
    assert not history.get_image(database, image.id).is_thinned
    assert integrity.check_database(database) == []


# With the embedded model, as a worker does it


@pytest.fixture(scope="module")
def embedded(registry: EngineRegistry) -> Iterator[EngineRegistry]:
    yield registry
    asyncio.run(registry.close())


def run(database: Database, registry: EngineRegistry) -> Job:
    """What a worker does with the oldest job."""
    token = start(database)
    job = claim(database, token)
    asyncio.run(JobExecution(database, registry, job, token).run())
    return queue.get_job(database, job.id)


@pytest.fixture
def thinned(database: Database, embedded: EngineRegistry) -> Image:
    """An image of the embedded model without its pixels."""
    queue.enqueue(database, [make_request("a castle", model=EMBEDDED_MODEL, steps=2)])
    run(database, embedded)
    [image] = history.list_images(database)
    queue.enqueue_comparison(database, image.id, Purpose.VERIFY)
    run(database, embedded)
    assert thin(database, embedded, [image.number]).images == 1
    return history.get_image(database, image.id)


def test_it_is_made_again_by_the_worker(
    database: Database, embedded: EngineRegistry, thinned: Image
) -> None:
    queue.enqueue_comparison(database, thinned.id, Purpose.VERIFY)
    run(database, embedded)
    proven = history.get_image(database, thinned.id)
    assert (proven.verdict, proven.is_thinned) == (Verdict.IDENTICAL, True)
    assert not proven.path.exists()  # to verify is not to restore
    queue.enqueue_comparison(database, thinned.id, Purpose.RESTORE)
    job = run(database, embedded)
    assert (job.state, job.warning) == (JobState.DONE, None)
    restored = history.get_image(database, thinned.id)
    assert not restored.is_thinned
    assert integrity.check_record(database, restored) == []
    assert len(history.list_images(database)) == 1


def test_other_pixels_are_not_taken_for_it(
    database: Database,
    embedded: EngineRegistry,
    thinned: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = samplers.FORMULAS["k_euler_ancestral"]
    monkeypatch.setitem(samplers.FORMULAS, "k_dpmpp_2m", other)
    queue.enqueue_comparison(database, thinned.id, Purpose.RESTORE)
    job = run(database, embedded)
    assert job.warning is not None
    assert "has other pixels" in job.warning
    now = history.get_image(database, thinned.id)
    assert (now.is_thinned, now.verdict, now.first_difference) == (
        True,
        Verdict.DIFFERENT,
        "step 1",
    )
    assert not now.path.exists()


def test_the_same_pixels_in_another_file_are_not_taken_for_it(
    database: Database,
    embedded: EngineRegistry,
    thinned: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def encode_otherwise(image: Pillow.Image) -> bytes:
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=0)
        assert file.getvalue() != encode_png(image)
        return file.getvalue()

    monkeypatch.setattr(pipeline, "encode_png", encode_otherwise)
    queue.enqueue_comparison(database, thinned.id, Purpose.RESTORE)
    job = run(database, embedded)
    assert job.warning is not None
    assert "Regenerate it to keep the pixels as a child" in job.warning
    now = history.get_image(database, thinned.id)
    assert (now.is_thinned, now.verdict) == (True, Verdict.IDENTICAL)
    queue.enqueue_comparison(database, thinned.id, Purpose.REGENERATE)
    run(database, embedded)
    child = history.get_image(database, "@1")
    assert child.pixels_sha256 == thinned.pixels_sha256
    assert history.read_image(database, child)
