"""How JSON that was stored can be broken."""

from __future__ import annotations

import msgspec

BROKEN_JSON = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What reading it raises: it is none, holds half a character, or is nested without an end."""
