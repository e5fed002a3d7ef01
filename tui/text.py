"""Text from outside, made harmless for a terminal."""

from __future__ import annotations

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
