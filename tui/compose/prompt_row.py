"""One prompt of the stack: number, weight, bar, text, token meter."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content

from engines.base import TokenizedPrompt
from engines.tokens import TokenCount, count_tokens
from store.records import DraftPrompt
from tui.compose.editors import PromptEditor, ValueInput
from tui.darkroom import Darkroom
from tui.terminal.glyphs import Glyphs
from tui.text import show_safely
from tui.widgets.cell import Cell
from tui.words import write_weight

EXAMPLE = "beautiful night sky above a japanese town, anime style"
WEIGHT_CHARACTERS = 12
DROPPED_SHOWN = 6
DROPPED_CHARACTERS = 120
"""How much is shown of what falls off: words, and characters at most."""

UNKNOWN_STYLE = "underline $role-quiet"
BAR_SIDE = 5
"""Cells of a weight's bar on each side of its middle."""


class PromptReader:
    """What a model reads of a prompt: its tokens against `limit` (None: none), the words it knows.

    Its first use reads files: make it in a thread. Raises `EngineError` then.
    """

    def __init__(
        self, darkroom: Darkroom, engine: str, style: str | None, limit: int | None
    ) -> None:
        self._darkroom = darkroom
        self._engine = engine
        self._style = style
        self._limit = limit
        darkroom.read_prompt(engine, "")
        self.count("")

    def count(self, text: str) -> TokenCount | None:
        """The tokens of `text` and what falls off after the limit, None without a limit."""
        return None if self._limit is None else count_tokens(text, self._limit)

    def read(self, prompt: DraftPrompt) -> TokenizedPrompt:
        """Which words of `prompt` the model reads; all of one that is switched off."""
        if not prompt.enabled:
            return TokenizedPrompt()
        style = self._style if prompt.weight > 0 else None
        return self._darkroom.read_prompt(self._engine, prompt.text, style)


