"""The key map: `[keys]` of `config.toml`, keys by binding id, and what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from textual.binding import Binding
from textual.dom import DOMNode

from tui.keys import list_bindings, split_keys, write_keys


def list_families() -> list[list[type[DOMNode]]]:
    """Classes whose bindings may hold at once: those of one screen or dialog, and of the app."""
    from tui.app import SafelightApp
    from tui.compare.screen import CompareScreen
    from tui.compare.view import DifferenceView
    from tui.compose.earlier import EarlierScreen
    from tui.compose.editors import PromptEditor, ValueInput
    from tui.compose.image import ImagePanel
    from tui.compose.mask import MaskScreen
    from tui.compose.parameters import ParameterList
    from tui.compose.prompts import PromptStack
    from tui.compose.recent import RecentStrip
    from tui.compose.screen import ComposeScreen
    from tui.dialogs import ChoiceScreen, HelpScreen, NameScreen, PathScreen
    from tui.history.list import HistoryList
    from tui.history.mark_dialogs import EmptyingQuestion, NoteScreen, TagScreen
    from tui.history.marking import MarkDesk
    from tui.history.record import RecordView
    from tui.history.screen import HistoryScreen
    from tui.jobs import CancelQuestion, ChargeQuestion, JobsScreen
    from tui.jump import JumpScreen
    from tui.lineage.screen import LineageScreen
    from tui.lineage.tree import LineageTree
    from tui.sessions import SessionsScreen
    from tui.viewer import ViewerScreen

    compose: tuple[type[DOMNode], ...] = (
        *(PromptStack, ParameterList, ImagePanel, RecentStrip),
        *(PromptEditor, ValueInput),
    )
    history: tuple[type[DOMNode], ...] = (HistoryList, RecordView)
    dialogs: tuple[type[DOMNode], ...] = (
        *(ChoiceScreen, HelpScreen, PathScreen, ChargeQuestion, CancelQuestion),
        *(TagScreen, NoteScreen, EmptyingQuestion, EarlierScreen, JumpScreen),
        *(NameScreen,),
    )
    families: list[list[type[DOMNode]]] = [[part, ComposeScreen, SafelightApp] for part in compose]
    families += [[part, MarkDesk, HistoryScreen, SafelightApp] for part in history]
    families += [[JobsScreen, SafelightApp], [MaskScreen, SafelightApp]]
    families += [[SessionsScreen, SafelightApp]]
    families += [[DifferenceView, CompareScreen, SafelightApp]]
    families += [[LineageTree, LineageScreen, SafelightApp], [ViewerScreen, SafelightApp]]
    return families + [[dialog] for dialog in dialogs]


def list_all() -> list[Binding]:
    """Every binding with an id, once, by screens."""
    found = {
        binding.id or "": binding
        for family in list_families()
        for node in family
        for binding in list_bindings(node)
    }
    return list(found.values())


def find_faults(
    keymap: Mapping[str, str], families: Iterable[Iterable[type[DOMNode]]]
) -> dict[str, str]:
    """What is wrong with `keymap`, by binding id.

    An id that no class of `families` has is unknown; a key is a clash where the key map gives
    it to one action while another one of the same family has it.
    """
    faults: dict[str, str] = {}
    known: set[str] = set()
    for family in families:
        bindings = {binding.id or "": binding for node in family for binding in list_bindings(node)}
        known |= bindings.keys()
        for name in keymap.keys() & bindings.keys():
            if fault := _find_fault(name, keymap, bindings):
                faults[name] = fault
    for name in keymap.keys() - known:
        faults[name] = "there is no such action"
    return faults


def _find_fault(name: str, keymap: Mapping[str, str], bindings: Mapping[str, Binding]) -> str:
    keys = set(split_keys(keymap[name]))
    if not keys:
        return "no key is given"
    by_default = set(split_keys(bindings[name].key))
    for other, binding in bindings.items():
        shared = keys & set(split_keys(keymap.get(other, binding.key)))
        # What shares a key by default is meant to: the nearer part of the screen takes it.
        if other != name and shared and not by_default & set(split_keys(binding.key)):
            return f"{write_keys(tuple(sorted(shared)))} is the key of {other}"
    return ""


def describe_faults(keymap: Mapping[str, str], path: Path, text: str) -> list[str]:
    """What is wrong with `keymap`, a sentence each, with the line of the file (`path`, `text`)."""
    families = list_families()
    known = [binding.id or "" for binding in list_all()]
    found = []
    for name, fault in sorted(find_faults(keymap, families).items()):
        line = find_line(text, name)
        place = f"{path}, line {line}" if line is not None else str(path)
        near = "" if name in known else "".join(difflib.get_close_matches(name, known, 1))
        hint = f"; {near} is meant perhaps" if near else ""
        found.append(f"{place}: [keys] {name}: {fault}{hint}.")
    return found


def find_line(text: str, name: str) -> int | None:
    """The line, counted from 1, where `config.toml` (`text`) sets the key of `name`."""
    is_inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[([^\]]*)\]", line):
            is_inside = match[1].strip() == "keys"
        elif is_inside and re.match(rf"\s*([\"']?){re.escape(name)}\1\s*=", line):
            return number
    return None
