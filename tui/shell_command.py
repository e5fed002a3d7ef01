"""The command that makes an image again, as a POSIX shell reads it.

Where options say all of a request they are written out, so that a person can read and change
them. Where they cannot, or would be more than a program can be given, the request goes as it is,
in JSON, through a pipe.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from engines.resolve import scale_size
from store.errors import NotFound, RequestError
from store.prompts import clean_text, parse_prompts
from store.records import Image, Relation
from store.request import REQUEST_FORMAT, Parameters, Prompt, Request

if TYPE_CHECKING:
    from tui.darkroom import Darkroom

VERBATIM = "--verbatim"
"""The option that takes prompts to the character; see `store.prompts.parse_prompt`."""

_UTF8 = "utf-8"
_READ_UTF8 = "PYTHONUTF8=1"
"""Lets the program read its arguments as UTF-8 where the shell's locale is another one."""

_SPECIAL = frozenset("'\"\\$`!%")

WORDS_LIMIT = 100_000
"""Most bytes of a program's arguments: Linux takes 131,072 in one, and little more in all where
the stack is small."""

STANDARD_INPUT = "-"
"""The argument that stands for what comes through standard input."""


async def write_command(darkroom: Darkroom, image: Image, encoding: str = _UTF8) -> str:
    """The line for `image`, of the same request digest, as `make_command` writes it.

    A file that it starts from is called by the id of the image that it came from where that is
    one of the history, else by its path. Only a request that names no revision of its model, and
    was made by another one than it means now, gets that revision and so another digest. Raises
    `SafelightError`.
    """
    if image.is_foreign:
        raise RequestError(
            "engine",
            image.request.engine,
            f"Another program made the image {image.id[:8]}: no command here makes it again.",
            "Load it into the editor to make one like it.",
        )
    request, pinned = image.request, darkroom.pin(image)
    if pinned != request and pinned != darkroom.pin_anew(request):
        request = pinned
    names: dict[str, str] = {}
    for sha256 in request.parameters.inputs:
        with contextlib.suppress(NotFound):
            names[sha256] = str(await darkroom.find_input(sha256))
    parent = await _find_source(darkroom, image)
    if parent is not None and parent.file_sha256 in names:
        names[parent.file_sha256] = parent.id
    if pinned != request or not await _is_repeatable(darkroom, request, parent):
        return make_pipe(request)
    return make_command(request, names, encoding)


async def _find_source(darkroom: Darkroom, image: Image) -> Image | None:
    """The image of the history that `image` started from, None without one."""
    if not image.parent_id or image.relation not in (Relation.INITIAL_IMAGE, Relation.UPSCALE):
        return None
    with contextlib.suppress(NotFound):
        return await darkroom.get_image(image.parent_id)
    return None


async def _is_repeatable(darkroom: Darkroom, request: Request, source: Image | None) -> bool:
    """Whether `upscale` comes to the same: it takes what it is not told from the image itself."""
    parameters = request.parameters
    if parameters.upscale is None:
        return True
    try:
        file = await darkroom.get_input(parameters.upscale.sha256)
    except NotFound:
        return True
    size = (parameters.width, parameters.height)
    if size[0] <= file.width or size != scale_size((file.width, file.height), size[0]):
        return False
    if source is None or source.file_sha256 != parameters.upscale.sha256:
        return True
    style = source.request.parameters.style_preset
    has_style = style is None or parameters.style_preset is not None
    return has_style and bool(request.stack.prompts or not source.request.stack.prompts)


def make_command(
    request: Request, inputs: Mapping[str, str] | None = None, encoding: str = _UTF8
) -> str:
    """The line for a POSIX shell that makes the image of `request` again, of the same digest.

    Every prompt carries its weight, so that a text which itself ends in `::2` keeps it; those
    that are switched off are there too. Nothing is left to a default. `inputs` says how the
    files that the request starts from are called, by digest: a path or an image's id.

    What is no visible character is spelled in octal, so a terminal shows the line without harm;
    in an `encoding` other than UTF-8 all that is not ASCII. What options cannot say is written as
    `make_pipe` does. Raises `RequestError` for a text that no shell can hand over.
    """
    if request.format != REQUEST_FORMAT or _has_more_than_upscale(request.parameters):
        return make_pipe(request)
    words = _list_words(request, inputs or {})
    # One byte more for the end of each.
    if sum(len(word.encode(_UTF8, "surrogatepass")) + 1 for word in words) > WORDS_LIMIT:
        return make_pipe(request)
    return join_words(words, encoding)


def make_pipe(request: Request) -> str:
    """The line for a POSIX shell that hands over `request` in JSON; visible ASCII only.

    It may be of any length: nothing of it is an argument of more than `WORDS_LIMIT` bytes, also
    where `printf` is a program.
    """
    text = _escape_json(request.to_json().decode())
    parts = [text[at : at + WORDS_LIMIT] for at in range(0, len(text), WORDS_LIMIT)]
    prints = "; ".join(f"printf %s '{part}'" for part in parts)
    pipe = prints if len(parts) == 1 else f"{{ {prints}; }}"
    return f"{pipe} | safelight generate --request {STANDARD_INPUT}"


def _escape_json(text: str) -> str:
    """A JSON text of the same meaning in ASCII, without what a shell reads in single quotes."""
    return "".join(
        sign
        if " " <= sign <= "~" and sign not in "'!"
        else f"\\u{ord(sign):04x}"
        if sign <= "~"
        else json.dumps(sign)[1:-1]
        for sign in text
    )


def _has_more_than_upscale(parameters: Parameters) -> bool:
    """Whether an image is made larger with parameters that `upscale` has no options for."""
    return parameters.upscale is not None and parameters.list_extras() != {"upscale"}


def _list_words(request: Request, names: Mapping[str, str]) -> list[str]:
    """The program and its arguments."""
    parameters = request.parameters
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
    prompts = [show_prompt(prompt) for prompt in request.stack.prompts]
    if parameters.upscale is None:
        return [*words, "--", *prompts]
    words += ["--upscaler", parameters.upscale.upscaler]
    words += [f"--prompt={text}" for text in prompts]
    sha256 = parameters.upscale.sha256
    return [*words, "--", names.get(sha256, sha256)]


def _is_read_back(request: Request) -> bool:
    """Whether the program reads every text of `request` as it is, without being told to."""
    guidance = request.parameters.guidance
    text = "" if guidance is None else guidance.prompt or ""
    if clean_text(text) != text:
        return False
    for prompt in request.stack.prompts:
        try:
            (read,) = parse_prompts(show_prompt(prompt))
        except ValueError:  # It is several, or none that is clear.
            return False
        if (read.text, read.weight) != (prompt.text, prompt.weight):
            return False
    return True


def join_words(words: list[str], encoding: str) -> str:
    """The line of these words, for a shell whose locale has `encoding`."""
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


def show_prompt(prompt: Prompt) -> str:
    """The prompt as the command line and a prompt field read it: `clouds::-1`."""
    weight = _show_number(prompt.weight).removesuffix(".0")
    return f"{prompt.text}::{weight}"
