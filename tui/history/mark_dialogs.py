"""Dialogs about images in the history: their tags, their note, and the end of the trash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from store.errors import RequestError, SafelightError
from store.marks import NOTE_LIMIT, TAG_LIMIT, read_mark
from store.records import Mark
from tui.marks import write_tags
from tui.terminal.detect import get_display
from tui.text import clean_paste, mark_controls, show_safely
from tui.widgets.cell import Cell

ListTags = Callable[[str], Awaitable[list[tuple[str, int]]]]
"""Tags that begin so, and of how many images each is."""

_OFFERED = 8
_TYPED_LIMIT = TAG_LIMIT * 20


def parse_tags(text: str) -> Mark:
    """What `sea, night sky, -town` says: tags to add, and behind `-` tags to remove.

    Raises `RequestError` for what is no tag.
    """
    parts = [part.strip() for part in text.split(",")]
    words = [part for part in parts if part]
    add = tuple(word.removeprefix("+").lstrip() for word in words if not word.startswith("-"))
    remove = tuple(word[1:].lstrip() for word in words if word.startswith("-"))
    return read_mark(Mark(add=add, remove=remove))


class TagScreen(ModalScreen[Mark | None]):
    """Tags are typed with commas between them; known ones are offered. Gives what is to change.

    `tags` are those that the images have, all of them.
    """

    BINDING_GROUP_TITLE = "while typing tags"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take them", tooltip="Change the tags", id="tags.take"),
        Binding(
            "tab",
            "complete",
            "complete",
            tooltip="Complete the tag with the first one offered",
            id="tags.complete",
            priority=True,
        ),
        Binding("escape", "leave", "leave", tooltip="Leave them as they are", id="tags.leave"),
    ]

    def __init__(self, title: str, tags: Sequence[str], list_tags: ListTags) -> None:
        super().__init__()
        self._title = title
        self._tags = tags
        self._list_tags = list_tags
        self._offers: list[tuple[str, int]] = []
        self._field = Input(
            placeholder="harbour, night sky, -draft", compact=True, max_length=_TYPED_LIMIT
        )
        self._field.cursor_blink = False
        self._note = Cell(id="tags-note")
        self._offered = Cell(id="tags-offered")

    def compose(self) -> ComposeResult:
        """What they have, the field, what is known, what is wrong."""
        dot = get_display(self.app).glyphs.dot
        with Vertical(id="tags", classes="form") as panel:
            panel.border_title = Content(self._title)
            panel.border_subtitle = Content(
                f"enter takes them {dot} tab completes {dot} esc leaves"
            )
            if self._tags:
                has = Content.styled(show_safely(write_tags(self._tags)), "$role-quiet")
                yield Static(has, id="tags-has", markup=False)
            yield self._field
            yield self._note
            yield self._offered

    async def on_mount(self) -> None:
        """Type at once."""
        self._field.focus()
        self._say()
        await self._offer()

    def _say(self, error: str = "") -> None:
        said = f"! {error}" if error else "Commas between tags; - in front takes one away."
        style = "bold $role-negative" if error else "$role-quiet"
        self._note.put(Content.styled(show_safely(said), style), resizes=True)

    @property
    def _word(self) -> str:
        """The tag that is being typed, without its sign."""
        return self._field.value.rpartition(",")[2].lstrip().lstrip("+-").lstrip()

    async def _offer(self) -> None:
        """Show known tags that begin as the last one does; behind `-` those that they have."""
        word = self._word
        last = self._field.value.rpartition(",")[2].lstrip()
        if last.startswith("-"):
            offers = [(tag, 0) for tag in self._tags if tag.startswith(word.lower())]
        else:
            try:
                offers = await self._list_tags(word)
            except SafelightError as error:
                self._say(str(error))
                return
        if word != self._word:
            return
        self._offers = offers[:_OFFERED]
        lines = [
            Content.assemble(
                (f"#{show_safely(tag)}", "$role-focus" if place == 0 and word else ""),
                (f"  {count:,}" if count else "", "$role-quiet"),
            )
            for place, (tag, count) in enumerate(self._offers)
        ]
        self._offered.put(Content("\n").join(lines), resizes=True)

    @on(Input.Changed)
    async def _changed(self) -> None:
        self._say()
        await self._offer()

    def action_complete(self) -> None:
        """Go on with the first tag that is offered."""
        if not self._offers:
            return
        value = self._field.value
        before, comma, last = value.rpartition(",")
        sign = last.lstrip()[:1] if last.lstrip()[:1] in ("-", "+") else ""
        space = " " if comma else ""
        self._field.value = f"{before}{comma}{space}{sign}{self._offers[0][0]}"
        self._field.cursor_position = len(self._field.value)

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Give what is to change, once it can be."""
        try:
            mark = parse_tags(self._field.value)
        except RequestError as error:
            self._say(str(error))
            return
        self.dismiss(mark if mark.add or mark.remove else None)

    def action_leave(self) -> None:
        """Leave them as they are."""
        self.dismiss(None)


