"""The sessions: pieces of work with a name, each with its stack, its parameters and its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from store.errors import SafelightError
from store.records import Draft, Session
from tui.darkroom import Darkroom
from tui.dialogs import NameScreen
from tui.keys import Reasoned, Said, bind_move
from tui.terminal.detect import get_display
from tui.text import show_safely
from tui.widgets.key_line import KeyLine
from tui.words import show_moment
from tui.work import start_work

_TEXT_LENGTH = 200


class SessionsScreen(Reasoned, Screen[None]):
    """All sessions, the one used last first; `now` is open in the editor, with `draft`.

    `keymap` holds keys by binding id.
    """

    CSS_PATH = "sessions.tcss"
    BINDING_GROUP_TITLE = "in the list of sessions"
    LEADING: ClassVar[tuple[str, ...]] = (
        *("sessions.open", "sessions.new", "sessions.rename", "sessions.leave", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="Go on with this session", id="sessions.open"),
        Binding(
            "n",
            "make",
            "new",
            tooltip="Begin a new session with an empty stack",
            id="sessions.new",
        ),
        Binding(
            "D",
            "duplicate",
            "duplicate",
            tooltip="Begin a new session with the stack and the parameters of this one",
            id="sessions.duplicate",
        ),
        Binding(
            "r",
            "rename",
            "rename",
            tooltip="Give the session another name; images keep in their records the old one",
            id="sessions.rename",
        ),
        Binding(
            "a",
            "archive",
            "archive",
            tooltip="Put the session behind the others, or back among them; nothing is removed",
            id="sessions.archive",
        ),
        Binding("escape,q", "leave", "back", tooltip="Go back", id="sessions.leave"),
        bind_move("up,k", "move('cursor_up')", "sessions.up", "Go to the session above"),
        bind_move("down,j", "move('cursor_down')", "sessions.down", "Go to the session below"),
        bind_move("home,g", "move('first')", "sessions.first", "Go to the first session"),
        bind_move("end,G", "move('last')", "sessions.last", "Go to the last session"),
    ]

    rows: var[list[Session]] = var(list)

    class SessionChosen(Message):
        """The session of this name shall be open in the editor."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(
        self, darkroom: Darkroom, now: str, draft: Draft, keymap: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.darkroom = darkroom
        self._now = now
        self._draft = draft
        self._renamed = ""
        self.options = OptionList(id="sessions-list", classes="row-list", markup=False)
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """The list, and the keys."""
        yield self.options
        yield self._keys

    def on_mount(self) -> None:
        """Read the sessions."""
        self.options.border_title = "sessions"
        self.options.focus()
        start_work(self, self.update, "update")

    async def update(self) -> None:
        """Show the sessions as they are now."""
        try:
            self.rows = await self.darkroom.list_sessions()
        except SafelightError as error:
            self._say(str(error))

    def watch_rows(self, before: list[Session], rows: list[Session]) -> None:
        """Write them; the cursor stays on its session."""
        place = self.options.highlighted
        chosen = before[place].name if place is not None and place < len(before) else self._now
        chosen, self._renamed = self._renamed or chosen, ""
        names = [row.name for row in rows]
        self.options.clear_options()
        self.options.add_options([Option(self._describe(row)) for row in rows])
        self.options.highlighted = names.index(chosen) if chosen in names else 0
        self.refresh_bindings()

    def _describe(self, row: Session) -> Content:
        glyphs = get_display(self.app).glyphs
        mark = glyphs.chosen if row.name == self._now else " "
        draft = self._draft if row.name == self._now else row.draft
        texts = [" ".join(prompt.text.split()) for prompt in draft.prompts if prompt.text.strip()]
        words = show_safely(" + ".join(texts)[:_TEXT_LENGTH]) or "(no prompt yet)"
        archived = f" {glyphs.dot} archived" if row.is_archived else ""
        moment = show_moment(row.updated_at) if row.updated_at else ""
        return Content.assemble(
            f"{mark} ",
            (show_safely(row.name), "dim" if row.is_archived else "bold"),
            (f"{archived} {glyphs.dot} {moment} {glyphs.dot} {words}", "dim"),
        )

    @property
    def chosen(self) -> Session | None:
        """The session under the cursor."""
        place = self.options.highlighted
        return self.rows[place] if place is not None and place < len(self.rows) else None

    def on_option_list_option_highlighted(self) -> None:
        """Other things can be done with another session."""
        self.refresh_bindings()

    async def on_option_list_option_selected(self) -> None:
        """A click, or enter."""
        await self.action_open()

    def why_not(self, action: str) -> str:
        """Why something cannot be done with the session now."""
        if action in ("make", "duplicate", "rename", "archive"):
            if reason := self.darkroom.explain_writing():
                return reason
            if action == "make":
                return ""
            if self.chosen is None:
                return "There is no session yet: n begins one."
            if self.chosen.name == self._now and action in ("rename", "archive"):
                return "It is open in the editor: open another one first."
        return ""

    def _say(self, text: str) -> None:
        self.post_message(Said(text))

    # Keys

    def action_move(self, where: str) -> None:
        """Move the cursor: `cursor_up`, `cursor_down`, `first`, `last`."""
        getattr(self.options, f"action_{where}")()

    async def action_open(self) -> None:
        """Go on with the session under the cursor, if it still has that name."""
        if (row := self.chosen) is None or row.name == self._now:
            self.action_leave()
            return
        try:
            await self.darkroom.check_session(row.name)
        except SafelightError as error:
            self._say(str(error))
            await self.update()
        else:
            self.post_message(self.SessionChosen(row.name))

    def action_make(self) -> None:
        """Ask for a name, and go on with the new session."""
        self._begin("a new session", Draft())

    def action_duplicate(self) -> None:
        """Ask for a name, and go on with a copy."""
        if (row := self.chosen) is not None:
            draft = self._draft if row.name == self._now else row.draft
            self._begin(f"a copy of {row.name}", draft)

    def _begin(self, title: str, draft: Draft) -> None:
        async def take(name: str) -> None:
            made = await self.darkroom.make_session(name, draft)
            self.post_message(self.SessionChosen(made.name))

        self.app.push_screen(NameScreen(title, "", take))

    def action_rename(self) -> None:
        """Ask for another name."""
        if (row := self.chosen) is None:
            return

        async def take(name: str) -> None:
            await self.darkroom.rename_session(row.name, name)
            self._renamed = name
            self._say(f"It is {name} now; its images keep {row.name} in their records.")
            await self.update()

        self.app.push_screen(NameScreen(f"another name for {row.name}", row.name, take))

    async def action_archive(self) -> None:
        """Put the session behind the others, or back."""
        if (row := self.chosen) is None:
            return
        try:
            await self.darkroom.archive_session(row.name, is_archived=not row.is_archived)
        except SafelightError as error:
            self._say(str(error))
            return
        said = "is among the others again" if row.is_archived else "is archived; a brings it back"
        self._say(f"{row.name} {said}.")
        await self.update()

    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss()
