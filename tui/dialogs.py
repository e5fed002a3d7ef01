"""Dialogs: a list to choose from, the path of an image file, and the help."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from store.errors import SafelightError
from store.limits import INPUT_KINDS, SESSION_NAME_LIMIT
from tui.keys import Hint
from tui.paths import complete_path, parse_path
from tui.terminal.detect import get_display
from tui.terminal.glyphs import Glyphs
from tui.text import clean_paste, show_safely
from tui.widgets.cell import Cell
from tui.widgets.text_lines import hang

Take = Callable[[Path], Awaitable[None]]
"""Takes the file; raises `SafelightError` with what is wrong with it."""

KEYS_WIDTH = 16
CHOICES_FEW = 5
"""Up to so many choices are seen at a glance: it is not said that letters find them."""

TYPED_MAXIMUM = 40
WIDTH_LEAST, FRAME_WIDTH = 48, 6
"""Cells of a list of choices, and those of its frame and padding beside its title."""

_FORMATS = f"A {INPUT_KINDS} file."


class Choice(NamedTuple):
    """One of several values: the value itself, and what it is, in a few words or none."""

    value: str
    words: str = ""


def fits(choice: Choice, typed: str) -> bool:
    """Whether each word that was typed stands in the choice or its words, small or capital."""
    text = f"{choice.value} {choice.words}".casefold()
    return all(word in text for word in typed.casefold().split())


class ChoiceList(OptionList):
    """Choices, of which letters leave those that fit them: `2m` leaves `k_dpmpp_2m`."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Plain keys are letters of what is looked for."""
        return character is not None and character.isprintable()


class ChoiceScreen(ModalScreen[str | None]):
    """A list to choose one value from; gives it, or None when it was left.

    What is typed leaves the choices that fit it. The one in effect (`now`) is marked, and the
    one that is taken where nothing is chosen (`default`) says so.
    """

    BINDING_GROUP_TITLE = "in a list of choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "choose", tooltip="Choose this one", id="choice.take"),
        Binding(
            "escape",
            "leave",
            "leave",
            tooltip="Leave it as it is; take back first what was typed to find one",
            id="choice.leave",
        ),
        Binding(
            "backspace",
            "unsay",
            "letter back",
            tooltip="Take back the last letter of what is looked for",
            show=False,
            id="choice.unsay",
        ),
    ]

    typed = reactive("")

    def __init__(
        self,
        title: str,
        choices: Sequence[str | Choice],
        now: str = "",
        default: str = "",
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = [Choice(each) if isinstance(each, str) else each for each in choices]
        self._now = now
        self._default = default
        self._found = self._choices
        self._list = ChoiceList(id="choices", markup=False)

    def compose(self) -> ComposeResult:
        """The list, the cursor on the value in effect."""
        dot = get_display(self.app).glyphs.dot
        finds = f"letters find {dot} " if len(self._choices) > CHOICES_FEW else ""
        self._list.border_subtitle = Content(f"{finds}enter chooses {dot} esc leaves")
        self._list.styles.min_width = max(WIDTH_LEAST, cell_len(self._title) + FRAME_WIDTH)
        yield self._list

    def on_mount(self) -> None:
        """Show them all."""
        self._show()

    def watch_typed(self) -> None:
        """Leave what fits the letters."""
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        chosen = self._now
        if self.typed and self._list.highlighted is not None:
            chosen = self._found[self._list.highlighted].value
        self._found = [each for each in self._choices if fits(each, self.typed)]
        width = max(cell_len(show_safely(each.value)) for each in self._choices)
        self._list.clear_options()
        self._list.add_options([Option(self._describe(each, width)) for each in self._found])
        values = [each.value for each in self._found]
        self._list.highlighted = values.index(chosen) if chosen in values else 0
        looked = f": {show_safely(self.typed)}" if self.typed else ""
        self._list.border_title = Content(f"{self._title}{looked}")

    def _describe(self, choice: Choice, width: int) -> Content:
        """A mark before the one in effect, the value, what it is, and whether it is the default."""
        glyphs = get_display(self.app).glyphs
        value = show_safely(choice.value)
        words = ["the default"] if choice.value == self._default else []
        words += [choice.words] if choice.words else []
        parts: list[str | tuple[str, str]] = [value]
        if self._now:
            parts.insert(0, f"{glyphs.chosen if choice.value == self._now else ' '} ")
        if words:
            said = f" {glyphs.dot} ".join(words)
            parts.append((f"{' ' * (width - cell_len(value))}  {said}", "dim"))
        return Content.assemble(*parts)

    def on_key(self, event: events.Key) -> None:
        """A letter looks for the choices that it stands in."""
        if event.character is not None and event.is_printable:
            event.stop()
            event.prevent_default()
            self._look_for(self.typed + event.character)

    def on_paste(self, event: events.Paste) -> None:
        """Look for what was pasted."""
        event.stop()
        self._look_for(self.typed + clean_paste(event.text).partition("\n")[0])

    def _look_for(self, text: str) -> None:
        """Look for `text`, where something fits it; say so where nothing does."""
        text = text[:TYPED_MAXIMUM].lstrip()
        if any(fits(each, text) for each in self._choices):
            self.typed = text
        elif text:
            self._list.border_title = Content(f"{self._title}: none has {show_safely(text)!r}")

    @property
    def highlighted(self) -> str | None:
        """The value under the cursor."""
        place = self._list.highlighted
        return None if place is None else self._found[place].value

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index].value)

    def action_choose(self) -> None:
        """Take the value under the cursor."""
        self._list.action_select()

    def action_unsay(self) -> None:
        """Take the last letter back."""
        self.typed = self.typed[:-1]

    def action_leave(self) -> None:
        """Look for nothing any more, else leave everything as it is."""
        if self.typed:
            self.typed = ""
        else:
            self.dismiss(None)


