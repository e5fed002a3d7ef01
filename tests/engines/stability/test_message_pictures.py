"""Pictures on the wire: as PNG, with the polarity of the protocol, within the limits."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image, ImageOps

from engines.base import Run
from engines.stability.messages import build_message, prepare_message, read_request, serialize
from engines.stability.protocol import Message, generation
from store.errors import RequestError, StoreError
from store.pixels import open_image
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.engines.stability.full_requests import make_full_request
from tests.factories import make_hosted_request


def sent(message: Message, kind: int) -> bytes:
    (found,) = [p.artifact.binary for p in message.prompt if p.artifact.type == kind]
    return bytes(found)


def test_a_mask_whose_white_is_replaced_is_sent_inverted() -> None:
    shelf = Shelf()
    mask = shelf.make_mask(replaces="white")
    request = make_hosted_request(initial_image=shelf.make_initial(), mask=mask)
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
    request = make_hosted_request(initial_image=shelf.make_initial(file))
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
    request = make_hosted_request(initial_image=shelf.make_initial(file.getvalue()))
    assert b"my address" not in serialize(build_message(request, shelf.make_run()))


def test_a_file_that_is_not_at_hand_is_no_message() -> None:
    request = make_hosted_request(initial_image=Shelf().make_initial())
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
