"""The prompt stack: a row a prompt, a cursor, and at most one open field."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
from textual import events, on, work
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.widgets import Input, TextArea

from engines.capabilities import Capabilities
from store.errors import RequestError, SafelightError
from store.prompts import UnclearPrompts, has_marks, parse_prompts
from store.records import Draft, DraftPrompt
from store.request import Prompt
from tui.compose import draft as drafts
from tui.compose.draft import DraftEditor
from tui.compose.earlier import EarlierScreen, Walk
from tui.compose.editors import Accepted, Left, OtherWanted
from tui.compose.fields import parse_weight
from tui.compose.prompt_row import PromptReader, PromptRow
from tui.compose.stack_text import read_stack, write_stack
from tui.darkroom import Darkroom
from tui.external_editor import edit_text
from tui.keys import Reasoned, Said, bind_cursor, bind_steps
from tui.terminal.detect import get_display
from tui.text import clean_paste
from tui.words import write_weight

PROMPTS_MAXIMUM = 64
FULL_WEIGHT = 2.0


class PromptStack(Reasoned, VerticalScroll, can_focus=True, inherit_bindings=False):
    """Shows the prompts of the draft and changes them as the person says.

    `prompts` and `row` (the cursor) come from the draft, `settings` is the rest of it,
    `capabilities` what its engine and model accept (None before that is known).
    """

    BINDING_GROUP_TITLE = "on the prompt stack"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add", tooltip="Add a prompt below", id="prompt.add"),
        Binding("enter", "edit", "edit", tooltip="Edit the prompt's text", id="prompt.edit"),
        *bind_steps(
            "prompt",
            "step_weight",
            "weight",
            "Take 0.1 from the prompt's weight",
            "Add 0.1 to the prompt's weight",
        ),
        Binding(
            "space", "switch", "off", tooltip="Switch the prompt off or on", id="prompt.switch"
        ),
        Binding(
            "J",
            "move(1)",
            "down",
            tooltip="Move the prompt down in the stack",
            group=Binding.Group("move"),
            system=True,
            id="prompt.down",
        ),
        Binding(
            "K",
            "move(-1)",
            "up",
            tooltip="Move the prompt up in the stack",
            group=Binding.Group("move"),
            system=True,
            id="prompt.up",
        ),
        Binding(
            "d,delete",
            "remove_prompt",
            "remove",
            tooltip="Remove the prompt; u brings it back",
            key_display="d",
            id="prompt.remove",
        ),
        Binding(
            "ctrl+r",
            "recall",
            "earlier",
            tooltip="Search the earlier prompts and put one here; typing, up goes to them",
            show=False,
            id="prompt.earlier",
        ),
        Binding(
            "f4",
            "edit_outside",
            "editor",
            tooltip="Edit the prompt in your own editor, $VISUAL or $EDITOR; while typing too",
            show=False,
            id="prompt.editor",
        ),
        Binding(
            "E",
            "edit_stack",
            "stack in editor",
            tooltip="Edit the whole stack with its weights in your own editor",
            show=False,
            id="prompt.stack_editor",
        ),
        Binding("D", "duplicate", "duplicate", tooltip="Duplicate the prompt", id="prompt.copy"),
        Binding(
            "equals_sign",
            "type_weight",
            "type weight",
            tooltip="Type the prompt's weight, -10 to 10; below 0 means: avoid this",
            key_display="= 0-9",
            show=False,
            id="prompt.type_weight",
        ),
        *(Binding(digit, f"type_weight('{digit}')", show=False) for digit in "0123456789"),
        *bind_cursor("prompt", "prompt"),
    ]

    prompts: var[tuple[DraftPrompt, ...]] = var((DraftPrompt(),))
    row: var[int] = var(0)
    settings: var[Draft] = var(Draft)
    capabilities: var[Capabilities | None] = var(None)

    def __init__(self, editor: DraftEditor, darkroom: Darkroom, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = Content("prompts")
        self._editor = editor
        self._darkroom = darkroom
        self._full = FULL_WEIGHT
        self._reader: PromptReader | None = None
        self._read_for: tuple[str, str | None, int | None] | None = None
        self._text_before = Draft()
        self._is_new = False
        self._opened_text: str | None = None
        self._walk: Walk | None = None
        self._typed_for: str | None = None
        self._refused = ""
        self._lock = asyncio.Lock()

    async def on_mount(self) -> None:
        """Show the first rows."""
        await self._fit_rows()

    # Showing

    @property
    def rows(self) -> list[PromptRow]:
        """The rows in their order."""
        return list(self.query_children(PromptRow))

    @property
    def open_row(self) -> PromptRow | None:
        """The row with an open field."""
        return next((row for row in self.rows if row.is_open), None)

    def watch_prompts(self, before: tuple[DraftPrompt, ...], now: tuple[DraftPrompt, ...]) -> None:
        """Other prompts: show them, with more or fewer rows where it takes them."""
        if not self.is_mounted:
            return
        if len(before) == len(now):
            for index, prompt in enumerate(now):
                if prompt is not before[index]:
                    self._show_row(self.rows, index)
        else:
            self.call_next(self._fit_rows)
            self.refresh_bindings()

    def watch_row(self) -> None:
        """The cursor moved."""
        if self.is_mounted:
            self._show_rows()

    def watch_settings(self) -> None:
        """The model may read other words."""
        self._load_reader()

    def watch_capabilities(self) -> None:
        """The limits are known, or others."""
        if self.capabilities is not None:
            self._full = max(map(abs, self.capabilities.weights))
        self._load_reader()
        if self.is_mounted:
            self._show_rows()

    async def _fit_rows(self) -> None:
        """As many rows as prompts, and their values in them."""
        async with self._lock:
            rows, count = self.rows, len(self.prompts)
            if len(rows) > count:
                await self.remove_children(rows[count:])
            elif len(rows) < count:
                glyphs = get_display(self.app).glyphs
                await self.mount_all(PromptRow(glyphs) for _ in range(count - len(rows)))
            self._show_rows()

    def _show_rows(self) -> None:
        rows = self.rows
        for index in range(min(len(rows), len(self.prompts))):
            self._show_row(rows, index)

    def _show_row(self, rows: list[PromptRow], index: int) -> None:
        if index < len(rows):
            is_current = index == self.row
            prompt = self.prompts[index]
            rows[index].show(
                prompt, index, is_current=is_current, full=self._full, reader=self._reader
            )
            if is_current:
                rows[index].scroll_visible(animate=False)

    def _load_reader(self) -> None:
        """What the model reads of a prompt; files are read in a thread, where they must be."""
        known = self.capabilities
        if known is None:
            return
        wanted = (self.settings.engine, self.settings.style_preset, known.token_limit)
        if wanted != self._read_for:
            self._read_for = wanted
            self._make_reader(*wanted)

    @work(group="reader", exclusive=True)
    async def _make_reader(self, engine: str, style: str | None, limit: int | None) -> None:
        try:
            reader = await asyncio.to_thread(PromptReader, self._darkroom, engine, style, limit)
        except SafelightError:
            return  # The engine says what is wrong with its files when it is asked for an image.
        self._reader = reader
        self._show_rows()

    def explain(self, row: int, text: str) -> None:
        """Say at `row` what is wrong with it."""
        rows = self.rows
        if row < len(rows):
            rows[row].explain(text)

    def on_click(self, event: events.Click) -> None:
        """Choose the row that was clicked."""
        for index, row in enumerate(self.rows):
            if event.widget is not None and row in event.widget.ancestors_with_self:
                self._editor.set_place(row=index)

    # What can be done

    def why_not(self, action: str) -> str:
        """Why something cannot be done with the prompts now."""
        match action:
            case "add" | "duplicate":
                known = self.capabilities
                limit = PROMPTS_MAXIMUM if known is None else known.prompt_limit
                if len(self.prompts) >= limit:
                    return f"The stack is full: {limit} prompts."
            case "recall":
                return self._darkroom.trouble
            case "move" if len(self.prompts) < 2:
                return "There is only one prompt."
        return ""

    def choose_row(self, row: int) -> None:
        """Put the cursor on `row`, as far as the stack goes."""
        self._editor.set_place(row=min(max(row, 0), len(self._editor.draft.prompts) - 1))

    def action_cursor(self, key: str) -> None:
        """Put the cursor up, down, on the first or the last row."""
        last = len(self.prompts) - 1
        self.choose_row({"up": self.row - 1, "down": self.row + 1, "home": 0, "end": last}[key])

    async def action_add(self) -> None:
        """Add an empty prompt below and type in it."""
        row, before = self.row + 1, self._editor.draft
        self._editor.change(drafts.insert_prompt(before, row))
        self.choose_row(row)
        await self._fit_rows()
        await self.edit()
        self._text_before, self._is_new = before, True

    def action_remove_prompt(self) -> None:
        """Remove the prompt under the cursor."""
        row = self.row
        removed = drafts.remove_prompt(self._editor.draft, row)
        self._editor.change(removed, f"removing prompt {row + 1}")
        self.choose_row(row)
        self.post_message(Said(f"Prompt {row + 1} is removed; u brings it back."))

    def action_duplicate(self) -> None:
        """Put a copy below and the cursor on it."""
        row = self.row
        copied = drafts.insert_prompt(self._editor.draft, row + 1, self.prompts[row])
        self._editor.change(copied, f"duplicating prompt {row + 1}")
        self.choose_row(row + 1)

    def action_move(self, places: int) -> None:
        """Move the prompt with the cursor."""
        row = self.row
        moved = drafts.move_prompt(self._editor.draft, row, places)
        self._editor.change(moved, f"moving prompt {row + 1}")
        self.choose_row(row + places)

    def action_switch(self) -> None:
        """Switch the prompt off or on."""
        row, enabled = self.row, not self.prompts[self.row].enabled
        switched = drafts.change_prompt(self._editor.draft, row, enabled=enabled)
        self._editor.change(switched, f"switching prompt {row + 1} {'on' if enabled else 'off'}")

    def action_step_weight(self, steps: int) -> None:
        """Tenths more or less; the undo takes a row of steps back at once."""
        row = self.row
        weight = drafts.step_weight(self.prompts[row].weight, steps)
        changed = drafts.change_prompt(self._editor.draft, row, weight=weight)
        self._editor.change_on(changed, _name_weight(row))

    async def action_type_weight(self, digit: str = "") -> None:
        """Type the weight: a digit begins a new one, else the old one is edited."""
        old = f"{self.prompts[self.row].weight:.10g}"
        await self.open_weight(digit or old, is_old=not digit)

    async def action_edit(self) -> None:
        """Type in the prompt under the cursor."""
        await self.edit()

    async def action_edit_outside(self) -> None:
        """Hand the prompt, or what is typed in it, to the person's editor."""
        row = self.open_row
        if row is not None and row.editor is None:
            await self.settle()
            row = None
        index = self.row
        before = self.prompts[index].text if row is None or not row.editor else row.editor.text
        try:
            text = clean_paste(edit_text(self.app, before, "prompt.txt"))
        except RequestError as error:
            self.post_message(Said(str(error)))
            return
        if row is not None and row.editor is not None:
            row.editor.put_text(text)
        elif text != before:
            changed = drafts.change_prompt(self._editor.draft, index, text=text)
            self._editor.change(changed, f"editing prompt {index + 1}")

    async def action_edit_stack(self) -> None:
        """Hand the whole stack to the person's editor; what is wrong there is given back to it."""
        await self.settle()
        known = self.capabilities
        limit = PROMPTS_MAXIMUM if known is None else known.prompt_limit
        before = self._refused or write_stack(self.prompts)
        try:
            text = edit_text(self.app, before, "stack.txt")
            self._refused = text
            prompts = read_stack(text, limit)
        except RequestError as error:
            again = " E goes on with it." if self._refused else ""
            self.post_message(Said(f"{error}{again}"))
            return
        self._refused = ""
        prompts = tuple(
            msgspec.structs.replace(prompt, text=clean_paste(prompt.text)) for prompt in prompts
        )
        draft = self._editor.draft
        self._editor.change(msgspec.structs.replace(draft, prompts=prompts), "editing the stack")
        self.choose_row(self.row)

    # Earlier prompts

    async def action_recall(self) -> None:
        """Let the person choose an earlier prompt, and put it here."""
        row = self.open_row
        if row is not None and row.editor is None:
            await self.settle()
            row = None
        index = self.row

        def take(text: str | None) -> None:
            if text is None or index >= len(self._editor.draft.prompts):
                return
            if row is not None and row.editor is not None:
                self._opened_text = text  # It is no new one whose '::' would be a weight.
                row.editor.put_text(text)
                return
            changed = drafts.change_prompt(self._editor.draft, index, text=text)
            self._editor.change(changed, f"recalling prompt {index + 1}")

        self.app.push_screen(EarlierScreen(self._darkroom), take)

    @on(OtherWanted)
    async def _walk_texts(self, event: OtherWanted) -> None:
        """Show an earlier text, or go back to what was typed."""
        event.stop()
        row = self.open_row
        if row is None or (editor := row.editor) is None:
            return
        if self._walk is None or self._walk.shown != editor.text:
            if event.places < 0:
                editor.move_cursor(editor.document.end)
                return
            self._walk = Walk(self._darkroom, editor.text)
            self._typed_for = self._opened_text
        try:
            text = await self._walk.go(event.places)
        except SafelightError as error:
            self.post_message(Said(str(error)))
            return
        if text is not None:
            is_back = self._walk.is_back
            # An earlier text is no new one whose '::' would be a weight.
            self._opened_text = self._typed_for if is_back else text
            editor.put_text(text)
        elif event.places > 0:
            self.post_message(Said("There is no earlier prompt."))
        else:
            editor.move_cursor(editor.document.end)

    # Typing

    async def edit(
        self, cursor: tuple[int, int] | None = None, *, is_resumed: bool = False
    ) -> None:
        """Type in the prompt under the cursor, at `cursor` (line, column) or at its end.

        `is_resumed`: what stands there was typed before, and not yet accepted.
        """
        self._text_before, self._is_new, self._walk = self._editor.draft, False, None
        self._opened_text = None if is_resumed else self._editor.draft.prompts[self.row].text
        self._editor.set_place(typing="text")
        await self._fit_rows()
        await self.rows[self.row].open_text(cursor)

    async def open_weight(self, text: str, *, is_old: bool = False) -> None:
        """Type the weight of the row under the cursor, beginning with `text`."""
        self._editor.set_place(typing="weight")
        self._editor.set_pending(_name_pending(self.row), text)
        await self._fit_rows()
        await self.rows[self.row].open_weight(text, is_old=is_old)

    async def close_fields(self) -> None:
        """Close whatever is open, and forget that it was."""
        for row in self.rows:
            if row.is_open:
                await row.close()

    @on(TextArea.Changed)
    def _note_text(self, event: TextArea.Changed) -> None:
        event.stop()
        self._note_editor(event.text_area)

    @on(TextArea.SelectionChanged)
    def _note_cursor(self, event: TextArea.SelectionChanged) -> None:
        event.stop()
        self._note_editor(event.text_area)

    def _note_editor(self, area: TextArea) -> None:
        """Keep text and cursor as they are in the open editor: one change for both."""
        draft = self._editor.draft
        for index, row in enumerate(self.rows):
            if row.editor is area and index < len(draft.prompts):
                line, column = area.cursor_location
                self._editor.note_text(index, area.text, line, column)

    @on(Input.Changed)
    def _note_weight(self, event: Input.Changed) -> None:
        event.stop()
        for index, row in enumerate(self.rows):
            if row.weight_input is event.input:
                row.explain("")
                self._editor.set_pending(_name_pending(index), event.value)

    @on(Accepted)
    async def _accept_field(self, event: Accepted) -> None:
        event.stop()
        if await self.accept():
            self.screen.set_focus(self)

    @on(Left)
    async def _leave_field(self, event: Left) -> None:
        event.stop()
        if (row := self.open_row) is None:
            return
        index = self.rows.index(row)
        if row.weight_input is not None:
            self._editor.set_pending(_name_pending(index), None)
            await self._end_typing(index)
        else:
            await self._end_text(index)
        self.screen.set_focus(self)

    async def accept(self) -> bool:
        """Accept what is open; False when it is wrong, which is then explained."""
        if (row := self.open_row) is None:
            return True
        index = self.rows.index(row)
        if row.weight_input is not None:
            text = row.weight_input.value
            try:
                weight = parse_weight(text)
            except RequestError as error:
                row.explain(str(error))
                return False
            self._editor.set_pending(_name_pending(index), None)
            changed = drafts.change_prompt(self._editor.draft, index, weight=weight)
            self._editor.change(changed, _name_weight(index))
            await self._end_typing(index)
            return True
        try:
            prompts = self._read_text(index)
        except RequestError as error:
            way = " Escape keeps the text as it is." if isinstance(error, UnclearPrompts) else ""
            row.explain(f"{error}{way}")
            return False
        await self._end_typing(index)
        self._put_prompts(index, prompts)
        return True

    async def _end_text(self, index: int) -> None:
        """Stop typing the text; one whose prompts are not clear stays as it is."""
        try:
            prompts = self._read_text(index)
        except RequestError as error:
            prompts = ()
            self.post_message(Said(f"The text stays as it is: {error.message}"))
        await self._end_typing(index)
        self._put_prompts(index, prompts)

    def _read_text(self, index: int) -> tuple[Prompt, ...]:
        """The prompts that are meant by the text that was typed, as on the command line.

        None where nothing says that it is not one, or where it is as it was. Raises
        `RequestError`.
        """
        text = self._editor.draft.prompts[index].text
        if text == self._opened_text or not has_marks(text):
            return ()
        prompts = parse_prompts(text)
        known = self.capabilities
        limit = PROMPTS_MAXIMUM if known is None else known.prompt_limit
        if len(self.prompts) - 1 + len(prompts) > limit:
            raise RequestError("text", text, f"It is {len(prompts)} prompts: {limit} are the most.")
        return () if prompts == (Prompt(text=text),) else prompts

    def _put_prompts(self, index: int, prompts: tuple[Prompt, ...]) -> None:
        """Put `prompts` in the place of the one at `index`; without any it stays."""
        if not prompts:
            return
        draft = self._editor.draft
        self._editor.change(
            drafts.replace_prompt(draft, index, prompts), f"reading '::' in prompt {index + 1}"
        )
        self.choose_row(index + len(prompts) - 1)
        weight = write_weight(prompts[0].weight, True, has_unicode=False, decimals=4)
        read = f"{len(prompts)} prompts" if len(prompts) > 1 else f"the weight {weight}"
        self.post_message(Said(f"Read as {read}, by '::'; u keeps it as text."))

    async def settle(self) -> None:
        """Close an open field because the focus went elsewhere; a wrong weight is given up."""
        row = self.open_row
        if row is not None and row.weight_input is None:
            await self._end_text(self.rows.index(row))
            return
        if row is None or await self.accept() or row.weight_input is None:
            return
        index, text = self.rows.index(row), row.weight_input.value
        self._editor.set_pending(_name_pending(index), None)
        await self._end_typing(index)
        has_unicode = get_display(self.app).has_unicode
        weight = write_weight(self.prompts[index].weight, True, has_unicode=has_unicode)
        self.post_message(Said(f"The weight stays {weight}: {text!r} is none."))

    async def _end_typing(self, index: int) -> None:
        """Close the field; a prompt that was added and left empty goes away again."""
        editor, before = self._editor, self._text_before
        draft = editor.draft
        if self.rows[index].editor is not None and index < len(draft.prompts):
            if self._is_new and not draft.prompts[index].text and len(draft.prompts) > 1:
                editor.change(drafts.remove_prompt(draft, index))
                self.choose_row(max(index - 1, 0))
            elif not drafts.has_same_content(before, draft):
                action = "adding" if self._is_new else "editing"
                editor.remember(f"{action} prompt {index + 1}", before)
            self._is_new = False
        editor.set_place(typing=None)
        await self.close_fields()
        await self._fit_rows()


def _name_pending(row: int) -> str:
    return f"prompts.{row}.weight"


def _name_weight(row: int) -> str:
    return f"the weight of prompt {row + 1}"
