"""The verdict on an image that was made again."""

from __future__ import annotations

import msgspec
import pytest

from engines.base import EngineError, Failure
from engines.pixel_difference import PixelDifference
from engines.registry import EngineRegistry
from engines.settings import Settings
from engines.verify import (
    compare,
    describe_environment_change,
    explain_failure,
    find_obstacle,
    judge_foreign,
    judge_record,
    verify_record,
    verify_result,
)
from store import history, queue
from store.database import Database
from store.errors import RequestError, SafelightError, StoreError
from store.metadata.choices import FileChoices
from store.metadata.containers import read_metadata, write_metadata
from store.metadata.files import make_file
from store.metadata.intake import import_file
from store.records import Comparison, EnvironmentRecord, Imported, Purpose, Stage, Verdict
from store.records import Image as ImageRecord
from tests.factories import make_hosted_request, make_plain, make_request, make_result
from tests.store.helpers import execute, make_images

AROUND = EnvironmentRecord(values={"engine revision": "1", "kernels": "Haswell"})
STAGES = (
    Stage(name="text", step=1, sha256="a"),
    Stage(name="noise", step=0, sha256="b"),
    Stage(name="latent", step=1, sha256="c"),
    Stage(name="latent", step=2, sha256="d"),
    Stage(name="pixels", step=0, sha256="e"),
)


def change(position: int) -> tuple[Stage, ...]:
    rows = list(STAGES)
    rows[position] = Stage(name=rows[position].name, step=rows[position].step, sha256="other")
    return tuple(rows)


def judge(
    stages_now: tuple[Stage, ...],
    pixels_now: str = "p",
    environment_now: EnvironmentRecord = AROUND,
) -> Comparison:
    return compare(
        pixels_then="p",
        pixels_now=pixels_now,
        stages_then=STAGES,
        stages_now=stages_now,
        environment_then=AROUND,
        environment_now=environment_now,
        psnr_db=33.0,
    )


def test_everything_equal_is_identical() -> None:
    verdict = judge(STAGES)
    assert verdict.verdict is Verdict.IDENTICAL
    assert verdict.first_difference is None
    assert verdict.psnr_db is None


def test_equal_pixels_on_another_way_are_told_apart() -> None:
    verdict = judge(change(3))
    assert verdict.verdict is Verdict.LATENTS_DRIFTED
    assert verdict.first_difference == "step 2"
    assert verdict.pixels_sha256_now == "p"


@pytest.mark.parametrize(
    ("position", "name"), [(0, "text of prompt 1"), (1, "noise"), (2, "step 1"), (4, "pixels")]
)
def test_a_difference_is_named_where_it_began(position: int, name: str) -> None:
    verdict = judge(change(position), pixels_now="q")
    assert verdict.verdict is Verdict.DIFFERENT
    assert verdict.first_difference == name
    assert verdict.psnr_db == 33.0


def test_pixels_alone_are_compared_when_the_engine_knows_no_stages() -> None:
    same = judge((), pixels_now="p")
    assert same.verdict is Verdict.IDENTICAL
    assert "no stage to compare" in same.detail
    assert "1 of 5 stages" in judge(STAGES[:1]).detail
    assert "every recorded stage" in judge(STAGES).detail
    assert judge((), pixels_now="q").first_difference == "pixels"
    assert "The pixels differ; the first" in judge((), pixels_now="q").detail


def test_a_change_around_the_engine_is_named() -> None:
    now = EnvironmentRecord(values={"engine revision": "2", "kernels": "Haswell"})
    assert "engine revision: 1 → 2" in judge(change(2), "q", now).detail


def find_why_not(database: Database, image: ImageRecord) -> Comparison | None:
    job = queue.enqueue_comparison(database, image.id, Purpose.VERIFY)
    return find_obstacle(database, EngineRegistry(Settings()), job, image)


def test_the_file_of_an_image_that_cannot_be_made_again_is_looked_at(database: Database) -> None:
    [image] = make_images(database, [make_hosted_request()])
    whole = find_why_not(database, image)
    assert whole is not None
    assert whole.verdict is Verdict.NOT_VERIFIABLE
    image.path.unlink()
    lost = find_why_not(database, image)
    assert lost is not None
    assert (lost.verdict, lost.first_difference) == (Verdict.DIFFERENT, "file")
    assert str(image.path) in lost.detail


def test_a_record_that_is_wrong_about_the_pixels_is_told_from_a_file_that_is(
    database: Database,
) -> None:
    [image] = make_images(database, [make_request()])
    result = make_result()
    assert verify_result(database, image, result).verdict is Verdict.IDENTICAL

    execute(database.directory, "UPDATE image SET pixels_sha256 = ?", "0" * 64)
    wrong = history.get_image(database, image.id)
    assert find_why_not(database, wrong) is None  # making it again says which of both is wrong
    record = verify_result(database, wrong, result)
    assert (record.verdict, record.first_difference) == (Verdict.DIFFERENT, "pixels_sha256")
    assert "equal to what is made again" in record.detail
    assert " at most" not in record.detail, "no pixel is another one"
    assert record.pixels_sha256_now == result.pixels_sha256
    other = verify_result(database, wrong, make_result("red"))
    assert other.first_difference == "pixels_sha256"
    assert "equal to what is made again" not in other.detail

    execute(database.directory, "UPDATE image SET pixels_sha256 = ?", image.pixels_sha256)
    image.path.write_bytes(make_result("red").data)
    file = verify_result(database, image, result)
    assert (file.verdict, file.first_difference) == (Verdict.DIFFERENT, "file")
    assert file.pixels_sha256_now == result.pixels_sha256


