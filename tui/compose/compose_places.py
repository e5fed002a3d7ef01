"""Where the person is on the compose screen: the part with the focus, moving or typing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from textual import events
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from tui.actions import Situation
from tui.compose.compose_messages import ComposeMessages
from tui.compose.desk import Desk
from tui.compose.editors import PromptEditor, ValueInput
from tui.compose.image import ImagePanel
from tui.compose.keeper import Keeper, read_place
from tui.compose.parameters import ParameterList
from tui.compose.prompts import PromptStack
from tui.compose.recent import FilmStrip
from tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from tui.app import SafelightApp

PARTS = ("prompts", "parameters", "image", "recent")
IMAGE_ACTIONS = ("verify", "start.image", "vary", "enlarge", "regenerate")
"""What the line of keys shows first on the image and on the strip."""


class ComposePlaces(ComposeMessages):
    """Knows the parts and which one has the focus; it is remembered in the draft."""

    app: SafelightApp
    desk: Desk
    keeper: Keeper
    _stack: PromptStack
    _parameters: ParameterList
    _panel: ImagePanel
    _strip: FilmStrip
    _recent: Vertical
    _keys: KeyLine
    _is_field_left = False

    def get_situation(self) -> Situation:
        """What can be done now."""
        raise NotImplementedError

    def show_keys(self) -> None:
        """Show the keys that hold where the focus is."""
        part = self.get_part()
        contexts = ("typing", "compose") if self.is_typing else (part, "compose")
        first = IMAGE_ACTIONS if part in ("image", "recent") and not self.is_typing else ()
        self._keys.show(contexts, self.get_situation(), is_typing=self.is_typing, first=first)

    def say(self, text: str) -> None:
        """Show `text` in the last line until the next key."""
        self._keys.say(text)

    @property
    def message(self) -> str:
        """What the last line says."""
        return self._keys.message

    @property
    def is_typing(self) -> bool:
        """Whether keys are text."""
        return isinstance(self.focused, PromptEditor | ValueInput)

    def get_part(self, widget: Widget | None = None) -> str:
        """The part with the focus, or that holds `widget`."""
        widget = widget or self.focused
        known: Mapping[Widget, str] = {
            self._stack: "prompts",
            self._parameters: "parameters",
            self._panel: "image",
            self._recent: "recent",
        }
        for node in widget.ancestors_with_self if widget is not None else ():
            if isinstance(node, Widget) and node in known:
                return known[node]
        part = read_place(self.desk.draft, "part")
        return part if part in PARTS else PARTS[0]

    def focus_part(self, part: str) -> None:
        """Give the focus to a part."""
        targets: Mapping[str, Widget] = {
            "prompts": self._stack,
            "parameters": self._parameters,
            "image": self._panel,
            "recent": self._strip,
        }
        self._show_part(part)
        self.set_focus(targets[part])
        self.desk.set_place(part=part)

    def _show_part(self, part: str) -> None:
        for name in PARTS:
            self.set_class(name == part, f"-part-{name}")

    async def _turn(self, key: str) -> None:
        await self._settle()
        at = PARTS.index(self.get_part())
        self.focus_part(PARTS[(at + (1 if key == "tab" else -1)) % len(PARTS)])

    async def _settle(self) -> None:
        await self.prompts.settle()
        await self.parameters.settle()

    async def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember the part, and close a field that was left for another part."""
        part = self.get_part(event.widget)
        self._show_part(part)
        if isinstance(event.widget, PromptEditor | ValueInput):
            self._is_field_left = False
        elif self._is_field_left and not self.is_typing and self._has_open_field():
            await self._settle()
            if event.widget.is_attached:
                self.set_focus(event.widget)
        self.desk.set_place(part=part)
        self.show_keys()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Moving and typing may have changed."""
        self._is_field_left |= isinstance(event.widget, PromptEditor | ValueInput)
        self.show_keys()

    def _has_open_field(self) -> bool:
        return self._stack.open_row is not None or self._parameters.open_field is not None

    def _open_screen(
        self, screen: Screen[Any], callback: Callable[[Any], Awaitable[None]] | None = None
    ) -> None:
        self.app.push_screen(screen, callback)
