"""Every key and what it does, from the list of actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import Action, Situation, list_actions, write_keys
from tui.terminal.glyphs import Glyphs
from tui.widgets.text_lines import hang

KEYS_WIDTH = 14


class HelpScreen(ModalScreen[None]):
    """The actions by the place where their keys hold; why one cannot be done is beside it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "leave", show=False),
    ]

    def __init__(
        self,
        contexts: Mapping[str, str],
        situation: Situation,
        glyphs: Glyphs,
        focused: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._contexts = contexts
        self._situation = situation
        self._glyphs = glyphs
        self._focused = focused

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(id="help") as panel:
            panel.border_title = Content("keys")
            panel.border_subtitle = Content("esc leaves")
            yield Static(self._lay(self.app.size.width), markup=False)

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one("#help").focus()

    @on(Resize)
    def _lay_again(self) -> None:
        """Wrap to the width that there is once the panel has its own."""
        text = self.query_one("#help Static", Static)
        self.call_after_refresh(lambda: text.update(self._lay(text.content_size.width)))

    def _lay(self, width: int) -> Content:
        """All lines; what is longer than `width` goes on below its own beginning."""
        return Content("\n").join(
            line for indent, content in self._describe() for line in hang(content, width, indent)
        )

    def _describe(self) -> Iterable[tuple[int, Content]]:
        """Lines, and how far they hang over."""
        said = "Moving: plain keys are commands. Typing: keys are text; esc leaves, enter accepts."
        yield 0, Content.styled(said, "$role-quiet")
        order = [*self._focused, *(name for name in self._contexts if name not in self._focused)]
        for context in order:
            yield 0, Content("")
            yield 0, Content.styled(self._contexts[context], "bold $role-focus")
            for action in list_actions(context):
                yield KEYS_WIDTH + 2, self._describe_action(action)

    def _describe_action(self, action: Action) -> Content:
        keys = write_keys(action, self._glyphs.keys)
        reason = action.explain(self._situation)
        parts: list[str | tuple[str, str]] = [
            (f"  {keys:<{KEYS_WIDTH - 1}} ", "$role-quiet" if reason else "bold"),
            (action.description, "$role-quiet" if reason else ""),
        ]
        if reason:
            parts.append((f"  ({reason})", "italic $role-quiet"))
        return Content.assemble(*parts)

    def action_leave(self) -> None:
        """Back to where it was called from."""
        self.dismiss(None)