def test_a_lossy_copy_that_was_imported_is_no_other_image(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    [image] = make_images(database, [make_request()])
    data = history.read_image(database, image)
    copy = make_file(database, image, data, FileChoices(format="jpeg", quality=60)).data
    with Database.open(tmp_path_factory.mktemp("other")) as other:
        imported = import_file(other, copy, file_name="copy.jpg").image
        assert imported.pixels_sha256 != image.pixels_sha256
        found = verify_result(other, imported, make_result())
        assert found.verdict is Verdict.NOT_VERIFIABLE
        assert "lossy copy" in found.detail
        assert found.pixels_sha256_now == image.pixels_sha256
        made = verify_result(other, imported, make_result("red"))
        assert (made.verdict, made.first_difference) == (Verdict.DIFFERENT, "pixels")

        painted = repaint(copy)
        imported = import_file(other, painted, file_name="painted.jpg").image
        assert verify_result(other, imported, make_result()).verdict is Verdict.DIFFERENT


def repaint(data: bytes) -> bytes:
    """The same metadata around other pixels."""
    found = read_metadata(data)
    text = next(field.text for field in found.fields if field.key == "UserComment")
    return write_metadata(make_plain("blue", (128, 192), "JPEG"), found.parts, text)


def test_all_that_was_changed_is_named_at_once(database: Database) -> None:
    [image] = make_images(database, [make_request()])
    assert verify_record(database, image) is None
    execute(database.directory, "UPDATE image SET width = 9, session = 'x'")
    execute(database.directory, "UPDATE request SET steps = 9")
    image.path.unlink()
    comparison = verify_record(database, image)
    assert comparison is not None
    assert comparison.verdict is Verdict.DIFFERENT
    assert comparison.first_difference == "request.steps, session, width"
    assert "is missing" in comparison.detail


def list_changed(**now: str) -> str:
    return describe_environment_change(
        EnvironmentRecord(values={"a": "1", "b": "2"}), EnvironmentRecord(values=now)
    )


def test_each_change_around_it_is_named_also_what_is_new_and_what_is_gone() -> None:
    assert list_changed(a="1", b="2") == ""
    assert list_changed(a="1", b="3") == "b: 2 → 3"
    assert list_changed(a="1", b="2", c="4") == "c: none → 4"
    assert list_changed(b="2") == "a: 1 → none"
    assert list_changed(c="4") == "a: 1 → none; b: 2 → none; c: none → 4"
    now = EnvironmentRecord(values={**AROUND.values, "threads": "2"})
    assert "threads: none → 2" in judge(change(2), "q", now).detail
    assert "The environment is the same" in judge(change(2), "q").detail


@pytest.mark.parametrize(
    ("findings", "verdict", "first", "words"),
    [
        ((), None, None, ""),
        # What making it again tells more about is no verdict yet.
        (("file: its digest is another one",), None, None, ""),
        (("pixels_sha256: not those of the file",), None, None, ""),
        (("width: 9 is not 128",), Verdict.DIFFERENT, "width", "width: 9 is not 128"),
        (("file: x", "seed: y"), Verdict.DIFFERENT, "seed", "file: x; seed: y"),
        (("mask: it is missing",), Verdict.CANNOT_RUN, "mask", "mask: it is missing"),
        (
            ("file: x", "initial_image: gone", "upscale: gone"),
            Verdict.CANNOT_RUN,
            "initial image, image to make larger",
            "file: x initial image: gone image to make larger: gone",
        ),
        (("initial_image: gone", "seed: y"), Verdict.DIFFERENT, "seed, initial image", "seed: y"),
    ],
)
def test_which_findings_are_about_the_record(
    findings: tuple[str, ...], verdict: Verdict | None, first: str | None, words: str
) -> None:
    found = judge_record(findings)
    assert (None if found is None else found.verdict) == verdict
    if found is not None:
        assert found.first_difference == first
        assert words in found.detail


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (EngineError(Failure.UNREACHABLE, "No route."), "engine"),
        (EngineError(Failure.MODEL_GONE, "No such model."), "model"),
        (EngineError(Failure.DAMAGED_MODEL, "A weight is other."), "model"),
        (RequestError("model", "x", "No such model."), "model"),
        (RequestError("parameters.steps", 9, "Too few."), "request"),
        (StoreError("No such file."), "request"),
    ],
)
def test_why_it_could_not_be_made_again_says_where_to_look(
    error: SafelightError, where: str
) -> None:
    verdict = explain_failure(error)
    assert (verdict.verdict, verdict.first_difference) == (Verdict.CANNOT_RUN, where)
    assert error.message in verdict.detail


