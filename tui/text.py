"""Text from outside, made harmless for a terminal."""

from __future__ import annotations

from store.prompts import clean_text
from store.records import Image, Job
from store.request import Request

CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
CONTROL_PICTURES[0x7F] = "\u2421"
CONTROL_PICTURES |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")
"""One visible character for each control character (C0, DEL, C1), for `str.translate`."""

_INVISIBLE = (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
_SPELLED = (*range(0x80, 0xA0), *_INVISIBLE, *range(0xD800, 0xE000))
_LINE = CONTROL_PICTURES | {code: f"<U+{code:04X}>" for code in _SPELLED}


def _keep_lines(table: dict[int, str]) -> dict[int, str]:
    return {code: picture for code, picture in table.items() if code not in (0x09, 0x0A)}


_BLOCK, _TYPED = _keep_lines(_LINE), _keep_lines(CONTROL_PICTURES)
_TYPED |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def show_safely(text: str, *, lines: bool = False) -> str:
    """`text` with every control, direction and invisible character as a visible picture.

    With `lines`, new lines and tabs stay. The result is still plain text, not markup. It may
    be longer than `text`: what has no picture is spelled out, as in `<U+200B>`.
    """
    return text.translate(_BLOCK if lines else _LINE)


def mark_controls(text: str) -> str:
    """`text`, as long as before, with one picture for each control and half character.

    New lines and tabs stay. For text that is edited: places in it are those in the original.
    """
    return text.translate(_TYPED)


def clean_paste(text: str) -> str:
    """Pasted text as it may stand in a prompt: clean, with pictures of its control characters."""
    return mark_controls(clean_text(text))


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
