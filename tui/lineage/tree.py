"""The tree of an image: what it came from above it, what came of it below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from store.errors import SafelightError
from store.records import Image
from tui.darkroom import Darkroom
from tui.diff import describe_step
from tui.keys import bind_move
from tui.terminal.detect import get_display
from tui.text import show_first_prompt, show_safely
from tui.widgets.text_lines import mark_classes
from tui.words import ROLES, describe_origin, find_certainty, mark_verdict
from tui.work import start_work

if TYPE_CHECKING:
    from store.lineage import Ancestry

CHILDREN_READ = 50
"""How many children of an image are read at once."""

NODES_MAXIMUM = 2000
"""Most lines of the tree: from there on nothing more is opened in it."""

_ASCII_LINES = ("  ", "| ", "`-", "|-")
_WORDS_SHOWN = 80


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tree.

    `image`, and `said`: how it came from the one above and what changed. Without an image it
    stands for `more` children of `parent_id` that are not read, those with numbers over `after`.
    """

    image: Image | None = None
    said: str = ""
    is_subject: bool = False
    is_again: bool = False
    parent_id: str = ""
    more: int = 0
    after: int = 0


Node = TreeNode[Entry]


class LineageTree(Tree[Entry], inherit_bindings=False):
    """Images by what they came from; what came of one is read when it is opened.

    The image that the tree is about is marked. A ring, which a damaged record can make, is walked
    once.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lineage--quiet", "lineage--subject", *mark_classes()}
    BINDING_GROUP_TITLE = "in the tree"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind_move("up,k", "cursor_up", "lineage.up", "Go to the line above"),
        bind_move("down,j", "cursor_down", "lineage.down", "Go to the line below"),
        bind_move("left", "go_up", "lineage.parent", "Close the image, else go to its parent"),
        bind_move("right", "go_into", "lineage.child", "Open the image, else go to its first"),
        bind_move("pageup", "page_up", "lineage.page_up", "Go a page up"),
        bind_move("pagedown", "page_down", "lineage.page_down", "Go a page down"),
        bind_move("home,g", "scroll_home", "lineage.top", "Go to the first of the line"),
        bind_move("end,G", "scroll_end", "lineage.end", "Go to the last line"),
        Binding(
            "enter",
            "choose",
            "in history",
            tooltip="Show this image in the history; read the next ones where it says how many",
            id="lineage.open",
        ),
        Binding(
            "space",
            "toggle_node",
            "open",
            tooltip="Open or close what came of this image",
            id="lineage.toggle",
        ),
    ]

    class Chosen(Message):
        """The image under the cursor shall be shown."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    class Failed(Message):
        """The history could not be read."""

        def __init__(self, error: SafelightError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, darkroom: Darkroom, *, id: str) -> None:  # noqa: A002
        super().__init__("", id=id)
        self._darkroom = darkroom
        self.auto_expand = False
        self.guide_depth = 3

    def on_mount(self) -> None:
        """Take signs that the terminal has."""
        if not get_display(self.app).has_unicode:
            self.LINES = dict.fromkeys(Tree.LINES, _ASCII_LINES)
            self.ICON_NODE, self.ICON_NODE_EXPANDED = "+ ", "- "

    @property
    def _has_unicode(self) -> bool:
        return get_display(self.app).has_unicode

    @property
    def node(self) -> Node:
        """The line under the cursor.

        Textual's own `cursor_node` is not set while the cursor stays on the first line.
        """
        return self.get_node_at_line(self.cursor_line) or self.root

    # Content

    async def open(self, image: Image) -> None:
        """Show the line of `image` upwards, and its children. Raises `SafelightError`."""
        darkroom = self._darkroom
        ancestry = await darkroom.find_ancestors(image.id)
        image = next(iter(await darkroom.list_by_id([image.id])), image)
        line = [*reversed(ancestry.images), image]
        counts = await darkroom.count_children([each.id for each in line])
        origins = await darkroom.list_origins([line[0].number])
        self.clear()
        first = describe_origin(line[0], origins.get(line[0].number))
        said = _describe_beginning(ancestry, line[0]) or first
        node = self.root
        for place, each in enumerate(line):
            entry = Entry(image=each, said=said, is_subject=each.id == image.id)
            if place == 0:
                node.data = entry
            else:
                node = node.add("", entry)
            if place + 1 < len(line):
                node.expand()
                said = describe_step(each.request, line[place + 1], has_unicode=self._has_unicode)
        self._close_open_ends(line, counts)
        node.allow_expand = bool(counts[image.id])
        await self._read(node)
        node.expand()
        if self.last_line >= 0:  # The lines are numbered when they are asked for.
            self.move_cursor(node)

    def _close_open_ends(self, line: Sequence[Image], counts: dict[str, int]) -> None:
        """Say below each ancestor how much else came of it."""
        node = self.root
        for each in line[:-1]:
            if others := counts[each.id] - 1:
                self._add_more(node, each.id, others, 0)
            node = node.children[0]

    def _add_more(self, node: Node, parent_id: str, more: int, after: int) -> None:
        entry = Entry(parent_id=parent_id, more=more, after=after)
        node.add_leaf("", entry)

    async def _read(self, node: Node, after: int = 0) -> None:
        """Add the next children of a node that are not there yet, and how many are left."""
        entry = node.data
        if entry is None or entry.image is None or entry.is_again:
            return
        image = entry.image
        for own in [own for own in node.children if own.data and not own.data.image]:
            own.remove()
        found = await self._darkroom.list_children(image.id, after, CHILDREN_READ)
        ids = {each.id for each in self.list_images()}
        room = max(0, NODES_MAXIMUM - len(ids))
        counts = await self._darkroom.count_children([child.id for child in found])
        total = (await self._darkroom.count_children([image.id]))[image.id]
        for child in found[:room]:
            if self._has_child(node, child.id):
                continue
            is_again = child.id in ids
            said = describe_step(image.request, child, has_unicode=self._has_unicode)
            added = node.add("", Entry(image=child, said=said, is_again=is_again))
            added.allow_expand = bool(counts[child.id]) and not is_again
        shown = sum(1 for own in node.children if own.data and own.data.image)
        last = found[-1].number if found else after
        if total > shown and room:
            self._add_more(node, image.id, total - shown, last)
        node.allow_expand = total > 0

    def _has_child(self, node: Node, image_id: str) -> bool:
        """Whether a child of `node` shows the image."""
        images = [own.data.image for own in node.children if own.data]
        return any(image is not None and image.id == image_id for image in images)

    def list_nodes(self) -> Iterator[Node]:
        """All nodes that are read, from above."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)

    def list_images(self) -> list[Image]:
        """The images that are read."""
        return [node.data.image for node in self.list_nodes() if node.data and node.data.image]

    async def update_images(self) -> None:
        """Show what others changed or added. Raises `SafelightError`."""
        images = self.list_images()
        fresh = {
            image.id: image
            for image in await self._darkroom.list_by_id([image.id for image in images])
        }
        counts = await self._darkroom.count_children(list(fresh))
        for node in list(self.list_nodes()):
            entry = node.data
            if entry is None or entry.image is None:
                continue
            now = fresh.get(entry.image.id)
            if now is not None and now != entry.image:
                node.data = msgspec.structs.replace(entry, image=now)
                node.refresh()
            count = counts.get(entry.image.id, 0)
            if not entry.is_again and count:
                await self._follow(node, count)

    async def _follow(self, node: Node, count: int) -> None:
        """Add the children of an opened node that came since."""
        node.allow_expand = True
        known = sum(
            1 if child.data.image else child.data.more for child in node.children if child.data
        )
        if node.children and count > known and node.data and node.data.image:
            shown = [own.data.image.number for own in node.children if own.data and own.data.image]
            rest = [own.data.after for own in node.children if own.data and not own.data.image]
            await self._read(node, min(rest) if rest else max(shown, default=0))
        elif not node.children and node.data and node.data.is_subject:
            await self._read(node)
            node.expand()

    # Moves

    def _load(self, node: Node, after: int = 0, place: int | None = None) -> None:
        async def load() -> None:
            try:
                await self._read(node, after)
            except SafelightError as error:
                self.post_message(self.Failed(error))
                return
            if place is not None and place < len(node.children) and self.last_line >= 0:
                self.move_cursor(node.children[place])
            # Where the cursor stays on its line, another image is under it all the same.
            self.post_message(self.NodeHighlighted(self.node))

        start_work(self, load, "children")

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Entry]) -> None:
        """Read what came of an image when it is opened the first time."""
        event.stop()
        if event.node.data and event.node.data.image and not event.node.children:
            self._load(event.node)

    def read_more(self) -> bool:
        """Read the children that the line under the cursor stands for; whether it does."""
        node = self.node
        if node.data is None or node.data.image or node.parent is None:
            return False
        self._load(node.parent, node.data.after, list(node.parent.children).index(node))
        return True

    def action_choose(self) -> None:
        """Tell that the image under the cursor shall be shown, or read the next ones."""
        entry = self.node.data
        if entry is not None and entry.image is not None:
            self.post_message(self.Chosen(entry.image))
        else:
            self.read_more()

    def watch_cursor_line(self, previous_line: int, line: int) -> None:
        """Keep what a deep line says in sight too."""
        super().watch_cursor_line(previous_line, line)
        depth, node = 0, self.node
        while node.parent is not None:
            depth, node = depth + 1, node.parent
        indent = depth * self.guide_depth
        self.scroll_to(x=max(0, indent - self.size.width // 3), animate=False)

    def action_go_up(self) -> None:
        """Close the image under the cursor, else go to its parent."""
        node = self.node
        if node.is_expanded and node.children:
            node.collapse()
        elif node.parent is not None:
            self.move_cursor(node.parent)

    def action_go_into(self) -> None:
        """Open the image under the cursor, else go to the first that came of it."""
        node = self.node
        if self.read_more():
            return
        if node.allow_expand and not node.is_expanded:
            node.expand()
        elif node.children:
            self.move_cursor(node.children[0])

    # Drawing

    def render_label(self, node: Node, base_style: Style, style: Style) -> Text:
        """One image in one line: id, verdict mark, what changed, the first prompt."""
        entry = node.data
        if entry is None:
            return Text("")
        quiet = style + self.get_component_rich_style("lineage--quiet", partial=True)
        if entry.image is None:
            return Text(f"and {entry.more:,} more", quiet)
        image = entry.image
        icon = "  "
        if node.allow_expand:
            icon = self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
        verdict = find_certainty(image).verdict
        mark = self.get_component_rich_style(f"verdict--{ROLES[verdict]}", partial=True)
        subject = self.get_component_rich_style("lineage--subject", partial=True)
        words = show_first_prompt(image.request)[:_WORDS_SHOWN]
        again = " (stands above already)" if entry.is_again else ""
        return Text.assemble(
            (icon, quiet),
            (image.id[:8], style + subject if entry.is_subject else style),
            " ",
            (mark_verdict(verdict, has_unicode=self._has_unicode), style + mark),
            (f"{again} {show_safely(entry.said)}", style),
            (f"  {words}", quiet),
        )


def _describe_beginning(ancestry: Ancestry, first: Image) -> str:
    """Why the line does not begin with an image that came from none; "" where it does."""
    if ancestry.has_more:
        return f"from {(first.parent_id or '')[:8]}, and older ones"
    if ancestry.is_ring:
        return f"from {(first.parent_id or '')[:8]}, which is below: a record is damaged"
    if ancestry.missing is not None:
        return f"from {ancestry.missing[:8]}, which is not in the history"
    return ""
