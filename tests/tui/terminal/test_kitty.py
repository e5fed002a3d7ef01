"""Images in the kitty graphics protocol: what a terminal that has it would see."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from rich.cells import cell_len

from tests.factories import make_png
from tests.tui.terminal.test_terminal import run_program
from tui.terminal.kitty import (
    CHUNK_BYTES,
    NUMBERS,
    PLACEHOLDER,
    count_images,
    list_diacritics,
    place_image,
    remove_image,
    send_image,
)
from tui.terminal.kitty import (
    make_png as encode,
)

MESSAGE = re.compile(rb"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\")


class Shown:
    """A terminal with the protocol: images by number, and how many cells each takes."""

    def __init__(self) -> None:
        self.images: dict[int, bytes] = {}
        self.places: dict[int, tuple[int, int]] = {}
        self._coming = (0, b"")

    def feed(self, data: bytes) -> None:
        for head, body in MESSAGE.findall(data):
            assert len(body) <= CHUNK_BYTES
            keys = dict(part.split("=") for part in head.decode().split(","))
            action = keys.get("a", "")
            if action == "t" or "a" not in keys:
                number, before = self._coming
                number = int(keys.get("i", number))
                self._coming = (number, before + body)
                if keys["m"] == "0":
                    self.images[number] = base64.b64decode(self._coming[1], validate=True)
                    self._coming = (0, b"")
            elif action == "p":
                assert keys["U"] == "1"
                self.places[int(keys["i"])] = (int(keys["c"]), int(keys["r"]))
            elif action == "d":
                self.images.pop(int(keys["i"]))
                self.places.pop(int(keys["i"]))
            assert action in ("", "t", "p", "d")
            assert "q" in keys or not action, "nothing is answered into the text that is typed"


def test_the_diacritics_are_those_of_the_protocol() -> None:
    marks = list_diacritics()
    assert (len(marks), len(set(marks)), list(marks)) == (297, 297, sorted(marks))
    assert [f"{ord(mark):x}" for mark in (marks[0], marks[1], marks[2], marks[-1])] == [
        *("305", "30d", "30e"),
        "1d244",
    ]
    assert all(unicodedata.combining(mark) == 230 for mark in marks)
    assert all(cell_len(PLACEHOLDER + marks[3] + mark) == 1 for mark in marks)


def test_an_image_arrives_whole_and_stands_where_its_characters_are() -> None:
    shown = Shown()
    png = make_png(7)
    shown.feed(send_image(png, 77, 30, 15).encode())
    assert shown.images == {77: png}
    assert shown.places == {77: (30, 15)}
    rows = place_image(77, 30, 15)
    assert [sum(segment.cell_length for segment in row) for row in rows] == [30] * 15
    marks = list_diacritics()
    text = rows[14][0].text
    assert text.split(PLACEHOLDER)[1:] == [marks[14] + mark for mark in marks[:30]]
    assert rows[0][0].style is not None
    assert rows[0][0].style.color is not None
    assert rows[0][0].style.color.number == 77
    shown.feed(remove_image(77).encode())
    assert (shown.images, shown.places) == ({}, {})


def test_through_tmux_every_message_is_wrapped() -> None:
    plain, wrapped = Shown(), Shown()
    data = make_png(7)
    plain.feed(send_image(data, 20, 4, 2).encode())
    text = send_image(data, 20, 4, 2, is_wrapped=True).encode()
    parts = re.findall(rb"\x1bPtmux;((?:\x1b\x1b|[^\x1b])*)\x1b\\", text)
    assert b"".join(b"\x1bPtmux;" + part + b"\x1b\\" for part in parts) == text
    for part in parts:
        wrapped.feed(part.replace(b"\x1b\x1b", b"\x1b"))
    assert wrapped.images == plain.images == {20: data}


def test_numbers_are_colours_that_are_kept_apart_and_come_again_late() -> None:
    numbers = [next(count_images()) for _ in range(len(NUMBERS))]
    assert set(numbers) == set(NUMBERS)


@pytest.mark.parametrize(
    ("size", "limit", "largest"),
    [
        ((128, 128), 1 << 20, (128, 128)),
        ((2048, 1024), 1 << 20, (400, 200)),
        ((2048, 2048), 20_000, (400, 400)),
        ((3, 2000), 1 << 20, (3, 400)),
    ],
)
def test_an_image_has_no_more_pixels_than_are_shown_and_no_more_bytes_than_it_may(
    size: tuple[int, int], limit: int, largest: tuple[int, int]
) -> None:
    image = Image.effect_noise(size, 60).convert("RGB")
    png = encode(image, 40, 20, (10, 20), limit)
    assert len(png) <= limit
    with Image.open(io.BytesIO(png)) as made:
        assert made.format == "PNG"
        assert made.width <= largest[0]
        assert made.height <= largest[1]
    assert image.size == size


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK", "I;16", "LA"])
def test_images_of_every_mode_can_be_sent(mode: str) -> None:
    encode(Image.new(mode, (64, 64)), 10, 5, (10, 20), 1 << 20)


def test_a_picture_is_sent_once_and_gone_when_the_program_ends(tmp_path: Path) -> None:
    environ = {"TERM": "xterm-kitty", "COLORTERM": ""}
    with run_program("shows", tmp_path, environ=environ) as terminal:
        terminal.wait_until(lambda: PLACEHOLDER.encode() in terminal.raw, what="the picture")
        terminal.wait_for_silence()
        shown = Shown()
        shown.feed(bytes(terminal.raw))
        [(number, data)] = shown.images.items()
        assert data.startswith(b"\x89PNG")
        assert terminal.raw.count(b"a=t,") == 1
        assert f"38;5;{number}m".encode() in terminal.raw
        columns, rows = shown.places[number]
        assert terminal.raw.decode().count(PLACEHOLDER) % (columns * rows) == 0
        terminal.send("\x11")
        terminal.wait_for_end()
        end = Shown()
        end.feed(bytes(terminal.raw))
        assert end.images == {}
