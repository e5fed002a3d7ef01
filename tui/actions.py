"""Every action once: id, keys, description, and why it cannot be done now.

Key bindings, the line of keys, the help screen and the command palette are all made from
this list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding, BindingType

from tui.action import (
    Action,
    Situation,
    needs_ended_job,
    needs_history,
    needs_image,
    needs_job,
    needs_previous_seed,
    needs_room,
    needs_trouble,
    needs_two_prompts,
    needs_undo,
    needs_writing,
)
from tui.history_actions import HISTORY_ACTIONS, JOBS_ACTIONS

__all__ = [
    "ACTIONS",
    "BY_ID",
    "CONTEXTS",
    "DIGITS",
    "Action",
    "Situation",
    "list_actions",
    "make_bindings",
    "write_keys",
]

DIGITS = tuple("0123456789")


ACTIONS: tuple[Action, ...] = (
    Action(
        id="generate",
        keys=("ctrl+j", "f5"),
        shown="ctrl+j f5",
        description="Generate the images that stack and parameters stand for",
        context="compose",
        label="generate",
        rank=1,
        explain=needs_writing,
    ),
    Action(
        id="cancel",
        keys=("x",),
        description="Cancel the job that runs, else the next one that waits",
        context="compose",
        label="cancel",
        explain=needs_job,
    ),
    Action(
        id="retry",
        keys=("R",),
        description="Run the job that failed once more, with the same seed",
        context="compose",
        label="retry",
        explain=needs_ended_job,
    ),
    Action(
        id="verify",
        keys=("v",),
        description="Verify the shown image: make it again and compare",
        context="compose",
        label="verify",
        rank=6,
        explain=needs_image,
    ),
    Action(
        id="regenerate",
        keys=("r",),
        description="Regenerate the shown image as a child of it",
        context="compose",
        label="regenerate",
        rank=7,
        explain=needs_image,
    ),
    Action(
        id="history",
        keys=("h",),
        description="Open the history",
        context="compose",
        label="history",
        rank=5,
        explain=needs_history,
    ),
    Action(
        id="jobs",
        keys=("j",),
        description="Open the list of jobs",
        context="compose",
        label="jobs",
        rank=8,
        explain=needs_history,
    ),
    Action(
        id="undo",
        keys=("u",),
        description="Undo the last change of stack or parameters",
        context="compose",
        label="undo",
        rank=9,
        explain=needs_undo,
    ),
    Action(
        id="seed.lock",
        keys=("l",),
        description="Lock the seed, or let each run draw a new one",
        context="compose",
        label="lock seed",
        rank=10,
    ),
    Action(
        id="seed.new",
        keys=("n",),
        description="Draw a new seed",
        context="compose",
        label="new seed",
        rank=11,
    ),
    Action(
        id="seed.previous",
        keys=("p",),
        description="Go back to the previous seed",
        context="compose",
        label="previous seed",
        explain=needs_previous_seed,
    ),
    Action(
        id="part",
        keys=("tab", "shift+tab"),
        shown="tab",
        description="Go to the next part: prompts, parameters, image, recent",
        context="compose",
        label="next part",
        rank=4,
    ),
    Action(
        id="reopen",
        keys=("o",),
        description="Try again to open the history",
        context="compose",
        explain=needs_trouble,
    ),
    Action(
        id="theme",
        keys=("T",),
        description="Change the look: darkroom, daylight, high contrast, terminal colours",
        context="compose",
        label="look",
    ),
    Action(
        id="palette",
        keys=("ctrl+p",),
        description="Open the command palette",
        context="compose",
        label="palette",
        rank=13,
        is_priority=True,
        is_in_palette=False,
    ),
    Action(
        id="help",
        keys=("question_mark", "f1"),
        shown="? f1",
        description="Show every key and what it does",
        context="compose",
        label="help",
        rank=2,
    ),
    Action(
        id="quit",
        keys=("q", "ctrl+q"),
        shown="q ctrl+q",
        description="Quit; everything is already saved and jobs go on",
        context="compose",
        label="quit",
        rank=3,
    ),
    Action(
        id="prompt.edit",
        keys=("enter",),
        description="Edit the prompt's text",
        context="prompts",
        label="edit",
        rank=2,
    ),
    Action(
        id="prompt.add",
        keys=("a",),
        description="Add a prompt below",
        context="prompts",
        label="add",
        rank=1,
        explain=needs_room,
    ),
    Action(
        id="prompt.weight",
        keys=("left", "right", "minus", "plus"),
        shown="left right - +",
        description="Change the prompt's weight by 0.1",
        context="prompts",
        label="weight",
        rank=3,
        is_in_palette=False,
    ),
    Action(
        id="prompt.type_weight",
        keys=("equals_sign", *DIGITS),
        shown="= 0-9",
        description="Type the prompt's weight, -10 to 10; below 0 means: avoid this",
        context="prompts",
        label="type weight",
    ),
    Action(
        id="prompt.switch",
        keys=("space",),
        description="Switch the prompt off or on",
        context="prompts",
        label="off",
        rank=4,
    ),
    Action(
        id="prompt.move",
        keys=("J", "K"),
        shown="J K",
        description="Move the prompt down or up in the stack",
        context="prompts",
        label="move",
        rank=5,
        explain=needs_two_prompts,
        is_in_palette=False,
    ),
    Action(
        id="prompt.duplicate",
        keys=("D",),
        description="Duplicate the prompt",
        context="prompts",
        label="duplicate",
        rank=7,
        explain=needs_room,
    ),
    Action(
        id="prompt.remove",
        keys=("d", "delete"),
        shown="d",
        description="Remove the prompt; u brings it back",
        context="prompts",
        label="remove",
        rank=6,
    ),
    Action(
        id="prompt.cursor",
        keys=("up", "down", "home", "end"),
        shown="up down",
        description="Choose a prompt",
        context="prompts",
        is_in_palette=False,
    ),
    Action(
        id="parameter.change",
        keys=("left", "right", "minus", "plus"),
        shown="left right - +",
        description="Change the value by one step or to the next choice",
        context="parameters",
        label="change",
        rank=1,
        is_in_palette=False,
    ),
    Action(
        id="parameter.edit",
        keys=("enter", *DIGITS),
        shown="enter 0-9",
        description="Type the value, or choose from a list",
        context="parameters",
        label="edit",
        rank=2,
    ),
    Action(
        id="parameter.reset",
        keys=("delete", "d"),
        shown="d",
        description="Back to the engine's default",
        context="parameters",
        label="default",
        rank=3,
    ),
    Action(
        id="parameter.cursor",
        keys=("up", "down", "home", "end"),
        shown="up down",
        description="Choose a parameter",
        context="parameters",
        is_in_palette=False,
    ),
    Action(
        id="typing.accept",
        keys=(),
        shown="enter",
        description="Accept what was typed",
        context="typing",
        label="accept",
        rank=1,
        is_in_palette=False,
    ),
    Action(
        id="typing.leave",
        keys=(),
        shown="esc",
        description="Leave typing: a text stays as typed, a number becomes what it was",
        context="typing",
        label="leave",
        rank=2,
        is_in_palette=False,
    ),
    *HISTORY_ACTIONS,
    *JOBS_ACTIONS,
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}

CONTEXTS: Mapping[str, str] = {
    "compose": "everywhere",
    "prompts": "on the prompt stack",
    "parameters": "on the parameters",
    "typing": "while typing",
    "history": "in the history",
    "history list": "in the list of images",
    "record": "on the record of an image",
    "jobs": "in the list of jobs",
}
"""The contexts in the order of the help screen, and their titles."""


def list_actions(context: str) -> Iterator[Action]:
    """The actions whose keys hold in `context`."""
    return (action for action in ACTIONS if action.context == context)


def find_action(key: str, contexts: Sequence[str]) -> Action | None:
    """What `key` does in the first of `contexts` that knows it."""
    for context in contexts:
        for action in list_actions(context):
            if key in action.keys:
                return action
    return None


def make_bindings(context: str) -> list[BindingType]:
    """Textual's bindings of `context`; each runs the screen's `perform` with id and key."""
    return [
        Binding(
            key,
            f"screen.perform('{action.id}', '{key}')",
            action.description,
            show=False,
            priority=action.is_priority,
        )
        for action in list_actions(context)
        for key in action.keys
    ]


def write_keys(action: Action, keys: Mapping[str, str]) -> str:
    """How the action's keys are written; `keys` holds the terminal's signs for arrows."""
    shown = action.shown or " ".join(action.keys)
    return " ".join(keys.get(word, word) for word in shown.split())
