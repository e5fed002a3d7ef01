"""What things are called: one word each, on screen and on the command line."""

from __future__ import annotations

import msgspec
import pytest

from store.records import (
    Draft,
    FinishReason,
    JobState,
    Purpose,
    Relation,
    Verdict,
    Verification,
)
from store.request import (
    Adapter,
    FineTune,
    Guidance,
    InitialImage,
    Mask,
    Parameters,
    Upscale,
    Variation,
)
from tests.factories import make_image, make_request
from tui import words


def compare(verdict: Verdict, first_difference: str | None = None) -> str:
    found = Verification(
        number=1,
        image_id="0239" + "ab" * 14,
        verdict=verdict,
        pixels_sha256_then="ab" * 32,
        pixels_sha256_now="ab" * 32,
        first_difference=first_difference,
        detail="",
        psnr_db=None,
        regenerated_id=None,
        environment_digest=None,
        created_at=0,
    )
    return words.describe_comparison(found.verdict, found.first_difference, found.image_id)


@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_every_verdict_has_a_sign_a_role_and_words(verdict: Verdict | None) -> None:
    assert len(words.mark_verdict(verdict)) == 1
    assert words.mark_verdict(verdict, has_unicode=False).isascii()
    assert words.ROLES[verdict]
    assert words.STYLES[verdict]
    assert words.describe_verdict(verdict)


def test_an_image_made_again_is_compared_with_the_first_by_its_id() -> None:
    assert compare(Verdict.IDENTICAL) == "identical to 0239"
    assert compare(Verdict.DIFFERENT, "step 7") == "different from 0239 at step 7"
    assert "pixels" in compare(Verdict.LATENTS_DRIFTED, "step 7")
    assert "0239" in compare(Verdict.CANNOT_RUN)
    assert "0239" in compare(Verdict.NOT_VERIFIABLE)


def test_an_image_whose_record_was_changed_is_sure_of_nothing() -> None:
    image = make_image(verdict=Verdict.IDENTICAL, changes=("stages", "request.steps"))
    certainty = words.find_certainty(image)
    assert certainty == (Verdict.DIFFERENT, "differs at stages, request.steps")
    assert words.describe_changes(image) == "changed after it was written: stages, request.steps"
    assert words.describe_changes(make_image()) == ""


@pytest.mark.parametrize("state", [state for state in JobState if state.is_final])
def test_every_job_that_made_nothing_has_one_advice_with_the_key_in_use(state: JobState) -> None:
    assert "_" not in words.name_state(state)
    if state is JobState.DONE:
        assert words.advise(state) == ""
    else:
        assert "R " in words.advise(state)
        assert "f5 " in words.advise(state, retry="f5")
    assert ("charged" in words.advise(state)) == (state is JobState.UNKNOWN)


def test_every_field_of_a_request_or_draft_has_one_short_label() -> None:
    names = {field.name for field in msgspec.structs.fields(Parameters)}
    names |= {field.name for field in msgspec.structs.fields(Draft)} & set(words.LABELS)
    assert names - {"width", "height"} <= set(words.LABELS)
    assert all(len(label) <= 9 for label in words.LABELS.values())
    assert len(set(words.LABELS.values())) == len(words.LABELS)


def test_what_is_optional_is_told_in_sentences_and_named_in_a_list() -> None:
    request = make_request(
        variation=Variation(seed=5, strength=0.2),
        guidance=Guidance(preset="fast_blue", cuts=3, models=("ViT-B",), prompt="fog"),
        adapter=Adapter(kind="sketch", strength=0.4, init="adapter_image"),
        fine_tunes=(FineTune(model="mine"), FineTune(model="other", weight=0.5)),
        weight_method="cross_attention",
        content_credentials="sign_with_engine_id",
        initial_image=InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0.1),
        mask=Mask(sha256="cd" * 32, replaces="white", area_init="random"),
    )
    told = dict(words.describe_extras(request.parameters))
    assert told["vary seed"] == ["5, 0.2 of it mixed in"]
    assert told["guidance"] == ["fast blue, 3 cuts", "models: ViT-B", "prompt: fog"]
    assert told["adapter"] == ["sketch that the initial image is already, strength 0.4"]
    assert told["tuned by"] == ["mine", "other, weight 0.5"]
    assert told["weights"] == ["by cross attention"]
    assert told["signed"] == ["sign with engine id"]
    assert told["from"] == [
        "the image file abababab",
        "start 0.6 (0 keeps it, 1 ignores it), end 0.1",
    ]
    assert told["mask"] == ["cdcdcdcd: white is made anew, from noise"]
    assert words.name_extras(request.parameters) == (
        "initial image, mask, variation, guidance, adapter, fine tunes, content credentials"
    )
    larger = make_request(
        width=128, height=192, upscale=Upscale(sha256="ab" * 32, upscaler="rgb")
    ).parameters
    assert words.describe_extras(larger) == [
        ("larger", ["the image abababab made 128 x 192, enlarged by rgb"])
    ]
    assert words.name_extras(larger) == "upscale"
    assert words.describe_extras(make_request().parameters) == []


@pytest.mark.parametrize(
    ("purpose", "relation", "said"),
    [
        (Purpose.GENERATE, None, "edited from"),
        (Purpose.GENERATE, Relation.INITIAL_IMAGE, "started from"),
        (Purpose.GENERATE, Relation.UPSCALE, "made larger from"),
        (Purpose.GENERATE, Relation.VARIATION, "a variation of"),
        (Purpose.REGENERATE, None, "made again from"),
    ],
)
def test_where_an_image_came_from_is_said(
    purpose: Purpose, relation: Relation | None, said: str
) -> None:
    image = make_image(parent_id="ab" * 16, purpose=purpose, relation=relation)
    assert words.describe_lineage(image) == f"{said} {'ab' * 16}"
    assert words.describe_lineage(make_image()) == "the first of its line"


def test_numbers_and_moments() -> None:
    assert [words.write_weight(weight) for weight in (1, -1, 0, 0.25)] == [
        "+1.0",
        "\u22121.0",
        "0.0",
        "+0.25",
    ]
    assert words.write_weight(-0.1234, has_unicode=False) == "-0.123"
    assert words.write_weight(-0.1234, has_unicode=False, decimals=4) == "-0.1234"
    assert words.write_weight(1, enabled=False) == "off"
    assert words.write_size(128, 192) == "128 x 192"
    assert words.write_seconds(0.62) == "0.6 s"
    assert words.count_things(1, "image") == "1 image"
    assert words.count_things(1024, "image") == "1,024 images"
    assert words.show_moment(0).endswith(words.show_moment(0, has_year=False))
    assert words.name_finish(FinishReason.FILTER) == "filtered"
