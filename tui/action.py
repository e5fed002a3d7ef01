"""What an action is, and what decides whether it can be done now."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether an action can be done now.

    `trouble` says why the history is not open ("" when it is). `cannot_start`, `cannot_vary`,
    `cannot_mix` and `cannot_enlarge` say why the engines in question do not do it: starting from
    an image, varying the chosen image, mixing a second seed in, making the image larger.
    """

    trouble: str = ""
    is_read_only: bool = False
    has_image: bool = False
    has_unfinished_job: bool = False
    has_ended_job: bool = False
    has_undo: bool = False
    has_previous_seed: bool = False
    has_initial_image: bool = False
    cannot_start: str = ""
    cannot_vary: str = ""
    cannot_mix: str = ""
    cannot_enlarge: str = ""
    prompts: int = 1
    prompt_limit: int = 64
    row: int = 0


Reason = Callable[[Situation], str]


def always(_: Situation) -> str:
    """It can always be done."""
    return ""


def needs_history(situation: Situation) -> str:
    """Needs an open history."""
    return situation.trouble


def needs_writing(situation: Situation) -> str:
    """Needs a history that can be added to."""
    if situation.trouble:
        return situation.trouble
    return "This history can only be read." if situation.is_read_only else ""


def needs_image(situation: Situation) -> str:
    """Needs an image, and a history that can be added to."""
    return needs_writing(situation) or (
        "" if situation.has_image else "There is no image yet: generate one first."
    )


def needs_start(situation: Situation) -> str:
    """Needs an engine that starts from an image."""
    return needs_writing(situation) or situation.cannot_start


def needs_startable_image(situation: Situation) -> str:
    """Needs an image, and an engine that starts from it."""
    return needs_image(situation) or situation.cannot_start


def needs_initial_image(situation: Situation) -> str:
    """Needs an initial image."""
    if reason := needs_start(situation):
        return reason
    has_image = situation.has_initial_image
    return "" if has_image else "There is no initial image yet: i takes this image, I a file."


def needs_variable_image(situation: Situation) -> str:
    """Needs an image whose engine varies it."""
    return needs_image(situation) or situation.cannot_vary


def needs_variations(situation: Situation) -> str:
    """Needs an engine that mixes a second seed in."""
    return situation.cannot_mix


def needs_enlargeable_image(situation: Situation) -> str:
    """Needs an image, and an engine that makes it larger."""
    return needs_image(situation) or situation.cannot_enlarge


def needs_job(situation: Situation) -> str:
    """Needs a job that waits or runs."""
    return situation.trouble or (
        "" if situation.has_unfinished_job else "No job is waiting or running."
    )


def needs_ended_job(situation: Situation) -> str:
    """Needs a job that ended without an image."""
    return needs_writing(situation) or (
        "" if situation.has_ended_job else "The last job did not fail."
    )


def needs_undo(situation: Situation) -> str:
    """Needs a change to take back."""
    return "" if situation.has_undo else "There is nothing to undo."


def needs_previous_seed(situation: Situation) -> str:
    """Needs a seed before this one."""
    return "" if situation.has_previous_seed else "There is no previous seed yet."


def needs_room(situation: Situation) -> str:
    """Needs room in the stack."""
    limit = situation.prompt_limit
    return "" if situation.prompts < limit else f"The stack is full: {limit} prompts."


def needs_two_prompts(situation: Situation) -> str:
    """Needs more than one prompt."""
    return "" if situation.prompts > 1 else "There is only one prompt."


def needs_trouble(situation: Situation) -> str:
    """Needs a history that could not be opened."""
    return "" if situation.trouble else "The history is open."


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person can do.

    `context` is where its keys hold: `compose` everywhere on that screen, `prompts` and
    `parameters` on that part, `typing` in an open field. `shown` is how its keys are
    written. `rank` orders the line of keys (lower first, 0 not in it); `label` is the short
    word there. `explain` gives the reason why it cannot be done, "" when it can.
    `is_priority`: holds while typing, too.
    """

    id: str
    keys: tuple[str, ...]
    description: str
    context: str
    label: str = ""
    shown: str = ""
    rank: int = 0
    explain: Reason = always
    is_priority: bool = False
    is_in_palette: bool = True
