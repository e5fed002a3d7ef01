"""Keys: what they do here, why one cannot be used now, and one handled after the other.

A key stands where it acts: in the `BINDINGS` of the widget, screen or app whose action it runs,
as a `Binding` with an id. Its `description` is the word of the key line, its `tooltip` the
sentence of help and palette. Help, key line, palette and key map read these bindings along the
focus chain; there is no other list of keys.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from tui.bursts import Burst, Input, is_line_end, is_pasted, join_text, read_typed

SIGNS = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
}
"""How keys are written whose name in Textual is not what stands on them."""

PASSES_MAXIMUM = 50
"""How often the focus chain is waited for after one key, at most."""

LOOK_SECONDS = 0.05


class Said(Message):
    """Something that the person should read; "" ends it. The last line of the screen shows it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Released(Message):
    """A screen that let keys wait (a `Holder`) may not hold them any more."""


class Reasoned:
    """Mixin for a node whose actions may be disabled, with the reason."""

    def why_not(self, action: str) -> str:
        """The reason why `action` cannot be run now, "" when it can."""
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None, Textual's word for a disabled action, where there is a reason."""
        return None if self.why_not(action) else True


@runtime_checkable
class Leader(Protocol):
    """A node that knows which keys a person wants next, by ids of bindings, the first one first."""

    def list_leading(self) -> Sequence[str]:
        """Those that get room in the last line before others."""
        ...


def bind_move(keys: str, action: str, name: str, sentence: str) -> Binding:
    """A mere move of a cursor or a view: in help, but neither in the key line nor the palette."""
    return Binding(keys, action, tooltip=sentence, id=name, show=False, system=True)


def bind_cursor(prefix: str, thing: str) -> list[BindingType]:
    """`up`, `down`, `home` and `end` for the cursor in a list of things: `cursor('up')` …"""
    places = {"up": "previous", "down": "next", "home": "first", "end": "last"}
    return [
        bind_move(key, f"cursor('{key}')", f"{prefix}.{place}", f"Go to the {place} {thing}")
        for key, place in places.items()
    ]


def bind_steps(prefix: str, action: str, word: str, less: str, more: str) -> list[BindingType]:
    """`left` and `right` (`-` and `+`) for a step less or more: `action(-1)`, `action(1)`."""
    return [
        Binding(
            f"{arrow},{sign}",
            f"{action}({steps})",
            name,
            tooltip=tooltip,
            group=Binding.Group(word),
            key_display=f"{arrow} {SIGNS[sign]}",
            system=True,
            id=f"{prefix}.{name}",
        )
        for arrow, sign, steps, name, tooltip in (
            ("left", "minus", -1, "less", less),
            ("right", "plus", 1, "more", more),
        )
    ]


class Hint(NamedTuple):
    """A binding as help, key line and palette show it.

    `keys` are Textual's names of the keys that run it here, `written` is how they are shown,
    `reason` why it is disabled ("" when it is not).
    """

    node: DOMNode
    binding: Binding
    keys: tuple[str, ...]
    written: str
    reason: str

    @property
    def words(self) -> str:
        """What it does, in a sentence."""
        return self.binding.tooltip or self.binding.description


@functools.cache
def list_bindings(node: type[DOMNode]) -> tuple[Binding, ...]:
    """The bindings with an id that `node` declares, its own before those of its bases."""
    declared = [binding for base in node.__mro__ for binding in base.__dict__.get("BINDINGS", ())]
    return tuple([each for each in declared if isinstance(each, Binding) and each.id])


def list_hints(node: DOMNode, keymap: Mapping[str, str]) -> list[Hint]:
    """What the keys of `node` do, with the keys of `keymap` by binding id where it has them."""
    hints = []
    for binding in list_bindings(type(node)):
        changed = keymap.get(binding.id or "")
        keys = split_keys(changed or binding.key)
        written = "" if changed else binding.key_display or ""
        reason = explain(node, binding)
        hints.append(Hint(node, binding, keys, written or write_keys(keys), reason))
    return hints


def explain(node: DOMNode, binding: Binding) -> str:
    """Why the action of `binding` cannot be run now, "" when it can."""
    return node.why_not(binding.action.partition("(")[0]) if isinstance(node, Reasoned) else ""


