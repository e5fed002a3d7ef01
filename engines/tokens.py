"""CLIP's tokenizer: how many tokens a prompt has, and what falls off after the limit."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from instant_clip_tokenizer import Tokenizer

SPECIAL_TOKENS = 2
"""The start and the end token, which count towards the limit of 77."""


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """`count` tokens of `limit` (start and end included); `kept` is read, `dropped` is not.

    `kept + dropped` is the whole text. The border is put between words.
    """

    count: int
    limit: int
    kept: str
    dropped: str

    @property
    def is_over(self) -> bool:
        """Whether something falls off."""
        return bool(self.dropped)


@functools.cache
def _load_tokenizer() -> Tokenizer:
    from instant_clip_tokenizer import Tokenizer

    return Tokenizer()


def count_tokens(text: str, limit: int = 77) -> TokenCount:
    """Tokens of `text` as CLIP counts them: the empty text has 2, the limit is usually 77.

    The vocabulary is OpenAI CLIP's, as the package instant-clip-tokenizer carries it.
    """
    tokenizer = _load_tokenizer()
    count = len(tokenizer.encode(text)) + SPECIAL_TOKENS
    if count <= limit:
        return TokenCount(count=count, limit=limit, kept=text, dropped="")
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(tokenizer.encode(text[: ends[middle - 1]])) + SPECIAL_TOKENS <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    border = ends[low - 1] if low else 0
    return TokenCount(count=count, limit=limit, kept=text[:border], dropped=text[border:])
