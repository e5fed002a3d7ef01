"""The parameters: a row a field, with what the engine accepts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.reactive import var
from textual.widget import AwaitMount
from textual.widgets import Input

from engines.capabilities import Capabilities
from store.errors import SafelightError
from store.records import Draft
from tui.compose import draft as drafts
from tui.compose.draft import DraftEditor, read_place
from tui.compose.editors import Accepted, Left, ValueInput
from tui.compose.fields import (
    ALL_FIELDS,
    FIELDS,
    Changes,
    Context,
    Field,
    SeedNumber,
    fit_draft,
    get_field,
    list_fields,
)
from tui.compose.parameter_row import ParameterRow
from tui.darkroom import Darkroom
from tui.dialogs import Choice, ChoiceScreen
from tui.keys import Reasoned, Said, bind_cursor, bind_steps
from tui.seeds import find_seed, parse_seed
from tui.widgets.cell import Cell
from tui.widgets.picture import Picture

LEFT_ROWS = 5
"""Fields in the left column where there are two."""

ORIGIN_LEFT = ("from", "start", "end")
ORIGIN_RIGHT = ("mask", "replaces", "area")


class ParameterList(Reasoned, VerticalScroll, can_focus=True, inherit_bindings=False):
    """Shows the parameters of the draft and changes them as the person says.

    `settings` is the draft without its prompts, `capabilities` what its engine and model accept
    (None before that is known), `sizes` the width and height of image files by digest.
    """

    BINDING_GROUP_TITLE = "on the parameters"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bind_steps(
            "parameter",
            "step",
            "change",
            "One step less, or the choice before",
            "One step more, or the next choice",
        ),
        Binding(
            "enter",
            "edit",
            "edit",
            tooltip="Type the value, or choose; a seed may be @-1: that of the image before",
            key_display="enter 0-9",
            id="parameter.edit",
        ),
        *(Binding(digit, f"edit('{digit}')", show=False) for digit in "0123456789"),
        Binding(
            "d,delete",
            "reset",
            "default",
            tooltip="Back to the default; takes initial image, mask and second seed out",
            key_display="d",
            id="parameter.reset",
        ),
        *bind_cursor("parameter", "parameter"),
    ]

    settings: var[Draft] = var(Draft)
    capabilities: var[Capabilities | None] = var(None)
    sizes: var[Mapping[str, tuple[int, int]]] = var(dict)
    field: var[Field] = var(FIELDS[0])

    class FileWanted(Message):
        """An image file for `field` is wanted."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    def __init__(self, editor: DraftEditor, darkroom: Darkroom, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = Content("parameters")
        self._editor = editor
        self._darkroom = darkroom
        self.context: Context | None = None
        self._rows = {field.name: ParameterRow(field) for field in ALL_FIELDS}
        self._note = Cell(id="parameter-note")
        self._picture = Picture(id="origin-picture")
        self._origin: Horizontal | None = None
        self._variation: Container | None = None
        self._mounting: AwaitMount | None = None

    def compose(self) -> ComposeResult:
        """The rows, and a line for the chosen one's range where they stand in two columns."""
        names = [field.name for field in FIELDS]
        yield self._pair(names[:LEFT_ROWS], names[LEFT_ROWS:], id="columns")
        yield self._note

    def _pair(self, left: Sequence[str], right: Sequence[str], id: str | None = None) -> Container:  # noqa: A002
        """The rows of these fields in two columns, or below each other."""
        columns = (
            Vertical(*(self._rows[name] for name in names), classes="column")
            for names in (left, right)
        )
        return Container(*columns, id=id, classes="pair")

    def _mount_parts(self, names: Sequence[str]) -> None:
        """Have rows for what few drafts have: an initial image, a variation.

        They are not there before, as each takes time of the first paint.
        """
        if self._origin is None and not set(names).isdisjoint((*ORIGIN_LEFT, *ORIGIN_RIGHT)):
            pair = self._pair(ORIGIN_LEFT, ORIGIN_RIGHT)
            self._origin = Horizontal(pair, self._picture, id="origin")
            # Above the variation, wherever that is there first.
            self._mounting = self.mount(self._origin, after="#columns")
        if self._variation is None and not set(names).isdisjoint(("vary", "strength")):
            self._variation = self._pair(["vary"], ["strength"])
            self._mounting = self.mount(self._variation, before=self._note)

    def on_mount(self) -> None:
        """Show the fields that are always there."""
        self._show_rows()

    # Showing

    def show_origin(self, data: bytes | None) -> None:
        """Show the initial image, small, where there is room."""
        self._picture.show_image(data)

    def watch_settings(self) -> None:
        """Other values."""
        self._renew_context()

    def watch_capabilities(self) -> None:
        """Other things are accepted."""
        self._renew_context()

    def watch_sizes(self) -> None:
        """The size of an image file is known."""
        self._renew_context()

    def _renew_context(self) -> None:
        self.context = self._make_context(self.settings)
        if self.is_mounted:
            self._show_rows()

    def _make_context(self, draft: Draft) -> Context | None:
        """`draft` with what its engine and model accept, None before that is known.

        The first engine stands in for one that is missing.
        """
        known = self._darkroom.capabilities
        if not known:
            return None
        capabilities = known.get(draft.engine, next(iter(known.values())))
        engines = self._darkroom.list_engines()
        return Context(draft, capabilities.for_model(draft.model), engines, self.sizes)

    def watch_field(self, before: Field, now: Field) -> None:
        """The cursor moved."""
        if self.is_mounted:
            self._show_row(before)
            self._show_row(now)
            self._show_note()
            self._rows[now.name].scroll_visible(animate=False)

    def _show_rows(self) -> None:
        """Only the rows that the draft has, and room for them."""
        shown = FIELDS if self.context is None else list_fields(self.context.draft)
        names = [field.name for field in shown]
        self._mount_parts(names)
        for name, row in self._rows.items():
            if row.display != (name in names):
                row.display = name in names
        self.set_class("from" in names, "-image")
        self.set_class("area" in names, "-masked")
        self.set_class("vary" in names, "-varied")
        for field in shown:
            self._show_row(field)
        self._show_note()

    def _show_row(self, field: Field) -> None:
        self._rows[field.name].show(
            self.context,
            is_current=field is self.field,
            has_hint=not self.is_narrow,
            has_focus=self.has_focus or self.has_focus_within,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether the fields stand in two columns, the chosen one's range below."""
        return self._note.display

    def on_resize(self) -> None:
        """The fields may stand in two columns now."""
        self._show_rows()

    def on_focus(self) -> None:
        """The cursor is brighter."""
        self._show_row(self.field)

    def on_blur(self) -> None:
        """The cursor is quieter."""
        self._show_row(self.field)

    def explain(self, field: Field, text: str) -> None:
        """Say at `field` what is wrong with it; "" takes it away."""
        self._rows[field.name].explain(text)
        self._show_note()

    def _show_note(self) -> None:
        wrong = [row for row in self._rows.values() if row.has_explanation]
        row = wrong[0] if wrong else self._rows[self.field.name]
        self._note.put(row.note, resizes=True)

    def on_click(self, event: events.Click) -> None:
        """Choose the field that was clicked."""
        for name, row in self._rows.items():
            if event.widget is not None and row in event.widget.ancestors_with_self:
                self.choose_field(get_field(name))

    def list_regions(self) -> list[tuple[Field, Region]]:
        """The fields in sight, and where they are on the screen."""
        return [
            (row.field, row.region)
            for row in self._rows.values()
            if row.display and self.display and self.region.contains_region(row.region)
        ]

    # What can be done

    def choose_field(self, field: Field) -> None:
        """Put the cursor on `field`."""
        self._editor.set_place(field=field.name)

    def action_cursor(self, key: str) -> None:
        """Put the cursor up, down, to the first or the last field."""
        shown = list_fields(self._editor.draft)
        at, last = shown.index(self.field), len(shown) - 1
        target = {"up": max(at - 1, 0), "down": min(at + 1, last), "home": 0, "end": last}[key]
        self.choose_field(shown[target])

    def action_step(self, steps: int) -> None:
        """Steps more or less, or to another choice."""
        if self.context is not None and (changes := self.field.step(steps, self.context)):
            self.apply(self.field, changes)

    def action_reset(self) -> None:
        """Back to the engine's default."""
        field, draft = self.field, self._editor.draft
        changes = field.reset(draft)
        if not changes:
            self._say(f"{field.label.capitalize()} has no default.")
            return
        is_removed = field.is_removable(draft)
        self.apply(field, changes)
        if is_removed:
            self._say(f"The {field.part} is taken out; u brings it back.")

    async def action_edit(self, digit: str = "") -> None:
        """Type the value (a digit begins a new one), choose from a list, or ask for a file."""
        context, field = self.context, self.field
        if context is None or (digit and (field.is_file or field.is_choice)):
            return
        if field.is_file:
            self.post_message(self.FileWanted(field))
        elif field.is_choice:
            choices = [Choice(each, field.describe(each)) for each in field.choices(context)]
            default = str(field.get_default(context)) if field.follows_engine else ""
            dialog = ChoiceScreen(field.label, choices, field.show(context), default)
            self.app.push_screen(dialog, self._choose)
        else:
            await self.open(digit or field.show(context), is_old=not digit)

    async def _choose(self, chosen: str | None) -> None:
        if chosen is not None:
            await self._enter(self.field, chosen)

    def apply(self, field: Field, changes: Changes) -> None:
        """Change the draft, and what does not fit a new engine or model with it."""
        draft = self._editor.draft
        if "seed" in changes:
            self._editor.change(drafts.set_seed(draft, changes["seed"]))
            return
        draft = msgspec.structs.replace(draft, **changes)
        if field.name in ("engine", "model") and (context := self._make_context(draft)):
            draft, notes = fit_draft(context)
            if notes:
                self._say(f"For {draft.engine}: {', '.join(notes)}. u takes it back.")
        self._editor.change_on(draft, _name_change(field))

    def _say(self, text: str) -> None:
        self.post_message(Said(text))

    # Typing

    @property
    def open_field(self) -> Field | None:
        """The field that is being typed into."""
        return next((row.field for row in self._rows.values() if row.input is not None), None)

    async def open(self, text: str, *, is_old: bool = False) -> None:
        """Type into the field of the cursor, beginning with `text`; an old value is marked."""
        field = self.field
        self._editor.set_place(typing="value")
        self._editor.set_pending(_name_pending(field), text)
        if self._mounting is not None:
            await self._mounting
        opened = await self._rows[field.name].open(text)
        if is_old:
            opened.mark()
        self.screen.set_focus(opened)

    async def close_fields(self) -> None:
        """Close whatever is open."""
        for row in self._rows.values():
            await row.close()
        self._show_note()

    @on(Input.Changed)
    def _note_value(self, event: Input.Changed) -> None:
        event.stop()
        field = self.open_field
        if field is not None and self._rows[field.name].input is event.input:
            self.explain(field, "")
            self._editor.set_pending(_name_pending(field), event.value)

    @on(Accepted)
    async def _accept_field(self, event: Accepted) -> None:
        event.stop()
        if await self.accept():
            self.screen.set_focus(self)

    @on(Left)
    async def _leave_field(self, event: Left) -> None:
        event.stop()
        if (field := self.open_field) is not None:
            await self._end_typing(field)
            self.screen.set_focus(self)

    async def accept(self) -> bool:
        """Accept what is open; False when it is wrong, which is then explained."""
        field = self.open_field
        value: ValueInput | None = None if field is None else self._rows[field.name].input
        return field is None or value is None or await self._enter(field, value.value)

    async def settle(self) -> None:
        """Close an open field because the focus went elsewhere; a wrong value is given up."""
        field = self.open_field
        if field is None:
            return
        text = self._editor.draft.pending.get(_name_pending(field), "")
        if not await self.accept():
            await self._end_typing(field)
            self._say(f"{field.label} stays what it was: {text!r} is not accepted.")

    async def _enter(self, field: Field, text: str) -> bool:
        """Accept the value, or explain beside it why not."""
        if self.context is None:
            return False
        try:
            if isinstance(field, SeedNumber):
                seed = parse_seed(field.name, field.label, text)
                text = str(await find_seed(self._darkroom, field.name, seed))
            changes = field.parse(text, self.context)
        except SafelightError as error:
            self.explain(field, str(error))
            return False
        await self._end_typing(field)
        self.apply(field, changes)
        return True

    async def _end_typing(self, field: Field) -> None:
        self._editor.set_pending(_name_pending(field), None)
        self._editor.set_place(typing=None)
        await self.close_fields()


def read_field(draft: Draft) -> Field:
    """The field of the cursor in `draft`; near it where what it belonged to is gone."""
    name, shown = read_place(draft, "field"), list_fields(draft)
    found = next((field for field in shown if field.name == name), None)
    is_gone = any(field.name == name for field in ALL_FIELDS)
    return found or (shown[-1] if is_gone else shown[0])


def _name_pending(field: Field) -> str:
    return f"parameters.{field.name}"


def _name_change(field: Field) -> str:
    return f"changing {field.label}"
