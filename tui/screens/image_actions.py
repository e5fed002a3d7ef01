"""What begins with an image: starting from it, masks, variations, making it larger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
from textual.screen import Screen

from engines.resolve import UpscaleChoices
from store.errors import SafelightError, StoreError
from store.records import Draft, Image
from tui import origins
from tui.abilities import FACTOR, Abilities, Upscaler
from tui.darkroom import Darkroom
from tui.desk import Desk
from tui.glyphs import Glyphs
from tui.keeper import Keeper, read_place
from tui.mask import MaskCanvas
from tui.paths import read_image_file
from tui.screens.choice import ChoiceScreen
from tui.screens.making import Making
from tui.screens.path import PathScreen
from tui.widgets.parameter_list import ParameterList


class OpenScreen(Protocol):
    """Shows a screen above, and hands on what it gives."""

    def __call__(
        self, screen: Screen[Any], callback: Callable[[Any], Awaitable[None]] | None = None
    ) -> object:
        """Show it."""
        ...


PAINT, TAKE_FILE, NO_MASK = "paint it", "take it from a file", "no mask"
PAINTED = "painted"


class ImageActions:
    """Changes what the draft on the desk starts from, and queues what is made of an image.

    `get_image` gives the image that is meant. `refresh` shows the draft after a change, `say`
    tells the person something, `open_screen` shows a screen above.
    """

    def __init__(
        self,
        darkroom: Darkroom,
        desk: Desk,
        keeper: Keeper,
        making: Making,
        view: ParameterList,
        get_image: Callable[[], Image | None],
        refresh: Callable[[], Awaitable[None]],
        say: Callable[[str], None],
        open_screen: OpenScreen,
        glyphs: Glyphs,
    ) -> None:
        self._glyphs = glyphs
        self._darkroom = darkroom
        self._desk = desk
        self._keeper = keeper
        self._making = making
        self._view = view
        self._get_image = get_image
        self._refresh = refresh
        self._say = say
        self._open_screen = open_screen
        self._shown: str | None = None

    # The initial image

    async def start(self, _: str) -> None:
        """Start from the image that is meant."""
        if (image := self._get_image()) is not None:
            await self.start_from(image)

    async def start_from(self, image: Image) -> None:
        """Put a past image into the draft as its initial image; `u` takes it out."""
        try:
            found = await self._darkroom.add_input(await self._darkroom.read_image(image))
        except SafelightError as error:
            self._say(str(error))
            return
        draft = origins.start_from(self._desk.draft, found.sha256, image.id[:8], image)
        self._desk.change(
            self._fit_size(draft, (found.width, found.height)), f"starting from {image.id[:4]}"
        )
        await self._refresh()
        self._say(f"The next images start from {image.id[:4]}; u takes it back.")

    def _fit_size(self, draft: Draft, size: tuple[int, int]) -> Draft:
        """The draft with the size of its initial image, where the engine makes that size."""
        context = self._keeper.get_context(draft)
        if context is None or not context.capabilities.for_model(draft.model).sizes.accepts(size):
            return draft
        return msgspec.structs.replace(draft, width=size[0], height=size[1])

    async def start_from_file(self, _: str) -> None:
        """Ask for an image file and start from it."""
        await self.open_file("from")

    async def open_file(self, field: str) -> None:
        """Ask for what belongs into `field`: an image file, or a mask."""
        if field == "mask":
            await self.choose_mask("")
        else:
            self._ask_path("start from an image file", self._take_file)

    def _ask_path(self, title: str, take: Callable[[Path], Awaitable[None]]) -> None:
        async def take_and_remember(path: Path) -> None:
            await take(path)
            self._desk.set_place(folder=f"{path.parent}/")
            await self._refresh()

        start = read_place(self._desk.draft, "folder")
        self._open_screen(PathScreen(title, start, take_and_remember))

    async def _take_file(self, path: Path) -> None:
        data = await asyncio.to_thread(read_image_file, path)
        found = await self._darkroom.add_input(data)
        draft = origins.start_from(self._desk.draft, found.sha256, path.name)
        draft = self._fit_size(draft, (found.width, found.height))
        self._desk.change(draft, f"starting from {path.name}")
        self._say(f"The next images start from {path.name}; u takes it back.")

    @property
    def is_behind(self) -> bool:
        """Whether another initial image is shown than the draft has."""
        initial = self._desk.draft.initial_image
        return (None if initial is None else initial.sha256) != self._shown

    async def show_origin(self) -> None:
        """Show the initial image of the draft, small, and its size."""
        initial = self._desk.draft.initial_image
        sha256 = None if initial is None else initial.sha256
        self._shown, data = sha256, None
        if sha256 is not None:
            try:
                await self._keeper.learn_size(sha256)
                data = await self._darkroom.read_input(sha256)
            except SafelightError as error:
                self._view.explain("from", str(error))
        if self._shown == sha256:
            self._view.show_origin(data)
            await self._refresh()

    # The mask

    async def choose_mask(self, _: str) -> None:
        """Let the person choose where the mask comes from."""
        if self._desk.draft.initial_image is None:
            return
        choices = (PAINT, TAKE_FILE, *((NO_MASK,) if self._desk.draft.mask else ()))
        self._open_choice("mask", choices, self._make_mask)

    def _open_choice(
        self, title: str, choices: tuple[str, ...], take: Callable[[str], Awaitable[None]]
    ) -> None:
        async def enter(chosen: str | None) -> None:
            if chosen is not None:
                await take(chosen)

        self._open_screen(ChoiceScreen(title, choices, choices[0]), enter)

    async def _make_mask(self, how: str) -> None:
        if how == PAINT:
            await self._paint_mask()
        elif how == TAKE_FILE:
            self._ask_path("mask: black is made anew, white stays", self._take_mask)
        else:
            self._desk.change(msgspec.structs.replace(self._desk.draft, mask=None), "the mask")
            await self._refresh()

    async def _paint_mask(self) -> None:
        """Paint over the initial image, going on from the mask that there is."""
        from tui.screens.mask import MaskScreen

        initial, mask = self._desk.draft.initial_image, self._desk.draft.mask
        if initial is None:
            return
        try:
            data = await self._darkroom.read_input(initial.sha256)
            size = await self._keeper.learn_size(initial.sha256)
            past = None if mask is None else await self._darkroom.read_input(mask.sha256)
            canvas = await asyncio.to_thread(MaskCanvas, *size, past)
        except SafelightError as error:
            self._say(str(error))
            return
        if mask is not None and mask.replaces == "white":
            canvas.invert()

        async def take(png: bytes) -> None:
            await self.set_mask(png, PAINTED)

        self._open_screen(MaskScreen(data, canvas, self._glyphs, take))

    async def _take_mask(self, path: Path) -> None:
        await self.set_mask(await asyncio.to_thread(read_image_file, path), path.name)

    async def set_mask(self, data: bytes, name: str) -> None:
        """Put the image in `data` into the draft as its mask. Raises `StoreError`."""
        initial = self._desk.draft.initial_image
        if initial is None:
            return
        wanted = await self._keeper.learn_size(initial.sha256)
        found = await self._darkroom.add_input(data)
        if (found.width, found.height) != wanted:
            raise StoreError(
                f"The mask has {found.width} x {found.height} pixels, the initial image "
                f"{wanted[0]} x {wanted[1]}.",
                "Give one of the same size.",
            )
        self._desk.change(origins.set_mask(self._desk.draft, found.sha256, name), "the mask")
        await self._refresh()

    # Made from it

    async def vary(self, _: str) -> None:
        """Queue variations of the image that is meant, as many as the draft wants images."""
        if (image := self._get_image()) is None:
            return
        await self._making.choose(None)
        count = self._desk.draft.images
        work = self._darkroom.vary(image, images=count, session=self._keeper.session)
        said = f"Varying {image.id[:4]}" + (f", {count} times." if count > 1 else ".")
        await self._making.follow(work, said)

    async def enlarge(self, _: str) -> None:
        """Let the person choose a model, and queue the image made larger by it."""
        if (image := self._get_image()) is None:
            return

        async def take(upscaler: Upscaler) -> None:
            await self._making.choose(None)
            choices = make_choices(upscaler)
            work = self._darkroom.upscale(image, choices, session=self._keeper.session)
            await self._making.follow(work, f"Making {image.id[:4]} larger.")

        open_upscalers(self._keeper.abilities, image, self._open_screen, take)


def make_choices(upscaler: Upscaler) -> UpscaleChoices:
    """How the image is made larger by the chosen model."""
    return UpscaleChoices(engine=upscaler.engine, model=upscaler.model, factor=FACTOR)


def open_upscalers(
    abilities: Abilities,
    image: Image,
    open_screen: OpenScreen,
    take: Callable[[Upscaler], Awaitable[None]],
) -> None:
    """Let the person choose a model that makes `image` larger, and hand it to `take`."""
    upscalers = abilities.list_upscalers(image.request.engine)
    names = {_describe(upscaler): upscaler for upscaler in upscalers}

    async def enter(chosen: str | None) -> None:
        if chosen is not None:
            await take(names[chosen])

    larger = f"{image.width * FACTOR} x {image.height * FACTOR}"
    choices = tuple(names)
    title = f"make {image.id[:4]} larger: {larger}"
    open_screen(ChoiceScreen(title, choices, choices[0]), enter)


def _describe(upscaler: Upscaler) -> str:
    cost = ", may cost money" if upscaler.is_paid else ""
    return f"{upscaler.engine}: {upscaler.model}{cost}"