def test_an_image_that_nobody_can_repeat_is_regenerated_but_not_verified(
    database: Database,
) -> None:
    [image] = make_images(database, [make_hosted_request()])
    why_not = find_why_not(database, image)
    assert why_not is not None
    assert why_not.verdict is Verdict.NOT_VERIFIABLE
    assert why_not.detail == EngineRegistry(Settings()).get_capabilities("stability").why_not
    job = queue.enqueue_comparison(database, image.id, Purpose.REGENERATE)
    assert find_obstacle(database, EngineRegistry(Settings()), job, image) is None


def test_how_far_the_pixels_are_apart_is_told(database: Database) -> None:
    [image] = make_images(database, [make_request()])
    near = verify_result(database, image, make_result("#010080"))
    assert near.verdict is Verdict.DIFFERENT
    assert near.psnr_db is not None
    assert "by 0.333 of 255 on average and 1 at most, in 100 %" in near.detail
    far = verify_result(database, image, make_result("white"))
    assert "255 at most" in far.detail
    assert far.psnr_db is not None
    assert far.psnr_db < near.psnr_db
    same = verify_result(database, image, make_result())
    assert (same.verdict, same.psnr_db) == (Verdict.IDENTICAL, None)
    assert same.pixels_sha256_now == image.pixels_sha256


def test_the_share_of_pixels_that_differ_is_told_in_percent() -> None:
    verdict = compare(
        pixels_then="p",
        pixels_now="q",
        stages_then=(),
        stages_now=(),
        environment_then=AROUND,
        environment_now=AROUND,
        psnr_db=30.0,
        measured=PixelDifference(mean=1.5, maximum=40, share=0.025, psnr_db=30.0),
    )
    assert "by 1.5 of 255 on average and 40 at most, in 2.5 %" in verdict.detail


def test_an_image_of_another_program_is_not_made_again(database: Database) -> None:
    [image] = make_images(database, [make_request()])
    foreign = msgspec.structs.replace(
        image, purpose=Purpose.IMPORT, imported=Imported(dialect="A1111", grade="partial")
    )
    assert foreign.is_foreign
    job = queue.enqueue_comparison(database, image.id, Purpose.VERIFY)
    found = find_obstacle(database, EngineRegistry(Settings()), job, foreign)
    assert found is not None
    assert "A1111" in found.detail


def test_a_file_that_was_dropped_is_not_missed_and_one_that_is_there_is_looked_at(
    database: Database,
) -> None:
    [image] = make_images(database, [make_request()])
    same = make_result()

    def judge_file(**changes: bool) -> tuple[Verdict, str | None]:
        found = verify_result(database, msgspec.structs.replace(image, **changes), same)
        return found.verdict, found.first_difference

    for damage in (False, True):
        if damage:
            image.path.write_bytes(b"no image")
        wrong = (Verdict.DIFFERENT, "file") if damage else (Verdict.IDENTICAL, None)
        assert judge_file() == wrong
        assert judge_file(is_thinned=True) == wrong
        assert judge_file(is_thinned=True, is_emptied=True) == (Verdict.IDENTICAL, None)
        assert judge_file(is_emptied=True) == (Verdict.IDENTICAL, None)
    image.path.unlink()
    assert judge_file() == (Verdict.DIFFERENT, "file")
    assert judge_file(is_thinned=True) == (Verdict.IDENTICAL, None)


def test_our_own_image_that_came_in_as_a_file_is_made_again(database: Database) -> None:
    [image] = make_images(database, [make_request()])
    own = msgspec.structs.replace(image, imported=Imported(dialect="safelight", grade="full"))
    assert judge_foreign(own) is None
    assert judge_foreign(image) is None


def test_whether_the_file_or_the_record_is_wrong_decides_what_is_said(database: Database) -> None:
    [image] = make_images(database, [make_request()])
    wrong_record = msgspec.structs.replace(image, pixels_sha256="0" * 64)
    found = verify_result(database, wrong_record, make_result())
    assert (found.verdict, found.first_difference) == (Verdict.DIFFERENT, "pixels_sha256")
    assert "The record was changed" in found.detail
    assert "equal to what is made again" in found.detail
    assert "Made again" not in found.detail
    both = verify_result(database, wrong_record, make_result("red"))
    assert "equal to what is made again" not in both.detail
    image.path.write_bytes(b"no image")
    found = verify_result(database, image, make_result())
    assert found.first_difference == "file"
    assert "Made again: Every pixel" in found.detail


def test_a_file_with_other_pixels_than_the_record_is_said_to_be_wrong(database: Database) -> None:
    [image] = make_images(database, [make_request()])
    digest = database.vault.put(make_result("red").data, ".png")
    planted = msgspec.structs.replace(image, file_sha256=digest)
    found = verify_result(database, planted, make_result())
    assert (found.verdict, found.first_difference) == (Verdict.DIFFERENT, "file")
    assert "The pixels in the stored file are not those of the record." in found.detail
