"""Photographs on their way into each engine and over each wire: all of them get one image.

What is kept of a file is what the embedded model reads, what travels to a service, and what the
server reads of the same file from a client that knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from engines.base import Produced, Warned
from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from engines.stability.messages import IMAGE_FIELD, build_message
from engines.stability.protocol import Message, generation
from engines.stability_rest import messages as rest
from store.decoding import DecodedInput, decode_input
from store.pixels import identify_image, open_image
from store.request import InitialImage, Mask
from tests.engines.builtin.making import Inputs, pixels, run
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import EVERYTHING, UPSCALER, Painter
from tests.engines.server.plain_client import fail, generate, make_message
from tests.engines.stability.files import Shelf
from tests.engines.stability.server import Server
from tests.engines.stability_rest.rest_form import parse_form
from tests.factories import make_hosted_request, make_quick_request, make_rest_request
from tests.photographs import (
    P3,
    draw,
    encode,
    make_exif,
    make_photograph,
    make_rgb_profile,
    turn,
)

SIZE = (128, 192)
PHONE = partial(make_photograph, 6, size=SIZE, icc_profile=make_rgb_profile("Display P3", P3, 2.2))


def make_transparent() -> bytes:
    image = draw(SIZE).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 128, 96))
    return encode(image)


def animate(kind: str) -> bytes:
    return encode(draw(SIZE), kind, save_all=True, append_images=[draw(SIZE).rotate(180)])


FILES: dict[str, Callable[[], bytes]] = {
    **{
        f"{kind} {orientation}": partial(make_photograph, orientation, kind, SIZE)
        for kind in ("JPEG", "PNG", "WEBP")
        for orientation in (1, 3, 5, 6, 7, 8)
    },
    "phone": PHONE,
    "plain": lambda: encode(draw(SIZE)),
    "inks": lambda: encode(draw(SIZE).convert("CMYK"), "JPEG"),
    "deep grey": lambda: encode(Image.new("I;16", SIZE, 40_000)),
    "palette": lambda: encode(draw(SIZE).quantize(8), transparency=0),
    "transparent": make_transparent,
    "animated PNG": lambda: animate("PNG"),
    "animated WebP": lambda: animate("WEBP"),
    "MPO": lambda: encode(draw(SIZE), "MPO", save_all=True, append_images=[draw(SIZE)]),
}
OTHERS: dict[str, Callable[[], bytes]] = {
    "animated GIF": lambda: animate("GIF"),
    "TIFF": partial(make_photograph, 6, "TIFF", SIZE),
    "BMP": lambda: encode(draw(SIZE), "BMP"),
    "AVIF": partial(make_photograph, 6, "AVIF", SIZE),
}
"""What is read from files, and not from strangers."""


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    """The pipeline of the packaged weights."""
    made = Pipeline(load_weights())
    yield made
    made.close()


def take(name: str) -> DecodedInput:
    found = decode_input((FILES | OTHERS)[name]())
    assert (found.width, found.height) == SIZE
    return found


def read(data: bytes) -> Any:
    return np.asarray(open_image(data).convert("RGB"), np.int16)


@pytest.mark.parametrize("name", FILES | OTHERS)
def test_the_embedded_model_reads_what_is_kept(pipeline: Pipeline, name: str) -> None:
    """A start schedule of 0 gives the initial image back."""
    found, inputs = take(name), Inputs()
    initial = inputs.start(found.data, 0)
    request = make_quick_request(initial_image=initial, width=SIZE[0], height=SIZE[1])
    np.testing.assert_array_equal(pixels(run(pipeline, request, inputs)), read(found.data))


@pytest.mark.parametrize("name", FILES | OTHERS)
def test_the_service_gets_a_png_of_what_is_kept(name: str) -> None:
    shelf, found = Shelf(), take(name)
    request = make_hosted_request(
        initial_image=shelf.make_initial(found.data), width=SIZE[0], height=SIZE[1]
    )
    message = build_message(request, shelf.make_run())
    (sent,) = (p.artifact.binary for p in message.prompt if p.HasField("artifact"))
    assert identify_image(sent) == ("PNG", SIZE)
    np.testing.assert_array_equal(read(sent), read(found.data))
    assert "icc_profile" not in open_image(sent).info


@pytest.mark.parametrize("name", FILES | OTHERS)
def test_the_service_gets_a_known_kind_of_file_over_rest(name: str) -> None:
    shelf, found = Shelf(), take(name)
    initial = InitialImage(sha256=shelf.put(found.data), start_schedule=0.6, end_schedule=0.0)
    request = make_rest_request("sd3.5-large", [("sky", 1.0)], initial_image=initial)
    form = parse_form(rest.build_message(request, shelf.read).to_bytes())
    kinds = ("image/png", "image/jpeg", "image/webp")
    assert any(kind in form["image"] for kind in kinds)
    assert found.mime in kinds
    assert found.mime in form["image"]


def make_call(data: bytes, *, mask: bytes | None = None) -> Message:
    message = make_message(seed=[7], steps=30)
    for kind, file in ((generation.ARTIFACT_IMAGE, data), (generation.ARTIFACT_MASK, mask)):
        if file is not None:
            artifact = generation.Artifact(type=kind, binary=file)
            message.prompt.append(generation.Prompt(artifact=artifact))
    return message


async def ask(server: Server, message: Message) -> bytes:
    (answer,) = await generate(server, message)
    return bytes(answer.artifacts[0].binary)


@pytest.mark.parametrize("name", FILES)
async def test_the_server_reads_of_a_file_what_would_be_kept_of_it(serve: Serve, name: str) -> None:
    server, found = await serve(engine=Painter(takes=EVERYTHING)), take(name)
    raw = await ask(server, make_call(FILES[name]()))
    assert raw == await ask(server, make_call(found.data))
    assert open_image(raw).size == SIZE


async def test_the_server_makes_a_photograph_larger_as_it_looks(serve: Serve) -> None:
    server = await serve(engine=Painter(takes=EVERYTHING))
    message = make_call(PHONE())
    message.engine_id = UPSCALER
    del message.prompt[0]
    message.image.ClearField("steps")
    made = open_image(await ask(server, message))
    assert made.size == (2 * SIZE[0], 2 * SIZE[1])
    small = open_image(decode_input(PHONE()).data)
    assert made.tobytes() == small.resize(made.size, Image.Resampling.NEAREST).tobytes()


async def test_a_mask_must_fit_the_photograph_as_it_looks(serve: Serve) -> None:
    server = await serve(engine=Painter(takes=EVERYTHING))
    mask = Image.new("L", SIZE, 255)
    mask.paste(0, (0, 0, 128, 96))
    upright = make_call(PHONE(), mask=encode(mask))
    turned = make_call(PHONE(), mask=encode(turn(mask, 6), exif=make_exif(6)))
    assert await ask(server, upright) == await ask(server, turned)
    code, text = await fail(server, make_call(PHONE(), mask=encode(turn(mask, 6))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith(f"{IMAGE_FIELD}: The mask has 192x128 pixels")
    assert "128x192" in text


async def test_the_holes_of_a_mask_mean_the_same_over_the_wire(serve: Serve) -> None:
    server = await serve(engine=Painter(takes=EVERYTHING))
    holes = make_transparent()
    mask = decode_input(holes, "mask")
    start = encode(draw(SIZE))
    assert await ask(server, make_call(start, mask=holes)) == await ask(
        server, make_call(start, mask=mask.data)
    )


@pytest.mark.parametrize("name", OTHERS)
async def test_strangers_send_png_jpeg_or_webp(serve: Serve, name: str) -> None:
    server = await serve(engine=Painter(takes=EVERYTHING))
    _, text = await fail(server, make_call(OTHERS[name]()))
    assert text == f"{IMAGE_FIELD}: This is not a readable PNG, JPEG or WebP image."


async def test_the_server_tells_what_it_changed(serve: Serve) -> None:
    """To a client that sends files as they are."""
    server, shelf = await serve(engine=Painter(takes=EVERYTHING)), Shelf()
    raw = make_photograph(6, "PNG", SIZE)
    request = make_hosted_request(
        initial_image=shelf.make_initial(raw), width=SIZE[0], height=SIZE[1]
    )
    warned, produced = await collect(make_engine(server.host), request, shelf.make_run())
    assert isinstance(warned, Warned)
    assert "The image was turned upright (EXIF orientation 6)." in warned.text
    kept = decode_input(raw)
    plain = make_hosted_request(
        initial_image=shelf.make_initial(kept.data), width=SIZE[0], height=SIZE[1]
    )
    (same,) = await collect(make_engine(server.host), plain, shelf.make_run())
    assert isinstance(produced, Produced)
    assert isinstance(same, Produced)
    assert produced.data == same.data


def test_the_mask_of_a_photograph_is_inverted_upright() -> None:
    """What the service gets has black where the mask's white was to be made anew."""
    shelf = Shelf()
    mask = Image.new("L", SIZE, 0)
    mask.paste(255, (0, 0, 128, 96))
    found = decode_input(encode(turn(mask, 6), exif=make_exif(6)), "mask", replaces="white")
    request = make_hosted_request(
        initial_image=shelf.make_initial(take("JPEG 6").data),
        mask=Mask(sha256=shelf.put(found.data), replaces="white", area_init="original"),
        width=SIZE[0],
        height=SIZE[1],
    )
    message = build_message(request, shelf.make_run())
    (sent,) = (
        p.artifact.binary
        for p in message.prompt
        if p.artifact.type == generation.ARTIFACT_MASK and p.HasField("artifact")
    )
    image = open_image(sent)
    assert image.size == SIZE
    assert (image.getpixel((5, 5)), image.getpixel((5, 190))) == (0, 255)
