"""The server honours initial images, masks and upscales where its engine does."""

from __future__ import annotations

from typing import Any

import grpc
import msgspec
import pytest
from PIL import Image

from engines.base import EngineError, Failure, Produced
from engines.stability.messages import SentFiles, build_message, read_request
from engines.stability.protocol import Message, generation, listing
from store.pixels import open_image
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import EVERYTHING, MODEL, UPSCALER, Painter, encode, paint
from tests.engines.server.plain_client import call, fail, generate, make_message
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.engines.stability.full_requests import make_full_request, make_upscale
from tests.engines.stability.server import Server

ESRGAN = "esrgan-v1-x2plus"
Code = grpc.StatusCode


def make_painter(*without: str) -> Painter:
    return Painter(takes=[name for name in EVERYTHING if name not in without])


def make_artifact(data: bytes, kind: int = generation.ARTIFACT_IMAGE) -> Message:
    return generation.Prompt(artifact=generation.Artifact(type=kind, binary=data))


def make_drawing(*, mask: bytes | None = None, **image: Any) -> Message:
    """A message with an initial image and what a plain client would say."""
    message = make_message(**{"seed": [7], **image})
    message.prompt.append(make_artifact(make_file()))
    if mask is not None:
        message.prompt.append(make_artifact(mask, generation.ARTIFACT_MASK))
    return message


def make_schedule(**values: float) -> Message:
    return generation.StepParameter(schedule=generation.ScheduleParameters(**values))


async def make_image(server: Server, message: Message) -> bytes:
    (answer,) = await generate(server, message)
    return bytes(answer.artifacts[0].binary)


async def test_our_client_gets_what_the_engine_makes_of_everything(serve: Serve) -> None:
    shelf = Shelf()
    server = await serve(engine=make_painter())
    request = make_full_request(shelf, sampler="ddim", width=192)
    request = msgspec.structs.replace(request, model=MODEL)
    engine = make_engine(server.host, models=(MODEL,), upscale_models=(UPSCALER,))
    warned, produced = await collect(engine, request, shelf.make_run())
    assert isinstance(produced, Produced)
    assert "CLIP guidance does not repeat" in str(warned)
    assert produced.data == paint(request, shelf.read)
    upscale = make_upscale(shelf, UPSCALER)
    (produced,) = await collect(engine, upscale, shelf.make_run())
    assert isinstance(produced, Produced)
    assert produced.data == paint(upscale, shelf.read)
    assert produced.meta["sent upscale"] == upscale.parameters.inputs[0]


async def test_each_part_of_an_image_to_image_counts(serve: Serve) -> None:
    server = await serve(engine=make_painter())
    size: dict[str, Any] = {"width": 128, "height": 128}
    turned = encode(open_image(make_mask_file()).transpose(Image.Transpose.ROTATE_180))
    messages = [
        make_message(seed=[7], **size),
        make_drawing(**size),
        make_drawing(parameters=[make_schedule(start=0.5)], **size),
        make_drawing(parameters=[make_schedule(start=0.5, end=0.25)], **size),
        make_drawing(mask=make_mask_file(), **size),
        make_drawing(mask=turned, **size),
        make_drawing(mask=turned, masked_area_init=generation.MASKED_AREA_INIT_RANDOM, **size),
        make_drawing(mask=turned, masked_area_init=generation.MASKED_AREA_INIT_ORIGINAL, **size),
    ]
    images = [await make_image(server, message) for message in messages]
    assert len(set(images)) == len(messages)


async def test_what_an_image_to_image_leaves_out(serve: Serve) -> None:
    """No schedule means the whole one, no size that of the image, no area init black."""
    server = await serve(engine=make_painter())
    short = make_drawing(mask=make_mask_file())
    full = make_drawing(
        mask=make_mask_file(),
        width=128,
        height=128,
        steps=30,
        samples=1,
        masked_area_init=generation.MASKED_AREA_INIT_ZERO,
        weight_method=generation.TEXT_ENCODER,
        transform=generation.TransformType(diffusion=generation.SAMPLER_K_DPMPP_2M),
        parameters=[make_schedule(start=1.0, end=0.0)],
    )
    full.image.parameters[0].sampler.cfg_scale = 7
    request, files = read_request(full, "painter")
    assert await make_image(server, short) == paint(request, SentFiles(files).read)


