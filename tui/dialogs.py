"""A list to choose one value from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.text import show_safely


class ChoiceScreen(ModalScreen[str | None]):
    """Gives the chosen value, or None when it was left by `esc`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, title: str, choices: Sequence[str], now: str) -> None:
        super().__init__()
        self._title = title
        self._choices = choices
        self._now = now

    def compose(self) -> ComposeResult:
        """The list, the cursor on the value in effect."""
        choices = [Option(Content(show_safely(choice))) for choice in self._choices]
        view = OptionList(*choices, id="choices", markup=False)
        view.border_title = Content(self._title)
        view.border_subtitle = Content("enter chooses · esc leaves")
        view.highlighted = self._choices.index(self._now) if self._now in self._choices else 0
        yield view

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index])

    def action_leave(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)
