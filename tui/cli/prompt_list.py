"""Lists of prompts, for `generate --from`: a stack a line, or an object in JSON a line.

A line of text is read as a prompt of the command line is, with `::` and weights. A line that begins
with `{` is JSON, with the parameters by the names of their flags. Empty lines and lines that begin
with `#` are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from store.decoding import DecodedInput
from store.errors import RequestError, SafelightError
from store.limits import PROMPT_LIMIT, check_weight, suggest
from store.metadata.bounded_json import JsonError, read_object
from store.prompts import parse_prompt, parse_prompts
from store.records import DraftPrompt
from tui.cli.image_choices import ImageChoices, PlannedImages, plan_images
from tui.cli.run import WrongLine, WrongLinesError, print_note
from tui.darkroom import Darkroom
from tui.shell_command import STANDARD_INPUT

LIST_BYTES = 16_000_000
LINE_LENGTH = 4_000_000
"""Most characters of a line: a full stack of long prompts, each character escaped in JSON."""

LINES_MAXIMUM = 10_000
LIST_IMAGES = 10_000
"""Most images that one list queues."""

INPUT_BYTES = 512_000_000
"""Most bytes of all image files that the lines of a list start from, which are held at once."""

_FLAGS_ONLY = (
    *("session", "profile", "output", "name", "format", "json", "no-wait", "request"),
    *("sign", "strip", "sidecar", "verbatim", "until", "next", "priority", "from"),
)
_OWN_KEYS = ("prompt", "prompts", "size", "style")


class Line(NamedTuple):
    """A line that is no comment: its number in the list, from 1, and its text without its end."""

    number: int
    text: str


def read_lines(word: str) -> list[Line]:
    """The lines of the file `word`, or of standard input (`-`). Raises `RequestError`."""
    where = "Standard input" if word == STANDARD_INPUT else f"The list {word}"
    data = _read_bytes(word)
    if len(data) > LIST_BYTES:
        raise RequestError(
            "from", word, f"{where} has more than {LIST_BYTES:,} bytes.", "Divide it."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RequestError(
            "from",
            word,
            f"Line {line} of the list is no text in UTF-8.",
            "Convert it first, for example with iconv -t UTF-8.",
        ) from None
    whole = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [
        Line(number, line)
        for number, line in enumerate(whole, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise RequestError(
            "from", word, f"{where} holds no prompt.", "Write one a line; # begins a comment."
        )
    if len(lines) > LINES_MAXIMUM:
        raise RequestError(
            "from",
            word,
            f"{where} has {len(lines):,} lines; at most {LINES_MAXIMUM:,} are queued at once.",
            "Divide it.",
        )
    return lines


def _read_bytes(word: str) -> bytes:
    if word == STANDARD_INPUT:
        if sys.stdin.isatty():
            print_note("Prompts, a stack a line; Ctrl+D on a line of its own ends them:")
        return sys.stdin.buffer.read(LIST_BYTES + 1)
    try:
        with Path(word).open("rb") as file:
            return file.read(LIST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(
            "from",
            word,
            f"The list {word!r} cannot be read: {reason}.",
            "Give a text file with a prompt a line, or - for standard input.",
        ) from None


class ListReader:
    """Reads lines as choices. `defaults` are what the flags said, for what a line leaves open.

    Prompts of `defaults` stand behind those of each line. `names`: the fields of `ImageChoices` by
    the long names of their flags.
    """

    def __init__(self, defaults: ImageChoices, names: Mapping[str, str]) -> None:
        self._defaults = defaults
        self._names = names

    def read(self, text: str) -> ImageChoices:
        """The choices of one line. Raises `RequestError`."""
        if len(text) > LINE_LENGTH:
            raise RequestError("prompts", None, f"It has more than {LINE_LENGTH:,} characters.")
        if not text.lstrip().startswith("{"):
            stack = _read_text(text.strip(), self._defaults.is_verbatim)
            return self._choose(stack, {})
        try:
            given = read_object(text)
        except JsonError as error:
            raise RequestError(
                "from",
                None,
                f"A line that begins with {{ is JSON, and {error}.",
                'Write a text that begins so as {"prompt": "{…"}.',
            ) from None
        return self._read_object(given)

    def _choose(self, stack: Sequence[DraftPrompt], changes: Mapping[str, object]) -> ImageChoices:
        prompts = (*stack, *self._defaults.prompts)
        return msgspec.structs.replace(self._defaults, prompts=prompts, **changes)

    def _read_object(self, given: Mapping[str, Any]) -> ImageChoices:
        stack: list[DraftPrompt] | None = None
        changes: dict[str, object] = {}
        said: dict[str, str] = {}
        for key, value in given.items():
            name = key.replace("_", "-")
            if name in ("prompt", "prompts"):
                if stack is not None:
                    raise RequestError(key, value, "It has both prompt and prompts.")
                stack = self._read_prompts(name, value)
                continue
            if value is None:
                continue
            fields = self._read_parameter(name, key, value)
            for field, text in fields.items():
                if field in changes:
                    raise RequestError(
                        key, value, f"{said[field]} and {key} say the same.", "Leave one out."
                    )
                changes[field], said[field] = text, key
        return self._choose(stack or (), changes)

    def _read_prompts(self, name: str, value: Any) -> list[DraftPrompt]:
        if name == "prompt":
            if not isinstance(value, str):
                raise RequestError(name, value, f"prompt is {_name_kind(value)}, not a text.")
            return _read_text(value, self._defaults.is_verbatim)
        if not isinstance(value, list):
            raise RequestError(
                name,
                value,
                f"prompts is {_name_kind(value)}, not a list.",
                'Write "prompts": [{"text": "a cat", "weight": 1}].',
            )
        if len(value) > PROMPT_LIMIT:
            raise RequestError(
                name, None, f"It has {len(value):,} prompts; at most {PROMPT_LIMIT} are taken."
            )
        return [_read_prompt(each, place) for place, each in enumerate(value, start=1)]

    def _read_parameter(self, name: str, key: str, value: Any) -> dict[str, object]:
        """The fields of `ImageChoices` that a key sets, a text each where that is one."""
        if name == "size":
            width, height = _read_size(value)
            return {"width": width, "height": height}
        field = self._names.get("style-preset" if name == "style" else name)
        if field is None:
            if name in _FLAGS_ONLY:
                raise RequestError(
                    key, value, f"{key} holds for the whole list.", f"Give it as a flag: --{name}."
                )
            known = sorted([*(each.replace("-", "_") for each in self._names), *_OWN_KEYS])
            raise RequestError(key, value, f"Unknown key {key[:40]!r}.", suggest(key, known))
        default = getattr(self._defaults, field)
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise RequestError(key, value, f"{key} is {_name_kind(value)}, not true or false.")
            return {field: value}
        if isinstance(default, tuple):
            values = value if isinstance(value, list) else [value]
            return {field: tuple(_read_scalar(key, each) for each in values)}
        return {field: _read_scalar(key, value)}


def _read_text(text: str, is_verbatim: bool) -> list[DraftPrompt]:
    found = (parse_prompt(text),) if is_verbatim else parse_prompts(text)
    return [DraftPrompt(text=each.text, weight=each.weight) for each in found]


def _read_prompt(value: Any, place: int) -> DraftPrompt:
    """One prompt of an object's list: a text to the character, or an object with its weight."""
    where = f"prompts.{place}"
    if isinstance(value, str):
        return DraftPrompt(text=value)
    if not isinstance(value, dict):
        raise RequestError(
            where, value, f"Prompt {place} is {_name_kind(value)}, not a text or an object."
        )
    if unknown := [key for key in value if key not in ("text", "weight", "enabled")]:
        raise RequestError(
            where,
            value,
            f"Prompt {place} has the unknown key {unknown[0][:40]!r}.",
            "Known: text, weight, enabled.",
        )
    text, weight = value.get("text"), value.get("weight", 1.0)
    enabled = value.get("enabled", True)
    if not isinstance(text, str):
        raise RequestError(f"{where}.text", text, f"Prompt {place} has no text.")
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise RequestError(
            f"{where}.weight", weight, f"The weight of prompt {place} is {_name_kind(weight)}."
        )
    if not isinstance(enabled, bool):
        raise RequestError(
            f"{where}.enabled", enabled, f"enabled of prompt {place} is not true or false."
        )
    try:
        return DraftPrompt(text=text, weight=check_weight(float(weight)), enabled=enabled)
    except OverflowError:
        raise RequestError(
            f"{where}.weight", None, f"The weight of prompt {place} is too large."
        ) from None
    except RequestError as error:
        raise error.at_prompt(place) from None