@pytest.mark.parametrize(
    ("without", "field"),
    [
        ("initial_image", "prompt.artifact"),
        ("mask", "prompt.artifact"),
        ("guidance", "image.parameters.guidance"),
        ("weight_method", "image.weight_method"),
        ("adapter", "image.adapter"),
        ("fine_tunes", "image.fine_tuning_parameters"),
        ("content_credentials", "image.cai_parameters"),
    ],
)
async def test_what_the_engine_has_not_is_refused_by_the_protocols_name(
    serve: Serve, without: str, field: str
) -> None:
    shelf = Shelf()
    server = await serve(engine=make_painter(without))
    message = build_message(make_full_request(shelf), shelf.make_run())
    message.engine_id = MODEL
    code, text = await fail(server, message)
    assert code is Code.INVALID_ARGUMENT
    assert text.startswith(f"{field}: ")
    assert without.replace("_", " ") in text


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"GIF89a", generation.ARTIFACT_IMAGE, "not a readable PNG"),
        (make_file(), generation.ARTIFACT_DEPTH, "Only an initial image and its mask"),
        (make_file(), generation.ARTIFACT_MASK, "mask and no initial image"),
    ],
    ids=["broken", "depth", "mask"],
)
async def test_an_image_that_cannot_be_used_is_refused(
    serve: Serve, data: bytes, kind: int, words: str
) -> None:
    message = make_message()
    message.prompt.append(make_artifact(data, kind))
    code, text = await fail(await serve(engine=make_painter()), message)
    assert code is Code.INVALID_ARGUMENT
    assert text.startswith("prompt.artifact: ")
    assert words in text


async def test_a_mask_of_another_size_is_refused(serve: Serve) -> None:
    message = make_drawing(mask=make_mask_file((64, 64)))
    _, text = await fail(await serve(engine=make_painter()), message)
    assert text.startswith("prompt.artifact: The mask has 64x64 pixels")


@pytest.mark.parametrize("name", [ESRGAN, UPSCALER])
@pytest.mark.parametrize(
    ("size", "made"),
    [({}, (256, 192)), ({"width": 192}, (192, 144)), ({"height": 144}, (192, 144))],
    ids=str,
)
async def test_an_image_is_made_larger(
    serve: Serve, name: str, size: dict[str, int], made: tuple[int, int]
) -> None:
    server = await serve(engine=make_painter(), names=(ESRGAN,))
    message = make_message(seed=[0], **size)
    message.engine_id = name
    message.ClearField("prompt")
    message.prompt.append(make_artifact(make_file((128, 96))))
    (answer,) = await generate(server, message)
    image = open_image(answer.artifacts[0].binary)
    assert image.size == made
    small = open_image(make_file((128, 96)))
    assert image.tobytes() == small.resize(made, Image.Resampling.NEAREST).tobytes()
    assert answer.meta.engine_id == UPSCALER


async def test_upscales_that_cannot_be_are_refused(serve: Serve) -> None:
    server = await serve(engine=make_painter(), names=(ESRGAN,))
    message = make_message(width=256, height=192)
    message.engine_id = ESRGAN
    _, text = await fail(server, message)
    assert text.startswith("prompt.artifact: There is no image")
    message.prompt.append(make_artifact(make_file((128, 96))))
    _, text = await fail(server, message)
    assert text.startswith("image.width: ")
    message.image.ClearField("height")
    message.image.transform.diffusion = generation.SAMPLER_DDIM
    _, text = await fail(server, message)
    assert text.startswith("image.transform.diffusion: ")
    message.image.transform.upscaler = generation.UPSCALER_ESRGAN
    message.engine_id = MODEL
    _, text = await fail(server, message)
    assert text.startswith("image.transform.upscaler: ")
    assert UPSCALER in text


async def test_what_is_served_is_listed(serve: Serve) -> None:
    server = await serve(engine=make_painter(), names=(ESRGAN, "other"))
    (found,) = await call(
        server, "EnginesService/ListEngines", listing.ListEnginesRequest(), listing.Engines
    )
    engines = {engine.id: engine.description.rpartition(": ")[2] for engine in found.engine}
    assert engines == {MODEL: MODEL, UPSCALER: UPSCALER, ESRGAN: UPSCALER, "other": MODEL}
    assert {(engine.ready, engine.type) for engine in found.engine} == {(True, listing.PICTURE)}


async def test_a_request_that_is_larger_than_the_server_takes_is_said_to_be(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.server.server.RECEIVE_LIMIT", 10_000)
    server, shelf = await serve(engine=make_painter()), Shelf()
    initial = shelf.make_initial(encode(open_image(make_file())))
    request = msgspec.structs.replace(make_full_request(shelf, initial_image=initial), model=MODEL)
    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host), request, shelf.make_run())
    assert (caught.value.kind, caught.value.may_be_charged) == (Failure.INVALID_REQUEST, False)
    assert "The request is larger than" in caught.value.message
    assert server.messages == []
