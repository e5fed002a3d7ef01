"""The last line of a screen: moving or typing, a message, and the keys that hold here."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tui.keys import Hint, Leader, is_typing, list_active, list_chain
from tui.terminal.detect import get_display
from tui.text import show_safely
from tui.widgets.cell import Cell

WIDE, WIDE_GAP, GAP = 100, 3, 2
ROWS = 3
"""Rows that a long message may take."""


class KeyLine(Cell):
    """Shows as many keys as fit, those of the focused part first; the rest is under `?`.

    The order is that of the bindings along the focus chain. Ids in the class variable `LEADING`
    of a node of the chain get room before others, and before these what a `Leader` names.
    `keymap`: keys by binding id, where they are not the default ones.
    """

    def __init__(self, keymap: Mapping[str, str] | None = None, *, id: str = "keys") -> None:  # noqa: A002
        super().__init__(id=id)
        self._keymap = keymap or {}
        self._message = ""
        self._is_stale = False

    def on_mount(self) -> None:
        """Follow the focus and what can be done."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_updated)
        self._refresh_line()

    def _bindings_updated(self, _: object) -> None:
        """Once for all updates that come together."""
        if not self._is_stale:
            self._is_stale = True
            self.call_later(self._refresh_line)

    def say(self, message: str) -> None:
        """Show `message` in the keys' place; "" ends it."""
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
        self._is_stale = False
        if not self.is_attached:
            return
        has_text = is_typing(self.screen.focused)
        state = " typing " if has_text else " moving "
        colours = "$role-on-focus on $role-focus" if has_text else "$role-text on $role-raised"
        parts: list[str | tuple[str, str]] = [(state, f"bold {colours}")]
        if self._message:
            parts.append(f"  {show_safely(self._message)}")
        else:
            for keys, label, is_enabled in self._choose_keys(self.size.width - len(state)):
                parts.append(" " * self._gap)
                parts.append((keys, "$role-focus" if is_enabled else "dim $role-quiet"))
                parts.append((f" {label}", "" if is_enabled else "dim $role-quiet"))
        content = Content.assemble(*parts)
        if self._message:
            content = self._fit(content)
        elif self.styles.height is not None and self.styles.height.value != 1:
            self.styles.height = 1
        self.put(content)

    def _fit(self, content: Content) -> Content:
        """A long message gets more rows, up to `ROWS`, so that its end is read too."""
        width = max(1, self.size.width)
        lines = content.wrap(width)
        if len(lines) > ROWS:
            rest = Content(" ").join(lines[ROWS - 1 :])
            lines = [*lines[: ROWS - 1], rest.truncate(width, ellipsis=True)]
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        return Content("\n").join(lines)

    def _choose_keys(self, width: int) -> list[tuple[str, str, bool]]:
        """What fits into `width` cells: keys, label, and whether it can be used now."""
        entries = self._list_entries()
        leading = self._list_leading()
        ranked = sorted(entries, key=lambda entry: _find_rank(entry, leading))
        chosen = []
        for entry in ranked:
            taken = self._gap + len(entry.keys) + 1 + len(entry.label)
            if taken <= width:
                width -= taken
                chosen.append(entry)
        return [(entry.keys, entry.label, entry.is_enabled) for entry in entries if entry in chosen]

    def _list_entries(self) -> list[_Entry]:
        arrows = get_display(self.app).glyphs.keys
        entries: list[_Entry] = []
        focused = self.screen.focused
        for hint in list_active(self.screen, self._keymap):
            if not hint.binding.show:
                continue
            # Of a pair's and of a screen's keys one each is enough.
            has_one = hint.binding.group is not None or hint.node is not focused
            written = hint.written.split(" ")[0] if has_one else hint.written
            entry = _Entry(hint, " ".join(arrows.get(word, word) for word in written.split(" ")))
            if entries and entry.group and entries[-1].group == entry.group:
                entries[-1].join(entry)
            else:
                entries.append(entry)
        return entries

    def _list_leading(self) -> list[str]:
        found: list[str] = []
        for node in list_chain(self.screen):
            found += node.list_leading() if isinstance(node, Leader) else ()
            found += getattr(node, "LEADING", ())
        return found


class _Entry:
    """One key, or a pair of keys of one group, in the line."""

    def __init__(self, hint: Hint, keys: str) -> None:
        self.id = hint.binding.id or ""
        self.group = hint.binding.group
        self.keys = keys
        self.label = self.group.description if self.group else hint.binding.description
        self.is_enabled = not hint.reason

    def join(self, other: _Entry) -> None:
        """Show the keys of `other` before these words too."""
        self.keys = f"{self.keys} {other.keys}"
        self.is_enabled |= other.is_enabled


def _find_rank(entry: _Entry, leading: list[str]) -> int:
    return leading.index(entry.id) if entry.id in leading else len(leading)
