"""Prompts as people write them, in many scripts, made by rule: the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

NEW_LINES = ("\n", "\r\n", "\r", "\u2028")
INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u061c", "\u180e")
DIRECTIONS = (
    "\u200e",
    "\u200f",
    "\u202a",
    "\u202b",
    "\u202c",
    "\u202e",
    "\u2066",
    "\u2067",
    "\u2069",
)
CONTROLS = (
    "\x00",
    "\x07",
    "\x0b",
    "\x1b]0;x\x07",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\x9b1m",
    "\udcff",
    "\ud83d",
)
SIGNS = "'\"$`!\\%&|;<>(){}[]*?#~=^@,./+-_:"
WEIGHTS = ("2", "1", "-1", "0.5", "-.5", ".25", "\u22121", "+1", "10", "1.50")
NO_WEIGHTS = ("05", "nan", "1e3", "1_0", "high", "1,5", "2.", "11", "\uff12", " 1", "")

EMOJI = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u2764\ufe0f\u200d\U0001f525",
    "\U0001f44b\U0001f3fd",
    "\U0001f1ef\U0001f1f5",
    "1\ufe0f\u20e3",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f",
)
CODE = (
    "std::vector<int>",
    "http://example.org/a?b=c&d=%20#x",
    "fe80::1",
    "2001:db8::8a2e",
    "12::05",
    "C:\\Users\\x",
    "$(rm -rf /)",
    "`id`",
    "${HOME}",
    "--steps 5",
    "-n",
    "a && b || c",
    "50% off",
    "\\033[0m",
    "!!",
    "[bold]x[/bold]",
)


def _write(random: random.Random, *spans: tuple[int, int], joins: str = "") -> str:
    """A word of letters from `spans`, here and there with one of `joins` in it."""
    letters = []
    for _ in range(random.randint(2, 9)):
        low, high = random.choice(spans)
        letters.append(chr(random.randint(low, high)))
        if joins and random.random() < 0.3:
            letters.append(random.choice(joins))
    return "".join(letters)


Writer = Callable[[random.Random], str]

SCRIPTS: dict[str, Writer] = {
    "latin": lambda random: _write(random, (0x61, 0x7A)),
    "composed": lambda random: _write(random, (0x61, 0x7A), (0xE0, 0xF6), (0x1EA0, 0x1EF9)),
    "decomposed": lambda random: _write(random, (0x61, 0x7A), joins="\u0300\u0301\u0308\u0323"),
    "marks": lambda random: _write(random, (0x61, 0x7A), joins="\u0315\u031b\u0334\u20dd"),
    "cyrillic": lambda random: _write(random, (0x430, 0x44F)),
    "greek": lambda random: _write(random, (0x3B1, 0x3C9)),
    "chinese": lambda random: (
        _write(random, (0x4E00, 0x9FA5)) + random.choice("\uff0c\u3002\uff1a")
    ),
    "japanese": lambda random: _write(random, (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5)),
    "wide": lambda random: _write(random, (0xFF21, 0xFF3A), (0xFF10, 0xFF19)) + "\u3000",
    "korean": lambda random: _write(random, (0xAC00, 0xD7A3), (0x1100, 0x1112)),
    "thai": lambda random: _write(random, (0xE01, 0xE2E), joins="\u0e31\u0e34\u0e48\u0e49"),
    "devanagari": lambda random: _write(random, (0x915, 0x939), joins="\u093f\u094d\u200d\u200c"),
    "tamil": lambda random: _write(random, (0xB95, 0xBB9), joins="\u0bbe\u0bcd"),
    "arabic": lambda random: _write(random, (0x627, 0x64A), joins="\u064e\u0651\u200c\u200f\u061c"),
    "hebrew": lambda random: _write(random, (0x5D0, 0x5EA), joins="\u05b7\u05bc\u200e"),
    "ethiopic": lambda random: _write(random, (0x1200, 0x1248)),
    "mathematics": lambda random: _write(random, (0x1D400, 0x1D433), (0x2200, 0x22FF)),
    "emoji": lambda random: random.choice(EMOJI) + chr(random.randint(0x1F300, 0x1F5FF)),
    "private": lambda random: _write(random, (0xE000, 0xE0FF), (0xF0000, 0xF00FF)),
    "ancient": lambda random: _write(random, (0x12000, 0x120FF), (0x13000, 0x130FF)),
    "signs": lambda random: "".join(random.choice(SIGNS) for _ in range(random.randint(1, 6))),
    "invisible": lambda random: random.choice(INVISIBLE) + _write(random, (0x61, 0x7A)),
    "directions": lambda random: random.choice(DIRECTIONS) + _write(random, (0x5D0, 0x5EA)),
    "code": lambda random: random.choice(CODE),
    "spaces": lambda random: "a" + random.choice(("\t", "  ", "\u00a0", "\u2003", "\u202f")) + "b",
}


def make_text(random: random.Random) -> str:
    """One text: some words, in one script or several, and what people put between and around."""
    names = list(SCRIPTS)
    own = random.choice(names)
    words = []
    for _ in range(random.randint(1, 7)):
        name = own if random.random() < 0.7 else random.choice(names)
        words.append(SCRIPTS[name](random))
    between = random.choice((" ", " ", " ", ", ", "")) or " "
    text = between.join(words)
    match random.randrange(14):
        case 0:
            text = text.replace(" ", random.choice(NEW_LINES), 1)
        case 1:
            text += f"::{random.choice(WEIGHTS)}"
        case 2:
            text += f"::{random.choice(WEIGHTS)} {SCRIPTS[own](random)}::{random.choice(WEIGHTS)}"
        case 3:
            text += f"::{random.choice(NO_WEIGHTS)}"
        case 4:
            text += random.choice(("::", ":: x", " :: x :: y", ":::", "\uff1a\uff1a2"))
        case 5:
            text = random.choice((" ", "\t", "\n", "\ufeff", "-", "--", "@")) + text
        case 6:
            text += random.choice((" ", "\n", "\n\n", "\t", "\\", "!", "\u200d", "\r\n"))
        case 7 if random.random() < 0.6:
            place = random.randint(0, len(text))
            text = text[:place] + random.choice(CONTROLS) + text[place:]
        case 8:
            text += f"::{random.choice(WEIGHTS)}::1"
        case _:
            pass
    return text


def make_texts(count: int, seed: int = 11) -> Iterator[str]:
    """`count` texts, each another one."""
    chance = random.Random(seed)
    made: set[str] = set()
    while len(made) < count:
        text = make_text(chance)
        if text not in made:
            made.add(text)
            yield text
