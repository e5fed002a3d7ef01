"""Commands that say something of images: rate, favourite, tag, note."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from store.errors import RequestError, StoreError
from store.records import Mark, Marked
from tui.cli.completing import complete_image
from tui.cli.options import JsonOption
from tui.cli.run import (
    find_encoding,
    open_darkroom,
    print_json,
    print_line,
    print_note,
    run_command,
)
from tui.cli.searches import SearchOption
from tui.darkroom import Darkroom
from tui.marks import describe_mark, write_commands
from tui.words import count_things

_UNDO_SHOWN = 20
"""Most images for which the commands that undo a mark are told."""


class TagCommand(TyperCommand):
    """A command whose arguments `-word` mean that the tag `word` is removed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read `-word` as `--remove=word` where it is no option."""
        known = {name for option in self.get_params(ctx) for name in option.opts} | {"-h", "-"}
        words = []
        is_over = False
        for word in args:
            is_over = is_over or word == "--"
            is_tag = word.startswith("-") and not word.startswith("--") and word not in known
            words.append(f"--remove={word[1:]}" if is_tag and not is_over else word)
        return super().parse_args(ctx, words)


def rate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[ID]... RATING",
            help="Images, then 0 to 5, or none.",
            autocompletion=complete_image,
        ),
    ],
    search: SearchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rate images from 0 to 5; 'none' takes it away."""
    *images, rating = words

    async def work() -> None:
        async with open_darkroom() as darkroom:
            mark = Mark(rating=_read_rating(rating))
            await say_mark(darkroom, images, search, mark, as_json=as_json)

    run_command(work(), as_json=as_json)


def _read_rating(text: str) -> int | None:
    if text == "none":
        return None
    if len(text) == 1 and text in "012345":
        return int(text)
    raise RequestError(
        "rating",
        text,
        f"{text!r} is no rating.",
        "The last word is 0 to 5, or none: safelight rate @1 4.",
    )


def favourite(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Ids or their beginnings.", autocompletion=complete_image),
    ] = None,
    search: SearchOption = None,
    is_off: Annotated[bool, typer.Option("--off", help="Favourites no longer.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make images favourites; thinning leaves those alone."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            mark = Mark(is_favourite=not is_off)
            await say_mark(darkroom, images or [], search, mark, as_json=as_json)

    run_command(work(), as_json=as_json)


def tag(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]... [+TAG]... [-TAG]...",
            help="Images, and tags to change.",
            autocompletion=complete_image,
        ),
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="TAG", help="As +TAG; repeatable.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="As -TAG; repeatable.")
    ] = None,
    is_listing: Annotated[bool, typer.Option("--list", help="List all tags.")] = False,
    search: SearchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add tags to images, or remove them; capitals do not count."""
    given = words or []
    images = [word for word in given if not word.startswith("+")]
    mark = Mark(
        add=(*(word[1:] for word in given if word.startswith("+")), *(add or [])),
        remove=tuple(remove or []),
    )

    async def work() -> None:
        async with open_darkroom() as darkroom:
            if is_listing:
                if given or add or remove or search is not None:
                    raise RequestError("list", None, "--list stands alone.")
                _print_tags(await darkroom.list_tags(), as_json)
                return
            if not mark.add and not mark.remove:
                raise RequestError(
                    "tag",
                    None,
                    "Say which tags.",
                    "safelight tag @1 +harbour -draft; safelight tag --list shows all.",
                )
            await say_mark(darkroom, images, search, mark, as_json=as_json)

    run_command(work(), as_json=as_json)


def _print_tags(tags: list[tuple[str, int]], as_json: bool) -> None:
    if as_json:
        print_json({"tags": [{"name": name, "images": count} for name, count in tags]})
        return
    for name, count in tags:
        print_line(f"{count:>7,}  {name}")
    if not tags:
        print_note("There is no tag yet: safelight tag @1 +harbour.")


def note(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[ID]... TEXT",
            help="Images, then the note; '' takes it away.",
            autocompletion=complete_image,
        ),
    ],
    search: SearchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note to images."""
    *images, text = words

    async def work() -> None:
        async with open_darkroom() as darkroom:
            await say_mark(darkroom, images, search, Mark(note=text), as_json=as_json)

    run_command(work(), as_json=as_json)


async def say_mark(
    darkroom: Darkroom, references: list[str], search: str | None, mark: Mark, *, as_json: bool
) -> None:
    """Say `mark` of the images that are named, or of all found, and print what it did."""
    if bool(references) == (search is not None):
        raise RequestError("images", None, "Say which images: ids, or --search QUERY.")
    if search is None:
        found = [await darkroom.get_image(reference) for reference in references]
        for image in found:
            if image.is_emptied:
                raise StoreError(
                    f"Of the image {image.id[:8]} only the record is left: "
                    "its pixels were removed with the trash.",
                    "safelight regenerate makes it again.",
                )
        marked = await darkroom.mark_images([image.number for image in found], mark)
    else:
        marked = await darkroom.mark_found(search, mark)
    undo = await _list_undo(darkroom, marked)
    if as_json:
        print_json({"found": marked.found, "changed": marked.changed, "undo": undo})
        return
    same = marked.found - marked.changed
    print_line(
        f"{count_things(marked.changed, 'image')}: {describe_mark(mark, has_unicode=False)}"
        + (f"; {same:,} had it already" if same else "")
    )
    for line in undo:
        print_note(f"undo: {line}")


async def _list_undo(darkroom: Darkroom, marked: Marked) -> list[str]:
    """The commands that undo it; none where that would be too many."""
    if marked.changed > _UNDO_SHOWN:
        return []
    lines = []
    for mark, numbers in marked.before:
        images = await darkroom.get_images(numbers)
        ids = [image.id[:8] for image in images]
        lines += write_commands(mark, ids, find_encoding(sys.stderr))
    return lines


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(rate)
    app.command()(favourite)
    app.command(cls=TagCommand)(tag)
    app.command()(note)
