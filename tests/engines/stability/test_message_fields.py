"""Every field that makes images travels, and comes back the same."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from engines.base import Run
from engines.stability.capabilities import SAMPLERS, STYLE_PRESETS
from engines.stability.image import UNSAID
from engines.stability.message import (
    build_message,
    parse_message,
    prepare_message,
    read_request,
    serialize,
)
from engines.stability.wire import Message, generation
from store.errors import RequestError, StoreError
from store.parameters import ADAPTERS, GUIDANCE_PRESETS, Adapter, FineTune, Guidance, Variation
from store.pixels import open_image
from store.request import PromptStack, Request
from tests.engines.stability.conftest import make_request
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.engines.stability.test_message import stacks, texts, typed_numbers

SHELF = Shelf()
LATENT = "stable-diffusion-x4-latent-upscaler"
ESRGAN = "esrgan-v1-x2plus"

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
    request = make_request(**changes)
    return msgspec.structs.replace(request, stack=draw(stacks))


@given(requests())
@settings(max_examples=150, deadline=None)
def test_every_field_comes_back(request: Request) -> None:
    run = SHELF.make_run("run-7")
    data = serialize(build_message(request, run))
    message = parse_message(data)
    back, files = read_request(message)
    assert back == msgspec.structs.replace(request, stack=PromptStack(prompts=request.stack.active))
    assert message.request_id == "run-7"
    assert files == {sha256: SHELF[sha256] for sha256 in request.parameters.inputs}
    assert serialize(build_message(request, run)) == data
    again = serialize(build_message(back, Run(id="run-7", read_input=files.__getitem__)))
    assert again == data


def make_full_request(shelf: Shelf, **changes: Any) -> Request:
    """A request with everything that a drawing can have."""
    values: dict[str, Any] = {
        "sampler": "ddim",
        "style_preset": "anime",
        "initial_image": shelf.make_initial(),
        "mask": shelf.make_mask(),
        "guidance": Guidance(
            preset="fast_blue", strength=0.25, cuts=4, models=("ViT-L/14",), prompt="more blue"
        ),
        "weight_method": "cross_attention",
        "adapter": Adapter(kind="sketch", strength=0.4, init="adapter_image"),
        "fine_tunes": (FineTune(model="cats-1", weight=0.5), FineTune(model="dogs-2")),
        "content_credentials": "sign_with_engine_id",
    }
    return make_request(model="stable-diffusion-v1-6", **values | changes)


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
    request = make_request(initial_image=initial, mask=shelf.make_mask(area_init="zero"))
    image = build_message(request, shelf.make_run()).image
    schedule = image.parameters[0].schedule
    assert (schedule.HasField("start"), schedule.HasField("end")) == (True, True)
    assert (schedule.start, schedule.end) == (0.0, 0.0)
    assert image.HasField("masked_area_init")


def sent(message: Message, kind: int) -> bytes:
    (found,) = [p.artifact.binary for p in message.prompt if p.artifact.type == kind]
    return bytes(found)


def test_a_mask_whose_white_is_replaced_is_sent_inverted() -> None:
    shelf = Shelf()
    mask = shelf.make_mask(replaces="white")
    request = make_request(initial_image=shelf.make_initial(), mask=mask)
    outgoing = prepare_message(request, shelf.make_run())
    data = sent(outgoing.message, generation.ARTIFACT_MASK)
    original = open_image(make_mask_file())
    assert open_image(data).tobytes() == ImageOps.invert(original).tobytes()
    digest = hashlib.sha256(data).hexdigest()
    assert outgoing.digests["sent mask"] == digest != mask.sha256
    (note,) = outgoing.notes
    assert "inverted" in note
    assert digest in note
    back, files = read_request(outgoing.message)
    assert back.parameters.mask is not None
    assert (back.parameters.mask.replaces, back.parameters.mask.sha256) == ("black", digest)
    assert files[digest] == data
    once_more = prepare_message(request, shelf.make_run()).message
    assert serialize(once_more) == serialize(outgoing.message)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGBA")])
def test_other_files_than_png_are_sent_as_png(kind: str, mode: str) -> None:
    shelf = Shelf()
    file = make_file(kind=kind, mode=mode)
    request = make_request(initial_image=shelf.make_initial(file))
    outgoing = prepare_message(request, shelf.make_run())
    data = sent(outgoing.message, generation.ARTIFACT_IMAGE)
    image = open_image(data)
    assert image.format == "PNG"
    assert image.tobytes() == open_image(file).convert(image.mode).tobytes()
    (note,) = outgoing.notes
    assert f"is a {kind} file" in note
    assert hashlib.sha256(data).hexdigest() in note
    assert shelf[request.parameters.inputs[0]] == file


def test_metadata_of_a_converted_file_stays_at_home() -> None:
    shelf, file = Shelf(), io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "my address"
    Image.new("RGB", (128, 128)).save(file, "JPEG", exif=exif)
    assert b"my address" in file.getvalue()
    request = make_request(initial_image=shelf.make_initial(file.getvalue()))
    assert b"my address" not in serialize(build_message(request, shelf.make_run()))


def test_what_the_protocol_cannot_say_is_refused_before_anything_is_sent() -> None:
    request = make_request(variation=Variation(seed=7, strength=0.5))
    with pytest.raises(RequestError, match="no variation seed"):
        build_message(request, Run(id="x"))


def test_a_file_that_is_not_at_hand_is_no_message() -> None:
    request = make_request(initial_image=Shelf().make_initial())
    with pytest.raises(StoreError, match="not at hand"):
        build_message(request, Run(id="x"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"initial_image": make_file((100, 128))}, "multiples of 64"),
        ({"mask": make_mask_file((64, 128))}, "mask has 64x128 pixels"),
    ],
    ids=["initial image", "mask"],
)
def test_images_of_sizes_that_the_service_refuses_are_not_sent(
    changes: dict[str, bytes], words: str
) -> None:
    shelf = Shelf()
    request = make_full_request(
        shelf,
        initial_image=shelf.make_initial(changes.get("initial_image")),
        mask=shelf.make_mask(changes.get("mask")),
    )
    with pytest.raises(RequestError, match=words):
        build_message(request, shelf.make_run())


def make_upscale(shelf: Shelf, model: str = LATENT, **changes: Any) -> Request:
    """A request to make an image of 128x96 twice as large."""
    values: dict[str, Any] = {"steps": 20, "width": 256, "height": 192}
    values["upscale"] = shelf.make_upscale(make_file((128, 96)))
    return make_request(model=model, **values | changes)


@pytest.mark.parametrize("upscaler", ["rgb", "gfpgan", "esrgan"])
@pytest.mark.parametrize("model", [LATENT, "safelight-upscale-x2"])
def test_an_upscale_comes_back(model: str, upscaler: str) -> None:
    shelf = Shelf()
    upscale = shelf.make_upscale(make_file((128, 96)), upscaler)
    request = make_upscale(shelf, model, upscale=upscale, sampler=UNSAID["sampler"])
    message = build_message(request, shelf.make_run())
    assert message.image.transform.WhichOneof("type") == "upscaler"
    assert (message.image.HasField("width"), message.image.HasField("height")) == (True, False)
    assert read_request(message) == (request, dict(shelf))


def test_esrgan_gets_the_image_and_its_width_alone() -> None:
    shelf = Shelf()
    request = make_upscale(shelf, ESRGAN)
    outgoing = prepare_message(request, shelf.make_run())
    set_fields = [field.name for field, _ in outgoing.message.image.ListFields()]
    assert set_fields == ["width", "samples", "transform"]
    (picture,) = outgoing.message.prompt
    assert picture.artifact.binary == make_file((128, 96))
    assert "reads no prompts" in outgoing.notes[0]
    back, _ = read_request(outgoing.message)
    expected = msgspec.structs.replace(
        request,
        stack=PromptStack(prompts=()),
        parameters=msgspec.structs.replace(request.parameters, **UNSAID),
    )
    assert back == expected


def test_a_size_that_only_the_height_says_travels_as_the_height() -> None:
    shelf = Shelf()
    upscale = shelf.make_upscale(make_file((300, 100)))
    request = make_upscale(shelf, upscale=upscale, width=450, height=150, sampler="ddim")
    assert build_message(request, shelf.make_run()).image.width == 450
    wide = make_upscale(shelf, upscale=upscale, width=453, height=151, sampler="ddim")
    upscale = shelf.make_upscale(make_file((100, 300)))
    tall = make_upscale(shelf, upscale=upscale, width=150, height=451, sampler="ddim")
    for request in (wide, tall):
        message = build_message(request, shelf.make_run())
        back, _ = read_request(message)
        assert back == request
    assert message.image.HasField("height")
    with pytest.raises(RequestError, match="keeps its proportions"):
        build_message(make_upscale(shelf, width=256, height=256), shelf.make_run())


@pytest.mark.parametrize(
    ("model", "size"), [(ESRGAN, (1025, 1024)), (LATENT, (768, 513))], ids=[ESRGAN, LATENT]
)
def test_an_image_that_is_too_large_to_be_made_larger_is_not_sent(
    model: str, size: tuple[int, int]
) -> None:
    shelf, file = Shelf(), io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    request = make_upscale(
        shelf, model, upscale=shelf.make_upscale(file.getvalue()), width=size[0], height=size[1]
    )
    with pytest.raises(RequestError, match="takes at most"):
        build_message(request, shelf.make_run())


def break_message(name: str) -> Message:
    """A message that says something that is no request."""
    shelf = Shelf()
    upscales = name.startswith("upscale")
    request = make_upscale(shelf) if upscales else make_full_request(shelf)
    message = build_message(request, shelf.make_run())
    image, (step,) = message.image, message.image.parameters
    instance = None if upscales else step.guidance.instances[0]
    match name:
        case "no start":
            step.schedule.ClearField("start")
        case "no area":
            image.ClearField("masked_area_init")
        case "second image":
            message.prompt.append(message.prompt[2])
        case "weighted image":
            message.prompt[2].parameters.weight = 0.5
        case "mask alone":
            del message.prompt[2]
            step.ClearField("schedule")
            image.ClearField("adapter")
        case "no preset":
            step.guidance.guidance_preset = generation.GUIDANCE_PRESET_NONE
        case "two guides":
            step.guidance.instances.append(instance)
        case "weighted guide":
            assert instance is not None
            instance.prompt.parameters.weight = 2
        case "pictured guide":
            assert instance is not None
            instance.prompt.artifact.type = generation.ARTIFACT_IMAGE
        case "strong guide":
            assert instance is not None
            instance.guidance_strength = 1.5
        case "strong adapter":
            image.adapter.adapter_strength = 7
        case "no picture":
            message.prompt[2].artifact.binary = b"GIF89a"
        case "crossed schedules":
            step.schedule.end = 0.9
        case "upscale of nothing":
            del message.prompt[-1]
        case "upscale to both sides":
            image.height = 192
        case "upscale to no side":
            image.ClearField("width")
    return message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no start", "no start of its schedule"),
        ("no area", "no masked area init"),
        ("second image", "second image"),
        ("weighted image", "An image has no weight"),
        ("mask alone", "mask and no initial image"),
        ("no preset", "without a preset"),
        ("two guides", "Only one instance"),
        ("weighted guide", "has no weight"),
        ("pictured guide", "It would have no effect"),
        ("strong guide", "guidance strength 1.5"),
        ("strong adapter", "adapter strength 7"),
        ("no picture", "not a readable PNG"),
        ("crossed schedules", "end schedule 0.9 is above"),
        ("upscale of nothing", "no image where one"),
        ("upscale to both sides", "both width and height"),
        ("upscale to no side", "neither width nor height"),
    ],
)
def test_a_message_that_says_no_request_is_refused(name: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_request(break_message(name))