@functools.cache
def split_keys(text: str) -> tuple[str, ...]:
    """The keys in `left,ctrl+j`, by Textual's names: `?` is `question_mark`."""
    names = {sign: name for name, sign in SIGNS.items() if len(sign) == 1}
    return tuple(names.get(key.strip(), key.strip()) for key in text.split(",") if key.strip())


@functools.cache
def write_keys(keys: tuple[str, ...]) -> str:
    """How `keys` are written, with a space between them."""
    return " ".join([SIGNS.get(key, key) for key in keys])


def list_chain(screen: Screen[Any]) -> list[DOMNode]:
    """The focused widget, what it stands in, the screen and the app; a dialog is the last."""
    chain: list[DOMNode] = [screen, screen.app]
    if screen.focused is not None:
        chain = list(screen.focused.ancestors_with_self)
    for place, node in enumerate(chain):
        if isinstance(node, ModalScreen):
            return chain[: place + 1]
    return chain


def is_typing(widget: Widget | None) -> bool:
    """Whether plain keys are text for `widget`."""
    return widget is not None and widget.check_consume_key("a", "a")


def is_bound(screen: Screen[Any], key: str, keymap: Mapping[str, str]) -> bool:
    """Whether `key` runs something along the focus chain, or is text for the focused widget."""
    return is_typing(screen.focused) or any(
        key in _list_keys(type(node))
        or any(
            key in split_keys(keymap.get(binding.id or "") or binding.key)
            for binding in list_bindings(type(node))
        )
        for node in list_chain(screen)
    )


def list_active(screen: Screen[Any], keymap: Mapping[str, str]) -> list[Hint]:
    """The keys that hold now, along the focus chain.

    A key that is text for the focused widget, or that a widget nearer to it has taken, is left
    out.
    """
    taken: set[str] = set()
    found = []
    for node in list_chain(screen):
        hints = list_hints(node, keymap)
        for hint in hints:
            keys = tuple([key for key in hint.keys if not _is_taken(key, node, screen, taken)])
            if keys:
                written = hint.written if keys == hint.keys else write_keys(keys)
                found.append(hint._replace(keys=keys, written=written))
        taken.update(_list_keys(type(node)), *[hint.keys for hint in hints])
    return found


@functools.cache
def _list_keys(node: type[DOMNode]) -> frozenset[str]:
    """The keys of bindings without an id: those of Textual's own widgets."""
    declared = [binding for base in node.__mro__ for binding in base.__dict__.get("BINDINGS", ())]
    return frozenset([each.key for each in Binding.make_bindings(declared) if not each.id])


def _is_taken(key: str, node: DOMNode, screen: Screen[Any], taken: set[str]) -> bool:
    focused = screen.focused
    if key in taken:
        return True
    if focused is None or focused is node:
        return False
    sign = SIGNS.get(key, key)
    return focused.check_consume_key(key, sign if len(sign) == 1 else key_to_character(key))


def list_places(screen: Screen[Any], keymap: Mapping[str, str]) -> list[tuple[str, list[Hint]]]:
    """All keys of `screen` by the place where they hold: its title, and its hints.

    The places of the focus chain come first, then the other parts of the screen.
    """
    chain = list_chain(screen)
    others = (node for node in screen.walk_children(Widget) if node not in chain and node.can_focus)
    places: dict[str, list[Hint]] = {}
    for node in (*chain, *others):
        title = getattr(node, "BINDING_GROUP_TITLE", None) or ""
        hints = places.setdefault(title, [])
        known = {hint.binding.id for hint in hints}
        hints += [hint for hint in list_hints(node, keymap) if hint.binding.id not in known]
    return [(title, hints) for title, hints in places.items() if hints]


@runtime_checkable
class Holder(Protocol):
    """A screen that may let keys wait: they are handled once it does not hold them any more."""

    def is_holding(self, event: events.Key | events.Paste) -> bool:
        """Whether what was pressed has to wait."""
        ...


