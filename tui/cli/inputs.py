"""What the arguments of a command say: prompts, image files, numbers, guidance, adapters."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engines.resolve import VARIATION_STRENGTH
from store.decoding import DecodedInput, Role, decode_input
from store.errors import RequestError, StoreError
from store.limits import (
    INPUT_KINDS,
    PROMPT_LIMIT,
    SEED_MAXIMUM,
    SEED_MINIMUM,
    TEXT_LIMIT,
    Choice,
    check_choice,
    check_range,
    draw_seed,
    name_field,
    parse_number,
    parse_whole,
)
from store.prompts import UnclearPrompts, clean_text, parse_prompt, parse_prompts
from store.records import DraftPrompt, Image
from store.request import (
    ADAPTER_INITS,
    ADAPTERS,
    GUIDANCE_CUTS,
    GUIDANCE_PRESETS,
    Adapter,
    FineTune,
    Guidance,
    Prompt,
    Request,
    Variation,
)
from tui.cli.run import print_note
from tui.darkroom import Darkroom
from tui.paths import read_image_file
from tui.shell_command import STANDARD_INPUT, VERBATIM

ADAPTER_STRENGTH = 0.4
"""The default of `stability-sdk` 0.8.6."""

INPUT_LIMIT = PROMPT_LIMIT * TEXT_LIMIT * 4
"""Most bytes of it: a full stack of the longest prompts in UTF-8."""

REQUEST_LIMIT = 16_000_000
"""Most bytes of a request in JSON: such a stack with every character escaped, and the rest."""

LIMIT_MAXIMUM = 1_000_000
"""Most rows that a command lists."""

_ID = re.compile(r"@[0-9]+|[0-9a-f]{1,32}")


class GivenImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a command names: what comes in of it, and `image`, its record if it has one."""

    file: DecodedInput
    image: Image | None


async def read_image(
    darkroom: Darkroom, word: str, role: Role, field: str, *, replaces: str = "black"
) -> GivenImage:
    """The image that `word` names: a file, else an id, its beginning, or `@1` of the history.

    A file that is kept already and is named where it lies, as `show --command` does, stays what it
    was. `replaces` is a mask's. Raises `RequestError` (of `field`) or `StoreError`.
    """
    record = None
    if not word.startswith("@") and _exists(word):
        try:
            data = read_image_file(Path(word))
        except StoreError as error:
            raise RequestError(field, word, error.message, error.hint) from None
    elif _ID.fullmatch(word):
        record = await darkroom.get_image(word)
        data = await darkroom.read_image(record)
    else:
        raise RequestError(
            field,
            word,
            f"There is no file {word!r}.",
            f"Give a {INPUT_KINDS} file, or an image of the history (its id, or @1).",
        )
    kept = await darkroom.recall_input(data)
    if kept is not None and (
        record is not None or _is_file(word, await darkroom.find_input(kept.sha256))
    ):
        return GivenImage(file=kept, image=record)
    try:
        decoded = decode_input(data, role, replaces=replaces)
    except StoreError as error:
        raise RequestError(field, word, f"{word}: {error.message}", error.hint) from None
    return GivenImage(file=decoded, image=record)


def _is_file(word: str, path: Path) -> bool:
    """Whether `word` names the file at `path`."""
    try:
        return Path(word).samefile(path)
    except OSError:
        return False


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def read_prompts(
    arguments: Sequence[str], off: Sequence[str] | None, *, is_verbatim: bool = False
) -> tuple[DraftPrompt, ...]:
    """The prompts of the command line; those at the places `off` (from 1) are switched off.

    `-` stands for the lines of standard input. Each may hold several, as
    `store.prompts.parse_prompts` reads them; with `is_verbatim` each is one, to the character.
    Raises `RequestError`.
    """
    prompts: list[Prompt] = []
    for argument in _expand(arguments, is_verbatim):
        try:
            prompts += (parse_prompt(argument),) if is_verbatim else parse_prompts(argument)
        except UnclearPrompts as error:
            hint = f"{error.hint} {VERBATIM} takes a text as it is."
            unclear = UnclearPrompts(error.field, error.value, error.message, hint)
            raise unclear.at_prompt(len(prompts) + 1) from None
        except RequestError as error:
            raise error.at_prompt(len(prompts) + 1) from None
    places = [parse_whole("prompts", "--off", text, 1, max(1, len(prompts))) for text in off or ()]
    for place in places:
        if not 1 <= place <= len(prompts):
            raise RequestError("prompts", place, f"There is no prompt {place} to switch off.")
    return tuple(
        DraftPrompt(text=prompt.text, weight=prompt.weight, enabled=place not in places)
        for place, prompt in enumerate(prompts, start=1)
    )


def _expand(arguments: Sequence[str], is_verbatim: bool) -> list[str]:
    """`arguments` with the lines of standard input in the place of `-`, blank ones left out."""
    if STANDARD_INPUT not in arguments:
        return list(arguments)
    if arguments.count(STANDARD_INPUT) > 1:
        raise RequestError("prompts", arguments, "Standard input can be read only once.")
    at = list(arguments).index(STANDARD_INPUT)
    text = _read_standard_input()
    lines = text.split("\n") if is_verbatim else clean_text(text).split("\n")
    found = [line for line in lines if line.strip()]
    if not found:
        raise RequestError("prompts", "", "Standard input holds no prompt.", "Write one a line.")
    return [*arguments[:at], *found, *arguments[at + 1 :]]


