"""What a person said of images, in words and signs: rating, favourite, tags, note, trash."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.filesize import decimal

from store.records import Emptying, Image, Mark
from tui.shell_command import join_words
from tui.words import count_things

_UNSET = msgspec.UNSET


def write_rating(rating: int, *, has_unicode: bool = True) -> str:
    """Stars and what is missing of five: `★★★☆☆`, or `***..`."""
    full, empty = ("★", "☆") if has_unicode else ("*", ".")
    return full * rating + empty * (5 - rating)


def write_signs(image: Image, *, has_unicode: bool = True) -> str:
    """Four cells: `♥` a favourite, `★4` its rating, `¶` that it has a note; else blank."""
    heart, star, note = ("♥", "★", "¶") if has_unicode else ("+", "*", "n")
    rating = "  " if image.rating is None else f"{star}{image.rating}"
    return f"{heart if image.is_favourite else ' '}{rating}{note if image.note else ' '}"


def write_tags(tags: Sequence[str]) -> str:
    """`#night sky #sea`."""
    return " ".join(f"#{tag}" for tag in tags)


def describe_marks(image: Image, *, has_unicode: bool = True) -> str:
    """All but the note, in one line: `favourite, ★★★★☆, #sea, in the trash`; "" for nothing."""
    rating = "" if image.rating is None else write_rating(image.rating, has_unicode=has_unicode)
    parts = (
        "favourite" if image.is_favourite else "",
        rating,
        write_tags(image.tags),
        "in the trash" if image.is_trashed else "",
        "its pixels were removed with the trash" if image.is_emptied else "",
    )
    return ", ".join(filter(None, parts))


def describe_mark(mark: Mark, *, has_unicode: bool = True) -> str:
    """What is said anew, in words: `rated 4`, `no favourite`, `#sea added`, `in the trash`."""
    parts = []
    if mark.rating is not _UNSET:
        parts.append("no rating" if mark.rating is None else f"rated {mark.rating}")
    if mark.is_favourite is not _UNSET:
        parts.append("favourite" if mark.is_favourite else "no favourite")
    if mark.add:
        parts.append(f"{write_tags(mark.add)} added")
    if mark.remove:
        parts.append(f"{write_tags(mark.remove)} removed")
    if mark.note is not _UNSET:
        parts.append("note written" if mark.note else "note taken away")
    if mark.is_trashed is not _UNSET:
        parts.append("in the trash" if mark.is_trashed else "put back")
    return ", ".join(parts)


def write_commands(mark: Mark, ids: Sequence[str], encoding: str) -> list[str]:
    """The command lines that say `mark` of these images, as a shell reads them.

    What the `encoding` of a terminal does not show is spelled out, so that they can be copied.
    """
    lines: list[list[str]] = []
    if mark.rating is not _UNSET:
        lines.append(["rate", *ids, "none" if mark.rating is None else str(mark.rating)])
    if mark.is_favourite is not _UNSET:
        lines.append(["favourite", *ids, *([] if mark.is_favourite else ["--off"])])
    if mark.add or mark.remove:
        tags = [word for tag in mark.add for word in ("--add", tag)]
        tags += [word for tag in mark.remove for word in ("--remove", tag)]
        lines.append(["tag", *ids, *tags])
    if mark.note is not _UNSET:
        note = mark.note or ""
        lines.append(["note", *ids, *(["--"] if note.startswith("-") else []), note])
    if mark.is_trashed is not _UNSET:
        lines.append(["trash", *([] if mark.is_trashed else ["--put-back"]), *ids])
    return [join_words(["safelight", *words], encoding) for words in lines]


def describe_emptying(found: Emptying, *, is_plan: bool) -> list[str]:
    """What emptying the trash would do (`is_plan`) or did, in sentences."""
    if found == Emptying():
        return ["The trash is empty."]
    would = "would be " if is_plan else ""
    frees = "frees" if is_plan else "freed"
    sentences = [
        f"{count_things(found.images, 'image')} {would}removed; "
        f"{frees} {decimal(found.file_bytes)} in {count_things(found.files, 'file')}."
    ]
    if found.records:
        sentences.append(
            f"Of {found.records:,} more only the pixels {'would be' if is_plan else 'were'} "
            "removed: images that are kept were made from them, so their records stay."
        )
    if found.held:
        sentences.append(
            f"{count_things(found.held, 'image')} stay{'s' if found.held == 1 else ''} in the "
            "trash: jobs about "
            f"{'it' if found.held == 1 else 'them'} wait or run."
        )
    return sentences
