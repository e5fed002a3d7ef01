"""What terminals send, and what they should not: by chance, the same for one seed."""

from __future__ import annotations

import random
from collections.abc import Callable

REPORTS = (
    # The mouse, as xterm, urxvt and the oldest terminals report it.
    *(b"\x1b[<0;10;5M", b"\x1b[<0;10;5m", b"\x1b[<35;200;60M", b"\x1b[<65;3;4M", b"\x1b[<0;-1;0M"),
    *(
        b"\x1b[<0;99999999;99999999M",
        b"\x1b[32;40;12M",
        b"\x1b[M\x20\x21\x21",
        b"\x1b[M\x43\x8e\x25",
    ),
    *(b"\x1b[M\x60\xc3\xa9", b"\x1b[M \xff\xff"),
    # Focus, what the terminal is, where the cursor is, which modes it has.
    *(
        b"\x1b[I",
        b"\x1b[O",
        b"\x1b[?64;1;2;4;6;22c",
        b"\x1b[>41;354;0c",
        b"\x1b[0n",
        b"\x1b[24;80R",
    ),
    *(b"\x1b[?2026;2$y", b"\x1b[?2048;2$y", b"\x1b[?2048;0$y", b"\x1b[?25u", b"\x1b[?1u"),
    # Sizes, possible and not.
    *(b"\x1b[8;24;80t", b"\x1b[4;600;800t", b"\x1b[48;24;80;480;800t", b"\x1b[48;0;0;0;0t"),
    *(b"\x1b[48;99999999;99999999;1;1t", b"\x1b[48;1:2;80:3;4;5t"),
    # Strings: colours, versions, the clipboard, images.
    *(
        b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        b"\x1b]10;rgb:ff/ff/ff\x07",
        b"\x1b]52;c;cm0gLXJmIC8K\x07",
    ),
    *(b"\x1bP>|tmux 3.4\x1b\\", b"\x1bP1$r0m\x1b\\", b"\x1b_Gi=31;OK\x1b\\", b"\x1b^private\x1b\\"),
    *(b"\x1b]l" + b"x" * 300 + b"\x1b\\", b"\x1bXstring\x1b\\"),
)
"""Reports that are whole. Nobody pressed a key."""

KEYS = (
    *(
        b"\x1b[A",
        b"\x1bOA",
        b"\x1b[1;5D",
        b"\x1b[3~",
        b"\x1b[15~",
        b"\x1bOP",
        b"\x1b[[A",
        b"\x1b[Z",
    ),
    *(b"\x1b[3$", b"\x1b[7^", b"\x1b[8@", b"\x1b\x1b[A", b"\x1bO5A", b"\x1b[2;2~", b"\x1b[1;2R"),
    *(
        b"\x1b[97u",
        b"\x1b[97;5u",
        b"\x1b[97;1:3u",
        b"\x1b[97:65;2u",
        b"\x1b[97;;97u",
        b"\x1b[57361u",
    ),
    *(b"\x1b[1114112u", b"\x1b[9999999999u", b"\x1b[55296u", b"\x1b[97;99999999u", b"\x1b[;;u"),
    *(
        b"\x1b[0u",
        b"\x1b[97;1;9999999u",
        b"\x1b[97;1;55296u",
        b"\x1b[97;;233:776u",
        b"\x1b[27;5;106~",
    ),
    *(
        b"\x1ba",
        b"\x1bA",
        b"\x1b\xc3\xa9",
        b"\x1b\x7f",
        b"\x1b\r",
        b"\x1b\x00",
        b"\x1b ",
        b"\xe1",
        b"\x1b",
    ),
    *(b"\x1b[", b"\x1bO", b"\x1b]", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", b"\x1b[M", b"\x1b[<"),
)
TEXTS = (
    *(b"caf\xe9", "夜空".encode("gbk"), "夜空🙂".encode(), "é".encode()[:1], "🙂".encode()[:3]),
    *(b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80\x80", b"\xc2\x9b31m"),
    *(
        b"\x00",
        b"\x9b31m",
        b"plain words",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b"\x07\x0e\x0f",
        b"a\x1b[0mb",
    ),
    *("\u2028\u202e\u200d\ufeff".encode(), b"1" * 500, b"\x1b[" + b"1;" * 300 + b"m"),
)
PASTES = (
    *(b"\x1b[200~two\nlines\x1b[201~", b"\x1b[200~caf\xe9\x1b[201~", b"\x1b[200~\x1b[201~"),
    *(b"\x1b[200~a\x1b[0mb\x1b\nc\x1b[201~", b"\x1b[200~a\x1b[200~b\x1b[201~c\x1b[201~"),
    *(b"\x1b[200~never ends", b"\x1b[201~", b"\x1b[200~a\x1b[20", b"\x1b[200~\x1b[113;5u\x11"),
)


def make_input(chance: random.Random) -> list[bytes]:
    """What one terminal sends, in the pieces in which it comes."""
    kinds = (REPORTS, KEYS, TEXTS, PASTES)
    parts = [chance.choice(chance.choice(kinds)) for _ in range(chance.choice((1, 1, 2, 3)))]
    data = chance.choice(CHANGES)(chance, b"".join(parts))
    return cut(chance, data)


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    """`data` in up to three pieces."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 1, 1, 2))))
    pieces = [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)
    ]
    return [piece for piece in pieces if piece]


def _leave(chance: random.Random, data: bytes) -> bytes:
    return data


def _shorten(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data)) + 1]


def _behead(chance: random.Random, data: bytes) -> bytes:
    return data[chance.randrange(len(data)) :]


def _insert(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + bytes([chance.randrange(256)]) + data[place:]


def _replace(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _draw(chance: random.Random, data: bytes) -> bytes:
    return chance.randbytes(chance.randrange(1, 40))


CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(_leave, _leave, _shorten, _behead, _insert, _replace, _draw),
)
