"""One prompt of the stack: number, weight, bar, text, token meter."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content

from engines.tokens import TokenCount
from store.records import DraftPrompt
from tui.glyphs import Glyphs
from tui.text import show_safely
from tui.widgets.cell import Cell
from tui.widgets.fields import PromptEditor, ValueInput
from tui.widgets.weight_bar import show_bar, write_weight

Counter = Callable[[str], TokenCount]
"""Counts a prompt's tokens against the engine's limit."""

EXAMPLE = "beautiful night sky above a japanese town, anime style"
WEIGHT_CHARACTERS = 12
DROPPED_SHOWN = 6


class PromptRow(Vertical):
    """Shows a prompt; its text or its weight can be opened for typing.

    `show` may be called at any time and leaves an open field alone.
    """

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._prompt = DraftPrompt()
        self._index = 0
        self._is_current = False
        self._full = 2.0
        self._counter: Counter | None = None
        self._explanation = ""
        self.editor: PromptEditor | None = None
        self.weight_input: ValueInput | None = None
        self._head = Cell(classes="row-head")
        self._weight = Cell(classes="row-weight")
        self._bar = Cell(classes="row-bar")
        self._text = Cell(classes="row-text")
        self._meter = Cell(classes="row-meter")
        self._note = Cell(classes="row-note")

    def compose(self) -> ComposeResult:
        """The cells of the row and, below them, what there is to explain."""
        with Horizontal(classes="row-line"):
            yield self._head
            yield self._weight
            yield self._bar
            yield self._text
            yield self._meter
        yield self._note

    def on_mount(self) -> None:
        """Show what was set before."""
        self._refresh_cells()

    def show(
        self,
        prompt: DraftPrompt,
        index: int,
        *,
        is_current: bool,
        full: float,
        counter: Counter | None,
    ) -> None:
        """Show `prompt` as number `index` + 1; `full` is the weight of a full bar."""
        state = (prompt, index, is_current, full, counter)
        if state == (self._prompt, self._index, self._is_current, self._full, self._counter):
            return
        self._prompt, self._index, self._is_current, self._full, self._counter = state
        self._refresh_cells()

    def explain(self, text: str) -> None:
        """Say below the row what is wrong with a value; "" takes it away."""
        if text != self._explanation:
            self._explanation = text
            self._refresh_text()

    def _refresh_cells(self) -> None:
        if not self.is_attached:
            return
        prompt, glyphs = self._prompt, self._glyphs
        self.set_class(self._is_current, "-current")
        self.set_class(not prompt.enabled, "-off")
        self.set_class(prompt.weight < 0, "-negative")
        marker = glyphs.cursor if self._is_current else " "
        self._head.put(Content.assemble(marker, (f"{self._index + 1:>2}", "$role-quiet")))
        weight = write_weight(prompt.weight, prompt.enabled, glyphs)
        negative = prompt.enabled and prompt.weight < 0
        style = "bold $role-negative" if negative else "" if prompt.enabled else "$role-quiet"
        self._weight.put(Content.assemble((f"{weight:>5}", style)))
        self._bar.put(show_bar(prompt.weight, prompt.enabled, self._full, glyphs))
        self._refresh_text()

    def _refresh_text(self) -> None:
        text = self._prompt.text
        count = self._counter(text) if self._counter is not None else None
        kept = len(count.kept) if count is not None and count.is_over else None
        if self.editor is not None:
            self.editor.show_kept(kept)
        style = "" if self._prompt.enabled else "$role-quiet"
        if self.editor is not None:
            pass  # It is hidden; `close` shows the text again.
        elif not text:
            self._text.put(Content.styled("(empty: enter to type)", "$role-quiet"), resizes=True)
        else:
            border = len(text) if kept is None else kept
            self._text.put(
                Content.assemble(
                    (show_safely(text[:border], lines=True), style),
                    (show_safely(text[border:], lines=True), "strike $role-quiet"),
                ),
                resizes=True,
            )
        if count is None:
            self._meter.put(Content(""))
        else:
            meter = f"{count.count:>3}/{count.limit}"
            style = "bold $role-negative" if count.is_over else "$role-quiet"
            self._meter.put(Content.styled(meter, style))
        self._refresh_note(count)

    def _refresh_note(self, count: TokenCount | None) -> None:
        if self._explanation:
            note = Content.assemble(
                (f"{self._glyphs.warning} ", "bold $role-negative"), show_safely(self._explanation)
            )
        elif count is not None and count.is_over:
            words = count.dropped.split()
            noun = "word falls" if len(words) == 1 else "words fall"
            said = f"{len(words)} {noun} off after {count.limit} tokens: "
            note = Content.assemble(
                (f"{self._glyphs.warning} {said}", "$role-negative"),
                (show_safely(" ".join(words[:DROPPED_SHOWN])), "strike $role-quiet"),
                (self._glyphs.ellipsis if len(words) > DROPPED_SHOWN else "", "$role-quiet"),
            )
        else:
            note = Content("")
        self._note.put(note, resizes=True)
        self._note.display = bool(note)

    # Typing

    async def open_text(self) -> PromptEditor:
        """Put an editor in the text's place and return it."""
        if self.editor is None:
            self.editor = PromptEditor(self._prompt.text, f"e.g. {EXAMPLE}")
            self._text.display = False
            await self.query_one(".row-line").mount(self.editor, before=self._meter)
            self._refresh_text()
        return self.editor

    async def open_weight(self, text: str) -> ValueInput:
        """Put an input with `text` in the weight's place and return it."""
        if self.weight_input is None:
            self.weight_input = ValueInput(text, limit=WEIGHT_CHARACTERS)
            self.weight_input.add_class("row-weight-input")
            self._weight.display = False
            await self.query_one(".row-line").mount(self.weight_input, before=self._bar)
        return self.weight_input

    async def close(self) -> list[PromptEditor | ValueInput]:
        """Take open fields away and show the values again; the fields, for their late keys."""
        left: list[PromptEditor | ValueInput] = []
        for field in (self.editor, self.weight_input):
            if field is not None:
                await field.remove()
                left.append(field)
        self.editor = self.weight_input = None
        self._text.display = self._weight.display = True
        self.explain("")
        self._refresh_cells()
        return left
