"""What the options of a command say beyond plain numbers: image files, guidance, adapters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engines.resolve import VARIATION_STRENGTH
from store.decoding import DecodedInput, Role, decode_input
from store.errors import RequestError, StoreError
from store.limits import INPUT_KINDS, draw_seed
from store.records import DraftPrompt, Image
from store.request import Adapter, FineTune, Guidance, Prompt, Variation
from tui.cli.options import AdapterInitType, AdapterType
from tui.darkroom import Darkroom
from tui.paths import read_image_file

ADAPTER_STRENGTH = 0.4
"""The default of `stability-sdk` 0.8.6."""

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


def parse_prompts(arguments: Sequence[str], off: Sequence[int] | None) -> tuple[DraftPrompt, ...]:
    """The prompts of the command line; those at the places `off` (from 1) are switched off."""
    for place in off or ():
        if not 1 <= place <= len(arguments):
            raise RequestError("prompts", place, f"There is no prompt {place} to switch off.")
    prompts = []
    for place, argument in enumerate(arguments, start=1):
        try:
            prompt = Prompt.parse(argument)
        except RequestError as error:
            raise error.at_prompt(place) from None
        enabled = place not in (off or ())
        prompts.append(DraftPrompt(text=prompt.text, weight=prompt.weight, enabled=enabled))
    return tuple(prompts)


def parse_variation(seed: int | None, strength: float | None) -> Variation | None:
    """The variation that the options ask for, None without them."""
    if seed is None and strength is None:
        return None
    return Variation(
        seed=draw_seed() if seed is None else seed,
        strength=VARIATION_STRENGTH if strength is None else strength,
    )


def parse_guidance(
    preset: str | None,
    strength: float | None,
    cuts: int | None,
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
        preset=preset.lower().replace("-", "_"),
        strength=strength,
        cuts=cuts,
        models=tuple(models or ()),
        prompt=prompt,
    )


def parse_adapter(
    kind: AdapterType | None, strength: float | None, init: AdapterInitType | None
) -> Adapter | None:
    """The adapter that the options ask for, None without them."""
    if kind is None:
        if strength is None and init is None:
            return None
        raise RequestError(
            "parameters.adapter.kind", None, "Which adapter? Give --adapter-type too."
        )
    return Adapter(
        kind=kind.value,
        strength=ADAPTER_STRENGTH if strength is None else strength,
        init=(init or AdapterInitType.IMAGE).value,
    )


def parse_fine_tunes(arguments: Sequence[str] | None) -> tuple[FineTune, ...]:
    """`MODEL` or `MODEL:WEIGHT` each; only what follows the last colon is a weight."""
    found = []
    for argument in arguments or ():
        model, colon, text = argument.rpartition(":")
        if not colon:
            model, text = argument, ""
        try:
            weight = float(text) if text else None
        except ValueError:
            raise RequestError(
                "parameters.fine_tunes.weight",
                text,
                f"The weight {text!r} after ':' is not a number.",
                "Write for example --fine-tune my-model:0.5.",
            ) from None
        found.append(FineTune(model=model, weight=weight))
    return tuple(found)