class PromptRow(Vertical):
    """Shows a prompt; its text or its weight can be opened for typing.

    `show` may be called at any time and leaves an open field alone. Only what has changed is
    drawn again.
    """

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._prompt: DraftPrompt | None = None
        self._index = 0
        self._is_current = False
        self._full = 2.0
        self._reader: PromptReader | None = None
        self._count: TokenCount | None = None
        self._reading = TokenizedPrompt()
        self._explanation = ""
        self.editor: PromptEditor | None = None
        self.weight_input: ValueInput | None = None
        self._head = Cell(classes="row-head")
        self._weight = Cell(classes="row-weight")
        self._bar = Cell(classes="row-bar")
        self._text = Cell(classes="row-text")
        self._meter = Cell(classes="row-meter")
        self._note = Cell(classes="row-note")
        self._note.display = False

    def compose(self) -> ComposeResult:
        """The cells of the row and, below them, what there is to explain."""
        with Horizontal(classes="row-line"):
            yield self._head
            yield self._weight
            yield self._bar
            yield self._text
            yield self._meter
        yield self._note

    @property
    def is_open(self) -> bool:
        """Whether something is typed here."""
        return self.editor is not None or self.weight_input is not None

    def show(
        self,
        prompt: DraftPrompt,
        index: int,
        *,
        is_current: bool,
        full: float,
        reader: PromptReader | None,
    ) -> None:
        """Show `prompt` as number `index` + 1; `full` is the weight of a full bar."""
        before = self._prompt
        is_new = before is None
        if is_new or (index, is_current) != (self._index, self._is_current):
            self._index, self._is_current = index, is_current
            self._show_head()
            is_new = is_new or bool(self._reading.unknown)
        if before is prompt and full == self._full and reader is self._reader and not is_new:
            return
        is_switched = before is None or before.enabled != prompt.enabled
        has_other_weight = before is None or before.weight != prompt.weight or full != self._full
        reads_otherwise = (
            is_new
            or before is None
            or is_switched
            or reader is not self._reader
            or before.text != prompt.text
            or (before.weight > 0) != (prompt.weight > 0)
        )
        self._prompt, self._full, self._reader = prompt, full, reader
        if has_other_weight or is_switched:
            self._show_weight(prompt)
        if reads_otherwise:
            self._read(prompt)
            self._show_text(prompt)

    def explain(self, text: str) -> None:
        """Say below the row what is wrong with a value; "" takes it away."""
        if text != self._explanation:
            self._explanation = text
            self._show_note()

    def _show_head(self) -> None:
        self.set_class(self._is_current, "-current")
        marker = self._glyphs.cursor if self._is_current else " "
        self._head.put(Content.assemble(marker, (f"{self._index + 1:>2}", "$role-quiet")))

    def _show_weight(self, prompt: DraftPrompt) -> None:
        self.set_class(not prompt.enabled, "-off")
        self.set_class(prompt.weight < 0, "-negative")
        weight = write_weight(prompt.weight, prompt.enabled, has_unicode=self._glyphs.has_unicode)
        is_negative = prompt.enabled and prompt.weight < 0
        style = "bold $role-negative" if is_negative else "" if prompt.enabled else "$role-quiet"
        self._weight.put(Content.assemble((f"{weight:>5}", style)))
        self._bar.put(show_bar(prompt.weight if prompt.enabled else 0, self._full, self._glyphs))

    def _read(self, prompt: DraftPrompt) -> None:
        """Ask what the model reads; a word that is being typed is not yet unknown."""
        self._count, self._reading = None, TokenizedPrompt()
        if self._reader is None:
            return
        self._count = self._reader.count(prompt.text)
        reading = self._reader.read(prompt)
        if self.editor is not None and reading.unknown:
            cursor = self.editor.cursor_place
            done = tuple(place for place in reading.unknown if place[1] != cursor)
            reading = TokenizedPrompt(unknown=done, kept=reading.kept)
        self._reading = reading

    def _show_text(self, prompt: DraftPrompt) -> None:
        text, count, reading = prompt.text, self._count, self._reading
        kept = reading.kept
        if count is not None and count.is_over:
            kept = len(count.kept) if kept is None else min(kept, len(count.kept))
        if self.editor is not None:
            # It hides the text, which `close` shows again.
            self.editor.show_marks(kept, reading.unknown)
        elif not text:
            self._text.put(Content.styled("(empty: enter to type)", "$role-quiet"), resizes=True)
        else:
            style = "" if prompt.enabled else "$role-quiet"
            self._text.put(mark_text(text, style, kept, reading.unknown), resizes=True)
        meter = "" if count is None else f"{count.count:>3}/{count.limit}"
        is_over = count is not None and count.is_over
        self._meter.put(Content.styled(meter, "bold $role-negative" if is_over else "$role-quiet"))
        self._show_note()

    def _show_note(self) -> None:
        note = self._describe()
        self._note.put(note, resizes=True)
        if self._note.display != bool(note):
            self._note.display = bool(note)

    def _describe(self) -> Content:
        glyphs, count, reading = self._glyphs, self._count, self._reading
        text = "" if self._prompt is None else self._prompt.text
        if self._explanation:
            warning = (f"{glyphs.warning} ", "bold $role-negative")
            return Content.assemble(warning, show_safely(self._explanation))
        if count is not None and count.is_over:
            return self._describe_dropped(text, len(count.kept), f"after {count.limit} tokens")
        if reading.kept is not None:
            return self._describe_dropped(text, reading.kept, "that this model does not read")
        if "::" in text and self.editor is None:
            return Content.styled("'::' is part of this text", "$role-quiet")
        if reading.unknown and self._is_current:
            words = dict.fromkeys(text[start:end] for start, end in reading.unknown)
            named = ", ".join(list(words)[:DROPPED_SHOWN])
            more = glyphs.ellipsis if len(words) > DROPPED_SHOWN else ""
            said = f"unknown to this model: {show_safely(named)}{more}"
            return Content.styled(said, "$role-quiet")
        return Content("")

    def _describe_dropped(self, text: str, border: int, where: str) -> Content:
        kept, dropped = text[:border], text[border:]
        words = dropped.split()
        shown = " ".join(words[:DROPPED_SHOWN])
        if kept[-1:].strip() and dropped[:1].strip():
            # A script without spaces, or a long URL: its words cannot be counted.
            number, noun = len("".join(words)), "character"
        else:
            number, noun = len(words), "word"
        falls = f"{noun} falls" if number == 1 else f"{noun}s fall"
        is_more = len(words) > DROPPED_SHOWN or len(shown) > DROPPED_CHARACTERS
        return Content.assemble(
            (f"{self._glyphs.warning} {number} {falls} off {where}: ", "$role-negative"),
            (show_safely(shown[:DROPPED_CHARACTERS]), "strike $role-quiet"),
            (self._glyphs.ellipsis if is_more else "", "$role-quiet"),
        )

    # Typing

    async def open_text(self, cursor: tuple[int, int] | None = None) -> None:
        """Type in the text, at `cursor` (line, column) or at its end."""
        prompt = self._prompt or DraftPrompt()
        if self.editor is None:
            self.editor = PromptEditor(prompt.text, f"e.g. {EXAMPLE}")
            self._text.display = False
            await self.query_one(".row-line").mount(self.editor, before=self._meter)
            self._show_text(prompt)
        if cursor is None:
            self.editor.move_cursor(self.editor.document.end)
        else:
            self.editor.put_cursor(*cursor)
        self.screen.set_focus(self.editor)

    async def open_weight(self, text: str, *, is_old: bool = False) -> None:
        """Type the weight, beginning with `text`; an old value is marked."""
        if self.weight_input is None:
            self.weight_input = ValueInput(text, limit=WEIGHT_CHARACTERS)
            self.weight_input.add_class("row-weight-input")
            self._weight.display = False
            await self.query_one(".row-line").mount(self.weight_input, before=self._bar)
        if is_old:
            self.weight_input.mark()
        self.screen.set_focus(self.weight_input)

    async def close(self) -> None:
        """Take open fields away and show the values again."""
        fields = [field for field in (self.editor, self.weight_input) if field is not None]
        self.editor = self.weight_input = None
        for field in fields:
            await field.remove()
        self._text.display = self._weight.display = True
        self.explain("")
        if self._prompt is not None:
            self._read(self._prompt)
            self._show_text(self._prompt)


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


