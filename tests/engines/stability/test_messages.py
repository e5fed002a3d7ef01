"""A request becomes a message and comes back, field by field."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Run
from engines.stability.messages import build_message, read_message, serialize
from engines.stability.models import SAMPLERS, STYLE_PRESETS
from engines.stability.protocol import generation, shorten_float
from store.errors import RequestError
from store.limits import CFG_SCALE_MAXIMUM, SEED_MAXIMUM
from store.request import Parameters, Prompt, PromptStack, Request
from tests.factories import make_hosted_request
from tests.sdk import needs_sdk

texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t"),
    min_size=1,
    max_size=60,
).filter(str.strip)


def typed_numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers as a person types them: up to four decimals."""
    return st.integers(int(low * 10_000), int(high * 10_000)).map(lambda n: n / 10_000)


prompts = st.builds(Prompt, text=texts, weight=typed_numbers(-10, 10), enabled=st.booleans())
stacks = st.tuples(
    st.builds(Prompt, text=texts, weight=typed_numbers(0.0001, 10)),
    st.lists(prompts, max_size=12),
).map(lambda pair: PromptStack(prompts=(*pair[1], pair[0])))
sides = st.integers(2, 64).map(lambda n: n * 64)
requests = st.builds(
    Request,
    engine=st.just("stability"),
    model=st.sampled_from(["stable-diffusion-xl-1024-v1-0", "builtin"]),
    stack=stacks,
    parameters=st.builds(
        Parameters,
        seed=st.integers(1, SEED_MAXIMUM),
        steps=st.integers(1, 500),
        cfg_scale=typed_numbers(0, CFG_SCALE_MAXIMUM),
        sampler=st.sampled_from(SAMPLERS),
        width=sides,
        height=sides,
        style_preset=st.none() | st.sampled_from(STYLE_PRESETS),
    ),
)


@given(requests, st.text(st.characters(codec="ascii"), max_size=40))
@settings(max_examples=150, deadline=None)
@pytest.mark.exhaustive
def test_what_is_sent_is_what_was_asked_for(request: Request, run_id: str) -> None:
    data = serialize(build_message(request, Run(id=run_id)))
    active = msgspec.structs.replace(request, stack=PromptStack(prompts=request.stack.active))
    assert read_message(data) == (active, run_id)
    assert serialize(build_message(request, Run(id=run_id))) == data


@given(st.floats(-10, 10, width=32))
def test_the_shortest_decimal_is_the_same_number_on_the_wire(value: float) -> None:
    weight = generation.PromptParameters(weight=shorten_float(value)).weight
    assert weight == value


def test_the_message_field_by_field() -> None:
    request = make_hosted_request(
        model="stable-diffusion-v1-6", sampler="ddim", style_preset="anime", cfg_scale=0.0
    )
    message = build_message(request, Run(id="0f" * 16))
    assert message.engine_id == "stable-diffusion-v1-6"
    assert message.request_id == "0f" * 16
    assert message.requested_type == generation.ARTIFACT_IMAGE
    assert [prompt.text for prompt in message.prompt] == ["night sky above a town", "clouds"]
    assert [prompt.parameters.weight for prompt in message.prompt] == [1.0, 1.2999999523162842 * -1]
    image = message.image
    assert (image.width, image.height, image.steps, image.samples) == (128, 128, 30, 1)
    assert list(image.seed) == [1229080980]
    assert image.transform.WhichOneof("type") == "diffusion"
    assert image.transform.diffusion == generation.SAMPLER_DDIM
    assert image.parameters[0].sampler.HasField("cfg_scale")
    assert image.parameters[0].sampler.cfg_scale == 0.0
    assert dict(message.extras["$IPC"]) == {"preset": "anime"}
    assert image.HasField("weight_method")
    assert image.weight_method == generation.TEXT_ENCODER
    for name in ("adapter", "masked_area_init", "quantize", "cai_parameters"):
        assert not image.HasField(name), name
    assert not image.parameters[0].HasField("schedule")
    assert not build_message(make_hosted_request(), Run(id="x")).HasField("extras")


def test_every_sampler_travels_as_its_number() -> None:
    numbers = [
        build_message(make_hosted_request(sampler=name), Run(id="x")).image.transform.diffusion
        for name in SAMPLERS
    ]
    assert numbers == list(range(11))
    data = serialize(build_message(make_hosted_request(sampler="ddim"), Run(id="x")))
    # Field 6 of the image parameters (transform), 2 bytes: field 1 (diffusion) is 0.
    assert b"\x32\x02\x08\x00" in data


def test_a_sampler_without_a_number_is_refused() -> None:
    with pytest.raises(RequestError, match="no sampler 'karras'"):
        build_message(make_hosted_request(sampler="karras"), Run(id="x"))


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("steps", "no steps"),
        ("width", "no width"),
        ("transform", "no sampler"),
        ("parameters", "no cfg scale"),
        ("seed", "one seed"),
        ("samples", "no samples"),
    ],
)
def test_nothing_that_is_missing_is_filled_in(field: str, words: str) -> None:
    message = build_message(make_hosted_request(), Run(id="x"))
    message.image.ClearField(field)
    with pytest.raises(RequestError, match=words):
        read_message(serialize(message))


def test_seed_zero_and_bytes_that_are_no_message_are_refused() -> None:
    message = build_message(make_hosted_request(), Run(id="x"))
    message.image.seed[0] = 0
    with pytest.raises(RequestError, match="out of range"):
        read_message(serialize(message))
    with pytest.raises(RequestError, match="not a request"):
        read_message(b"\xff\xff")


SDK = """
import sys
from stability_sdk import client
import stability_sdk.interfaces.gooseai.generation.generation_pb2 as generation
inference = client.StabilityInference(host="127.0.0.1:1", key="k", engine="stable-diffusion-v1-6")
def show(request, **_):
    print(request.SerializeToString().hex())
    return []
inference.stub.Generate = show
def make(text, weight):
    return generation.Prompt(text=text, parameters=generation.PromptParameters(weight=weight))
list(inference.generate(
    prompt=[make("night sky above a town", 1.0), make("clouds", -1.3)], seed=1229080980,
    steps=30, cfg_scale=7.0, width=128, height=128, style_preset="anime",
    sampler=client.sampler_from_string("k_dpmpp_2m")))
"""


@needs_sdk
def test_it_differs_from_the_clients_own_message_only_where_that_is_wrong() -> None:
    """The SDK's client sends an adapter that nobody asked for, and says not what it wants."""
    command = [sys.executable, "-c", SDK]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = generation.Request.FromString(bytes.fromhex(result.stdout))
    ours = build_message(
        make_hosted_request(model="stable-diffusion-v1-6", style_preset="anime"),
        Run(id=theirs.request_id),
    )
    assert theirs != ours
    assert theirs.image.HasField("adapter")
    theirs.image.ClearField("adapter")
    theirs.requested_type = generation.ARTIFACT_IMAGE
    theirs.image.weight_method = generation.TEXT_ENCODER
    assert theirs == ours
