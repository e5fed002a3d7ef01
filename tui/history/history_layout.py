"""How the history screen is laid out, and its search."""

from __future__ import annotations

import os

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Input, Static

from store.errors import SafelightError
from tui.acting import ActingScreen
from tui.darkroom import Darkroom
from tui.history.list import HistoryList
from tui.history.record import RecordView
from tui.terminal.detect import choose_glyphs
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.work import start_work

_WIDE_FROM = 100
_TALL_FROM = 30
_EMPTY = (
    "No image yet.\n\nGo back with esc, type a prompt and press ctrl+j: each image that is made "
    "is listed here, with everything that is needed to make it again."
)
_NOT_FOUND = "No prompt has words that begin so.\n\nesc shows all images again."


HISTORY_CSS = """
HistoryScreen {
    layout: vertical;
    #history-body { height: 1fr; }
    #history-search { display: none; border: none; height: 1; padding: 0 1; }
    #history-left { width: 44%; border: round $border-blurred; }
    #history-left:focus-within { border: round $border; }
    #history-right { width: 1fr; border: round $border-blurred; }
    #history-right:focus-within { border: round $border; }
    #history-picture { height: 55%; }
    #history-record { height: 1fr; }
    #history-empty { height: auto; padding: 1 2; display: none; color: $secondary; }
    #history-keys { height: 1; }
}
HistoryScreen.-searching #history-search { display: block; }
HistoryScreen.-empty #history-empty { display: block; }
HistoryScreen.-empty HistoryList { display: none; }
HistoryScreen.-narrow #history-left { width: 1fr; }
HistoryScreen.-narrow #history-right { display: none; layout: horizontal; }
HistoryScreen.-narrow.-record #history-left { display: none; }
HistoryScreen.-narrow.-record #history-right { display: block; }
HistoryScreen.-narrow #history-picture { width: 45%; height: 1fr; }
HistoryScreen.-narrow #history-record { width: 1fr; height: 1fr; }
"""


class HistoryLayout(ActingScreen):
    """Left the list, right picture and record; in a narrow terminal one after the other."""

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = choose_glyphs(os.environ)
        self._wants_thumbnails = True
        self._words = ""
        self._is_searching = False
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.history_list = HistoryList(darkroom, id="history-list")
        self.record = RecordView(id="history-record", has_unicode=self._glyphs.has_unicode)
        self.picture = Picture(id="history-picture")
        self._field = Input(placeholder="words of a prompt", id="history-search")
        self._left, self._right = Vertical(id="history-left"), Vertical(id="history-right")
        self._advice = Static(_EMPTY, id="history-empty", markup=False)
        self._keys = KeyLine(self._glyphs, id="history-keys")

    def compose(self) -> ComposeResult:
        """List, picture, record, and one line for what is to be said."""
        yield self._field
        with Horizontal(id="history-body"):
            with self._left:
                yield self._advice
                yield self.history_list
            with self._right:
                yield self.picture
                yield self.record
        yield self._keys

    def _show_state(self) -> None:
        pages = self.history_list.pages
        self.set_class(not len(pages), "-empty")
        if len(pages) and self.focused is None:
            self.call_after_refresh(self.history_list.focus)
        self._advice.update(_NOT_FOUND if pages.search else _EMPTY)
        count = f"{len(pages):,} image{'' if len(pages) == 1 else 's'}"
        found = f"{count} found" if pages.search else count
        self._left.border_subtitle = found if len(pages) else ""

    # Layout

    def on_resize(self, event: Resize) -> None:
        """One column in a narrow terminal."""
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        self.set_class(width < _WIDE_FROM, "-narrow")
        self.history_list.has_thumbnails = height >= _TALL_FROM and self._wants_thumbnails

    def _turn(self) -> None:
        to_record = self.focused is self.history_list or self.focused is None
        self.set_class(to_record, "-record")
        (self.record if to_record else self.history_list).focus()

    # Keys

    def _show_keys(self) -> None:
        is_typing = isinstance(self.focused, Input)
        part = "record" if self.focused is self.record else "history list"
        contexts = ("typing",) if is_typing else (part, "history")
        self._keys.show(contexts, self.get_situation(), is_typing=is_typing)

    def on_descendant_focus(self) -> None:
        """Other keys hold."""
        self._show_keys()

    # Search

    def _open_search(self) -> None:
        self.add_class("-searching")
        self.remove_class("-record")
        self._field.focus()

    @on(Input.Changed, "#history-search")
    def _search_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value.strip()
        if not self._is_searching:
            self._is_searching = True
            start_work(self, self._search, "search")

    async def _search(self) -> None:
        """Search for what stands in the field, and again while it changes meanwhile.

        A search that has begun cannot be stopped, so they never run side by side: what was
        typed last would wait for all that was typed before.
        """
        try:
            while self._words != self.history_list.pages.search:
                await self.history_list.open_search(self._words)
                self._show_state()
        except SafelightError as error:
            self.say(str(error))
        finally:
            self._is_searching = False

    @on(Input.Submitted, "#history-search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.history_list.focus()

    def _leave(self) -> None:
        if self.has_class("-searching"):
            self.remove_class("-searching")
            self._field.value = ""
            self.history_list.focus()
        elif self.has_class("-record"):
            self.remove_class("-record")
            self.history_list.focus()
        else:
            self._close()

    def _close(self) -> None:
        self.workers.cancel_node(self)
        self.dismiss()