def draw_bar(weight: float, full: float, glyphs: Glyphs) -> str:
    """A weight's bar, 2 x `BAR_SIDE` + 3 cells: right for more, left for less.

    `full` is the weight that fills one side.
    """
    halves = round(min(abs(weight) / full, 1.0) * BAR_SIDE * 2)
    if weight and not halves:
        halves = 1
    whole, half = divmod(halves, 2)
    is_beyond = abs(weight) > full
    if weight < 0:
        cells = glyphs.right_half * half + glyphs.full * whole
        cells = glyphs.beyond_left + cells[1:] if is_beyond else cells
        left, right = cells.rjust(BAR_SIDE), " " * BAR_SIDE
    else:
        cells = glyphs.full * whole + glyphs.left_half * half
        cells = cells[:-1] + glyphs.beyond_right if is_beyond else cells
        left, right = " " * BAR_SIDE, cells.ljust(BAR_SIDE)
    return f"{glyphs.open}{left}{glyphs.middle}{right}{glyphs.close}"


def show_bar(weight: float, full: float, glyphs: Glyphs) -> Content:
    """The bar in its colours; empty for a weight of 0."""
    bar = draw_bar(weight, full, glyphs)
    style = "$role-negative" if weight < 0 else "$role-text"
    inner = bar[1:-1]
    return Content.assemble(
        (bar[0], "$role-line"),
        (inner[:BAR_SIDE], style),
        (inner[BAR_SIDE], "$role-line"),
        (inner[BAR_SIDE + 1 :], style),
        (bar[-1], "$role-line"),
    )
