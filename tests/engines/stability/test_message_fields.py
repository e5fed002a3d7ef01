"""Every field that makes images travels, and comes back the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Run
from engines.stability.messages import (
    SentFiles,
    build_message,
    parse_message,
    read_request,
    serialize,
)
from engines.stability.models import SAMPLERS, STYLE_PRESETS
from engines.stability.protocol import generation
from store.errors import RequestError
from store.request import (
    ADAPTERS,
    GUIDANCE_PRESETS,
    Adapter,
    FineTune,
    Guidance,
    PromptStack,
    Request,
    Variation,
)
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.engines.stability.full_requests import make_full_request
from tests.engines.stability.test_messages import stacks, texts, typed_numbers
from tests.factories import make_hosted_request

SHELF = Shelf()


shares = typed_numbers(0, 1)


names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


initial_images = st.tuples(shares, shares, st.integers(0, 3)).map(
    lambda drawn: msgspec.structs.replace(
        SHELF.make_initial(make_file(start=drawn[2])),
        start_schedule=max(drawn[:2]),
        end_schedule=min(drawn[:2]),
    )
)


masks = st.sampled_from(["zero", "random", "original"]).map(
    lambda area: SHELF.make_mask(area_init=area)
)


guidances = st.builds(
    Guidance,
    preset=st.sampled_from(GUIDANCE_PRESETS),
    strength=st.none() | shares,
    cuts=st.none() | st.integers(1, 1024),
    models=st.lists(texts, max_size=3).map(tuple),
    prompt=st.none() | texts,
)


adapters = st.builds(
    Adapter,
    kind=st.sampled_from(ADAPTERS),
    strength=shares,
    init=st.sampled_from(["image", "adapter_image"]),
)


tunes = st.builds(FineTune, model=texts, weight=st.none() | shares)


@st.composite
def requests(draw: Any) -> Request:
    """Requests with any of the protocol's fields."""
    initial = draw(st.none() | initial_images)
    changes: dict[str, Any] = {
        "sampler": draw(st.sampled_from(SAMPLERS)),
        "style_preset": draw(st.none() | st.sampled_from(STYLE_PRESETS)),
        "guidance": draw(st.none() | guidances),
        "weight_method": draw(st.sampled_from(["text_encoder", "cross_attention"])),
        "fine_tunes": draw(st.lists(tunes, max_size=3).map(tuple)),
        "content_credentials": draw(st.none() | st.just("sign_with_engine_id")),
    }
    if initial is not None:
        changes |= {
            "initial_image": initial,
            "mask": draw(st.none() | masks),
            "adapter": draw(st.none() | adapters),
        }
    request = make_hosted_request(**changes)
    return msgspec.structs.replace(request, stack=draw(stacks))


@given(requests())
@settings(max_examples=150, deadline=None)
@pytest.mark.exhaustive
def test_every_field_comes_back(request: Request) -> None:
    run = SHELF.make_run("run-7")
    data = serialize(build_message(request, run))
    message = parse_message(data)
    back, files = read_request(message)
    assert back == msgspec.structs.replace(request, stack=PromptStack(prompts=request.stack.active))
    assert message.request_id == "run-7"
    assert files == {sha256: SHELF[sha256] for sha256 in request.parameters.inputs}
    assert serialize(build_message(request, run)) == data
    again = serialize(build_message(back, Run(id="run-7", inputs=SentFiles(files))))
    assert again == data


def test_the_message_of_everything_field_by_field() -> None:
    shelf = Shelf()
    request = make_full_request(shelf)
    message = build_message(request, shelf.make_run())
    night, clouds, initial, mask = message.prompt
    assert (night.text, clouds.text) == ("night sky above a town", "clouds")
    assert initial.parameters.init
    assert initial.artifact.type == generation.ARTIFACT_IMAGE
    assert initial.artifact.binary == make_file()
    assert mask.artifact.type == generation.ARTIFACT_MASK
    assert mask.artifact.binary == make_mask_file()
    image = message.image
    assert image.HasField("masked_area_init")
    assert image.masked_area_init == generation.MASKED_AREA_INIT_RANDOM
    assert image.weight_method == generation.CROSS_ATTENTION
    (step,) = image.parameters
    assert (step.schedule.start, step.schedule.end) == pytest.approx((0.6, 0.01))
    assert step.sampler.cfg_scale == 7.0
    assert step.guidance.guidance_preset == generation.GUIDANCE_PRESET_FAST_BLUE
    (instance,) = step.guidance.instances
    assert instance.guidance_strength == 0.25
    assert instance.cutouts.count == 4
    assert [model.alias for model in instance.models] == ["ViT-L/14"]
    assert instance.prompt.text == "more blue"
    assert image.adapter.adapter_type == generation.T2IADAPTER_SKETCH
    assert image.adapter.adapter_strength == pytest.approx(0.4)
    assert image.adapter.adapter_init_type == generation.T2IADAPTERINIT_ADAPTER_IMAGE
    assert [tune.model_id for tune in image.fine_tuning_parameters] == ["cats-1", "dogs-2"]
    assert [tune.HasField("weight") for tune in image.fine_tuning_parameters] == [True, False]
    signed = generation.CAIParameters.MODEL_METADATA_SIGN_WITH_ENGINE_ID
    assert image.cai_parameters.model_metadata == signed


def test_schedules_and_areas_that_are_0_are_said_all_the_same() -> None:
    shelf = Shelf()
    initial = msgspec.structs.replace(shelf.make_initial(), start_schedule=0.0, end_schedule=0.0)
    request = make_hosted_request(initial_image=initial, mask=shelf.make_mask(area_init="zero"))
    image = build_message(request, shelf.make_run()).image
    schedule = image.parameters[0].schedule
    assert (schedule.HasField("start"), schedule.HasField("end")) == (True, True)
    assert (schedule.start, schedule.end) == (0.0, 0.0)
    assert image.HasField("masked_area_init")


def test_what_the_protocol_cannot_say_is_refused_before_anything_is_sent() -> None:
    request = make_hosted_request(variation=Variation(seed=7, strength=0.5))
    with pytest.raises(RequestError, match="no variation seed"):
        build_message(request, Run(id="x"))
