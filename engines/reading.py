"""What a model reads of a prompt's text."""

from __future__ import annotations

import msgspec


class PromptReading(msgspec.Struct, frozen=True, kw_only=True):
    """`unknown`: where words stand that the model does not know, as (start, end) in characters.

    `kept`: the text after this many characters is not read, None when all of it is.
    """

    unknown: tuple[tuple[int, int], ...] = ()
    kept: int | None = None
