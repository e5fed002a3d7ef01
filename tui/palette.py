"""The commands of the palette: what can be done on the screen, found by everyday words too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from rich.cells import cell_len
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from tui.terminal.detect import get_display
from tui.text import show_safely

WIDTH = 96
"""Columns of the palette, where there are so many; see `app.tcss`."""

_FRAME = 6
_GAP = 2

EVERYDAY: Mapping[str, str] = {
    "prompt.add": "new text negative positive",
    "prompt.edit": "write change text type",
    "prompt.switch": "disable enable mute off on",
    "prompt.remove": "delete erase negative",
    "prompt.copy": "copy clone again",
    "prompt.earlier": "history old previous search find recall",
    "prompt.type_weight": "negative avoid strength emphasis",
    "generate": "run start make draw render create go image",
    "cancel": "stop abort end kill",
    "retry": "again rerun repeat failed",
    "history": "gallery images pictures past old browse find search list",
    "jobs": "queue tasks waiting running errors failed",
    "sessions": "projects work names switch new archive",
    "undo": "back revert",
    "redo": "forward",
    "image.back": "restore reuse settings load",
    "seed.again": "same repeat reuse",
    "seed.lock": "keep fix freeze random",
    "seed.new": "random dice change",
    "seed.previous": "back old last",
    "start.file": "img2img init upload open picture photo",
    "start.mask": "inpaint inpainting paint area",
    "quit": "exit close leave",
    "image.verify": "check prove identical same reproduce",
    "image.regenerate": "again repeat reproduce remake redo",
    "image.start": "img2img init reference",
    "image.vary": "variation similar more like",
    "image.enlarge": "upscale bigger zoom resolution size hires",
    "image.load": "reuse settings prompts parameters recall",
    "image.compare": "diff difference side",
    "image.lineage": "family tree parent children ancestors history",
    "image.view": "zoom fullscreen full large big picture",
    "image.copy": "clipboard shell script",
    "image.copy_part": "clipboard text prompt seed path id",
    "image.save": "export download file png write disk",
    "image.save_to": "export download folder directory file png",
    "theme": "look colours colors appearance dark light contrast settings",
    "images.protocol": "graphics kitty sixel pictures settings colours colors",
    "help": "keys shortcuts bindings manual",
    "suspend": "shell background pause",
    "settings": "configuration preferences options config toml keys",
    "parameter.edit": "change value set",
    "parameter.reset": "default clear remove",
    "mark.trash": "delete remove",
    "mark.drop": "delete remove trash bin",
    "mark.empty": "delete purge free space",
    "mark.put_back": "restore undelete trash",
    "mark.favourite": "star like heart favorite",
    "mark.rate": "stars score",
    "mark.tag": "label keyword category",
    "mark.note": "comment text write",
    "history.search": "find filter look",
    "history.sort": "order by date rating",
    "history.sheet": "grid gallery thumbnails",
    "history.thin": "delete space disk free pixels",
    "history.import": "open load add file png picture",
    "history.verify_found": "check prove all",
}
"""Words that people use for an action, by the id of its binding."""


class Command(NamedTuple):
    """One line of the palette: what it does, its key, why it cannot be done now, other words."""

    words: str
    key: str
    reason: str
    everyday: str
    run: IgnoreReturnCallbackType


@runtime_checkable
class Commanded(Protocol):
    """An app that lists what can be done now, what is nearest to the focus first."""

    def list_commands(self) -> Sequence[Command]:
        """What can be done on the screen that the palette covers."""
        ...


class CommandProvider(Provider):
    """Shows what can be done where one is, one line each, with the key at the right."""

    async def discover(self) -> Hits:
        """All of it, what fits here first."""
        for command in self._list():
            yield DiscoveryHit(self._draw(command), command.run, command.words)

    async def search(self, query: str) -> Hits:
        """What has all words of `query`, or words that begin so; else letters in that order."""
        commands = list(self._list())
        wanted = query.casefold().split()
        found = [(score(command, wanted), command) for command in commands]
        if not any(number for number, _ in found):
            matcher = self.matcher(query)
            found = [(matcher.match(command.words), command) for command in commands]
        for number, command in found:
            if number > 0:
                yield Hit(number, self._draw(command), command.run, command.words)

    def _list(self) -> Iterator[Command]:
        """Those that can be run before the others."""
        commands = self.app.list_commands() if isinstance(self.app, Commanded) else ()
        yield from (command for command in commands if not command.reason)
        yield from (command for command in commands if command.reason)

    def _draw(self, command: Command) -> Content:
        """The words, and at the right the key, or why it cannot be done now."""
        width = min(WIDTH, self.app.size.width) - _FRAME
        signs = get_display(self.app).glyphs.keys
        key = " ".join(signs.get(each, each) for each in command.key.split(" "))
        text = f"{command.words}: {command.reason}" if command.reason else command.words
        style = "dim $role-quiet" if command.reason else ""
        room = width - cell_len(key)
        words = Content.styled(show_safely(text), style).truncate(room - _GAP, ellipsis=True)
        space = " " * (room - words.cell_length)
        return Content.assemble(words, space, (key, "not bold $role-quiet"))


def score(command: Command, wanted: Sequence[str]) -> float:
    """How well it fits all of the words; 0 where one of them fits nothing.

    A word of what it does counts more than an everyday one, a whole word more than a beginning,
    and what can be done now more than what cannot.
    """
    own = _split(command.words)
    everyday = command.everyday.casefold().split()
    total = 0.0
    for word in wanted:
        best = max(
            (
                weight + (0.5 if known == word else 0) - 0.01 * min(place, 20)
                for weight, words in ((2.0, own), (1.5, everyday))
                for place, known in enumerate(words)
                if known.startswith(word)
            ),
            default=0.0,
        )
        if not best:
            return 0.0
        total += best
    # What can be done stands before all that cannot.
    return total / max(1, len(wanted)) * (0.1 if command.reason else 1.0)


def _split(words: str) -> list[str]:
    return "".join(sign if sign.isalnum() else " " for sign in words.casefold()).split()
