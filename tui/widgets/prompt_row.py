"""One prompt of the stack: number, weight, bar, text, token meter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content

from engines.base import TokenizedPrompt
from engines.tokens import TokenCount
from store.records import DraftPrompt
from tui.glyphs import Glyphs
from tui.text import show_safely
from tui.widgets.cell import Cell
from tui.widgets.fields import PromptEditor, ValueInput
from tui.widgets.weight_bar import show_bar, write_weight

Counter = Callable[[str], TokenCount]
"""Counts a prompt's tokens against the engine's limit."""

Reader = Callable[[str, bool], TokenizedPrompt]
"""Tells which words of a prompt the model reads; with the words of the style preset or not."""

EXAMPLE = "beautiful night sky above a japanese town, anime style"
WEIGHT_CHARACTERS = 12
DROPPED_SHOWN = 6
UNKNOWN_STYLE = "underline $role-quiet"


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
        self._reader: Reader | None = None
        self._state: tuple[object, ...] = ()
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
        reader: Reader | None,
    ) -> None:
        """Show `prompt` as number `index` + 1; `full` is the weight of a full bar."""
        state = (prompt, index, is_current, full, counter, reader)
        if state == self._state:
            return
        self._state = state
        self._prompt, self._index, self._is_current, self._full, self._counter, self._reader = state
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
        reading = self._read(text)
        ends = [len(count.kept)] if count is not None and count.is_over else []
        kept = min([*ends, *([] if reading.kept is None else [reading.kept])], default=None)
        if self.editor is not None:
            # It hides the text, which `close` shows again.
            self.editor.show_marks(kept, reading.unknown)
        elif not text:
            self._text.put(Content.styled("(empty: enter to type)", "$role-quiet"), resizes=True)
        else:
            style = "" if self._prompt.enabled else "$role-quiet"
            self._text.put(mark_text(text, style, kept, reading.unknown), resizes=True)
        if count is None:
            self._meter.put(Content(""))
        else:
            meter = f"{count.count:>3}/{count.limit}"
            style = "bold $role-negative" if count.is_over else "$role-quiet"
            self._meter.put(Content.styled(meter, style))
        self._refresh_note(count, reading)

    def _read(self, text: str) -> TokenizedPrompt:
        """What the model reads; a word that is being typed is not yet unknown."""
        if self._reader is None or not self._prompt.enabled:
            return TokenizedPrompt()
        reading = self._reader(text, self._prompt.weight > 0)
        if self.editor is None:
            return reading
        cursor = self.editor.cursor_place
        done = tuple(place for place in reading.unknown if place[1] != cursor)
        return msgspec.structs.replace(reading, unknown=done)

    def _refresh_note(self, count: TokenCount | None, reading: TokenizedPrompt) -> None:
        text, glyphs = self._prompt.text, self._glyphs
        parts: list[str | tuple[str, str]] = []
        if self._explanation:
            parts = [(f"{glyphs.warning} ", "bold $role-negative"), show_safely(self._explanation)]
        elif count is not None and count.is_over:
            parts = self._describe_dropped(count.dropped, f"after {count.limit} tokens")
        elif reading.kept is not None:
            parts = self._describe_dropped(text[reading.kept :], "that this model does not read")
        elif reading.unknown and self._is_current:
            words = dict.fromkeys(text[start:end] for start, end in reading.unknown)
            named = ", ".join(list(words)[:DROPPED_SHOWN])
            more = glyphs.ellipsis if len(words) > DROPPED_SHOWN else ""
            parts = [(f"unknown to this model: {show_safely(named)}{more}", "$role-quiet")]
        note = Content.assemble(*parts)
        self._note.put(note, resizes=True)
        self._note.display = bool(note)

    def _describe_dropped(self, dropped: str, where: str) -> list[str | tuple[str, str]]:
        words = dropped.split()
        noun = "word falls" if len(words) == 1 else "words fall"
        more = self._glyphs.ellipsis if len(words) > DROPPED_SHOWN else ""
        return [
            (f"{self._glyphs.warning} {len(words)} {noun} off {where}: ", "$role-negative"),
            (show_safely(" ".join(words[:DROPPED_SHOWN])), "strike $role-quiet"),
            (more, "$role-quiet"),
        ]

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


def mark_text(
    text: str, style: str, kept: int | None, unknown: Sequence[tuple[int, int]]
) -> Content:
    """`text` with what follows the first `kept` characters struck, and unknown words underlined."""
    border = len(text) if kept is None else kept
    parts: list[tuple[str, str]] = []
    at = 0
    for start, end in unknown:
        if start < border:
            parts += [(text[at:start], style), (text[start:end], UNKNOWN_STYLE)]
            at = end
    parts += [(text[at:border], style), (text[max(at, border) :], "strike $role-quiet")]
    return Content.assemble(*((show_safely(part, lines=True), own) for part, own in parts))