class KeyQueue:
    """The keys that were pressed, handled one after the other while `run` runs.

    Textual sends a key to the focused widget and goes on to the next one, so of keys that come
    in one burst (a slow line, a paste without brackets) the second would go to the old focus,
    or overtake the first. Here the next key waits until the focused widget and its ancestors
    have handled what they were sent. Keys in `passing` go at once where others are held.
    `taken` counts the keys that have come, those of a burst as one.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._waiting: asyncio.Queue[Input | Burst | None] = asyncio.Queue()
        self._released: events.Event | None = None
        self._looked = asyncio.Event()
        self._handled = 0
        self.taken = 0
        self._is_held = False
        self.passing: frozenset[str] = frozenset()

    @property
    def is_idle(self) -> bool:
        """Whether all keys are handled."""
        return self.taken == self._handled

    def take(self, event: events.Event) -> bool:
        """Keep what was pressed for its turn; False where it is to be handled now."""
        if isinstance(event, Burst):
            self.taken += 1
            self._waiting.put_nowait(event)
            return True
        if event is self._released or not isinstance(event, events.Key | events.Paste):
            return False
        if event.is_forwarded:
            return False
        if self._is_held and isinstance(event, events.Key) and event.key in self.passing:
            return False
        is_next = self.is_idle and not self._is_holding(event)
        self.taken += 1
        # The app handles at once what waits for nothing; only its end is still to be waited for.
        self._waiting.put_nowait(None if is_next else event)
        return not is_next

    def look_again(self) -> None:
        """A screen may not hold its keys any more."""
        self._looked.set()

    async def run(self) -> None:
        """Handle the keys as they come."""
        while True:
            event = await self._waiting.get()
            try:
                if isinstance(event, Burst):
                    await self._handle_burst(event)
                elif event is not None:
                    await self._handle(event)
                else:
                    await self._settle()
            finally:
                self._handled += 1

    async def _handle(self, event: Input) -> None:
        await self._wait_for_holder(event)
        self._released = event
        await self._app.on_event(event)
        await self._settle()

    async def _handle_burst(self, burst: Burst) -> None:
        """Commands while none of them begins typing, then text: nothing after a text is one."""
        waiting = burst.inputs
        await self._wait_for_holder(waiting[0])
        if not is_typing(self._app.focused) and is_pasted(burst):
            screen = self._app.screen
            await self._handle(events.Paste(join_text(waiting)))
            if self._app.screen is screen:
                # It was not the path of a file, about which the person is asked.
                self._app.post_message(Said("A text was pasted where nothing is typed: ignored."))
            return
        for place, event in enumerate(waiting):
            await self._wait_for_holder(event)
            if is_typing(self._app.focused):
                await self._type(waiting[place:], burst.is_whole)
                return
            if place and is_line_end(event):
                # It costs nothing to press it again.
                continue
            await self._handle(event)
            if isinstance(event, events.Paste):
                # What came with it was pasted too.
                return

    async def _type(self, inputs: Sequence[Input], is_whole: bool) -> None:
        for event in read_typed(inputs, is_whole):
            await self._wait_for_holder(event)
            if not is_typing(self._app.focused):
                return
            await self._handle(event)

    async def _wait_for_holder(self, event: events.Key | events.Paste) -> None:
        while self._is_holding(event):
            self._is_held = True
            self._looked.clear()
            await self._looked.wait()
        self._is_held = False

    def _is_holding(self, event: events.Key | events.Paste) -> bool:
        screen = self._app.screen
        return isinstance(screen, Holder) and screen.is_holding(event)

    async def _settle(self) -> None:
        """Wait until the focus chain has handled all that the key brought about."""
        for _ in range(PASSES_MAXIMUM):
            chain = self._list_nodes()
            has_more = False
            for node in chain:
                has_more |= await _drain(node)
            if not has_more and self._list_nodes() == chain:
                return

    def _list_nodes(self) -> list[DOMNode]:
        focused = self._app.focused
        return list((focused or self._app.screen).ancestors_with_self)


async def _drain(node: DOMNode) -> bool:
    """Wait until `node` has handled what it was sent so far; whether more has come since."""
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(node.message_queue_size)

    if not node.is_running or not node.call_later(tell):
        return False
    while not done.done() and node.is_running:
        await asyncio.wait([done], timeout=LOOK_SECONDS)
    return done.done() and done.result() > 0
