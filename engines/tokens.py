"""CLIP's tokenizer: how many tokens a prompt has, and what falls off after the limit.

The vocabulary is OpenAI CLIP's, in `clip/` (`clip/licences/NOTICE.md`); the tokenizer is made from
it when the first text is counted. A text is cleaned before, as CLIP does it: broken encodings,
typographic quotes, full-width and decomposed letters and HTML's entities are mended, white space is
one space, and letters are lower case.
"""

from __future__ import annotations

import functools
import gzip
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MERGES = Path(__file__).parent / "clip" / "merges.txt.gz"
"""The pairs of pieces that are joined, two words a line, the most frequent ones first."""

SPECIAL_TOKENS = 2
"""The start and the end token, which count towards the limit of 77."""

NEAR = 24
"""How many characters of a word that is cut may stand before the cut, to count as dropped with it.

A border within a longer run is put where the tokens end: in a script without spaces, or a URL.
"""

_SPECIAL = ("<start_of_text>", "<end_of_text>")
_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
_END = "</w>"


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """`count` tokens of `limit` (start and end included); `kept` is read, `dropped` is not.

    `kept + dropped` is the whole text. The border is put between words where a space is near, else
    between the characters that a reader sees; `kept` alone is never over the limit.
    """

    count: int
    limit: int
    kept: str
    dropped: str

    @property
    def is_over(self) -> bool:
        """Whether something falls off."""
        return bool(self.dropped)


def count_tokens(text: str, limit: int = 77) -> TokenCount:
    """Tokens of `text` as CLIP counts them: the empty text has 2, the limit is usually 77."""
    cleaned = clean(text)
    starts = find_tokens(cleaned)
    room, count = max(limit - SPECIAL_TOKENS, 0), len(starts) + SPECIAL_TOKENS
    if len(starts) <= room:
        return TokenCount(count=count, limit=limit, kept=text, dropped="")
    border = _find_border(text, starts[room], room)
    return TokenCount(count=count, limit=limit, kept=text[:border], dropped=text[border:])


def clean(text: str) -> str:
    """`text` as CLIP's tokenizer makes it before it takes it apart."""
    import html

    import ftfy

    mended = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(mended.split()).lower()


def find_tokens(cleaned: str) -> list[int]:
    """Where in the `cleaned` text each of its tokens begins.

    A character can have several tokens, which begin at the same place.
    """
    sound = cleaned.encode("utf-8", "replace").decode("utf-8")  # half a character is none
    return [start for start, _ in _load_tokenizer().encode(sound).offsets]


@functools.cache
def _load_tokenizer() -> Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

    lines = gzip.decompress(MERGES.read_bytes()).decode().splitlines()
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    signs = list(_list_bytes())
    pieces = [*signs, *(sign + _END for sign in signs), *map("".join, merges)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix=_END))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in _SPECIAL])
    return tokenizer


def _list_bytes() -> Iterator[str]:
    """The character for each byte in CLIP's vocabulary, in its order: first those that print."""
    printing = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printing += range(ord("®"), ord("ÿ") + 1)
    yield from map(chr, printing)
    yield from (chr(256 + number) for number in range(256 - len(printing)))


def _find_border(text: str, length: int, room: int) -> int:
    """Where in `text` the border is, of which `length` characters are read once it is cleaned.

    `room`: how many tokens these have.
    """
    ends = _find_ends(text, length)

    def measure(index: int) -> int:
        return len(clean(text[: ends[index]]))

    index = bisect_right(range(len(ends)), length, key=measure)
    while index and len(find_tokens(clean(text[: ends[index - 1]]))) > room:
        index -= 1  # cut here, its last word has other tokens than as a part of a longer one
    border = ends[index - 1] if index else 0
    return _move_to_space(text, border)


def _find_ends(text: str, length: int) -> list[int]:
    """Where the characters that a reader sees end, until they are more than `length` cleaned."""
    from wcwidth import iter_graphemes

    ends = accumulate(len(grapheme) for grapheme in iter_graphemes(text))
    found = list(islice(ends, length + 1))
    while len(clean(text[: found[-1]])) <= length and (more := list(islice(ends, len(found)))):
        found += more
    return found


def _move_to_space(text: str, border: int) -> int:
    """The end of the word before `border` where that is in a word which began near."""
    kept = text[:border].rstrip()
    if border == len(text) or len(kept) < border or text[border].isspace():
        return len(kept)
    words = kept.rsplit(maxsplit=1)
    if len(words) == 2 and len(words[1]) <= NEAR:
        return len(kept[: -len(words[1])].rstrip())
    return border
