"""A service that writes the key into its image, its words or its previews: none is stored."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from store import queue
from store.concealment import STRIPPED, conceal_preview, conceal_result
from store.database import Database
from store.errors import RequestError
from store.known_secrets import remember_secret
from store.metadata.containers import read_metadata
from store.pixels import digest_pixels, open_image
from store.records import Result
from store.request import Guidance
from tests.factories import make_request, make_result

KEY = "sk-CANARYc4n4ry0123456789abcdef"


def draw() -> Image.Image:
    return Image.linear_gradient("L").resize((64, 48)).convert("RGB")


def write_png(
    key: str, text: str, *, is_compressed: bool = False, is_unicode: bool = False
) -> bytes:
    info = PngInfo()
    (info.add_itxt if is_unicode else info.add_text)(key, text, zip=is_compressed)
    draw().save(file := io.BytesIO(), "PNG", pnginfo=info)
    return file.getvalue()


def write_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = f"Bearer {KEY}", 6
    draw().save(file := io.BytesIO(), kind, exif=exif, quality=90)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "PNG, tEXt": lambda: write_png("Comment", f"made for {KEY}"),
    "PNG, zTXt": lambda: write_png("Comment", f"made for {KEY}", is_compressed=True),
    "PNG, iTXt": lambda: write_png("Comment", f"Bearer {KEY}", is_unicode=True),
    "PNG, compressed iTXt": lambda: write_png(
        "Comment", f"Bearer {KEY}", is_unicode=True, is_compressed=True
    ),
    "PNG, behind its end": lambda: write_png("Comment", "no") + KEY.encode(),
    "JPEG, EXIF": lambda: write_exif("JPEG"),
    "WebP, EXIF": lambda: write_exif("WEBP"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_key_in_the_image_file_is_left_out_and_the_pixels_stay(name: str) -> None:
    remember_secret(KEY)
    data = FILES[name]()
    given = make_result(data=data, warning=None)
    result = conceal_result(given)
    assert result.data != data
    assert KEY.encode() not in result.data
    assert not any(KEY in field.text for field in read_metadata(result.data).fields)
    assert digest_pixels(open_image(result.data)) == digest_pixels(open_image(data))
    turned = open_image(result.data).getexif().get(0x0112)
    assert turned == open_image(data).getexif().get(0x0112)
    assert result.warning == STRIPPED
    assert conceal_preview(data) is None


def test_the_words_of_a_result_hold_no_key() -> None:
    remember_secret(KEY)
    given = make_result(warning=f"It said: {KEY}.", meta={"answer id": f"id-{KEY}", KEY: "x"})
    result = conceal_result(given)
    assert result.warning == "It said: [key]."
    assert result.meta == {"answer id": "id-[key]", "[key]": "x"}


def test_a_prompt_with_a_key_is_not_queued(db: Database) -> None:
    remember_secret(KEY)
    for request in (
        make_request("a cat", f"fog {KEY}::-1"),
        make_request(guidance=Guidance(preset="simple", prompt=f"Bearer {KEY}")),
    ):
        with pytest.raises(RequestError, match="has your key in it") as caught:
            queue.enqueue(db, [make_request("a cat"), request])
        assert KEY not in repr(vars(caught.value))
    assert queue.list_jobs(db) == []
    queue.enqueue(db, [make_request("sk-CANARY is only a part")])


def test_an_image_without_a_key_keeps_every_byte() -> None:
    remember_secret(KEY)
    data = write_png("Comment", "sk-CANARY is only a part", is_compressed=True)
    result: Result = make_result(data=data)
    assert conceal_result(result).data == data
    assert conceal_preview(data) == data
