"""What can be done while a mask is painted."""

from __future__ import annotations

from tui.action import Action, needs_undo


def _act(
    name: str, keys: tuple[str, ...], description: str, label: str, rank: int, shown: str = ""
) -> Action:
    return Action(
        id=f"mask.{name}",
        keys=keys,
        shown=shown,
        description=description,
        context="mask",
        label=label,
        rank=rank,
        explain=needs_undo if name == "undo" else lambda _: "",
        is_in_palette=False,
    )


MASK_ACTIONS: tuple[Action, ...] = (
    _act(
        "move",
        ("left", "right", "up", "down"),
        "Move the brush by a cell",
        "move",
        1,
        "left right up down",
    ),
    _act(
        "leap",
        ("shift+left", "shift+right", "shift+up", "shift+down", "h", "l", "k", "j"),
        "Move the brush by its own size",
        "by its size",
        9,
        "h j k l",
    ),
    _act("paint", ("space",), "Paint under the brush, or erase what is painted", "paint", 2),
    _act("hold", ("p",), "Hold the brush down: moving it paints or erases", "hold", 6),
    _act(
        "size",
        ("plus", "equals_sign", "minus"),
        "Make the brush larger or smaller",
        "brush",
        4,
        "+ -",
    ),
    _act("invert", ("i",), "Invert: paint what is not painted, erase what is", "invert", 7),
    _act("undo", ("u",), "Take back the last stroke", "undo", 8),
    _act("accept", ("enter",), "Take the mask: what is painted is made anew", "take it", 3),
    _act("leave", ("escape", "q"), "Leave the mask as it was", "leave", 3, "esc"),
    _act("help", ("question_mark", "f1"), "Show every key and what it does", "help", 5, "?"),
)
