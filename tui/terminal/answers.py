"""What a terminal is asked about itself, and what its answers say.

Facts: xterm's control sequences (XTVERSION, DECRQSS, `CSI 16 t`, the 4 for sixel among the
device attributes) and the kitty graphics protocol. All terminals answer in the order in which
they are asked, and nearly all tell their device attributes: these are asked last, and when they
have come nothing else will.

Nothing here imports Textual or reads anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

NAME_LENGTH = 64
"""So much of a terminal's name and version is kept."""

LARGEST_CELL = 256
"""Pixels a side; no terminal's cell is larger."""

_KITTY_NUMBER = 31
_COLOUR = (1, 2, 3)
"""A colour that no palette holds."""

QUESTIONS: Mapping[str, bytes] = {
    "name": b"\x1b[>0q",
    "colours": b"\x1b[48;2;%d;%d;%dm\x1bP$qm\x1b\\\x1b[m" % _COLOUR,
    "kitty graphics": b"\x1b_Gi=%d,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" % _KITTY_NUMBER,
    "cell size": b"\x1b[16t",
    "attributes": b"\x1b[c",
}
"""In the order in which they are asked, by what they ask for."""

CLEANING = b"\r\x1b[2K"
"""Sent behind the questions: a terminal that knows none of them may have shown them."""

_SIXEL = "4"
_ANSWER = re.compile(
    rb"\x1b\[\?(?P<attributes>[0-9;]{1,64})c"
    rb"|\x1b\[6;(?P<height>[0-9]{1,5});(?P<width>[0-9]{1,5})t"
    rb"|\x1bP>\|(?P<name>[^\x00-\x1f\x7f]{0,256})\x1b\\"
    rb"|\x1bP(?P<valid>[01])\$r(?P<style>[0-9;:]{0,64})m?\x1b\\"
    rb"|\x1b_Gi=%d[^\x00-\x1f\x7f;]{0,32};(?P<kitty>[^\x00-\x1f\x7f]{0,128})\x1b\\" % _KITTY_NUMBER
)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What one terminal has said of itself.

    `asked`: names of questions. `name`: its own name and version. `has_truecolor` is None where it
    did not say. `cell`: width and height in pixels. `is_whole`: nothing more will come.
    `is_remembered`: it said so on an earlier day.
    """

    asked: tuple[str, ...] = ()
    name: str = ""
    has_truecolor: bool | None = None
    has_kitty: bool = False
    has_sixel: bool = False
    cell: tuple[int, int] | None = None
    is_whole: bool = False
    is_remembered: bool = False


NO_ANSWERS = Answers()


def read_answers(data: bytes, asked: tuple[str, ...] = ()) -> tuple[Answers, bytes]:
    """What the answers among the bytes of a terminal say, and the other bytes, in their order.

    These are what somebody typed meanwhile, and the beginning of an answer that is not whole.
    """
    said: dict[str, object] = {}
    rest: list[bytes] = []
    end = 0
    for found in _ANSWER.finditer(data):
        rest.append(data[end : found.start()])
        end = found.end()
        said |= _read(found)
    rest.append(data[end:])
    return msgspec.structs.replace(Answers(asked=asked), **said), b"".join(rest)


def _read(found: re.Match[bytes]) -> dict[str, object]:
    groups = {
        name: text.decode("utf-8", "replace")
        for name, text in found.groupdict().items()
        if text is not None
    }
    match groups:
        case {"attributes": numbers}:
            return {"is_whole": True, "has_sixel": _SIXEL in numbers.split(";")[1:]}
        case {"height": height, "width": width}:
            size = int(width), int(height)
            return {"cell": size} if all(1 <= side <= LARGEST_CELL for side in size) else {}
        case {"name": name}:
            shown = "".join(sign for sign in name if sign.isprintable()).strip()
            return {"name": shown[:NAME_LENGTH]}
        case {"valid": valid, "style": style}:
            # Refused by some that have the colours, so a refusal says nothing.
            return {"has_truecolor": _is_kept(style)} if valid == "1" else {}
        case {"kitty": text}:
            return {"has_kitty": text == "OK"}
    return {}


def _is_kept(style: str) -> bool:
    """Whether the colour that was set is there as it was: `48:2::1:2:3`, `48;2;1;2;3` …"""
    numbers = [int(part) if part else 0 for part in re.split("[;:]", style)]
    wanted = list(_COLOUR)
    return any(
        numbers[at : at + 2] == [48, 2] and wanted in (numbers[at + 2 : at + 5], numbers[at + 3 :])
        for at in range(len(numbers))
    )