class NoteEditor(TextArea):
    """The text of a note. Control characters of a paste become visible."""

    def get_line(self, line_index: int) -> Text:
        """The line with its control characters made visible."""
        return Text(mark_controls(self.document.get_line(line_index)), end="", no_wrap=True)

    async def _on_key(self, event: events.Key) -> None:
        # They end or leave the note.
        if event.key in ("enter", "escape", "tab"):
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        await super()._on_paste(events.Paste(clean_paste(event.text)))


class NoteScreen(ModalScreen[str | None]):
    """A note of some lines; gives its text ("" takes it away), None when it was left."""

    BINDING_GROUP_TITLE = "while typing a note"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take it", tooltip="Keep this note", id="note.take"),
        Binding("ctrl+j", "break_line", "line", tooltip="Begin a new line", id="note.line"),
        Binding("escape", "leave", "leave", tooltip="Leave it as it was", id="note.leave"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._field = NoteEditor(text, soft_wrap=True, show_line_numbers=False, compact=True)
        self._field.cursor_blink = False
        self._note = Cell(id="note-said")

    def compose(self) -> ComposeResult:
        """The text, and what is wrong with it."""
        dot = get_display(self.app).glyphs.dot
        with Vertical(id="note", classes="form") as panel:
            panel.border_title = Content(self._title)
            panel.border_subtitle = Content(
                f"enter keeps it {dot} ctrl+j new line {dot} esc leaves"
            )
            yield self._field
            yield self._note

    def on_mount(self) -> None:
        """Type at once, behind what stands there."""
        self._field.focus()
        self._field.move_cursor(self._field.document.end)

    @on(TextArea.Changed)
    def _count(self) -> None:
        length = len(self._field.text)
        said = (
            f"! {length:,} characters, {NOTE_LIMIT:,} is the most." if length > NOTE_LIMIT else ""
        )
        self._note.put(Content.styled(said, "bold $role-negative"), resizes=True)

    def action_break_line(self) -> None:
        """Begin a new line."""
        self._field.insert("\n")

    def action_take(self) -> None:
        """Give the text, if it is not too long."""
        if len(self._field.text) <= NOTE_LIMIT:
            self.dismiss(self._field.text)

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)


class EmptyingQuestion(ModalScreen[bool | None]):
    """Whether the trash is to be emptied, with what that does; gives the answer."""

    BINDING_GROUP_TITLE = "before the trash is emptied"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "empty", "empty it", tooltip="Remove them, for good", id="emptying.yes"),
        Binding(
            "n,escape,enter",
            "leave",
            "leave",
            tooltip="Leave everything in the trash",
            id="emptying.no",
        ),
    ]

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__()
        self._sentences = sentences

    def compose(self) -> ComposeResult:
        """What it does."""
        dot = get_display(self.app).glyphs.dot
        with Vertical(id="emptying", classes="form") as panel:
            panel.border_title = Content("empty the trash?")
            panel.border_subtitle = Content(f"y empties it {dot} esc leaves")
            text = "\n\n".join((*self._sentences, "This cannot be undone."))
            yield Static(Content(text), markup=False)

    def action_empty(self) -> None:
        """Yes."""
        self.dismiss(True)

    def action_leave(self) -> None:
        """No."""
        self.dismiss(False)
