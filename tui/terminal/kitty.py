"""Images in the kitty graphics protocol, in the place of characters.

An image is sent once, as a PNG of its own size, which the terminal scales. Where it stands is
marked by characters: a private one for each cell, with its row and column in two diacritics and the
number of the image as its colour. So it moves, is covered and goes away with the text around it,
through tmux too. Fact: the protocol's chapter on Unicode placeholders.

Pillow is imported when the first image is made, never at import.
"""

from __future__ import annotations

import base64
import functools
import io
import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from tui.terminal.passthrough import wrap_for_tmux

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

PLACEHOLDER = "\U0010eeee"

NUMBERS = range(16, 256)
"""Numbers of images: those of colours that every terminal of 256 and more keeps apart."""

CHUNK_BYTES = 4096
"""The most that one message of the protocol may hold."""

SMALLEST_SIDE = 64
_STEP = 0.75
"""A PNG that is too large is made smaller by this, down to that many pixels a side."""

_DIACRITICS = (
    "305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 "
    "59c-5a1 5a8-5a9 5ab-5ac 5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec "
    "730 732-733 735-736 73a 73d 73f-741 743 745 747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 "
    "829-82d 951 953-954 f82-f83 f86-f87 135d-135f 17dd 193a 1a17 1a75-1a7c 1b6b 1b6d-1b73 "
    "1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc 1dd1-1de6 1dfe 20d0-20d1 20d4-20d7 "
    "20db-20dc 20e1 20e7 20e9 20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d a6f0-a6f1 a8e0-a8f1 aab0 "
    "aab2-aab3 aab7-aab8 aabe-aabf aac1 fe20-fe26 10a0f 10a38 1d185-1d189 1d1aa-1d1ad 1d242-1d244"
)
"""What stands for 0, 1, 2 …, as hexadecimal numbers of characters."""


@functools.cache
def list_diacritics() -> tuple[str, ...]:
    """The characters that stand for rows and columns, in their order."""
    found: list[str] = []
    for part in _DIACRITICS.split():
        first, _, last = part.partition("-")
        found += map(chr, range(int(first, 16), int(last or first, 16) + 1))
    return tuple(found)


@functools.cache
def count_images() -> Iterator[int]:
    """Numbers for images, over and over. Other programs in the terminal begin somewhere else."""
    begin = os.getpid() % len(NUMBERS)
    return itertools.cycle([*NUMBERS[begin:], *NUMBERS[:begin]])


def make_png(
    image: PillowImage, columns: int, rows: int, cell: tuple[int, int], limit: int
) -> bytes:
    """`image` as a PNG of at most `limit` bytes, if that can be, and of no more pixels than shown.

    `cell`: width and height of one in pixels. For a thread.
    """
    from PIL import Image

    image = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA")
    shown = columns * cell[0], rows * cell[1]
    if image.width > shown[0] or image.height > shown[1]:
        image = image.copy()
        image.thumbnail(shown, Image.Resampling.LANCZOS)
    while True:
        file = io.BytesIO()
        image.save(file, "PNG", optimize=True)
        size = tuple(int(side * _STEP) for side in image.size)
        if file.tell() <= limit or min(size) < SMALLEST_SIDE:
            return file.getvalue()
        image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def send_image(
    png: bytes, number: int, columns: int, rows: int, *, is_wrapped: bool = False
) -> str:
    """What sends an image and says how many cells it takes. `is_wrapped`: through tmux."""
    data = base64.standard_b64encode(png)
    messages = []
    for begin in range(0, len(data), CHUNK_BYTES):
        more = int(begin + CHUNK_BYTES < len(data))
        head = f"a=t,t=d,f=100,i={number},q=2,m={more}" if not begin else f"m={more}"
        messages.append((head, data[begin : begin + CHUNK_BYTES]))
    messages.append((f"a=p,U=1,i={number},c={columns},r={rows},q=2", b""))
    return "".join(_make_message(head, body, is_wrapped) for head, body in messages)


def remove_image(number: int, *, is_wrapped: bool = False) -> str:
    """What makes the terminal forget an image."""
    return _make_message(f"a=d,d=I,i={number},q=2", b"", is_wrapped)


def place_image(number: int, columns: int, rows: int) -> list[list[Segment]]:
    """The rows of characters in whose place the image stands."""
    marks = list_diacritics()
    style = Style.from_color(Color.from_ansi(number))
    return [
        [Segment("".join(PLACEHOLDER + marks[row] + mark for mark in marks[:columns]), style)]
        for row in range(rows)
    ]


def _make_message(head: str, body: bytes, is_wrapped: bool) -> str:
    message = f"\x1b_G{head}".encode() + (b";" + body if body else b"") + b"\x1b\\"
    return (wrap_for_tmux(message) if is_wrapped else message).decode()
