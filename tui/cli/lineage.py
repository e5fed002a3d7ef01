"""The command about where an image came from and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from store.records import Image
from store.request import Request
from tui.cli.completing import complete_image
from tui.cli.inputs import read_count
from tui.cli.options import JsonOption
from tui.cli.run import find_encoding, open_darkroom, print_json, print_line, run_command
from tui.diff import describe_step
from tui.text import show_words
from tui.words import describe_origin, find_certainty, mark_verdict, show_moment

if TYPE_CHECKING:
    from store.lineage import Ancestry, Branch

DEPTH, BREADTH = 20, 20
DEPTH_MAXIMUM, BREADTH_MAXIMUM = 100, 500


class Guides(msgspec.Struct, frozen=True):
    """The signs that a tree is drawn with, three characters each but the pointer."""

    branch: str
    last: str
    line: str
    pointer: str
    has_unicode: bool


_UNICODE = Guides("├─ ", "└─ ", "│  ", "›", True)
_ASCII = Guides("|- ", "`- ", "|  ", ">", False)


def lineage(
    image: Annotated[
        str,
        typer.Argument(
            help="An id or its beginning; @1 is the newest.", autocompletion=complete_image
        ),
    ],
    depth: Annotated[
        str, typer.Option("--depth", metavar="INTEGER", help="Most generations below it.")
    ] = str(DEPTH),
    breadth: Annotated[
        str, typer.Option("--breadth", metavar="INTEGER", help="Most children of each image.")
    ] = str(BREADTH),
    as_json: JsonOption = False,
) -> None:
    """Print what an image came from and what came of it, as a tree, with what changed."""

    async def work() -> None:
        most = read_count("--depth", depth, 0, DEPTH_MAXIMUM)
        wide = read_count("--breadth", breadth, 1, BREADTH_MAXIMUM)
        async with open_darkroom() as darkroom:
            ancestry = await darkroom.find_ancestors(image)
            tree = await darkroom.read_tree(image, depth=most, breadth=wide)
            counts = await darkroom.count_children([each.id for each in ancestry.images])
            first = ancestry.images[-1] if ancestry.images else tree.image
        if as_json:
            document = _describe_line(ancestry, counts) | {
                "imported_from": _describe_file(first),
                "tree": _describe_branch(tree, ancestry.images[0] if ancestry.images else None),
            }
            print_json(document)
            return
        encoding = find_encoding(sys.stdout).lower().replace("_", "-")
        guides = _UNICODE if encoding.startswith("utf") else _ASCII
        for line in _draw(ancestry, tree, counts, describe_origin(first), guides):
            print_line(line)

    run_command(work(), as_json=as_json)


# As JSON


def _describe_file(image: Image) -> dict[str, str] | None:
    """The file that it was imported from, and whose metadata that had."""
    if image.imported is None:
        return None
    return {"file_name": image.imported.file_name, "dialect": image.imported.dialect}


def _describe_image(image: Image, parent: Image | None) -> dict[str, Any]:
    return {
        "id": image.id,
        "number": image.number,
        "seed": image.seed,
        "request_id": image.request_digest,
        "purpose": image.purpose.value,
        "relation": image.relation.value if image.relation else None,
        "parent_id": image.parent_id,
        "change": None if parent is None else describe_step(parent.request, image),
        "verdict": image.verdict.value if image.verdict else None,
    }


def _describe_line(ancestry: Ancestry, counts: dict[str, int]) -> dict[str, Any]:
    line = ancestry.images
    return {
        "ancestors": [
            _describe_image(image, parent) | {"children": counts[image.id]}
            for image, parent in zip(line, [*line[1:], None], strict=False)
        ],
        "has_more_ancestors": ancestry.has_more,
        "missing_parent": ancestry.missing,
        "is_ring": ancestry.is_ring,
    }


def _describe_branch(branch: Branch, parent: Image | None) -> dict[str, Any]:
    return _describe_image(branch.image, parent) | {
        "is_again": branch.is_again,
        "more": branch.more,
        "children": [_describe_branch(child, branch.image) for child in branch.children],
    }


# In lines


def _draw(
    ancestry: Ancestry, tree: Branch, counts: dict[str, int], origin: str, guides: Guides
) -> Iterator[str]:
    """The ancestors, the first one above, each a step further in, then the tree of the image."""
    if ancestry.has_more:
        yield "  (there are older ones)"
    if ancestry.is_ring:
        yield "  (a ring: the record of the next one is damaged, it came from one below)"
    if ancestry.missing is not None:
        yield f"  {ancestry.missing[:8]}  (not in the history)"
    parent: Request | None = None
    indent = ""
    for image in reversed(ancestry.images):
        yield "  " + indent + _draw_image(image, parent, origin, guides)
        indent = (" " * (len(indent) - 3) + "   " if indent else "") + guides.last
        if others := counts[image.id] - 1:
            more = " " * (len(indent) - 3) + guides.branch
            yield f"  {more}and {others:,} more from it"
        parent, origin = image.request, ""
    yield guides.pointer + " " + indent + _draw_image(tree.image, parent, origin, guides)
    yield from _draw_children(tree, "  " + " " * len(indent), guides)


def _draw_children(branch: Branch, indent: str, guides: Guides) -> Iterator[str]:
    for place, child in enumerate(branch.children, start=1):
        is_last = place == len(branch.children) and not branch.more
        again = "  (see above)" if child.is_again else ""
        line = _draw_image(child.image, branch.image.request, "", guides)
        yield indent + (guides.last if is_last else guides.branch) + line + again
        below = "   " if is_last else guides.line
        yield from _draw_children(child, indent + below, guides)
    if branch.more:
        yield f"{indent}{guides.last}and {branch.more:,} more"


def _draw_image(image: Image, parent: Request | None, origin: str, guides: Guides) -> str:
    """One image in one line: id, verdict mark, what changed, moment, the first prompt."""
    mark = mark_verdict(find_certainty(image).verdict, has_unicode=guides.has_unicode)
    said = origin
    if not said:
        said = describe_step(parent, image, has_unicode=guides.has_unicode)
    words = show_words(image)[:60]
    return f"{image.id[:8]} {mark} {said}  {show_moment(image.created_at)}  {words}"


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(lineage)
