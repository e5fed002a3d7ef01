"""What can be done on the parameters and the seed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from store.errors import RequestError
from store.records import Draft
from tui.compose import draft as drafts
from tui.compose import fields, origin_fields, origins
from tui.compose.desk import Desk
from tui.compose.parameters import ParameterList

Choose = Callable[[str, tuple[str, ...], str, Callable[[str], Awaitable[None]]], None]
"""Opens a list: its title, the choices, the one in effect, and what to do with the chosen."""


class ParameterActions:
    """Changes the parameters of the draft on the desk and the list that shows them.

    `get_context` gives the draft with what its engine accepts, None before that is known.
    `refresh` shows the draft after a change, `say` tells the person something. `open_file`
    asks for the image file of a field.
    """

    def __init__(
        self,
        desk: Desk,
        view: ParameterList,
        get_context: Callable[[Draft], fields.Context | None],
        refresh: Callable[[], Awaitable[None]],
        say: Callable[[str], None],
        choose: Choose,
        open_file: Callable[[str], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._view = view
        self._get_context = get_context
        self._refresh = refresh
        self._say = say
        self._choose = choose
        self._open_file = open_file

    @property
    def field(self) -> str:
        """The field of the cursor."""
        field = self._desk.draft.place.get("field")
        shown = fields.list_fields(self._desk.draft)
        if isinstance(field, str) and field in shown:
            return field
        # What the field belonged to is gone: the cursor stays near.
        return shown[-1] if field in fields.ALL_FIELDS else shown[0]

    async def choose_field(self, field: str) -> None:
        """Put the cursor on `field`."""
        self._desk.set_place(field=field)
        await self._refresh()

    async def move_cursor(self, key: str) -> None:
        """Put the cursor up, down, to the first or the last field."""
        shown = fields.list_fields(self._desk.draft)
        at, last = shown.index(self.field), len(shown) - 1
        target = {"up": max(at - 1, 0), "down": min(at + 1, last), "home": 0, "end": last}[key]
        await self.choose_field(shown[target])

    async def change(self, key: str) -> None:
        """One step more or less, or the next choice."""
        context = self._get_context(self._desk.draft)
        if context is not None:
            steps = 1 if key in ("right", "plus") else -1
            if changes := fields.step_value(self.field, steps, context):
                await self._apply(self.field, changes)

    async def reset(self, _: str) -> None:
        """Back to the engine's default."""
        field, draft = self.field, self._desk.draft
        changes = fields.reset_value(field, draft)
        if not changes:
            self._say(f"{field.capitalize()} has no default.")
            return
        is_taken_out = fields.is_removable(field, draft)
        await self._apply(field, changes)
        if is_taken_out:
            self._say(f"The {fields.get_part(field)} is taken out; u brings it back.")

    async def edit(self, key: str) -> None:
        """Type the value (a digit begins a new one), or choose from the list."""
        context, field = self._get_context(self._desk.draft), self.field
        if context is None:
            return
        if field in origin_fields.FILES:
            if key == "enter":
                await self._open_file(field)
        elif field not in fields.CHOICES:
            is_old = key == "enter"
            await self.open(fields.show_value(field, context) if is_old else key, is_old=is_old)
        elif key == "enter":
            choices = fields.list_choices(field, context)
            self._choose(field, choices, fields.show_value(field, context), self._enter_choice)

    async def _enter_choice(self, text: str) -> None:
        await self.enter(self.field, text)

    async def open(self, text: str, *, is_old: bool = False) -> None:
        """Type into the field of the cursor, beginning with `text`."""
        field = self.field
        self._desk.set_place(typing="value")
        self._desk.set_pending(f"parameters.{field}", text)
        await self._view.open(field, text, is_old=is_old)

    def note(self, field: str, text: str) -> None:
        """Keep what is half-typed."""
        self._desk.set_pending(f"parameters.{field}", text)

    async def enter(self, field: str, text: str) -> bool:
        """Accept the value, or explain beside it why not."""
        context = self._get_context(self._desk.draft)
        if context is None:
            return False
        try:
            changes = fields.parse_value(field, text, context)
        except RequestError as error:
            self._view.explain(field, str(error))
            return False
        self._desk.set_pending(f"parameters.{field}", None)
        await self._close()
        await self._apply(field, changes)
        return True

    async def leave(self, field: str) -> None:
        """Give up what is half-typed; the value stays what it was."""
        self._desk.set_pending(f"parameters.{field}", None)
        await self._close()

    async def settle(self) -> None:
        """Close an open field because the focus went elsewhere; a wrong value is given up."""
        field = self._view.open_field
        if field is None:
            return
        text = self._desk.draft.pending.get(f"parameters.{field}", "")
        if not await self.enter(field, text):
            await self.leave(field)
            self._say(f"{field} stays what it was: {text!r} is not accepted.")

    async def accept(self) -> bool:
        """Accept what is open; False when it is wrong, which is then explained."""
        field = self._view.open_field
        if field is None:
            return True
        return await self.enter(field, self._desk.draft.pending.get(f"parameters.{field}", ""))

    async def _close(self) -> None:
        self._desk.set_place(typing=None)
        await self._view.close_fields(take_focus=True)
        await self._refresh()

    async def _apply(self, field: str, changes: fields.Changes) -> None:
        if "seed" in changes:
            self._desk.change(drafts.set_seed(self._desk.draft, changes["seed"]))
            await self._refresh()
            return
        draft = msgspec.structs.replace(self._desk.draft, **changes)
        if field in ("engine", "model") and (context := self._get_context(draft)) is not None:
            draft, notes = fields.fit_draft(context)
            if notes:
                self._say(f"For {draft.engine}: {', '.join(notes)}. u takes it back.")
        label = f"changing {fields.get_label(field)}"
        if self._desk.last_label == label:
            self._desk.change(draft)
        else:
            self._desk.change(draft, label)
        await self._refresh()

    # Seed

    async def lock_seed(self, _: str) -> None:
        """Keep the seed for the next runs, or not."""
        draft = self._desk.draft
        self._desk.change(msgspec.structs.replace(draft, seed_locked=not draft.seed_locked))
        await self._refresh()

    async def renew_seed(self, _: str) -> None:
        """Draw a new seed."""
        self._desk.change(drafts.renew_seed(self._desk.draft))
        await self._refresh()

    async def mix_seed(self, _: str) -> None:
        """Mix another seed into the next images, or a newly drawn one."""
        draft = origins.set_variation(self._desk.draft)
        self._desk.change(draft, "mixing a second seed in")
        await self._refresh()

    async def recall_seed(self, _: str) -> None:
        """Go back to the previous seed."""
        self._desk.change(drafts.recall_seed(self._desk.draft))
        await self._refresh()
