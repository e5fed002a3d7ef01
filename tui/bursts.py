"""What came from the terminal all at once: typed on a slow line, or pasted where nothing says so.

A paste is text, however it came. Terminals that mark none send it as if it were typed, and with
a key for each character its second line would be a row of commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual import events

TYPED_CHARACTERS = 1000
"""A longer text that came at once was pasted."""

COMMANDS_AT_ONCE = 12
COMMANDS_THAT_DIFFER = 6
"""So many keys at once, so many of them different: nobody presses these; it is a text."""

LETTERS_OF_LINES = 4
"""So many different letters on more than one line are a text too."""

_LAST = ("enter", "escape", "tab")
_EDITING = frozenset(
    f"{modifier}{key}"
    for modifier in ("", "shift+", "ctrl+")
    for key in (
        *("left", "right", "up", "down", "home", "end", "pageup", "pagedown"),
        *("backspace", "delete"),
    )
)

Input = events.Key | events.Paste


class Burst(events.Event, bubble=False):
    """Keys and pastes that came together, text among them, in their order.

    Without `is_whole` more of it is on the way.
    """

    def __init__(self, inputs: Sequence[Input], is_whole: bool = True) -> None:
        super().__init__()
        self.inputs = list(inputs)
        self.is_whole = is_whole


def spell_key(event: events.Key) -> str:
    """The character that a key is in a text, "" for one that is none."""
    sign = event.character or ""
    return sign if sign.isprintable() or sign in "\t\r\n" else ""


def is_pasted(burst: Burst) -> bool:
    """Whether `burst` is a text that was pasted, and not keys that were pressed."""
    signs = [spell_key(each) for each in burst.inputs if isinstance(each, events.Key)]
    printed = [sign for sign in signs if sign.isprintable() and sign]
    if len(set(printed)) >= COMMANDS_THAT_DIFFER and len(printed) >= COMMANDS_AT_ONCE:
        return True
    return len(set(printed)) >= LETTERS_OF_LINES and "\n" in join_text(burst.inputs).strip("\n")


def is_line_end(event: Input) -> bool:
    """Whether `event` ends a line of a text; as a key, it would generate."""
    return isinstance(event, events.Key) and event.character == "\n"


def join_text(inputs: Sequence[Input]) -> str:
    """The text that `inputs` are, its lines ended as in a prompt."""
    signs = (each.text if isinstance(each, events.Paste) else spell_key(each) for each in inputs)
    return "".join(signs).replace("\r\n", "\n").replace("\r", "\n")


def read_typed(inputs: Sequence[Input], is_whole: bool) -> Iterator[Input]:
    """`inputs` as they are meant where text is typed: pastes, and keys that edit.

    Characters between two such keys are one paste. What would be a command is none here, but
    for an enter, escape or tab at the end of one line: that was pressed, or is harmless.
    """
    last = _find_last(inputs, is_whole)
    run: list[Input] = []
    for each in inputs if last is None else inputs[:-1]:
        if isinstance(each, events.Key) and each.key in _EDITING:
            if run:
                yield events.Paste(join_text(run))
                run = []
            yield each
        elif isinstance(each, events.Paste) or spell_key(each):
            run.append(each)
    if run:
        yield events.Paste(join_text(run))
    if last is not None:
        yield last


def _find_last(inputs: Sequence[Input], is_whole: bool) -> events.Key | None:
    """The key at the end of `inputs` that is no text, None where there is none."""
    last = inputs[-1]
    if not is_whole or not isinstance(last, events.Key) or last.key not in _LAST:
        return None
    text = join_text(inputs[:-1])
    return None if "\n" in text or len(text) > TYPED_CHARACTERS else last