def _read_scalar(key: str, value: Any) -> str:
    """A text or a number as it would be typed behind its flag."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(key, value, f"{key} is {_name_kind(value)}, not a text or a number.")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(value)


def _read_size(value: Any) -> tuple[str, str]:
    """Width and height of `"512x768"` or `[512, 768]`."""
    parts: list[Any] = []
    if isinstance(value, str):
        parts = list(value.lower().replace("\u00d7", "x").split("x"))
    elif isinstance(value, list):
        parts = value
    if len(parts) != 2:
        raise RequestError("size", None, "size is not WIDTHxHEIGHT.", 'Write "size": "512x768".')
    return _read_scalar("size", parts[0]).strip(), _read_scalar("size", parts[1]).strip()


def _name_kind(value: Any) -> str:
    """What a JSON value is, in words: `a list`, `the number 3`."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
    return "an object"


async def plan_list(
    darkroom: Darkroom, lines: Sequence[Line], read: Callable[[str], ImageChoices]
) -> list[PlannedImages]:
    """What each line stands for. Queues nothing.

    Raises `WrongLinesError` with every line that cannot be used, and `RequestError` where all of
    them together are too much.
    """
    planned: list[PlannedImages] = []
    wrong: list[WrongLine] = []
    files: dict[str, DecodedInput] = {}
    for line in lines:
        try:
            plan = await plan_images(darkroom, read(line.text))
        except SafelightError as error:
            wrong.append(WrongLine(line.number, error))
            continue
        # Lines that start from the same file hold it once.
        given = [files.setdefault(each.sha256, each) for each in plan.given]
        planned.append(msgspec.structs.replace(plan, given=given))
        if sum(len(each.data) for each in files.values()) > INPUT_BYTES:
            raise RequestError(
                "from",
                None,
                f"Up to line {line.number} the list starts from more than {INPUT_BYTES:,} bytes "
                "of image files.",
                "Divide it.",
            )
    if wrong:
        raise WrongLinesError(wrong, len(lines))
    images = sum(len(plan.requests) for plan in planned)
    if images > LIST_IMAGES:
        raise RequestError(
            "from",
            images,
            f"The list asks for {images:,} images; at most {LIST_IMAGES:,} are queued at once.",
            "Divide it.",
        )
    return planned
