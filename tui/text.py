"""Text from outside, made harmless for a terminal."""

from __future__ import annotations

from store.request import Request

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
_PICTURES[0x7F] = "\u2421"
_PICTURES |= {code: f"<U+{code:04X}>" for code in range(0x80, 0xA0)}
_INVISIBLE = (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
_PICTURES |= {code: f"<U+{code:04X}>" for code in _INVISIBLE}
_PICTURES |= {code: f"<U+{code:04X}>" for code in range(0xD800, 0xE000)}

_LINE = dict(_PICTURES)
_BLOCK = {code: picture for code, picture in _PICTURES.items() if code not in (0x09, 0x0A)}


def show_safely(text: str, *, lines: bool = False) -> str:
    """`text` with every control, direction and invisible character as a visible picture.

    With `lines`, new lines and tabs stay. The result is still plain text, not markup.
    """
    return text.translate(_BLOCK if lines else _LINE)


def shorten_middle(text: str, length: int, ellipsis: str = "…") -> str:
    """`text` in at most `length` characters, its middle left out: a file's name keeps its end."""
    if len(text) <= length:
        return text
    tail = length // 2
    return f"{text[: length - tail - 1]}{ellipsis}{text[-tail:]}"


def show_first_prompt(request: Request) -> str:
    """The first prompt in one line; an image that was only made larger may have none."""
    prompts = request.stack.prompts
    return show_safely(" ".join(prompts[0].text.split())) if prompts else "(no prompt)"
