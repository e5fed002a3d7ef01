"""The command that makes an image again, as a POSIX shell reads it."""

from __future__ import annotations

import codecs
import contextlib
import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from store.errors import NotFound, RequestError
from store.prompts import clean_text, parse_prompts
from store.records import Image, Relation
from store.request import Parameters, Prompt, Request

if TYPE_CHECKING:
    from store.decoding import Input
    from tui.darkroom import Darkroom

VERBATIM = "--verbatim"
"""The option that takes prompts to the character; see `store.prompts.parse_prompt`."""

_UTF8 = "utf-8"
_READ_UTF8 = "PYTHONUTF8=1"
"""Lets the program read its arguments as UTF-8 where the shell's locale is another one."""

_SPECIAL = frozenset("'\"\\$`!%")


async def write_command(darkroom: Darkroom, image: Image, encoding: str = _UTF8) -> str:
    """The line for `image`, as `make_command` writes it.

    A file that it starts from is called by the id of the image that it came from where that is
    one of the history, else by its path. Raises `SafelightError`.
    """
    parameters = image.request.parameters
    if parameters.upscale is not None:
        with contextlib.suppress(NotFound):
            _check_upright(await darkroom.get_input(parameters.upscale.sha256), parameters)
    names: dict[str, str] = {}
    for sha256 in image.request.parameters.inputs:
        with contextlib.suppress(NotFound):
            names[sha256] = str(await darkroom.find_input(sha256))
    if image.parent_id and image.relation in (Relation.INITIAL_IMAGE, Relation.UPSCALE):
        parent = await darkroom.get_image(image.parent_id)
        if parent.file_sha256 in names:
            names[parent.file_sha256] = parent.id
    return make_command(darkroom.pin(image), names, encoding)


def _check_upright(source: Input, parameters: Parameters) -> None:
    """Raise `RequestError` where the command would stand an image up that was made lying."""
    if (source.width - source.height) * (parameters.width - parameters.height) < 0:
        raise RequestError(
            "upscale",
            None,
            "It was made of a photograph lying on its side, which a command would turn upright.",
            "safelight regenerate ID makes it again as it was.",
        )


def make_command(
    request: Request, inputs: Mapping[str, str] | None = None, encoding: str = _UTF8
) -> str:
    """The line for a POSIX shell that makes the image of `request` again, of the same digest.

    Every prompt carries its weight, so that a text which itself ends in `::2` keeps it; those
    that are switched off are there too. Nothing is left to a default. `inputs` says how the
    files that the request starts from are called, by digest: a path or an image's id.

    What is no visible character is spelled in octal, so a terminal shows the line without harm;
    in an `encoding` other than UTF-8 all that is not ASCII. Raises `RequestError` for a text
    that no shell can hand over.
    """
    parameters, names = request.parameters, inputs or {}
    words = ["safelight", "generate" if parameters.upscale is None else "upscale"]
    if not _is_read_back(request):
        words += [VERBATIM]
    words += ["-S", str(parameters.seed), "-s", str(parameters.steps)]
    words += ["-C", _show_number(parameters.cfg_scale), "-A", parameters.sampler]
    words += ["-W", str(parameters.width)]
    if parameters.upscale is None:
        words += ["-H", str(parameters.height)]
    if parameters.style_preset is not None:
        words += ["--style-preset", parameters.style_preset]
    words += _list_extras(parameters, names)
    for place, prompt in enumerate(request.stack.prompts, start=1):
        if not prompt.enabled:
            words += ["--off", str(place)]
    words += ["-e", request.engine, "--model", request.model]
    prompts = [_show_prompt(prompt) for prompt in request.stack.prompts]
    if parameters.upscale is None:
        return _join([*words, "--", *prompts], encoding)
    words += ["--upscaler", parameters.upscale.upscaler]
    words += [f"--prompt={text}" for text in prompts]
    sha256 = parameters.upscale.sha256
    return _join([*words, "--", names.get(sha256, sha256)], encoding)