def _read_standard_input() -> str:
    if sys.stdin.isatty():
        print_note("Prompts, one a line; Ctrl+D on a line of its own ends them:")
    data = sys.stdin.buffer.read(INPUT_LIMIT + 1)
    if len(data) > INPUT_LIMIT:
        raise RequestError(
            "prompts",
            None,
            f"Standard input holds more than {INPUT_LIMIT:,} bytes.",
            f"A request has at most {PROMPT_LIMIT} prompts of {TEXT_LIMIT:,} characters.",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RequestError(
            "prompts",
            None,
            f"Line {line} of standard input is no text in UTF-8.",
            "Convert it first, for example with iconv -t UTF-8.",
        ) from None


def read_request(word: str) -> Request:
    """The request in the file `word`, or on standard input (`-`): canonical JSON.

    A document of `show --json` is taken too, which has it under `request`. Raises `RequestError`.
    """
    if word == STANDARD_INPUT:
        data = sys.stdin.buffer.read(REQUEST_LIMIT + 1)
    else:
        try:
            with Path(word).open("rb") as file:
                data = file.read(REQUEST_LIMIT + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise RequestError(
                "request", word, f"The request file {word!r} cannot be read: {reason}."
            ) from None
    if len(data) > REQUEST_LIMIT:
        raise RequestError("request", None, f"The request has more than {REQUEST_LIMIT:,} bytes.")
    try:
        document = msgspec.json.decode(data)
        if isinstance(document, dict) and isinstance(document.get("request"), dict):
            data = msgspec.json.encode(document["request"])
        return Request.from_json(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        said = str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
        raise RequestError(
            "request", None, f"Not a request in JSON: {said}.", "'show --json' prints one."
        ) from None


def read_whole(field: str, text: str | None, low: float, high: float) -> int | None:
    """The whole number that was given, None without one; the range stands in the error only.

    Raises `RequestError` of `field` for what is no whole number.
    """
    return None if text is None else parse_whole(field, name_field(field), text, low, high)


def read_number(field: str, text: str | None, low: float = 0, high: float = 1) -> float | None:
    """The number that was given, None without one; see `read_whole`."""
    return None if text is None else parse_number(field, name_field(field), text, low, high)


def read_count(option: str, text: str, low: int, high: int) -> int:
    """The whole number from `low` to `high` that was given to `option`. Raises `RequestError`."""
    number = parse_whole(option, option, text, low, high)
    check_range(option, option, number, low, high)
    return number


def read_choice(field: str, text: str, known: tuple[Choice, ...]) -> Choice:
    """Which of `known` was given, in capitals or with hyphens too. Raises `RequestError`."""
    return check_choice(field, text.lower().replace("-", "_"), known)


def parse_variation(seed: str | None, strength: str | None) -> Variation | None:
    """The variation that the options ask for, None without them."""
    if seed is None and strength is None:
        return None
    number = read_whole("parameters.variation.seed", seed, SEED_MINIMUM, SEED_MAXIMUM)
    share = read_number("parameters.variation.strength", strength)
    return Variation(
        seed=draw_seed() if number is None else number,
        strength=VARIATION_STRENGTH if share is None else share,
    )


def parse_guidance(
    preset: str | None,
    strength: str | None,
    cuts: str | None,
    models: Sequence[str] | None,
    prompt: str | None,
) -> Guidance | None:
    """The guidance that the options ask for, None without them."""
    if preset is None:
        if strength is None and cuts is None and not models and prompt is None:
            return None
        raise RequestError(
            "parameters.guidance.preset",
            None,
            "Guidance has no effect without a preset.",
            "Give --guidance-preset too, for example fast_blue.",
        )
    return Guidance(
        preset=read_choice("parameters.guidance.preset", preset, GUIDANCE_PRESETS),
        strength=read_number("parameters.guidance.strength", strength),
        cuts=read_whole("parameters.guidance.cuts", cuts, *GUIDANCE_CUTS),
        models=tuple(models or ()),
        prompt=prompt,
    )


def parse_adapter(kind: str | None, strength: str | None, init: str | None) -> Adapter | None:
    """The adapter that the options ask for, None without them."""
    if kind is None:
        if strength is None and init is None:
            return None
        raise RequestError(
            "parameters.adapter.kind", None, "Which adapter? Give --adapter-type too."
        )
    share = read_number("parameters.adapter.strength", strength)
    return Adapter(
        kind=read_choice("parameters.adapter.kind", kind, ADAPTERS),
        strength=ADAPTER_STRENGTH if share is None else share,
        init=read_choice("parameters.adapter.init", init or ADAPTER_INITS[0], ADAPTER_INITS),
    )


def parse_fine_tunes(arguments: Sequence[str] | None) -> tuple[FineTune, ...]:
    """`MODEL` or `MODEL:WEIGHT` each; only what follows the last colon is a weight."""
    found = []
    for argument in arguments or ():
        model, colon, text = argument.rpartition(":")
        if not colon:
            model, text = argument, ""
        try:
            weight = parse_number("parameters.fine_tunes.weight", "", text, 0, 1) if text else None
        except RequestError as error:
            raise RequestError(
                error.field,
                text,
                f"The weight {text!r} after ':' is not a number.",
                "Write for example --fine-tune my-model:0.5.",
            ) from None
        found.append(FineTune(model=model, weight=weight))
    return tuple(found)
