"""What another program wrote about an image, as far as it is understood, and how that is gathered.

A reader of a dialect hands what it finds to a `Collector` by the names that it has there. What a
request can hold goes to its place, what only tells about the image is a fact, and the rest, all
that was not understood or has no place in a request here, is unread: nothing is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from store.limits import (
    CFG_SCALE_MAXIMUM,
    PROMPT_LIMIT,
    SEED_MAXIMUM,
    SEED_MINIMUM,
    STEPS_MAXIMUM,
    TEXT_LIMIT,
    WEIGHT_MAXIMUM,
    WEIGHT_MINIMUM,
)
from store.metadata.attention import Part
from store.metadata.sampler_names import find_sampler, is_usual, make_name
from store.prompts import clean_text
from store.request import Prompt

VALUE_LIMIT = 1000
"""Most characters that are kept of one value beside the raw text."""

COUNT_LIMIT = 100
"""Most values that are kept one by one."""

KEPT_LIMIT = 1024 * 1024
"""Most characters of the raw text that are kept in the record; the file itself has all of it."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_DECIMAL = re.compile(
    r"\s*[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:e[+-]?[0-9]{1,3})?\s*"
)
_SIZE = re.compile(r"\s*\(?([0-9]{1,6})\s*[x×,]\s*([0-9]{1,6})\)?\s*")

Scalar = str | int | float | bool | None


class Grade(StrEnum):
    """How much of what a file says of its image is in the request.

    `exact`: our own record, all of it. `mapped`: all that decides the image has its place.
    `partial`: some of it has none, or was not understood, or not said. `text only`: no prompt, or
    nothing beside it.
    """

    EXACT = "exact"
    MAPPED = "mapped"
    PARTIAL = "partial"
    TEXT_ONLY = "text only"


class Unread(msgspec.Struct, frozen=True):
    """Something that was not understood, or has no place in a request: its name and value."""

    name: str
    value: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a program wrote about an image. None where nothing is said that a request can hold.

    `dialect`: whose words they are. `prompts`: negative ones have weights below 0. `sampler`: the
    API's name, or where it has none as it is written, in letters that a request takes. `model` and
    its hash are as written. `facts` are known and decide nothing, or nothing that could be asked
    for here. `notes`: what is other than in the file, a sentence each. `text`: what was read.
    """

    dialect: str
    prompts: tuple[Prompt, ...] = ()
    seed: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    width: int | None = None
    height: int | None = None
    model: str | None = None
    facts: dict[str, str] = {}
    unread: tuple[Unread, ...] = ()
    notes: tuple[str, ...] = ()
    text: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what decides an image and is not known."""
        fields = ("seed", "steps", "cfg_scale", "sampler", "model")
        found = [name for name in fields if getattr(self, name) is None]
        return (*found, *(() if self.width and self.height else ("size",)))

    @property
    def has_parameters(self) -> bool:
        """Whether anything is said beside the prompts."""
        return len({*self.missing} - {"model"}) < 5

    @property
    def grade(self) -> Grade:
        """How much of it is understood."""
        if not any(prompt.weight > 0 for prompt in self.prompts) or not self.has_parameters:
            return Grade.TEXT_ONLY
        if self.unread or self.missing or self.notes:
            return Grade.PARTIAL
        return Grade.MAPPED


