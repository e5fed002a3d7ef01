"""What may be said of images: ratings, tags and notes as they are kept.

A tag is one word or several, kept in Unicode's composed form (NFC) and in small letters: `Night
Sky` and `night sky` are one.
"""

from __future__ import annotations

import unicodedata

import msgspec

from store.errors import RequestError
from store.records import Mark

RATINGS = range(6)
TAG_LIMIT = 60
"""Longest tag in characters."""

TAGS_LIMIT = 100
"""Most tags of one image."""

NOTE_LIMIT = 4000
"""Longest note in characters."""

_UNSET = msgspec.UNSET


def fold_tag(text: str) -> str:
    """`text` composed and in small letters, so that equal tags are equal texts."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def read_tag(text: str) -> str:
    """The tag that is meant by `text`: composed, in small letters, with single spaces.

    Raises `RequestError` when it is empty, longer than 60 characters, or holds a comma, which is
    what stands between tags, a quote, or what cannot be printed; or when it begins as an option
    or as a word of change does, with `-` or `+`.
    """
    tag = " ".join(fold_tag(text).split())
    if not tag:
        raise RequestError("tag", text, "A tag has at least one character.")
    if len(tag) > TAG_LIMIT:
        raise RequestError(
            "tag", text, f"The tag {tag[:20]!r}… is longer than {TAG_LIMIT} characters."
        )
    if not tag.isprintable() or set(tag) & {",", '"'} or tag[0] in "+-":
        raise RequestError(
            "tag",
            text,
            f"{tag!r} cannot be a tag.",
            "Give words without commas, quotes, or + or - in front.",
        )
    return tag


def read_note(text: str) -> str | None:
    """The note that is meant by `text`, without control characters; None for an empty one.

    Raises `RequestError` when it is longer than 4,000 characters.
    """
    lines = unicodedata.normalize("NFC", text).splitlines()
    note = "\n".join(
        "".join(sign for sign in line if unicodedata.category(sign) not in ("Cc", "Cs"))
        for line in (line.replace("\t", " ") for line in lines)
    ).strip()
    if len(note) > NOTE_LIMIT:
        raise RequestError(
            "note",
            text,
            f"The note has {len(note):,} characters, {NOTE_LIMIT:,} is the most.",
            "Shorten it.",
        )
    return note or None


def read_mark(mark: Mark) -> Mark:
    """`mark` with its texts as they are kept. Raises `RequestError`, at the field that is wrong."""
    rating = mark.rating
    if rating is not _UNSET and rating is not None and rating not in RATINGS:
        raise RequestError(
            "rating", rating, f"{rating!r} is no rating.", "Give 0 to 5, or none to take it away."
        )
    add = tuple(dict.fromkeys(read_tag(tag) for tag in mark.add))
    remove = tuple(dict.fromkeys(read_tag(tag) for tag in mark.remove))
    if both := set(add) & set(remove):
        tag = min(both)
        raise RequestError("tag", tag, f"The tag {tag!r} cannot be added and removed at once.")
    note = mark.note
    if isinstance(note, str):
        note = read_note(note)
    return msgspec.structs.replace(mark, add=add, remove=remove, note=note)
