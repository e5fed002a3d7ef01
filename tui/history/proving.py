"""What is proven, thinned and restored of many images in the history at once.

It is about all images that are marked in the list; each function gives what to say of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.filesize import decimal

from store.records import Image, Job
from tui.darkroom import Darkroom
from tui.history.list import HistoryList
from tui.words import count_things

if TYPE_CHECKING:
    from engines.thinning import Thinning

_AT_ONCE = 500
"""Images that are read in one go."""

RESTORED_AT_ONCE = 200
"""Most images that are restored by one key: each is a job of its own."""


async def list_marked(history_list: HistoryList) -> list[int]:
    """The numbers of the marked images, else of the one under the cursor.

    Raises `SafelightError`.
    """
    if history_list.selection:
        return [number async for part in history_list.read_marked(_AT_ONCE) for number in part]
    return [history_list.image.number] if history_list.image is not None else []


async def verify_many(darkroom: Darkroom, numbers: Sequence[int], chosen_by: str) -> str:
    """Begin a run of verifications. Raises `SafelightError`."""
    run = await darkroom.begin_run(chosen_by, numbers)
    images = count_things(run.total, "image")
    return f"Verifying {images}; go back with esc, there j shows how far it is."


async def restore_many(darkroom: Darkroom, numbers: Sequence[int]) -> tuple[list[Job], str]:
    """Queue that the pixels of those images are made again that have none. Raises `SafelightError`.

    At most `RESTORED_AT_ONCE` of them.
    """
    thinned: list[Image] = []
    for start in range(0, len(numbers), _AT_ONCE):
        page = await darkroom.get_images(numbers[start : start + _AT_ONCE])
        thinned += [image for image in page if image.is_thinned]
    jobs = [await darkroom.restore(image.id) for image in thinned[:RESTORED_AT_ONCE]]
    if not jobs:
        return jobs, "None of the marked images is without its pixels."
    rest = len(thinned) - len(jobs)
    more = f"; {rest:,} more are left for the next time" if rest else ""
    return jobs, f"Restoring {count_things(len(jobs), 'image')}{more}."


def describe_thinning(done: Thinning) -> str:
    """What thinning did, and why others keep their pixels, in a sentence or two."""
    said = f"{count_things(done.images, 'image')} thinned: {decimal(done.freed)} freed."
    return f"{said} {describe_kept(done)}".strip()


def describe_kept(done: Thinning) -> str:
    """Why images keep their pixels: `2 kept: never verified.`; "" where none does."""
    reasons = sorted(done.kept.items(), key=lambda each: -each[1])
    return " ".join(f"{count:,} kept: {reason}." for reason, count in reasons)