class ThemeScreen(ChoiceScreen):
    """The themes: the screen shows the one under the cursor; gives one, or None when left."""

    def __init__(self, names: Sequence[str], now: str) -> None:
        super().__init__("theme", names, now)

    def on_option_list_option_highlighted(self) -> None:
        """Show the theme under the cursor, to choose by."""
        if (chosen := self.highlighted) is not None:
            self.app.theme = chosen


class PathSuggester(Suggester):
    """Continues a path with the first name that begins as typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The whole path, None without one."""
        return await asyncio.to_thread(complete_path, value) if value else None


class AskScreen(ModalScreen[None]):
    """A field that stays open until `take` accepts what is typed; why not stands below it.

    `wanted`: what is to be typed, a sentence. `keys`: what its keys do, beside taking and leaving.
    """

    def __init__(
        self,
        title: str,
        field: Input,
        take: Callable[[str], Awaitable[None]],
        *,
        wanted: str,
        keys: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._take = take
        self._title = title
        self._wanted = wanted
        self._key_words = ("enter takes it", *keys, "esc leaves")
        self._is_taking = False
        self._field = field
        self._field.cursor_blink = False
        self._note = Cell(id="asked-note")

    def compose(self) -> ComposeResult:
        """The field and what there is to say."""
        with Vertical(id="asked", classes="form") as panel:
            panel.border_title = Content(self._title)
            dot = get_display(self.app).glyphs.dot
            panel.border_subtitle = Content(f" {dot} ".join(self._key_words))
            yield self._field
            yield self._note

    def on_mount(self) -> None:
        """Type at once."""
        self._say(self._wanted)
        self._field.focus()
        self._field.cursor_position = len(self._field.value)

    def _say(self, text: str, style: str = "$role-quiet") -> None:
        self._note.put(Content.styled(show_safely(text), style), resizes=True)

    @on(Input.Changed)
    def _forget(self) -> None:
        self._say(self._wanted)

    @on(Input.Submitted)
    async def action_take(self) -> None:
        """Hand over what was typed, once, and leave when it is accepted."""
        if self._is_taking:
            return
        self._is_taking = True
        try:
            await self._take(self._field.value.strip())
        except SafelightError as error:
            self._say(f"! {error}", "bold $role-negative")
        else:
            self.dismiss(None)
        finally:
            self._is_taking = False

    def action_leave(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)


class PathScreen(AskScreen):
    """Stays open until `take` accepts a file, and says beside the field why it does not."""

    BINDING_GROUP_TITLE = "while typing a path"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take it", tooltip="Take this file", id="path.take"),
        Binding(
            "tab",
            "complete",
            "complete",
            tooltip="Complete the path, as a shell does",
            id="path.complete",
        ),
        Binding("escape", "leave", "leave", tooltip="Leave it as it is", id="path.leave"),
    ]

    def __init__(
        self,
        title: str,
        start: str,
        take: Take,
        *,
        wanted: str = _FORMATS,
        example: str = "~/pictures/harbour.png",
    ) -> None:
        field = Input(start, placeholder=example, suggester=PathSuggester(), compact=True)

        async def take_path(text: str) -> None:
            await take(parse_path(text))

        super().__init__(title, field, take_path, wanted=wanted, keys=("tab completes",))

    async def action_complete(self) -> None:
        """Go on with the first name that begins as typed."""
        if (path := await asyncio.to_thread(complete_path, self._field.value)) is not None:
            self._field.value = path
            self._field.cursor_position = len(path)


