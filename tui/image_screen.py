"""A screen on which one image is meant, and what can be done with it there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen

from engines.resolve import UpscaleChoices
from store.errors import NotFound, SafelightError
from store.metadata.choices import FileChoices
from store.records import Draft, Image, Job, Purpose
from tui.abilities import FACTOR, Upscaler
from tui.compose.draft import Parts
from tui.darkroom import Darkroom
from tui.dialogs import Choice, ChoiceScreen, PathScreen
from tui.keys import Reasoned, Said
from tui.paths import show_path
from tui.saving import make_folder, save_image
from tui.shell_command import show_prompt, write_command
from tui.terminal.clipboard import keep_copy
from tui.terminal.detect import get_display
from tui.text import clean_copy
from tui.widgets.key_line import KeyLine
from tui.words import count_things, find_certainty, write_seed
from tui.work import start_work

FOREIGN = "Another program made this image: enter loads what is known of it into the editor."
NO_IMAGE = "There is no image yet: generate one first."


class ImageScreen(Reasoned, Screen[None]):
    """The keys that act on `image`, the one that is meant: under the cursor, or shown.

    `draft` is the one in the editor: what is started from an image is decided by its engine.
    New jobs belong to `session`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v",
            "verify",
            "verify",
            tooltip="Verify this image: make it again and compare; the verdict is kept",
            id="image.verify",
        ),
        Binding(
            "r",
            "regenerate",
            "regenerate",
            tooltip="Regenerate this image as a child of it, and compare; restore one whose pixels "
            "were dropped",
            id="image.regenerate",
        ),
        Binding(
            "i",
            "start_from",
            "start from",
            tooltip="Start from this image: the next ones are drawn over it",
            id="image.start",
        ),
        Binding(
            "V",
            "vary",
            "vary",
            tooltip="Vary this image, as often as images says: a little of another seed mixed in",
            id="image.vary",
        ),
        Binding(
            "e",
            "enlarge",
            "larger",
            tooltip="Make this image larger: twice as wide and high",
            id="image.enlarge",
        ),
        Binding(
            "L",
            "choose_parts",
            "load",
            tooltip="Load into the editor what made this image: all, all but seed, prompts …",
            id="image.load",
        ),
        Binding(
            "c",
            "compare",
            "compare",
            tooltip="Compare it with the image that it came from or the one before; or two marked",
            id="image.compare",
        ),
        Binding(
            "A",
            "open_lineage",
            "lineage",
            tooltip="Lineage, its ancestry: what this image came from and what came of it",
            id="image.lineage",
        ),
        Binding(
            "z",
            "view",
            "whole screen",
            tooltip="The image on the whole screen: + - zoom, arrows pan, n p the next and the one "
            "before",
            id="image.view",
        ),
        Binding(
            "y",
            "copy_command",
            "copy command",
            tooltip="Copy the command that makes this image again",
            id="image.copy",
        ),
        Binding(
            "Y",
            "copy",
            "copy",
            tooltip="Copy the prompt, the seed, the id or the path of this image",
            show=False,
            id="image.copy_part",
        ),
        Binding(
            "s",
            "save",
            "save",
            tooltip="Save this image as a file with its record in it; asks for the folder once",
            id="image.save",
        ),
        Binding(
            "W",
            "save_to",
            "save to",
            tooltip="Save this image to another folder, and the next ones too",
            id="image.save_to",
        ),
    ]

    TAKES_BACK: ClassVar[str] = ""
    """What takes queued jobs back on this screen, in words; "" where nothing does."""

    image: var[Image | None] = var(None)
    draft: var[Draft] = var(Draft)

    class StartChosen(Message):
        """The next images shall start from `image`."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    class DraftLoaded(Message):
        """`parts` of `image` are wanted in the editor; see `Parts`."""

        def __init__(self, image: Image, parts: str) -> None:
            super().__init__()
            self.image = image
            self.parts = parts

    class LineageWanted(Message):
        """What `image` came from and what came of it shall be shown."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    class ComparisonWanted(Message):
        """Two images shall be compared: `one` leads to `other`; both are ids."""

        def __init__(self, one: str, other: str) -> None:
            super().__init__()
            self.one, self.other = one, other

    class JobsQueued(Message):
        """Jobs about `image` were queued."""

        def __init__(self, image: Image, jobs: list[Job]) -> None:
            super().__init__()
            self.image, self.jobs = image, jobs

    class QueuingFailed(Message):
        """Nothing was queued."""

        def __init__(self, error: SafelightError) -> None:
            super().__init__()
            self.error = error

    class ViewWanted(Message):
        """The image of `screen` shall be shown on the whole screen."""

        def __init__(self, screen: ImageScreen) -> None:
            super().__init__()
            self.screen = screen

    def __init__(self, darkroom: Darkroom, session: str | None = None) -> None:
        super().__init__()
        self.darkroom = darkroom
        self.session = session
        self._told: dict[str, str] = {}

    def watch_image(self) -> None:
        """Other things can be done with another image."""
        self.refresh_bindings()

    def why_not(self, action: str) -> str:
        """Why an action on the image cannot be run now."""
        image, darkroom = self.image, self.darkroom
        match action:
            case "copy" | "copy_command" | "choose_parts" | "open_lineage" | "compare" | "view":
                return "" if image is not None else NO_IMAGE
            case "save" | "save_to":
                return "" if image is not None or self.read_marked() is not None else NO_IMAGE
            case "verify" | "regenerate" | "start_from" | "vary" | "enlarge":
                if reason := darkroom.explain_writing():
                    return reason
                if image is None:
                    return NO_IMAGE
                if image.is_foreign and action in ("regenerate", "vary"):
                    return FOREIGN
        match action:
            case "start_from":
                return darkroom.why_no_start(self.draft.engine, self.draft.model)
            case "vary":
                return darkroom.why_no_vary(image)
            case "enlarge":
                return darkroom.why_no_enlarge(image)
        return ""

    def action_open_lineage(self) -> None:
        """Ask for the lineage of the image."""
        if self.image is not None:
            self.post_message(self.LineageWanted(self.image))

    def action_view(self) -> None:
        """Ask for the image on the whole screen."""
        self.post_message(self.ViewWanted(self))

    def step(self, images: int) -> bool:
        """Mean another image, so many further down or up; whether there is one."""
        return False

    def action_choose_parts(self) -> None:
        """Let the person choose what of the image goes into the editor."""
        if (image := self.image) is None:
            return

        def load(parts: str | None) -> None:
            if parts is not None:
                self.load_parts(image, parts)

        self.app.push_screen(ChoiceScreen(f"load of {image.id[:4]}", tuple(Parts)), load)

    def load_parts(self, image: Image, parts: str) -> None:
        """Ask for `parts` of `image` in the editor."""
        self.post_message(self.DraftLoaded(image, parts))

    def action_start_from(self) -> None:
        """Start the next images from this one."""
        if self.image is not None:
            self.post_message(self.StartChosen(self.image))

    async def action_verify(self) -> None:
        """Queue a verification."""
        if (image := self.image) is not None:
            await self.queue(image, self.darkroom.verify(image.id), f"Verifying {image.id[:4]}.")

    async def action_regenerate(self) -> None:
        """Queue a child that is made from the stored request, and compared.

        Of an image whose pixels were dropped, that these are made again.
        """
        if (image := self.image) is not None and image.is_thinned:
            work = self.darkroom.restore(image.id)
            await self.queue(image, work, f"Restoring {image.id[:4]}.")
        elif image is not None:
            work = self.darkroom.regenerate(image.id)
            await self.queue(image, work, f"Regenerating {image.id[:4]}.")

    async def action_vary(self) -> None:
        """Queue variations, as many as the draft wants images."""
        if (image := self.image) is not None:
            count = self.draft.images
            work = self.darkroom.vary(image, images=count, session=self.session)
            said = f"Varying {image.id[:4]}" + (f", {count} times." if count > 1 else ".")
            await self.queue(image, work, said)

    async def action_enlarge(self) -> None:
        """Let the person choose a model, and queue a larger one."""
        if (image := self.image) is None:
            return
        names = {
            _name_upscaler(upscaler): upscaler
            for upscaler in self.darkroom.upscalers(image.request.engine)
        }

        async def enlarge(chosen: str | None) -> None:
            if chosen is None:
                return
            upscaler = names[chosen]
            choices = UpscaleChoices(engine=upscaler.engine, model=upscaler.model, factor=FACTOR)
            work = self.darkroom.enlarge(image, choices, session=self.session)
            await self.queue(image, work, f"Making {image.id[:4]} larger.")

        size = f"{image.width * FACTOR} x {image.height * FACTOR}"
        dialog = ChoiceScreen(f"make {image.id[:4]} larger: {size}", tuple(names))
        self.app.push_screen(dialog, enlarge)

    async def action_compare(self) -> None:
        """Compare it with its parent, else with the image that was made before it."""
        if (image := self.image) is None:
            return
        try:
            one = await self._find_partner(image)
        except SafelightError as error:
            self.say(str(error))
            return
        if one is None:
            self.say("There is no image before this one to compare it with.")
        else:
            self.post_message(self.ComparisonWanted(one, image.id))

    async def _find_partner(self, image: Image) -> str | None:
        if image.parent_id is not None:
            with contextlib.suppress(NotFound):
                return (await self.darkroom.get_image(image.parent_id)).id
        before = await self.darkroom.find_neighbour(image, is_newer=False)
        return None if before is None else before.id

    async def action_copy_command(self) -> None:
        """Hand the command to the terminal's clipboard."""
        if (image := self.image) is None:
            return
        encoding = "utf-8" if get_display(self.app).has_unicode else "ascii"
        try:
            command = await write_command(self.darkroom, image, encoding)
        except SafelightError as error:
            self.say(str(error))
            return
        await self._copy("the command", command)

    async def action_copy(self) -> None:
        """Let the person choose what of the image is copied."""
        if (image := self.image) is None:
            return
        texts = {
            Choice("prompts", "a line each, with weights"): "\n".join(
                clean_copy(show_prompt(prompt)) for prompt in image.request.stack.active
            ),
            Choice("seed", write_seed(image)): write_seed(image),
            Choice("id", image.id): image.id,
            Choice("path", "of the image file"): clean_copy(str(image.path)),
            Choice("command", "that makes the image again"): "",
        }

        async def copy(chosen: str | None) -> None:
            if chosen == "command":
                await self.action_copy_command()
            elif chosen is not None:
                found = next(text for choice, text in texts.items() if choice.value == chosen)
                await self._copy(f"the {chosen}", found)

        self.app.push_screen(ChoiceScreen(f"copy of {image.id[:4]}", tuple(texts)), copy)

    async def _copy(self, what: str, text: str) -> None:
        """To the clipboard of the terminal, and to a file, as nobody knows whether it has one."""
        self.app.copy_to_clipboard(text)
        try:
            path = await asyncio.to_thread(keep_copy, text, self.darkroom.directory)
        except SafelightError as error:
            self.say(f"Sent {what} to the terminal's clipboard only: {error}")
            return
        self.say(f"Sent {what} to the terminal's clipboard, and to {show_path(path)}")

    async def action_save(self) -> None:
        """Save what is meant where the last one was saved, else ask where."""
        image = self.image
        try:
            folder = await self.darkroom.get_export_folder()
            if folder is not None:
                self.say(await self._save(Path(folder), image))
                return
        except SafelightError as error:
            self.say(str(error))
            return
        self._ask_folder("~/", image)

    async def action_save_to(self) -> None:
        """Ask where to save what is meant."""
        image = self.image
        try:
            folder = await self.darkroom.get_export_folder()
        except SafelightError as error:
            self.say(str(error))
            return
        self._ask_folder("~/" if folder is None else f"{folder}/", image)

    def read_marked(self) -> AsyncIterator[list[int]] | None:
        """The numbers of images that are meant together, some at a time; None for the one alone."""
        return None

    def _ask_folder(self, start: str, image: Image | None) -> None:
        said: list[str] = []

        async def take(folder: Path) -> None:
            folder = await asyncio.to_thread(folder.absolute)
            await asyncio.to_thread(make_folder, folder)
            said.append(await self._save(folder, image))
            await self.darkroom.remember_export_folder(folder)

        def tell(_: None) -> None:
            """Where it is: on this screen, which is covered until then."""
            if said:
                self.say(said[-1])

        marked = self.read_marked()
        if marked is None and image is None:
            return
        what = "the marked images" if marked is not None or image is None else image.id[:4]
        title = f"save {what} to a folder"
        wanted = "A folder; it is made where there is none. s saves there from then on."
        dialog = PathScreen(title, start, take, wanted=wanted, example="~/pictures")
        self.app.push_screen(dialog, tell)

    async def _save(self, folder: Path, image: Image | None) -> str:
        """Write what is meant, with records, and return what to say. Raises `SafelightError`."""
        if (marked := self.read_marked()) is not None:
            start_work(self, partial(self._save_many, folder, marked), "saving")
            return f"Saving into {folder}"
        return "" if image is None else f"Saved as {await self._write(folder, image)}"

    async def _save_many(self, folder: Path, marked: AsyncIterator[list[int]]) -> None:
        """Write many beside the screen."""
        saved = 0
        try:
            async for numbers in marked:
                for image in await self.darkroom.get_images(numbers):
                    await self._write(folder, image)
                    saved += 1
                    self.say(f"Saved {count_things(saved, 'image')} in {folder}")
        except SafelightError as error:
            self.say(f"Saved {count_things(saved, 'image')}, then: {error}")

    async def _write(self, folder: Path, image: Image) -> Path:
        made = await self.darkroom.make_file(image.id, FileChoices())
        return await asyncio.to_thread(save_image, folder, image, made)

    # What is said of it

    def say(self, text: str) -> None:
        """Show `text` in the last line until the next key."""
        self.post_message(Said(text))

    def tell(self, job: Job, text: str) -> None:
        """Show `text` until `job` has ended, or until the next key."""
        self._told[job.id] = text
        self.say(text)

    async def queue(self, image: Image, work: Awaitable[Job | list[Job] | None], said: str) -> None:
        """Queue what `work` queues, and say `said` until it has ended or until the next key."""
        try:
            queued = await work
        except SafelightError as error:
            self.post_message(self.QueuingFailed(error))
            return
        if self.TAKES_BACK:
            said = f"{said.rstrip('.')}; {self.TAKES_BACK}."
        jobs = queued if isinstance(queued, list) else [queued] if queued is not None else []
        for job in jobs:
            self.tell(job, said)
        self.post_message(self.JobsQueued(image, jobs))

    async def end_told(self) -> None:
        """End what was said of jobs that have ended; say of one made again whether it is the same.

        Call it when something changed. Raises `SafelightError`.
        """
        for job_id, text in list(self._told.items()):
            try:
                job = await self.darkroom.get_job(job_id)
            except NotFound:
                del self._told[job_id]
                continue
            if not job.state.is_final:
                continue
            self._told.pop(job_id, None)
            if text not in self._told.values():
                for line in self.query(KeyLine):  # None once the screen was left.
                    line.unsay(text)
            if job.purpose is Purpose.REGENERATE and job.image_id is not None:
                child = await self.darkroom.get_image(job.image_id)
                self.say(f"{child.id[:4]} is {find_certainty(child).words}.")
            elif job.purpose is Purpose.RESTORE and job.warning:
                self.say(job.warning)

    @on(QueuingFailed)
    def _say_why(self, event: QueuingFailed) -> None:
        self.say(str(event.error))


def _name_upscaler(upscaler: Upscaler) -> str:
    cost = ", may cost money" if upscaler.is_paid else ""
    return f"{upscaler.engine}: {upscaler.model}{cost}"