class Collector:
    """Gathers a `Reading` of one dialect from names and values of any kind."""

    def __init__(self, dialect: str, text: str) -> None:
        self.dialect = dialect
        self._text = text
        self._prompts: list[Prompt] = []
        self._values: dict[str, Any] = {}
        self._facts: dict[str, str] = {}
        self._unread: list[Unread] = []
        self._notes: dict[str, None] = {}
        self._left_out = 0

    def take_all(self, values: Mapping[str, Any], table: Mapping[str, str]) -> None:
        """Take each of `values` as what `table` says that its name is.

        `seed`, `steps`, `cfg_scale`, `sampler`, `schedule`, `size`, `width`, `height`, `model`:
        that. `fact`: it decides nothing. `off=1`: nothing where it has this value (in whatever
        letters), else without a place. `-`: it was taken already. A name that is not in `table` is
        not understood, unless its value is empty.
        """
        for name, value in values.items():
            kind = table.get(name)
            if kind == "-":
                continue
            if kind is None:
                if not _is_empty(value):
                    self.leave(name, value)
            elif kind == "fact":
                self.tell(name, value)
            elif kind.startswith("off="):
                if not _is_empty(value) and _write(value).lower() not in kind[4:].split("|"):
                    self.leave(name, value)
            elif not _is_empty(value):
                self.take(kind, value, name)

    def take(self, kind: str, value: Any, name: str | None = None) -> None:
        """Take `value` as the `kind` of thing; unread under `name` where it cannot be."""
        match kind:
            case "seed":
                taken = self._take_number(kind, value, SEED_MINIMUM, SEED_MAXIMUM)
            case "steps":
                taken = self._take_number(kind, value, 1, STEPS_MAXIMUM)
            case "width" | "height":
                taken = self._take_number(kind, value, 1, 10**6)
            case "cfg_scale":
                number = to_number(value)
                taken = number is not None and 0 <= number <= CFG_SCALE_MAXIMUM
                if taken:
                    self._values[kind] = number
            case "size":
                size = _SIZE.fullmatch(_write(value)[:40])
                taken = size is not None and int(size[1]) > 0 and int(size[2]) > 0
                if size is not None and taken:
                    self._values |= {"width": int(size[1]), "height": int(size[2])}
            case "model":
                text = _write(value)
                taken = bool(text.strip())
                if taken:
                    self._values.setdefault("model", _clean(text)[:VALUE_LIMIT])
            case "sampler" | "schedule":
                taken = isinstance(value, str) and bool(value.strip())
                if taken:
                    self._values[f"{kind} as written"] = value
            case _:
                raise ValueError(f"a request has no {kind}")
        if not taken:
            self.leave(name or kind, value)

    def _take_number(self, kind: str, value: Any, low: int, high: int) -> bool:
        number = to_number(value)
        if number is None or number != int(number) or not low <= number <= high:
            return False
        self._values[kind] = int(number)
        return True

    def take_prompt(self, text: str, weight: float = 1.0) -> None:
        """A prompt as it stands, whatever signs are in it."""
        self.take_parts([Part(text, 1.0)], weight)

    def take_parts(self, parts: Sequence[Part], weight: float = 1.0) -> None:
        """The parts of one text, each with its own weight times `weight`."""
        for part in parts:
            text = clean_text(part.text)
            if _CONTROL.search(text):
                text = _CONTROL.sub("", text)
                self.note("Control characters were left out of a prompt.")
            if not text.strip():
                continue
            if len(text) > TEXT_LIMIT:
                self.leave("rest of a prompt", text[TEXT_LIMIT:])
                text = text[:TEXT_LIMIT]
            if len(self._prompts) == PROMPT_LIMIT:
                self.leave("prompt", text)
                continue
            asked = float(f"{part.weight * weight:.9g}")  # without the dust of powers of 1.1
            held = min(WEIGHT_MAXIMUM, max(WEIGHT_MINIMUM, asked)) if math.isfinite(asked) else 1.0
            if held != asked:
                self.leave("weight", asked)
            self._prompts.append(Prompt(text=text, weight=held))

    def tell(self, name: str, value: Any) -> None:
        """Something that is known and decides nothing here."""
        if _is_empty(value) and value is not False:
            return
        if len(self._facts) == COUNT_LIMIT:
            self._left_out += 1
            return
        self._facts[_clean(name)[:100]] = _clean(_write(value))[:VALUE_LIMIT]

    def leave(self, name: str, value: Any) -> None:
        """Something that was not understood or has no place in a request."""
        if len(self._unread) == COUNT_LIMIT:
            self._left_out += 1
            return
        self._unread.append(Unread(_clean(name)[:100], _clean(_write(value))[:VALUE_LIMIT]))

    def note(self, sentence: str) -> None:
        """Say what is other than in the file."""
        self._notes[sentence] = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was taken that a request can hold."""
        return not self._prompts and not self._values

    def finish(self) -> Reading:
        """What was gathered."""
        values = self._values
        written = values.pop("sampler as written", None)
        schedule = values.pop("schedule as written", "")
        if written is not None:
            values["sampler"], own = find_sampler(written)
            if values["sampler"] is None:
                self.leave("sampler", written)
                values["sampler"] = make_name(written, "") or None
            else:
                self.tell("sampler", written)
            schedule = schedule or own
        if schedule and is_usual(values.get("sampler"), schedule):
            self.tell("schedule", schedule)
        elif schedule:
            self.leave("schedule", schedule)
        unread = self._unread
        if self._left_out:
            unread = [*unread, Unread("further values", f"{self._left_out:,}, not listed")]
        return Reading(
            dialect=self.dialect,
            prompts=tuple(self._prompts),
            facts=self._facts,
            unread=tuple(unread),
            notes=tuple(self._notes),
            text=_clean(self._text[:KEPT_LIMIT], keeps_lines=True),
            **values,
        )


def to_number(value: Any) -> float | int | None:
    """The number in `value`, None where it is none, not finite or of more than 64 bits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 2**64 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > 1000:
        return None
    if re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value.lower()) else None


def to_text(value: Any) -> str:
    """`value` where it is a text, else ""."""
    return value if isinstance(value, str) else ""


def to_object(value: Any) -> dict[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def to_list(value: Any) -> list[Any]:
    """`value` where it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def _is_empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def _write(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return f"{value:.0f}"
    if value is None or isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _clean(text: str, *, keeps_lines: bool = False) -> str:
    """As a database can keep it: without halves of characters and, for a name, control signs."""
    whole = text.encode("utf-8", "replace").decode()
    return whole.replace("\0", "\ufffd") if keeps_lines else _CONTROL.sub("\ufffd", whole)
