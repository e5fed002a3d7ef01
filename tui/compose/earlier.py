"""Earlier prompts: walked through one after the other, and searched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from store.errors import SafelightError
from tui.darkroom import Darkroom
from tui.terminal.detect import get_display
from tui.text import show_safely
from tui.widgets.cell import Cell
from tui.words import count_things
from tui.work import start_work

TEXTS_MAXIMUM, CHARACTERS_MAXIMUM = 20_000, 4_000_000
"""Most distinct texts that are kept of the past, and most characters of them together."""

FIRST_PAGE, PAGE = 100, 2000
"""Images that are read at first, so that an answer is there at once, and from then on."""

SHOWN = 100
"""Most texts that a search shows."""

FUZZY_TEXTS, FUZZY_CHARACTERS = 3000, 160
"""How many of the newest texts, and how much of each, is looked through letter by letter."""


class EarlierTexts:
    """The distinct prompt texts of the history, newest first, as far as they were read.

    `images` counts those that were looked at; `is_whole`: there is nothing more to read, or as
    much was read as is kept.
    """

    def __init__(self, darkroom: Darkroom) -> None:
        self._darkroom = darkroom
        self._texts: dict[str, None] = {}
        self._before: int | None = None
        self._characters = 0
        self.images = 0
        self.is_whole = False

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def texts(self) -> list[str]:
        """What was read so far."""
        return list(self._texts)

    async def read_more(self) -> None:
        """Read the next page. Raises `SafelightError`."""
        if self.is_whole:
            return
        size = PAGE if self.images else FIRST_PAGE
        page = await self._darkroom.list_texts(self._before, size)
        self.images += page.images
        self._before = page.before
        for text in page.texts:
            if text not in self._texts:
                self._texts[text] = None
                self._characters += len(text)
        self.is_whole = (
            page.before is None
            or len(self) >= TEXTS_MAXIMUM
            or self._characters >= CHARACTERS_MAXIMUM
        )

    async def get(self, place: int) -> str | None:
        """The text at `place`, 0 for the newest; None after the last. Raises `SafelightError`."""
        while place >= len(self._texts) and not self.is_whole:
            await self.read_more()
        return self.texts[place] if place < len(self._texts) else None


class Walk:
    """A walk through earlier texts from what is being typed, and back to it, as in a shell."""

    def __init__(self, darkroom: Darkroom, typed: str) -> None:
        self._earlier = EarlierTexts(darkroom)
        self._typed = typed
        self._place = -1
        self.shown = typed

    @property
    def is_back(self) -> bool:
        """Whether what was typed is shown again."""
        return self._place < 0

    async def go(self, places: int) -> str | None:
        """The text that is `places` (1: one older, -1: one newer) from the shown one.

        None at either end. What is the same as the shown one is passed over. Raises
        `SafelightError`.
        """
        place = self._place
        while (place := place + places) >= 0:
            text = await self._earlier.get(place)
            if text is None:
                return None
            if text != self.shown and text != self._typed:
                self._place, self.shown = place, text
                return text
        if self._place < 0:
            return None
        self._place, self.shown = -1, self._typed
        return self._typed


def search_texts(texts: Sequence[str], query: str) -> list[str]:
    """The texts that `query` finds, at most `SHOWN`, the best first.

    Those that hold all its words come first, the newest before; then those that hold its letters
    in this order, of the newest texts only.
    """
    words = query.casefold().split()
    if not words:
        return list(texts[:SHOWN])
    found = []
    for text in texts:
        folded = text.casefold()
        if all(word in folded for word in words):
            found.append(text)
            if len(found) == SHOWN:
                return found
    matcher, known = Matcher("".join(words)), set(found)
    scored = [
        (matcher.match(text[:FUZZY_CHARACTERS]), -place, text)
        for place, text in enumerate(texts[:FUZZY_TEXTS])
        if text not in known
    ]
    scored = sorted((row for row in scored if row[0] > 0), reverse=True)
    return [*found, *(text for _, _, text in scored)][:SHOWN]


class EarlierScreen(ModalScreen[str | None]):
    """All earlier prompts, found as one types; gives the chosen one, or None when it was left."""

    BINDING_GROUP_TITLE = "among the earlier prompts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take it", tooltip="Take this prompt", id="earlier.take"),
        Binding("escape", "leave", "leave", tooltip="Leave it as it is", id="earlier.leave"),
        Binding("up", "move(-1)", tooltip="Go to the one above", id="earlier.up", show=False),
        Binding(
            "down,ctrl+r", "move(1)", tooltip="Go to the one below", id="earlier.down", show=False
        ),
    ]

    def __init__(self, darkroom: Darkroom) -> None:
        super().__init__()
        self._earlier = EarlierTexts(darkroom)
        self._found: list[str] = []
        self._query = self._shown_for = ""
        self._is_searching = False
        self._field = Input(placeholder="words or letters of an earlier prompt", compact=True)
        self._field.cursor_blink = False
        self._list = OptionList(id="earlier-list", markup=False)
        self._list.can_focus = False
        self._note = Cell(id="earlier-note")

    def compose(self) -> ComposeResult:
        """The field, what was found, and how much was looked at."""
        dot = get_display(self.app).glyphs.dot
        with Vertical(id="earlier") as panel:
            panel.border_title = Content("earlier prompts")
            panel.border_subtitle = Content(f"enter takes it {dot} esc leaves")
            yield self._field
            yield self._list
            yield self._note

    def on_mount(self) -> None:
        """Read the newest ones, and go on while the screen is there."""
        self._field.focus()
        start_work(self, self._read, "read")

    async def _read(self) -> None:
        try:
            while not self._earlier.is_whole:
                await self._earlier.read_more()
                await self._search()
        except SafelightError as error:
            self._note.put(Content(show_safely(str(error))), resizes=True)

    @on(Input.Changed)
    def _follow(self, event: Input.Changed) -> None:
        event.stop()
        self._query = event.value
        start_work(self, self._search, "search")

    async def _search(self) -> None:
        """Search for what is in the field, again while that or what was read is another one."""
        if self._is_searching:
            return
        self._is_searching = True
        try:
            done = None
            while done != (state := (self._query, len(self._earlier))):
                done = state
                found = await asyncio.to_thread(search_texts, self._earlier.texts, state[0])
                if self.is_attached:
                    self._shown_for = state[0]
                    self._show(found)
        finally:
            self._is_searching = False

    def _show(self, found: list[str]) -> None:
        if found != self._found:
            place = self._list.highlighted or 0
            kept = self._found[place] if place < len(self._found) and place else None
            self._found = found
            self._list.clear_options()
            self._list.add_options(
                [Option(Content(show_safely(" ".join(text.split())))) for text in found]
            )
            self._list.highlighted = found.index(kept) if kept in found else 0
        read = count_things(len(self._earlier), "prompt")
        images = count_things(self._earlier.images, "image")
        more = "" if self._earlier.is_whole else ", reading on"
        said = "" if found else "Nothing found. "
        self._note.put(Content.styled(f"{said}{read} of {images}{more}", "$role-quiet"))

    def action_move(self, places: int) -> None:
        """Move the cursor in what was found."""
        if self._found:
            place = (self._list.highlighted or 0) + places
            self._list.highlighted = min(max(place, 0), len(self._found) - 1)

    @on(Input.Submitted)
    async def _take_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_take()

    @on(OptionList.OptionSelected)
    def _take_clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index])

    async def action_take(self) -> None:
        """Take the one under the cursor; the best one where typing was faster than the search."""
        query = self._field.value
        if self._shown_for == query:
            place, found = self._list.highlighted or 0, self._found
        else:
            place, found = 0, await asyncio.to_thread(search_texts, self._earlier.texts, query)
        if found:
            self.dismiss(found[place])

    def action_leave(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)