class NameScreen(AskScreen):
    """Asks for a name until `take` accepts it, and says beside the field why it does not."""

    BINDING_GROUP_TITLE = "while typing a name"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take it", tooltip="Take this name", id="name.take"),
        Binding("escape", "leave", "leave", tooltip="Leave it as it is", id="name.leave"),
    ]

    def __init__(self, title: str, name: str, take: Callable[[str], Awaitable[None]]) -> None:
        # One more than a name may have: it is told, not cut.
        length = SESSION_NAME_LIMIT + 1
        field = Input(name, placeholder="night town", compact=True, max_length=length)
        super().__init__(title, field, take, wanted=f"Up to {SESSION_NAME_LIMIT} characters.")


class HelpScreen(ModalScreen[None]):
    """Every key by the place where it holds; why one cannot be used now is beside it.

    Below them the words of the screen, each explained (`terms`). `/` leaves what has the words
    that are typed.
    """

    BINDING_GROUP_TITLE = "in the help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "search",
            "search",
            tooltip="Leave the lines that have the words that are typed",
            id="help.search",
        ),
        Binding(
            "escape,question_mark,f1,q,enter",
            "leave",
            "leave",
            tooltip="Back to where it was called from",
            id="help.leave",
        ),
    ]

    def __init__(
        self,
        places: Sequence[tuple[str, Sequence[Hint]]],
        glyphs: Glyphs,
        terms: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__()
        self._places = places
        self._glyphs = glyphs
        self._terms = terms
        self._text = Static(markup=False)
        self._field = Input(
            placeholder="words of a key's sentence, or a term", compact=True, id="help-search"
        )
        self._field.cursor_blink = False
        self._field.display = False

    def compose(self) -> ComposeResult:
        """One text that scrolls, under what is looked for."""
        with Vertical(id="help") as panel:
            panel.border_title = Content("keys and words")
            panel.border_subtitle = Content(f"/ searches {self._glyphs.dot} esc leaves")
            yield self._field
            with VerticalScroll(id="help-text"):
                yield self._text

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self._text.update(self._lay(self.app.size.width))
        self.query_one("#help-text").focus()

    def action_search(self) -> None:
        """Type what is looked for."""
        self._field.display = True
        self._field.focus()

    @on(Input.Changed)
    def _find(self, event: Input.Changed) -> None:
        event.stop()
        self._text.update(self._lay(self._text.content_size.width or self.app.size.width))
        self.query_one("#help-text").scroll_home(animate=False)

    @on(Input.Submitted)
    def _go_to_text(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#help-text").focus()

    @on(events.Resize)
    def _lay_again(self) -> None:
        """Wrap to the width that there is once the panel has its own."""
        text = self._text
        self.call_after_refresh(lambda: text.update(self._lay(text.content_size.width)))

    def _lay(self, width: int) -> Content:
        """All lines; what is longer than `width` goes on below its own beginning."""
        return Content("\n").join(
            line for indent, content in self._describe() for line in hang(content, width, indent)
        )

    def _describe(self) -> Iterator[tuple[int, Content]]:
        """Lines, and how far they hang over: those that have all words that are looked for."""
        wanted = self._field.value.casefold().split()
        if not wanted:
            said = "Moving: plain keys are commands. Typing: keys are text; esc leaves typing."
            yield 0, Content.styled(said, "$role-quiet")
        is_found = False
        for title, lines in self._list_groups():
            shown = [line for line in lines if _has_words(line, wanted)]
            if not shown:
                continue
            if is_found or not wanted:
                yield 0, Content("")
            is_found = True
            yield 0, Content.styled(title, "bold $role-focus")
            for line in shown:
                yield KEYS_WIDTH + 2, line
        if not is_found:
            yield 0, Content.styled("Nothing here has these words.", "$role-quiet")

    def _list_groups(self) -> Iterator[tuple[str, list[Content]]]:
        """Each place with its keys, and the terms."""
        for title, hints in self._places:
            yield title, [self._describe_hint(hint) for hint in hints]
        if self._terms:
            yield "words", [_describe_term(term, said) for term, said in self._terms]

    def _describe_hint(self, hint: Hint) -> Content:
        signs = self._glyphs.keys
        keys = " ".join(signs.get(word, word) for word in hint.written.split(" "))
        parts: list[str | tuple[str, str]] = [
            (f"  {keys:<{KEYS_WIDTH - 1}} ", "$role-quiet" if hint.reason else "bold"),
            (hint.words, "$role-quiet" if hint.reason else ""),
        ]
        if hint.reason:
            parts.append((f"  ({hint.reason})", "italic $role-quiet"))
        return Content.assemble(*parts)

    def action_leave(self) -> None:
        """Look for nothing any more, else back to where it was called from."""
        if self._field.display:
            self._field.value = ""
            self._field.display = False
            self.query_one("#help-text").focus()
        else:
            self.dismiss(None)


def _has_words(line: Content, wanted: Sequence[str]) -> bool:
    text = line.plain.casefold()
    return all(word in text for word in wanted)


def _describe_term(term: str, said: str) -> Content:
    return Content.assemble((f"  {term:<{KEYS_WIDTH - 1}} ", "bold"), said)