def _is_read_back(request: Request) -> bool:
    """Whether the program reads every text of `request` as it is, without being told to."""
    guidance = request.parameters.guidance
    text = "" if guidance is None else guidance.prompt or ""
    if clean_text(text) != text:
        return False
    for prompt in request.stack.prompts:
        try:
            (read,) = parse_prompts(_show_prompt(prompt))
        except ValueError:  # It is several, or none that is clear.
            return False
        if (read.text, read.weight) != (prompt.text, prompt.weight):
            return False
    return True


def _join(words: list[str], encoding: str) -> str:
    is_ascii = codecs.lookup(encoding).name != _UTF8
    line = " ".join(quote_word(word, is_ascii=is_ascii) for word in words)
    has_more = is_ascii and not all(word.isascii() for word in words)
    return f"{_READ_UTF8} {line}" if has_more else line


def quote_word(word: str, *, is_ascii: bool = False) -> str:
    """`word` as every POSIX shell reads it, written with visible characters (ASCII) only.

    `printf` spells what is none; as a substitution loses the new lines at its end, those stand
    behind it as they are. Raises `RequestError` for half a character.
    """
    text = word.rstrip("\n")
    if text.isprintable() and (text.isascii() or not is_ascii):
        # One shell looks for a command of the name behind a first equals sign.
        return f"'{word}'" if word.startswith("=") and "'" not in word else shlex.quote(word)
    spelled = "".join(
        sign
        if sign.isprintable() and sign not in _SPECIAL and (sign.isascii() or not is_ascii)
        else _spell(sign)
        for sign in text
    )
    if spelled.startswith("-"):
        spelled = _spell("-") + spelled[1:]
    ends = word[len(text) :]
    return f"\"$(printf '{spelled}')\"" + (f"'{ends}'" if ends else "")


def _spell(sign: str) -> str:
    try:
        data = sign.encode(_UTF8, "surrogateescape")
    except UnicodeEncodeError:
        raise RequestError(
            "command",
            sign,
            f"Half a character (U+{ord(sign):04X}) cannot be handed over by a shell.",
            "'show --json' has the request.",
        ) from None
    return "".join(f"\\{byte:03o}" for byte in data)


def _show_number(number: float) -> str:
    """All digits of `number`, without an exponent."""
    return format(Decimal(repr(number)), "f")


def _list_extras(parameters: Parameters, names: Mapping[str, str]) -> list[str]:
    words: list[str] = []
    if start := parameters.initial_image:
        words += [f"--init-image={names.get(start.sha256, start.sha256)}"]
        words += ["--start-schedule", _show_number(start.start_schedule)]
        words += ["--end-schedule", _show_number(start.end_schedule)]
    if mask := parameters.mask:
        words += [f"--mask-image={names.get(mask.sha256, mask.sha256)}"]
        words += ["--mask-replaces", mask.replaces, "--masked-area-init", mask.area_init]
    if variation := parameters.variation:
        words += ["--variation-seed", str(variation.seed)]
        words += ["--variation-strength", _show_number(variation.strength)]
    if guidance := parameters.guidance:
        words += ["--guidance-preset", guidance.preset]
        if guidance.strength is not None:
            words += ["--guidance-strength", _show_number(guidance.strength)]
        if guidance.cuts is not None:
            words += ["--guidance-cuts", str(guidance.cuts)]
        words += [f"--guidance-models={model}" for model in guidance.models]
        if guidance.prompt is not None:
            words += [f"--guidance-prompt={guidance.prompt}"]
    if parameters.weight_method != "text_encoder":
        words += ["--weight-method", parameters.weight_method]
    if adapter := parameters.adapter:
        words += [
            "--adapter-type",
            adapter.kind,
            "--adapter-strength",
            _show_number(adapter.strength),
        ]
        words += ["--adapter-init-type", adapter.init]
    for tune in parameters.fine_tunes:
        # A model without a weight keeps a colon of its own by one more at its end.
        weight = "" if tune.weight is None else _show_number(tune.weight)
        colon = ":" if weight or ":" in tune.model else ""
        words += [f"--fine-tune={tune.model}{colon}{weight}"]
    if parameters.content_credentials is not None:
        words += ["--content-credentials"]
    return words


def _show_prompt(prompt: Prompt) -> str:
    weight = _show_number(prompt.weight).removesuffix(".0")
    return f"{prompt.text}::{weight}"
