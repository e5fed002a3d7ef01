"""What can be done in the history and in the list of jobs."""

from __future__ import annotations

from tui.action import Action, Situation, needs_writing

_NO_IMAGE = "There is no image here."
_MOVING = ("up", "down", "k", "j", "pageup", "pagedown", "home", "end", "g", "G")


def needs_chosen_image(situation: Situation) -> str:
    """Needs an image under the cursor; the history need not be open for writing."""
    return "" if situation.has_image else _NO_IMAGE


def needs_repeatable_image(situation: Situation) -> str:
    """Needs an image under the cursor and a queue that takes a job."""
    return needs_writing(situation) or needs_chosen_image(situation)


def needs_startable_image(situation: Situation) -> str:
    """Needs an image under the cursor, and an engine in the editor that starts from it."""
    return needs_repeatable_image(situation) or situation.cannot_start


def needs_variable_image(situation: Situation) -> str:
    """Needs an image under the cursor whose engine varies it."""
    return needs_repeatable_image(situation) or situation.cannot_vary


def needs_enlargeable_image(situation: Situation) -> str:
    """Needs an image under the cursor, and an engine that makes it larger."""
    return needs_repeatable_image(situation) or situation.cannot_enlarge


def needs_unfinished_job(situation: Situation) -> str:
    """Needs a job under the cursor that waits or runs."""
    if reason := needs_writing(situation):
        return reason
    return "" if situation.has_unfinished_job else "Only a job that waits or runs can be cancelled."


def needs_job_without_image(situation: Situation) -> str:
    """Needs a job under the cursor that ended without an image."""
    if reason := needs_writing(situation):
        return reason
    if situation.has_ended_job:
        return ""
    return "Only a job that ended without an image can be tried again."


def _load(digit: str, parts: str, rank: int) -> Action:
    return Action(
        id=f"history.load.{parts.replace(' ', '_')}",
        keys=(digit,),
        description=f"Load {parts} of the image into the editor",
        context="history",
        label=parts,
        rank=rank,
        explain=needs_chosen_image,
        is_in_palette=False,
    )


HISTORY_ACTIONS: tuple[Action, ...] = (
    Action(
        id="history.load",
        keys=("enter",),
        description="Load the whole image into the editor",
        context="history",
        label="load",
        rank=1,
        explain=needs_chosen_image,
        is_in_palette=False,
    ),
    Action(
        id="history.leave",
        keys=("escape", "q"),
        shown="esc",
        description="End the search, else leave the record, else go back to the editor",
        context="history",
        label="back",
        rank=2,
        is_in_palette=False,
    ),
    Action(
        id="history.search",
        keys=("slash",),
        shown="/",
        description="Search the prompts as you type",
        context="history",
        label="search",
        rank=3,
        is_in_palette=False,
    ),
    Action(
        id="history.turn",
        keys=("tab", "shift+tab"),
        shown="tab",
        description="Go to the record and back to the list",
        context="history",
        label="record",
        rank=4,
        is_in_palette=False,
    ),
    Action(
        id="history.verify",
        keys=("v",),
        description="Verify: make the image again and compare; the verdict is kept",
        context="history",
        label="verify",
        rank=5,
        explain=needs_repeatable_image,
        is_in_palette=False,
    ),
    Action(
        id="history.regenerate",
        keys=("r",),
        description="Regenerate: make the image again as its child",
        context="history",
        label="regenerate",
        rank=7,
        explain=needs_repeatable_image,
        is_in_palette=False,
    ),
    Action(
        id="history.start",
        keys=("i",),
        description="Start from this image: the next ones are drawn over it",
        context="history",
        label="start from",
        rank=8,
        explain=needs_startable_image,
        is_in_palette=False,
    ),
    Action(
        id="history.vary",
        keys=("V",),
        description="Vary: the same request with a little of another seed",
        context="history",
        label="vary",
        rank=9,
        explain=needs_variable_image,
        is_in_palette=False,
    ),
    Action(
        id="history.enlarge",
        keys=("e",),
        description="Make the image larger: twice as wide and high",
        context="history",
        label="larger",
        rank=10,
        explain=needs_enlargeable_image,
        is_in_palette=False,
    ),
    Action(
        id="history.copy",
        keys=("y",),
        description="Copy the command that makes the image again",
        context="history",
        label="copy command",
        rank=16,
        explain=needs_chosen_image,
        is_in_palette=False,
    ),
    _load("1", "all", 11),
    _load("2", "all but seed", 12),
    _load("3", "prompts", 13),
    _load("4", "parameters", 14),
    _load("5", "seed", 15),
    Action(
        id="history.thumbnails",
        keys=("z",),
        description="Thumbnails in the list, or one line an image",
        context="history",
        label="thumbnails",
        rank=17,
        is_in_palette=False,
    ),
    Action(
        id="history.help",
        keys=("question_mark", "f1"),
        shown="?",
        description="Show every key and what it does",
        context="history",
        label="help",
        rank=6,
        is_in_palette=False,
    ),
    Action(
        id="history.cursor",
        keys=_MOVING,
        shown="up down j k pgup pgdn home end g G",
        description="Choose an image",
        context="history list",
        is_in_palette=False,
    ),
    Action(
        id="record.scroll",
        keys=_MOVING,
        shown="up down j k pgup pgdn home end g G",
        description="Scroll",
        context="record",
        is_in_palette=False,
    ),
)

JOBS_ACTIONS: tuple[Action, ...] = (
    Action(
        id="jobs.cancel",
        keys=("x",),
        description="Cancel the job: it stops within one step",
        context="jobs",
        label="cancel",
        rank=1,
        explain=needs_unfinished_job,
        is_in_palette=False,
    ),
    Action(
        id="jobs.retry",
        keys=("R",),
        description="Run the job once more with the same seed; asks first if it may be charged",
        context="jobs",
        label="retry",
        rank=2,
        explain=needs_job_without_image,
        is_in_palette=False,
    ),
    Action(
        id="jobs.leave",
        keys=("escape", "q"),
        shown="esc",
        description="Go back",
        context="jobs",
        label="back",
        rank=3,
        is_in_palette=False,
    ),
    Action(
        id="jobs.cursor",
        keys=("j", "k"),
        shown="up down j k",
        description="Choose a job",
        context="jobs",
        is_in_palette=False,
    ),
    Action(
        id="jobs.help",
        keys=("question_mark", "f1"),
        shown="?",
        description="Show every key and what it does",
        context="jobs",
        label="help",
        rank=4,
        is_in_palette=False,
    ),
)
