"""Upscales on the wire: a message that asks for a larger image."""

from __future__ import annotations

import io

import msgspec
import pytest
from PIL import Image

from engines.stability.messages import UNSAID, build_message, prepare_message, read_request
from store.errors import RequestError
from store.request import PromptStack
from tests.engines.stability.files import Shelf, make_file
from tests.engines.stability.full_requests import ESRGAN, LATENT, make_upscale


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
