"""Text from outside, made harmless for a terminal."""

from __future__ import annotations

import re

from store.invisible import INVISIBLE, INVISIBLE_IN_BLOCK
from store.known_secrets import conceal
from store.prompts import clean_text
from store.records import Image, Job
from store.request import Request

CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
CONTROL_PICTURES[0x7F] = "\u2421"
CONTROL_PICTURES |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")
"""One visible character for each control character (C0, DEL, C1), for `str.translate`."""

_TYPED = {code: sign for code, sign in CONTROL_PICTURES.items() if code not in (0x09, 0x0A)}
_TYPED |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def show_safely(text: str, *, lines: bool = False) -> str:
    """`text` without secrets, with every character of `store.invisible` made visible.

    With `lines`, new lines and tabs stay. The result is still plain text, not markup. It may
    be longer than `text`: what has no picture is spelled out, as in `<U+200B>`.
    """
    text = conceal(text)
    if text.isprintable():
        return text
    return (INVISIBLE_IN_BLOCK if lines else INVISIBLE).sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return CONTROL_PICTURES[code] if code < 0x80 else f"<U+{code:04X}>"


def mark_controls(text: str) -> str:
    """`text`, as long as before, with one picture for each control and half character.

    New lines and tabs stay. For text that is edited: places in it are those in the original.
    """
    return text.translate(_TYPED)


def clean_paste(text: str) -> str:
    """Pasted text as it may stand in a prompt: clean, with pictures of its control characters."""
    return mark_controls(clean_text(text))


def clean_copy(text: str) -> str:
    """Text that is copied: lines stay, what a shell or an editor would act on is shown."""
    return show_safely(text, lines=True)


def shorten_middle(text: str, length: int, ellipsis: str = "…") -> str:
    """`text` in at most `length` characters, its middle left out: a file's name keeps its end."""
    if len(text) <= length:
        return text
    tail = length // 2
    return f"{text[: length - tail - 1]}{ellipsis}{text[-tail:]}"


def show_words(of: Image | Job) -> str:
    """The first prompt of an image or a job in one line, behind a word where it is damaged."""
    words = show_first_prompt(of.request)
    return f"(damaged) {words}" if of.is_damaged else words


def show_first_prompt(request: Request) -> str:
    """The first prompt in one line; an image that was only made larger may have none."""
    prompts = request.stack.prompts
    return show_safely(" ".join(prompts[0].text.split())) if prompts else "(no prompt)"
