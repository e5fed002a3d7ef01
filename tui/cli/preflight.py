"""`verify --dry-run`: what is other now for each image, before anything is made."""

from __future__ import annotations

from typing import Any

import msgspec

from engines.cost import describe_cost
from engines.outlook import Outlook, Preflight
from tui.cli.chosen_images import Choice, iterate_images, list_numbers
from tui.cli.run import EXIT_DIFFERENT, EXIT_ERROR, print_json, print_line, print_note
from tui.darkroom import Darkroom
from tui.outlook import describe_changes_since, describe_outlook

_STATUSES = {
    Outlook.IDENTICAL: 0,
    Outlook.UNSURE: 0,
    Outlook.DIFFERENT: EXIT_DIFFERENT,
    Outlook.CANNOT_RUN: EXIT_ERROR,
}


async def print_outlooks(darkroom: Darkroom, choice: Choice, as_json: bool) -> int:
    """Print what is other now for each image; the exit status, the worst of all."""
    status = 0
    rows: list[dict[str, Any]] = []
    numbers = await list_numbers(darkroom, choice)
    async for image in iterate_images(darkroom, numbers):
        preflight = await darkroom.check_before(image.id)
        status = max(status, _STATUSES[preflight.outlook])
        if as_json:
            rows.append(msgspec.to_builtins(preflight))
        else:
            _print(preflight)
    if as_json:
        print_json({"outlooks": rows})
    elif not numbers:
        print_note("There is no image to verify.")
    return status


def _print(preflight: Preflight) -> None:
    print_line(f"{preflight.image_id[:8]}  since then: {describe_outlook(preflight)}")
    for line in describe_changes_since(preflight):
        print_line(f"  {line.text}")
    if preflight.cost != 0:
        print_line(f"  making it again takes {describe_cost(preflight.cost)}")
