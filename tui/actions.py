"""Every action once: id, keys, description, and why it cannot be done now.

Key bindings, the line of keys, the help screen and the command palette are all made from
this list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding, BindingType

from tui.action import Action, Situation
from tui.compose_actions import COMPOSE_ACTIONS
from tui.editor_actions import EDITOR_ACTIONS
from tui.history_actions import HISTORY_ACTIONS, JOBS_ACTIONS
from tui.mask_actions import MASK_ACTIONS

__all__ = [
    "ACTIONS",
    "BY_ID",
    "CONTEXTS",
    "Action",
    "Situation",
    "list_actions",
    "make_bindings",
    "write_keys",
]

ACTIONS: tuple[Action, ...] = (
    *COMPOSE_ACTIONS,
    *EDITOR_ACTIONS,
    *HISTORY_ACTIONS,
    *JOBS_ACTIONS,
    *MASK_ACTIONS,
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
    "mask": "while painting a mask",
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
