"""What is said before an image is made again: what is other now, and whether it decides pixels."""

from __future__ import annotations

from typing import NamedTuple

from engines.base import Weight
from engines.outlook import Change, Outlook, Preflight
from tui.text import show_safely

_OUTLOOKS = {
    Outlook.IDENTICAL: "nothing that decides pixels",
    Outlook.UNSURE: "nothing that surely decides pixels",
    Outlook.DIFFERENT: "something that decides pixels",
    Outlook.CANNOT_RUN: "it cannot be made again now",
}


class OutlookLine(NamedTuple):
    """What is other now, and how much it matters."""

    weight: Weight
    text: str


def describe_outlook(preflight: Preflight) -> str:
    """What has changed since, in a few words: `nothing that decides pixels`."""
    return _OUTLOOKS[preflight.outlook]


def describe_changes_since(preflight: Preflight) -> list[OutlookLine]:
    """What is other now, what matters most first: `engine revision 2 → 3: decides, as …`."""
    return [OutlookLine(change.weight, _describe(change)) for change in preflight.changes]


def _describe(change: Change) -> str:
    values = ""
    if change.then is not None or change.now is not None:
        values = f" {_shorten(change.then)} → {_shorten(change.now)}"
    return show_safely(f"{change.name}{values}: {change.weight.value} ({change.reason})")


def _shorten(value: str | None) -> str:
    """A value; of a digest its beginning."""
    if value is None:
        return "none"
    is_digest = len(value) == 64 and not set(value) - set("0123456789abcdef")
    return f"{value[:8]}…" if is_digest else value
