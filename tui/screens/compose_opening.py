"""How the compose screen opens the history, restores the session, and watches from then on."""

from __future__ import annotations

import asyncio

from textual import events, work

from engines.base import TokenizedPrompt
from store.errors import SafelightError
from store.records import Draft
from tui.darkroom import Darkroom
from tui.keeper import read_cursor, read_place
from tui.screens.compose_places import PARTS, ComposePlaces
from tui.widgets.header_line import HeaderLine
from tui.widgets.prompt_row import Reader

WATCH_AGAIN_SECONDS = 1.0


class ComposeOpening(ComposePlaces):
    """Keys pressed while an existing history is being opened are kept for afterwards."""

    _darkroom: Darkroom
    _header: HeaderLine
    _early_keys: list[events.Key]
    _readers: dict[tuple[str, str | None], Reader]
    _engines_read: set[str]

    async def show(self) -> None:
        """Show the draft on the desk."""
        raise NotImplementedError

    def _show_header(self) -> None:
        raise NotImplementedError

    @property
    def is_ready(self) -> bool:
        """Whether the history was opened, or could not be."""
        return not self.keeper.is_opening

    @work(group="open", exclusive=True)
    async def open_darkroom(self) -> None:
        """Open the history, restore the session, and watch from then on."""
        self.keeper.begin()
        try:
            draft = await self.keeper.open(lambda: self.desk.draft)
        except SafelightError as error:
            await self.making.fail(error)
            if self.focused is None:
                await self.prompts.edit("")
        else:
            self.making.forget_trouble()
            await self._restore(draft)
            self._watch()
        self.keeper.is_opening = False
        keys, self._early_keys = self._early_keys, []
        for key in keys:
            self.app.post_message(events.Key(key.key, key.character))
        await self.show()
        self._load_tokenizer()

    async def _restore(self, draft: Draft) -> None:
        """Put `draft` on the desk and the person where it says."""
        await self._stack.close_fields(take_focus=False)
        await self._parameters.close_fields(take_focus=False)
        self.desk.change(draft)
        if (theme := read_place(draft, "theme")) in self.app.available_themes:
            self.app.theme = theme
        await self.show()
        part = read_place(draft, "part")
        self.focus_part(part if part in PARTS else PARTS[0])
        weight = draft.pending.get(f"prompts.{self.prompts.row}.weight")
        value = draft.pending.get(f"parameters.{self.parameters.field}")
        match "text" if not draft.place else read_place(draft, "typing"):
            case "text":
                await self.prompts.edit("", read_cursor(draft))
            case "weight" if weight is not None:
                await self.prompts.open_weight(weight)
            case "value" if value is not None:
                await self.parameters.open(value)

    @work(group="watch", exclusive=True)
    async def _watch(self) -> None:
        while True:
            try:
                async for _ in self._darkroom.watch():
                    await self.making.update()
                    await self.keeper.read_worker()
                    self._show_header()
                    self.show_keys()
            except SafelightError as error:
                await self.making.fail(error)
            await asyncio.sleep(WATCH_AGAIN_SECONDS)

    @work(group="tokenizer", exclusive=True)
    async def _load_tokenizer(self) -> None:
        from engines.tokens import count_tokens

        await asyncio.to_thread(count_tokens, "warm up")
        self._stack.set_counting(count_tokens)
        await self.show()
        self._load_reader(self.desk.draft.engine)

    @work(group="reader")
    async def _load_reader(self, engine: str) -> None:
        self._engines_read.add(engine)
        try:
            await asyncio.to_thread(self._darkroom.read_prompt, engine, "")
        except SafelightError:
            return  # The engine says what is wrong with its files when it is asked for an image.
        self._readers[engine, None] = _make_reader(self._darkroom, engine, None)
        await self.show()

    def _get_reader(self, draft: Draft) -> Reader | None:
        """What the draft's model reads of a prompt; loaded in a thread when it is first asked."""
        engine, style = draft.engine, draft.style_preset
        if (engine, None) not in self._readers:
            if self._engines_read and engine not in self._engines_read:
                self._load_reader(engine)
            return None
        if (engine, style) not in self._readers:
            self._readers[engine, style] = _make_reader(self._darkroom, engine, style)
        return self._readers[engine, style]


def _make_reader(darkroom: Darkroom, engine: str, style: str | None) -> Reader:
    def read(text: str, has_style: bool) -> TokenizedPrompt:
        return darkroom.read_prompt(engine, text, style if has_style else None)

    return read
