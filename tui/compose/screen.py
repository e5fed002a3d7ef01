"""The main screen: prompt stack and parameters left, the image right, recent ones below."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from store.errors import RequestError, SafelightError
from store.records import Draft, Image
from tui.actions import BY_ID, Situation, find_action, make_bindings
from tui.compose import draft as drafts
from tui.compose import fields
from tui.compose.compose_opening import ComposeOpening
from tui.compose.compose_places import PARTS
from tui.compose.derive import ImageActions
from tui.compose.desk import Desk
from tui.compose.image import ImagePanel
from tui.compose.keeper import OPENING, Keeper
from tui.compose.making import Making
from tui.compose.parameter_actions import ParameterActions
from tui.compose.parameters import ParameterList
from tui.compose.prompt_actions import PromptActions
from tui.compose.prompts import PromptStack
from tui.compose.recent import FilmStrip
from tui.darkroom import Darkroom
from tui.terminal.glyphs import Glyphs
from tui.widgets.header_line import HeaderLine
from tui.widgets.key_line import KeyLine
from tui.work import start_work


class ComposeScreen(ComposeOpening):
    """Wires the parts to the draft on the desk and to the darkroom.

    It can be used while the history is being opened and when that fails: the draft is then
    kept in memory only. Keys pressed while an existing history is being opened are kept
    and take effect when it is there.
    """

    BINDINGS: ClassVar[list[BindingType]] = make_bindings("compose")
    ACTION_CONTEXTS: ClassVar[tuple[str, ...]] = ("compose", "prompts", "parameters", "typing")
    AUTO_FOCUS = ""

    def __init__(self, darkroom: Darkroom, session: str | None, glyphs: Glyphs) -> None:
        ascii_class = "" if glyphs.has_unicode else " -ascii"
        super().__init__(classes=f"-part-{PARTS[0]}{ascii_class}")
        self._darkroom = darkroom
        self._glyphs = glyphs
        self._early_keys: list[events.Key] = []
        self._readers = {}
        self._engines_read = set()
        self.keeper = Keeper(darkroom, session)
        self.desk = Desk(Draft(), self.keeper.save)
        self._stack = PromptStack(glyphs, id="prompts")
        self._parameters = ParameterList(glyphs, id="parameters")
        self._panel = ImagePanel(id="image")
        self._strip = FilmStrip(darkroom, id="strip")
        self._recent = Vertical(self._strip, id="recent")
        self._recent.border_title = Content("recent")
        self._keys = KeyLine(glyphs, id="keys")
        self._header = HeaderLine(glyphs, id="header")
        self.prompts = PromptActions(self.desk, self._stack, glyphs, self.show, self.say)
        self.parameters = ParameterActions(
            self.desk,
            self._parameters,
            self.keeper.get_context,
            self.show,
            self.say,
            self._choose,
            lambda field: self.images.open_file(field),
        )
        self.making = Making(
            darkroom,
            self.desk,
            self._panel,
            self._strip,
            glyphs,
            self.show,
            self._show_error,
            self.say,
            self._keys.unsay,
        )
        self.images = ImageActions(
            darkroom,
            self.desk,
            self.keeper,
            self.making,
            self._parameters,
            self.get_image,
            self.show,
            self.say,
            self._open_screen,
            glyphs,
        )
        self._handlers = self._list_handlers()

    def compose(self) -> ComposeResult:
        """Header, desk, recent strip, keys."""
        yield self._header
        with Horizontal(id="desk"):
            with Vertical(id="editors"):
                yield self._stack
                yield self._parameters
            yield self._panel
        yield self._recent
        yield self._keys

    async def on_mount(self) -> None:
        """Show an empty draft at once; open the history after the first paint."""
        await self.show()
        if self.keeper.is_first_launch:
            await self.prompts.edit("")
        self.call_after_refresh(self.open_darkroom)

    # Showing

    async def show(self) -> None:
        """Show the draft on the desk."""
        draft = self.desk.draft
        context = self.keeper.get_context(draft)
        full = 2.0 if context is None else max(abs(end) for end in context.capabilities.weights)
        limit = 77 if context is None else context.capabilities.token_limit
        reader = self._get_reader(draft)
        await self._stack.show(draft.prompts, self.prompts.row, full, limit, reader)
        self._parameters.show(context, self.parameters.field)
        if self.keeper.is_missing(draft.engine):
            self._parameters.explain("engine", f"There is no engine {draft.engine!r}.")
        if self.images.is_behind:
            start_work(self, self.images.show_origin, "origin", is_exclusive=True)
        self.making.show_losses()
        self._show_header()
        self.show_keys()

    def _show_header(self) -> None:
        context = self.keeper.get_context(self.desk.draft)
        facts = [self.keeper.worker] if self.keeper.worker else []
        if context is not None:
            model, size = fields.show_value("model", context), fields.show_value("size", context)
            facts = [f"{context.draft.engine} {model}", size, *facts]
        if self.keeper.trouble:
            facts = ["opening" if self.keeper.is_opening else "history not open"]
        if (error := self._darkroom.draft_error) is not None:
            facts = [f"not saved: {error.message}"]
        self._header.show(self.keeper.session or "", facts)

    async def _show_error(self, error: SafelightError) -> None:
        """Explain what is wrong with the draft at the field that it is about."""
        name = error.field if isinstance(error, RequestError) else "engine"
        parts = name.split(".")
        if parts[0] == "prompts":
            has_row = len(parts) > 1 and parts[1].isdigit()
            row = int(parts[1]) - 1 if has_row else self.prompts.row
            self.focus_part("prompts")
            await self.prompts.choose_row(row)
            self._stack.explain(self.prompts.row, str(error))
        elif (field := fields.find_field(name)) in fields.list_fields(self.desk.draft):
            assert field is not None
            self.focus_part("parameters")
            await self.parameters.choose_field(field)
            self._parameters.explain(field, str(error))

    # Actions

    def get_situation(self) -> Situation:
        """What can be done now."""
        draft = self.desk.draft
        context = self.keeper.get_context(draft)
        situation = Situation(
            trouble=self.keeper.trouble,
            is_read_only=self.keeper.is_read_only,
            has_image=self.making.image is not None,
            has_unfinished_job=self.making.has_unfinished_job,
            has_ended_job=self.making.ended_job is not None,
            has_undo=self.desk.has_undo,
            has_previous_seed=bool(draft.previous_seeds),
            prompts=len(draft.prompts),
            prompt_limit=64 if context is None else context.capabilities.prompt_limit,
            row=self.prompts.row,
            has_initial_image=draft.initial_image is not None,
        )
        return self.keeper.abilities.add_reasons(
            situation, draft.engine, draft.model, self.get_image()
        )

    def get_image(self) -> Image | None:
        """The image that is meant: the one under the cursor on the strip, else the shown one."""
        under_cursor = self._strip.chosen if self.get_part() == "recent" else None
        return under_cursor or self.making.image

    def _list_handlers(self) -> Mapping[str, Callable[[str], Awaitable[None]]]:
        prompts, parameters, images = self.prompts, self.parameters, self.images
        return {
            "generate": self._generate,
            "cancel": lambda _: self.making.cancel(),
            "retry": lambda _: self.making.retry(),
            "verify": lambda _: self.making.verify(),
            "regenerate": lambda _: self.making.regenerate(),
            "start.image": images.start,
            "start.file": images.start_from_file,
            "start.mask": images.choose_mask,
            "vary": images.vary,
            "enlarge": images.enlarge,
            "undo": self._undo,
            "seed.lock": parameters.lock_seed,
            "seed.new": parameters.renew_seed,
            "seed.previous": parameters.recall_seed,
            "seed.mix": parameters.mix_seed,
            "part": self._turn,
            "prompt.edit": prompts.edit,
            "prompt.add": prompts.add,
            "prompt.weight": prompts.step_weight,
            "prompt.type_weight": prompts.type_weight,
            "prompt.switch": prompts.switch,
            "prompt.move": prompts.move,
            "prompt.duplicate": prompts.duplicate,
            "prompt.remove": prompts.remove,
            "prompt.cursor": prompts.move_cursor,
            "parameter.change": parameters.change,
            "parameter.edit": parameters.edit,
            "parameter.reset": parameters.reset,
            "parameter.cursor": parameters.move_cursor,
            "history": lambda _: self.app.open_history(),
            "jobs": lambda _: self.app.open_jobs(),
            "help": lambda _: self.app.open_help(self.get_situation(), self._contexts()),
            "palette": lambda _: self.app.open_palette(),
            "theme": lambda _: self.app.turn_theme(),
            "reopen": self._reopen,
            "quit": lambda _: self.app.action_quit(),
        }

    @property
    def handled_actions(self) -> Iterable[str]:
        """The ids of the actions that this screen can do."""
        return self._handlers

    def _contexts(self) -> tuple[str, ...]:
        return tuple(name for name in (self.get_part(),) if name in self.ACTION_CONTEXTS)

    async def take_key(self, event: events.Key) -> bool:
        """Do at once what the key says here; False when it is for the focused widget.

        Textual passes a key on to the focused widget and goes on to the next one, so of keys
        that come in one burst (a slow line, a paste) the second would go to the old focus.
        Keys that come before the session is there are kept.
        """
        if self.keeper.is_opening and self.focused is None and event.key != "ctrl+q":
            self._early_keys.append(event)
            return True
        part = self.get_part()
        if self.is_typing or part == "recent":
            return False
        action = find_action(event.key, (part, "compose"))
        if action is None:
            return False
        await self.action_perform(action.id, event.key)
        return True

    async def action_perform(self, action_id: str, key: str = "") -> None:
        """Do what the action says, or say why it cannot be done now."""
        if self.keeper.is_opening and action_id not in ("quit", "help", "palette", "theme", "part"):
            self.say(OPENING)
            return
        if reason := BY_ID[action_id].explain(self.get_situation()):
            self.say(reason)
            return
        await self._handlers[action_id](key)
        self.show_keys()

    async def _generate(self, _: str) -> None:
        if await self.prompts.accept() and await self.parameters.accept():
            await self.making.generate(self.keeper.session or "")

    async def _undo(self, _: str) -> None:
        if (label := self.desk.undo()) is not None:
            await self.show()
            self.say(f"Undone: {label}.")

    async def _reopen(self, _: str) -> None:
        self.open_darkroom()

    def _choose(
        self,
        title: str,
        choices: tuple[str, ...],
        now: str,
        enter: Callable[[str], Awaitable[None]],
    ) -> None:
        self.app.open_choice(title, choices, now, enter)

    async def load_image(self, image: Image, parts: str) -> None:
        """Take `parts` of what made `image` into the draft; `u` takes it back."""
        self.desk.change(drafts.merge_draft(self.desk.draft, image, parts), f"loading {parts}")
        await self.show()
        self.say(f"Loaded {parts} of {image.id[:4]}; u takes it back.")
