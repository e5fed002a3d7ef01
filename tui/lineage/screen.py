"""The lineage of an image: a tree to walk, and the image under the cursor beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Tree

from store.errors import SafelightError
from store.records import Draft, Image
from tui.darkroom import Darkroom
from tui.image_screen import ImageScreen
from tui.lineage.tree import Entry, LineageTree
from tui.terminal.detect import get_display
from tui.text import show_first_prompt, show_safely
from tui.widgets.cell import Cell
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.words import find_certainty, show_moment, write_size
from tui.work import start_work


class LineageScreen(ImageScreen):
    """What `subject` came from and what came of it.

    `image` is the one under the cursor, None on a line that stands for several. `draft` is the
    one in the editor, `session` the one that new jobs belong to, `keymap` holds keys by binding
    id.
    """

    CSS_PATH = "lineage.tcss"
    BINDING_GROUP_TITLE = "in the lineage"
    LEADING: ClassVar[tuple[str, ...]] = (
        "lineage.open",
        "lineage.leave",
        "lineage.toggle",
        "image.compare",
        "help",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", tooltip="Go back", id="lineage.leave"),
    ]

    class ImageOpened(Message):
        """`image` shall be shown in the history."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    def __init__(
        self,
        darkroom: Darkroom,
        subject: Image,
        draft: Draft,
        session: str | None = None,
        keymap: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(darkroom, session)
        self.set_reactive(ImageScreen.draft, draft)
        self._subject = subject
        self._is_open = False
        self._shown_id: str | None = None
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.tree_view = LineageTree(darkroom, id="lineage-tree")
        self._picture = Picture(id="lineage-picture")
        self._facts = Cell(id="lineage-facts")
        self._right = Vertical(self._picture, self._facts, id="lineage-right")
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """The tree, the image, and one line for keys and messages."""
        with Horizontal(id="lineage-body"):
            yield self.tree_view
            yield self._right
        yield self._keys

    def on_mount(self) -> None:
        """Read the line."""
        self.tree_view.focus()
        self._take_subject(self._subject)

    def _take_subject(self, image: Image) -> None:
        self._subject, self._is_open = image, False
        self.tree_view.border_title = f"lineage of {image.id[:8]}"
        start_work(self, self.update, "update", is_exclusive=True)

    async def update(self) -> None:
        """Show what others changed; the first time, read the line."""
        try:
            if self._is_open:
                await self.tree_view.update_images()
                await self.end_told()
            else:
                await self.tree_view.open(self._subject)
                self._is_open = True
        except SafelightError as error:
            self.say(str(error))
        self._take(self.tree_view.node.data)

    @on(LineageTree.Failed)
    def _say_failure(self, event: LineageTree.Failed) -> None:
        self.say(str(event.error))

    @on(Tree.NodeHighlighted)
    def _follow_cursor(self, event: Tree.NodeHighlighted[Entry]) -> None:
        event.stop()
        # The event may be about a tree that has been replaced since.
        self._take(self.tree_view.node.data)

    def _take(self, entry: Entry | None) -> None:
        """Another line is under the cursor."""
        self.image = None if entry is None else entry.image
        self._facts.put(self._describe(entry), resizes=True)
        shown = None if self.image is None else self.image.id
        if shown != self._shown_id:
            self._shown_id = shown
            start_work(self, self._show_picture, "picture", is_exclusive=True)

    async def _show_picture(self) -> None:
        if (image := self.image) is None:
            self._picture.show_image(None)
            return
        try:
            data = await self.darkroom.read_image(image)
        except SafelightError as error:
            self._picture.show_image(None, caption=str(error))
        else:
            self._picture.show_image(data, caption=show_first_prompt(image.request))

    def _describe(self, entry: Entry | None) -> Content:
        if entry is None:
            return Content("")
        if entry.image is None:
            return Content.styled(f"{entry.more:,} more: enter reads the next", "$role-quiet")
        image = entry.image
        dot = get_display(self.app).glyphs.dot
        facts = (
            f"seed {image.seed}",
            write_size(image.width, image.height),
            find_certainty(image).words,
            show_moment(image.created_at),
        )
        return Content.assemble(
            show_safely(entry.said),
            "\n",
            (show_first_prompt(image.request)[:200], "$role-quiet"),
            "\n",
            (show_safely(f" {dot} ".join(facts)), "$role-quiet"),
        )

    # Acts

    def why_not(self, action: str) -> str:
        """Why something cannot be done on this line."""
        if action == "open_lineage" and self.image and self.image.id == self._subject.id:
            return "This is the lineage of that image."
        return super().why_not(action)

    @on(LineageTree.Chosen)
    def _open_image(self, event: LineageTree.Chosen) -> None:
        event.stop()
        self.post_message(self.ImageOpened(event.image))

    def step(self, images: int) -> bool:
        """Move the cursor so many lines down the tree."""
        before = self.tree_view.cursor_line
        self.tree_view.cursor_line += images
        return self.tree_view.cursor_line != before

    def action_open_lineage(self) -> None:
        """Begin anew with the image under the cursor."""
        if self.image is not None:
            self._take_subject(self.image)

    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss()
