"""What is said of images in the history: the keys, for the one under the cursor or all marked."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from functools import partial
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message

from store.errors import SafelightError
from store.records import Image, Mark, Marked
from tui.darkroom import Darkroom
from tui.history.list import HistoryList
from tui.history.mark_dialogs import EmptyingQuestion, NoteScreen, TagScreen
from tui.keys import Reasoned, Said
from tui.marks import describe_emptying, describe_mark
from tui.terminal.detect import get_display
from tui.words import count_things
from tui.work import start_work

NO_IMAGE = "There is no image here."

_KEPT = 50
"""How many marks can be undone."""

_AT_ONCE = 2000
"""Images that are changed between two looks at what is to be said of it."""

_TRASH = Mark(is_trashed=True)
_PUT_BACK = Mark(is_trashed=False)


class MarkDesk(Reasoned, Horizontal):
    """Holds list and record, and the keys that say something of images in the list.

    They are about all images that are marked there, else about the one under the cursor.
    """

    BINDING_GROUP_TITLE = "what is said of images"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "0",
            "rate(0)",
            "rate",
            tooltip="Rate the image 0 to 5; the same once more takes the rating away",
            key_display="0-5",
            id="mark.rate",
        ),
        *(Binding(str(rating), f"rate({rating})", show=False) for rating in range(1, 6)),
        Binding(
            "f",
            "favourite",
            "favourite",
            tooltip="Make the image a favourite, or one no longer",
            id="mark.favourite",
        ),
        Binding(
            "p",
            "keep",
            "keep",
            tooltip="Keep the image: make it a favourite and go to the next",
            id="mark.keep",
        ),
        Binding(
            "d,x,delete",
            "drop",
            "drop",
            tooltip="Put the image in the trash and go to the next",
            id="mark.drop",
        ),
        Binding("t", "tag", "tags", tooltip="Add tags or remove them", id="mark.tag"),
        Binding("n", "note", "note", tooltip="Write a note", id="mark.note"),
        Binding(
            "u",
            "undo",
            "undo",
            tooltip="Undo what was last said of images, the trash too",
            id="mark.undo",
        ),
        Binding(
            "b",
            "put_back",
            "put back",
            tooltip="Put the image back from the trash",
            id="mark.put_back",
        ),
        Binding(
            "E",
            "empty",
            "empty trash",
            tooltip="Empty the trash, after saying what that frees",
            id="mark.empty",
        ),
    ]

    class Changed(Message):
        """Something else is said of images."""

    def __init__(
        self,
        darkroom: Darkroom,
        history_list: HistoryList,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.darkroom = darkroom
        self._list = history_list
        self._undone: deque[list[Marked]] = deque(maxlen=_KEPT)
        self._is_at_work = False
        self._is_stopping = False

    @property
    def _image(self) -> Image | None:
        return self._list.image

    def why_not(self, action: str) -> str:
        """Why nothing can be said of images now."""
        if action not in (
            *("rate", "favourite", "keep", "drop", "tag", "note", "undo", "put_back", "empty"),
        ):
            return ""
        if reason := self.darkroom.explain_writing():
            return reason
        if self._is_at_work:
            return "Images are being changed; esc stops that."
        if action == "undo":
            return (
                "" if self._undone else "Nothing was said of images since the history was opened."
            )
        if action == "empty":
            return ""
        image = self._image
        if not self._list.selection and image is None:
            return NO_IMAGE
        if action == "put_back" and not self._list.selection and image and not image.is_trashed:
            return "This image is not in the trash; the search is:trashed shows those that are."
        if action in ("drop", "keep") and not self._list.selection and image and image.is_trashed:
            return "This image is in the trash; b puts it back."
        return ""

    # Keys

    async def action_rate(self, rating: int) -> None:
        """Rate the image, or take that rating away."""
        image = await self._read_image()
        is_again = not self._list.selection and image is not None and image.rating == rating
        await self._say_mark(Mark(rating=None if is_again else rating))

    async def action_favourite(self) -> None:
        """Make the image a favourite, or one no longer."""
        image = await self._read_image()
        await self._say_mark(Mark(is_favourite=not (image and image.is_favourite)))

    async def action_keep(self) -> None:
        """Make it a favourite and go to the next."""
        is_one = not self._list.selection
        await self._say_mark(Mark(is_favourite=True))
        if is_one:
            self._list.action_move(1)

    async def action_drop(self) -> None:
        """Put it in the trash; the next one comes under the cursor."""
        await self._say_mark(_TRASH)

    async def action_put_back(self) -> None:
        """Put it back from the trash."""
        await self._say_mark(_PUT_BACK)

    def action_tag(self) -> None:
        """Ask for the tags."""
        tags = sorted({tag for image in self._list.list_marked_in_sight() for tag in image.tags})

        async def take(mark: Mark | None) -> None:
            if mark is not None:
                await self._say_mark(mark)

        list_tags = partial(self.darkroom.list_tags, limit=20)
        self.app.push_screen(TagScreen(f"tags of {self._name_target()}", tags, list_tags), take)

    def action_note(self) -> None:
        """Ask for the note."""
        image = self._image
        text = image.note or "" if image is not None and not self._list.selection else ""

        async def take(note: str | None) -> None:
            if note is not None:
                await self._say_mark(Mark(note=note))

        self.app.push_screen(NoteScreen(f"note to {self._name_target()}", text), take)

    def _name_target(self) -> str:
        if self._list.selection:
            return count_things(self._list.count_marked(), "marked image")
        return self._image.id[:8] if self._image else "no image"

    # Doing it

    async def _read_image(self) -> Image | None:
        """The image under the cursor as it is now: the list may still show it as it was."""
        if (image := self._image) is None:
            return None
        with contextlib.suppress(SafelightError):
            return next(iter(await self.darkroom.get_images([image.number])), image)
        return image

    async def _say_mark(self, mark: Mark) -> None:
        if self._is_at_work:
            return
        if self._list.selection:
            self._begin_work()
            start_work(self, partial(self._mark_many, mark), "marks")
            return
        if (image := self._image) is None:
            return
        try:
            marked = await self.darkroom.mark_images([image.number], mark)
        except SafelightError as error:
            self._tell(str(error))
            return
        if marked.changed:
            self._undone.append([marked])
        said = describe_mark(mark, has_unicode=get_display(self.app).has_unicode)
        self._tell(f"{image.id[:4]}: {said}. u undoes it.")
        await self._look()

    async def _mark_many(self, mark: Mark) -> None:
        """Mark a few hundred at a time, so that the screen goes on and esc can stop it."""
        said = describe_mark(mark, has_unicode=get_display(self.app).has_unicode)
        total = self._list.count_marked()
        done: list[Marked] = []
        found = 0
        is_stopped = False
        try:
            async for numbers in self._list.read_marked(_AT_ONCE):
                marked = await self.darkroom.mark_images(numbers, mark)
                found += marked.found
                if marked.changed:
                    done.append(marked)
                if is_stopped := self._is_stopping:
                    break
                self._tell(f"{said}: {found:,} of {count_things(total, 'image')}; esc stops.")
        except SafelightError as error:
            is_stopped = True
            self._tell(str(error))
        else:
            end = "Stopped: " if is_stopped else ""
            self._tell(f"{end}{count_things(found, 'image')}: {said}. u undoes it.")
        finally:
            self._end_work()
        if done:
            self._undone.append(done)
        if mark.is_trashed is not msgspec.UNSET and not is_stopped and self.is_attached:
            await self._list.forget_marked()
        await self._look()

    async def action_undo(self) -> None:
        """Undo what was last said, beside the screen where it is much."""
        if self._is_at_work or not self._undone:
            return
        self._begin_work()
        done = self._undone.pop()
        if len(done) > 1:
            start_work(self, partial(self._undo, done), "marks")
        else:
            await self._undo(done)

    async def _undo(self, done: list[Marked]) -> None:
        count = 0
        try:
            while done:
                count += await self.darkroom.undo_marks(done[-1])
                done.pop()
                if self._is_stopping:
                    break
                if len(done) > 1:
                    self._tell(f"Undoing: {count_things(count, 'image')} so far; esc stops.")
        except SafelightError as error:
            self._tell(str(error))
        else:
            self._tell(f"Undone: {count_things(count, 'image')}.")
        finally:
            self._end_work()
        if done:
            self._undone.append(done)
        await self._look(is_new=True)

    def stop(self) -> bool:
        """End what changes many images; whether something did."""
        self._is_stopping = self._is_at_work
        return self._is_stopping

    def _begin_work(self) -> None:
        self._is_at_work, self._is_stopping = True, False
        self.refresh_bindings()

    def _end_work(self) -> None:
        self._is_at_work = self._is_stopping = False
        if self.is_attached:
            self.refresh_bindings()

    async def _look(self, *, is_new: bool = False) -> None:
        """Show what changed, at once; `is_new`: images may have come back to the list."""
        if not self.is_attached:
            return
        await (self._list.open_again() if is_new else self._list.refresh_images())
        self.post_message(self.Changed())

    # The end of the trash

    async def action_empty(self) -> None:
        """Ask, with what it frees, then empty the trash beside the screen."""
        try:
            plan = await self.darkroom.plan_emptying()
        except SafelightError as error:
            self._tell(str(error))
            return
        sentences = describe_emptying(plan, is_plan=True)
        if not plan.images and not plan.records:
            self._tell(" ".join(sentences))
            return

        def take(is_wanted: bool | None) -> None:
            if is_wanted and not self._is_at_work:
                self._begin_work()
                start_work(self, self._empty, "marks")

        self.app.push_screen(EmptyingQuestion(sentences), take)

    async def _empty(self) -> None:
        loop = asyncio.get_running_loop()

        def tell(done: int) -> bool:
            loop.call_soon_threadsafe(self._tell_emptied, done)
            return not self._is_stopping

        try:
            done = await self.darkroom.empty_trash(tell)
        except SafelightError as error:
            self._tell(str(error))
        else:
            self._undone.clear()
            self._tell(" ".join(describe_emptying(done, is_plan=False)))
        finally:
            self._end_work()
        self._list.clear_marks()
        await self._look(is_new=True)

    def _tell_emptied(self, done: int) -> None:
        if self._is_at_work:
            self._tell(f"Emptying the trash: {done:,} done; esc stops.")

    def _tell(self, text: str) -> None:
        if self.is_attached:
            self.post_message(Said(text))
