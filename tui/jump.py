"""Jump mode: a letter on each thing of the screen, and the focus goes where it is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Label

LETTERS = "asdfghjklqwertyuiopzxcvbnm"
"""Those under the fingers first."""


class Jump(NamedTuple):
    """Something that can be gone to: where it is on the screen, and what goes there."""

    region: Region
    go: Callable[[], object]


@runtime_checkable
class Jumpable(Protocol):
    """A screen that says itself what can be gone to."""

    def list_jumps(self) -> Sequence[Jump]:
        """In reading order."""
        ...


def list_jumps(screen: Screen[Any]) -> list[Jump]:
    """What is in sight and can be gone to on `screen`, as far as there are letters."""
    if isinstance(screen, Jumpable):
        found = list(screen.list_jumps())
    else:
        parts = [each for each in screen.walk_children(Widget) if each.focusable and each.display]
        found = [Jump(part.region, part.focus) for part in parts]
    seen = [jump for jump in found if screen.region.contains_region(jump.region.crop_size((1, 1)))]
    return seen[: len(LETTERS)]


class JumpScreen(ModalScreen[Jump | None]):
    """The letters over the screen; gives what was gone to, or None when it was left."""

    DEFAULT_CSS = """
    JumpScreen {
        background: $role-background 0%;
        layers: letters;

        Label {
            layer: letters;
            position: absolute;
            width: 3;
            content-align: center middle;
            background: $role-focus;
            color: $role-on-focus;
            text-style: bold;
        }
    }
    """
    BINDING_GROUP_TITLE = "in jump mode"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,ctrl+o", "leave", "leave", tooltip="Stay where the focus is", id="jump.leave"
        ),
    ]

    def __init__(self, jumps: Sequence[Jump]) -> None:
        super().__init__()
        self._jumps = dict(zip(LETTERS, jumps, strict=False))
        self._measured = Size(0, 0)

    def compose(self) -> ComposeResult:
        """A letter at the beginning of each."""
        for letter, jump in self._jumps.items():
            label = Label(letter, markup=False)
            label.styles.offset = jump.region.offset
            yield label

    def on_mount(self) -> None:
        """Know where the letters belong."""
        self._measured = self.app.size

    def on_resize(self) -> None:
        """What they stood on is elsewhere in a terminal of another size."""
        if self.app.size != self._measured:
            self.dismiss(None)

    def on_key(self, event: events.Key) -> None:
        """Go where the letter is; any other key leaves."""
        if event.character is not None and event.is_printable:
            event.stop()
            self.dismiss(self._jumps.get(event.character.lower()))

    def action_leave(self) -> None:
        """Stay where the focus is."""
        self.dismiss(None)
