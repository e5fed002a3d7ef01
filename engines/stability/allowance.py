"""What one job may get from a server: bytes, answers and messages, counted as they come."""

from __future__ import annotations

from engines.remote import explain_excess
from engines.unpacking import show_size

ANSWERS_BYTES = 96 * 1024 * 1024
"""Bytes of all answers that hold something: an image as large as one may be, and the rest."""

NEWS_BYTES = 256 * 1024 * 1024
"""Bytes of all that only says how far the image is, previews with it; nothing of it is kept."""

ANSWERS = 100
"""Answers that hold something; one is usual, ten are a server's that ignores how many."""

MESSAGES = 50_000
"""Messages that hold nothing: one a second for half a day."""


class Allowance:
    """The sums of one job so far. Both methods raise `EngineError` (BAD_ANSWER) beyond them."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._answers = self._answers_bytes = self._messages = self._news_bytes = 0

    def take_answer(self, count: int) -> None:
        """An answer of `count` bytes has come that holds something."""
        self._answers += 1
        self._answers_bytes += count
        if self._answers_bytes > ANSWERS_BYTES:
            raise explain_excess(self._host, f"is larger than {show_size(ANSWERS_BYTES)}")
        if self._answers > ANSWERS:
            raise explain_excess(self._host, f"comes in more than {ANSWERS} parts")

    def take_news(self, count: int) -> None:
        """A message of `count` bytes has come that says that the server is at work."""
        self._messages += 1
        self._news_bytes += count
        if self._messages > MESSAGES or self._news_bytes > NEWS_BYTES:
            raise explain_excess(self._host, "is put off without end by messages that hold none")
