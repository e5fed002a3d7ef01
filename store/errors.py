"""The errors that a person can act on."""

from __future__ import annotations

from typing import Any, Self


class SafelightError(Exception):
    """An error whose text is meant for the person at the keyboard.

    `message` says what is wrong, `hint` what to do about it (may be empty).
    Both are plain text, never markup, and hold no secret.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class RequestError(SafelightError, ValueError):
    """A prompt, prompt stack or parameter that cannot be accepted.

    `field` is the dotted name of the field (`prompts.2.weight`, `parameters.width`),
    `value` what was given.
    """

    def __init__(self, field: str, value: Any, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.field = field
        self.value = value

    def at_prompt(self, position: int) -> Self:
        """The same error, said of the prompt at `position` (from 1) of a stack."""
        return type(self)(
            f"prompts.{position}.{self.field}",
            self.value,
            f"Prompt {position}: {self.message}",
            self.hint,
        )


class StoreError(SafelightError):
    """The data directory or its database cannot be used as asked."""


class Unavailable(StoreError):
    """A disk or another program stands in the way now; the same may go well a moment later.

    For whoever has to wait: nothing was recorded, and nothing of what was asked is lost by it.
    """


class HistoryUnavailable(Unavailable):
    """The database: busy, on a full or read-only disk, or not to be read or written just now."""


class HistoryDamaged(HistoryUnavailable):
    """What was read of the database makes no sense. A disk that fails for a moment looks alike."""


class FileUnavailable(Unavailable):
    """A file beside the database that the system refuses to read or write just now."""


class Superseded(StoreError):
    """Another worker has taken over, or is to: this one claims nothing any more."""


class NotFound(StoreError):
    """No row has this id, or more than one begins with it."""
