"""The draft on the desk: what is being edited, with its undo, written through on each change."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from store.records import Draft
from tui.compose.draft import has_same_content

UNDO_KEPT = 200

PlaceValue = str | int | bool | None


class Desk:
    """Holds the draft of one session. Knows no widget and no database.

    `save` is called with every new draft; it returns at once.
    """

    def __init__(self, draft: Draft, save: Callable[[Draft], None]) -> None:
        self.draft = draft
        self._save = save
        self._undo: list[tuple[str, Draft]] = []

    @property
    def has_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._undo)

    @property
    def last_label(self) -> str | None:
        """What would be taken back."""
        return self._undo[-1][0] if self._undo else None

    def change(self, draft: Draft, label: str = "") -> None:
        """Put `draft` on the desk and write it through. With a `label` it can be undone."""
        if draft == self.draft:
            return
        if label:
            self.remember(label, self.draft)
        self.draft = draft
        self._save(draft)

    def remember(self, label: str, before: Draft) -> None:
        """Note that what was just changed can be taken back to `before`."""
        self._undo = [*self._undo, (label, before)][-UNDO_KEPT:]

    def undo(self) -> str | None:
        """Take back the last remembered change; its label, or None when there is none.

        Seeds and place stay as they are.
        """
        while self._undo:
            label, before = self._undo.pop()
            if has_same_content(before, self.draft):
                continue
            now = self.draft
            restored = msgspec.structs.replace(
                before,
                seed=now.seed,
                seed_locked=now.seed_locked,
                previous_seeds=now.previous_seeds,
                pending={},
                place=now.place,
            )
            self.change(restored)
            return label
        return None

    def set_place(self, **places: PlaceValue) -> None:
        """Remember where the person is."""
        self.change(msgspec.structs.replace(self.draft, place={**self.draft.place, **places}))

    def set_pending(self, field: str, text: str | None) -> None:
        """Remember a half-typed value; None when the field is closed."""
        pending = {name: value for name, value in self.draft.pending.items() if name != field}
        if text is not None:
            pending[field] = text
        self.change(msgspec.structs.replace(self.draft, pending=pending))
