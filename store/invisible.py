"""Which characters are invisible or act on a terminal: the one rule for all that is shown.

They are those of the Unicode categories Cc (controls), Cf (joiners, directions, tags), Co (private
use), Cs (halves of a character), Zl and Zp (separators of lines and paragraphs).
"""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_FORMATS = (
    r"\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_PRIVATE = r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_HALVES = r"\ud800-\udfff"
_SEPARATORS = r"\u2028\u2029"

INVISIBLE = re.compile(f"[{_CONTROLS}{_FORMATS}{_PRIVATE}{_HALVES}{_SEPARATORS}]")
"""One character of the rule."""

INVISIBLE_IN_BLOCK = re.compile(
    rf"[{_CONTROLS}{_FORMATS}{_PRIVATE}{_HALVES}{_SEPARATORS}](?<![\t\n])"
)
"""The same, where new lines and tabs are what they are."""

ACTING = re.compile(f"(?![\u200c\u200d])[{_CONTROLS}{_FORMATS}{_HALVES}{_SEPARATORS}]")
"""The same without what is of private use, which looks as a font wants it, and without the two
joiners, which everyday Persian and emoji are typed with."""


def escape_line(text: str) -> str:
    """`text` as one line: characters of the rule are written as in code, `\\x1b`, `\\u202e`."""
    return INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
