"""The last line: moving or typing, a message, and the keys that hold here."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui.actions import Action, Situation, list_actions, write_keys
from tui.terminal.glyphs import Glyphs
from tui.text import show_safely
from tui.widgets.cell import Cell

WIDE, WIDE_GAP, GAP = 100, 3, 2
FIRST = ("typing.accept", "typing.leave", "generate", "help", "part", "quit")


class KeyLine(Cell):
    """Shows as many keys as fit, those of the focused part first; the rest is under `?`."""

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs
        self._contexts: Sequence[str] = ("compose",)
        self._situation = Situation()
        self._is_typing = False
        self._message = ""
        self._first: Sequence[str] = ()

    def show(
        self,
        contexts: Sequence[str],
        situation: Situation,
        *,
        is_typing: bool,
        first: Sequence[str] = (),
    ) -> None:
        """Show the keys of `contexts`, the first one's first, before them the actions `first`."""
        self._contexts, self._situation, self._is_typing = contexts, situation, is_typing
        self._first = first
        self._refresh_line()

    def say(self, message: str) -> None:
        """Show `message` in the keys' place until the next key is pressed; "" ends it."""
        if message != self._message:
            self._message = message
            self._refresh_line()

    def unsay(self, message: str) -> None:
        """End `message`, where it is what is shown."""
        if message == self._message:
            self.say("")

    @property
    def message(self) -> str:
        """The message that is shown."""
        return self._message

    def on_resize(self) -> None:
        """Other keys fit now."""
        self._refresh_line()

    @property
    def _gap(self) -> int:
        return WIDE_GAP if self.size.width >= WIDE else GAP

    def _refresh_line(self) -> None:
        state = " typing " if self._is_typing else " moving "
        style = "bold $role-on-focus on $role-focus" if self._is_typing else "bold $role-quiet"
        parts: list[str | tuple[str, str]] = [(state, style)]
        if self._message:
            parts.append(f"  {show_safely(self._message)}")
        else:
            for key, label, is_enabled in self._choose_keys(self.size.width - len(state)):
                parts.append(" " * self._gap)
                parts.append((key, "$role-focus" if is_enabled else "$role-quiet"))
                parts.append((f" {label}", "" if is_enabled else "strike $role-quiet"))
        self.put(Content.assemble(*parts))

    def _choose_keys(self, width: int) -> list[tuple[str, str, bool]]:
        chosen = []
        for action in self._rank_actions():
            key = self._write_key(action)
            taken = self._gap + len(key) + 1 + len(action.label)
            if taken > width:
                continue
            width -= taken
            chosen.append((action, key))
        order = {action.id: place for place, action in enumerate(self._order_actions())}
        chosen.sort(key=lambda pair: order[pair[0].id])
        return [(key, action.label, not action.explain(self._situation)) for action, key in chosen]

    def _order_actions(self) -> list[Action]:
        actions = [
            action
            for context in self._contexts
            for action in sorted(list_actions(context), key=lambda action: action.rank)
            if action.rank and self._write_key(action)
        ]
        return sorted(actions, key=lambda action: action.id not in self._first)

    def _write_key(self, action: Action) -> str:
        """The keys as they are written; while typing only one that is no text, or nothing."""
        key = write_keys(action, self._glyphs.keys)
        if action.context != "compose":
            return key
        keys = key.split()
        if self._is_typing:
            keys = [each for each in keys if len(each) > 1]
        return keys[0] if keys else ""

    def _rank_actions(self) -> list[Action]:
        """In the order in which they get room: what leads everywhere else comes first."""
        actions = self._order_actions()
        leading = (*FIRST, *self._first)
        first = [action for name in leading for action in actions if action.id == name]
        return first + [action for action in actions if action not in first]
