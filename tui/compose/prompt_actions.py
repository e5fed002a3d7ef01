"""What can be done on the prompt stack."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from store.errors import RequestError
from store.limits import check_weight
from store.records import DraftPrompt
from tui.compose import draft as drafts
from tui.compose.desk import Desk
from tui.compose.prompts import PromptStack
from tui.compose.weight_bar import write_weight
from tui.terminal.glyphs import Glyphs

Refresh = Callable[[], Awaitable[None]]


class PromptActions:
    """Changes the prompts of the draft on the desk and the stack that shows them.

    `refresh` shows the draft after a change, `say` tells the person something.
    """

    def __init__(
        self,
        desk: Desk,
        stack: PromptStack,
        glyphs: Glyphs,
        refresh: Refresh,
        say: Callable[[str], None],
    ) -> None:
        self._desk = desk
        self._stack = stack
        self._glyphs = glyphs
        self._refresh = refresh
        self._say = say
        self._text_before = desk.draft
        self._is_new = False

    @property
    def row(self) -> int:
        """The row of the cursor."""
        row = self._desk.draft.place.get("row")
        row = row if isinstance(row, int) else 0
        return min(max(row, 0), len(self._desk.draft.prompts) - 1)

    @property
    def prompt(self) -> DraftPrompt:
        """The prompt under the cursor."""
        return self._desk.draft.prompts[self.row]

    async def choose_row(self, row: int) -> None:
        """Put the cursor on `row`."""
        self._desk.set_place(row=min(max(row, 0), len(self._desk.draft.prompts) - 1))
        await self._refresh()

    async def move_cursor(self, key: str) -> None:
        """Put the cursor up, down, to the first or the last row."""
        last = len(self._desk.draft.prompts) - 1
        rows = {"up": self.row - 1, "down": self.row + 1, "home": 0, "end": last}
        await self.choose_row(rows[key])

    # The stack

    async def add(self, _: str) -> None:
        """Add an empty prompt below and type in it."""
        row = self.row + 1
        before = self._desk.draft
        self._desk.change(drafts.insert_prompt(self._desk.draft, row))
        self._desk.set_place(row=row)
        await self._refresh()
        await self.edit("")
        self._text_before, self._is_new = before, True

    async def remove(self, _: str) -> None:
        """Remove the prompt under the cursor."""
        row = self.row
        label = f"removing prompt {row + 1}"
        self._desk.change(drafts.remove_prompt(self._desk.draft, row), label)
        await self.choose_row(row)
        self._say(f"Prompt {row + 1} is removed; u brings it back.")

    async def duplicate(self, _: str) -> None:
        """Put a copy below and the cursor on it."""
        row = self.row
        self._desk.change(
            drafts.insert_prompt(self._desk.draft, row + 1, self.prompt),
            f"duplicating prompt {row + 1}",
        )
        await self.choose_row(row + 1)

    async def move(self, key: str) -> None:
        """Move the prompt with the cursor."""
        row, places = self.row, 1 if key == "J" else -1
        moved = drafts.move_prompt(self._desk.draft, row, places)
        self._desk.change(moved, f"moving prompt {row + 1}")
        await self.choose_row(row + places)

    async def switch(self, _: str) -> None:
        """Switch the prompt off or on."""
        row, enabled = self.row, not self.prompt.enabled
        self._desk.change(
            drafts.change_prompt(self._desk.draft, row, enabled=enabled),
            f"switching prompt {row + 1} {'on' if enabled else 'off'}",
        )
        await self._refresh()

    # Weights

    async def step_weight(self, key: str) -> None:
        """One tenth more or less; the undo takes a row of steps back at once."""
        row, before = self.row, self._desk.draft
        weight = drafts.step_weight(self.prompt.weight, 1 if key in ("right", "plus") else -1)
        label = f"the weight of prompt {row + 1}"
        if self._desk.last_label != label:
            self._desk.remember(label, before)
        self._desk.change(drafts.change_prompt(before, row, weight=weight))
        await self._refresh()

    async def type_weight(self, key: str) -> None:
        """Type the weight: a digit begins a new one, `=` edits the old one."""
        old = f"{self.prompt.weight:.10g}"
        is_old = key == "equals_sign"
        await self.open_weight(old if is_old else key, is_old=is_old)

    async def open_weight(self, text: str, *, is_old: bool = False) -> None:
        """Type the weight of the row under the cursor, beginning with `text`."""
        row = self.row
        self._desk.set_place(typing="weight")
        self._desk.set_pending(f"prompts.{row}.weight", text)
        await self._stack.open_weight(row, text, is_old=is_old)

    def note_weight(self, row: int, text: str) -> None:
        """Keep what is half-typed."""
        self._desk.set_pending(f"prompts.{row}.weight", text)

    async def enter_weight(self, row: int, text: str) -> bool:
        """Accept the weight, or explain why not."""
        try:
            weight = parse_weight(text)
        except RequestError as error:
            self._stack.explain(row, str(error))
            return False
        self._desk.set_pending(f"prompts.{row}.weight", None)
        self._desk.change(
            drafts.change_prompt(self._desk.draft, row, weight=weight),
            f"the weight of prompt {row + 1}",
        )
        await self._close()
        return True

    async def leave_weight(self, row: int) -> None:
        """Give up what is half-typed; the weight stays what it was."""
        self._desk.set_pending(f"prompts.{row}.weight", None)
        await self._close()

    # Text

    async def edit(self, _: str, cursor: tuple[int, int] | None = None) -> None:
        """Type in the prompt under the cursor, at `cursor` (line, column) or at its end."""
        self._text_before, self._is_new = self._desk.draft, False
        self._desk.set_place(typing="text")
        await self._stack.open_text(self.row, cursor)

    async def note_text(self, row: int, text: str) -> None:
        """Keep what is typed."""
        if row < len(self._desk.draft.prompts):
            self._desk.change(drafts.change_prompt(self._desk.draft, row, text=text))
            await self._refresh()

    def note_cursor(self, line: int, column: int) -> None:
        """Keep where the cursor is."""
        self._desk.set_place(line=line, column=column)

    async def leave_text(self, row: int) -> None:
        """Leave typing; a prompt that was added and left empty goes away again."""
        if row >= len(self._desk.draft.prompts):
            return
        is_empty = not self._desk.draft.prompts[row].text
        if self._is_new and is_empty and len(self._desk.draft.prompts) > 1:
            self._desk.change(drafts.remove_prompt(self._desk.draft, row))
            self._desk.set_place(row=max(row - 1, 0))
        elif not drafts.has_same_content(self._text_before, self._desk.draft):
            action = "adding" if self._is_new else "editing"
            self._desk.remember(f"{action} prompt {row + 1}", self._text_before)
        self._is_new = False
        await self._close()

    async def _close(self) -> None:
        self._desk.set_place(typing=None)
        await self._stack.close_fields(take_focus=True)
        await self._refresh()

    # Both

    async def settle(self) -> None:
        """Close an open field because the focus went elsewhere; a wrong weight is given up."""
        row = self._stack.open_row
        if row is None:
            return
        index = self._stack.rows.index(row)
        if row.editor is not None:
            await self.leave_text(index)
            return
        assert row.weight_input is not None
        if not await self.enter_weight(index, row.weight_input.value):
            text, weight = row.weight_input.value, self._desk.draft.prompts[index].weight
            await self.leave_weight(index)
            kept = write_weight(weight, True, self._glyphs)
            self._say(f"The weight stays {kept}: {text!r} is none.")

    async def accept(self) -> bool:
        """Accept what is open; False when it is wrong, which is then explained."""
        row = self._stack.open_row
        if row is None or row.weight_input is None:
            await self.settle()
            return True
        return await self.enter_weight(self._stack.rows.index(row), row.weight_input.value)


def parse_weight(text: str) -> float:
    """The weight that `text` stands for. Raises `RequestError`."""
    written = text.strip().replace("\u2212", "-").replace(",", ".")
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(
            "weight",
            text,
            f"{text!r} is not a number.",
            "Give a number from -10 to 10, like -1 or 0.5.",
        )
    return check_weight(number)
