"""The main screen: prompt stack and parameters left, the image right, recent ones below."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from engines.base import Capabilities
from store.errors import RequestError, SafelightError
from store.records import Draft, Image
from tui import drafts, fields
from tui.actions import BY_ID, Situation, find_action, make_bindings
from tui.darkroom import Darkroom
from tui.desk import Desk
from tui.glyphs import Glyphs
from tui.screens.making import Making
from tui.screens.parameter_actions import ParameterActions
from tui.screens.prompt_actions import PromptActions
from tui.text import show_safely
from tui.widgets.fields import PromptEditor, ValueInput
from tui.widgets.film_strip import FilmStrip
from tui.widgets.image_panel import ImagePanel
from tui.widgets.key_line import KeyLine
from tui.widgets.parameter_list import ParameterList
from tui.widgets.prompt_stack import PromptStack

if TYPE_CHECKING:
    from tui.app import SafelightApp

PARTS = ("prompts", "parameters", "image", "recent")
OPENING = "The history is being opened."


class ComposeScreen(Screen[None]):
    """Wires the parts to the draft on the desk and to the darkroom.

    It can be used while the history is being opened and when that fails: the draft is then
    kept in memory only. Keys pressed while an existing history is being opened are kept
    and take effect when it is there.
    """

    BINDINGS: ClassVar[list[BindingType]] = make_bindings("compose")
    ACTION_CONTEXTS: ClassVar[tuple[str, ...]] = ("compose", "prompts", "parameters", "typing")
    AUTO_FOCUS = ""
    app: SafelightApp

    def __init__(self, darkroom: Darkroom, session: str | None, glyphs: Glyphs) -> None:
        super().__init__()
        self._darkroom = darkroom
        self._session = session
        self._glyphs = glyphs
        self._is_open = False
        self._is_opening = True
        self._trouble = OPENING
        self._capabilities: dict[str, Capabilities] = {}
        self._engines: tuple[str, ...] = ()
        self._early_keys: list[events.Key] = []
        self._worker = ""
        self._is_field_left = False
        self.desk = Desk(Draft(), self._save)
        self._stack = PromptStack(glyphs, id="prompts")
        self._parameters = ParameterList(glyphs, id="parameters")
        self._panel = ImagePanel(id="image")
        self._strip = FilmStrip(darkroom, id="strip")
        self._recent = Vertical(self._strip, id="recent")
        self._recent.border_title = Content("recent")
        self._keys = KeyLine(glyphs, id="keys")
        self._header = Static(id="header", markup=False)
        self.prompts = PromptActions(self.desk, self._stack, glyphs, self.show, self.say)
        self.parameters = ParameterActions(
            self.desk, self._parameters, self.get_context, self.show, self.say, self._choose
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
        self.set_class(not self._glyphs.has_unicode, "-ascii")
        await self.show()
        if not self._darkroom.directory.exists():
            await self.prompts.edit("")
        self.call_after_refresh(self.open_darkroom)

    # Opening

    @property
    def is_ready(self) -> bool:
        """Whether the history was opened, or could not be."""
        return not self._is_opening

    @work(group="open", exclusive=True, exit_on_error=False)
    async def open_darkroom(self) -> None:
        """Open the history, restore the session, and watch from then on."""
        self._is_opening, self._trouble = True, OPENING
        try:
            await self._darkroom.open()
            session = await self._darkroom.load_session(self._session)
        except SafelightError as error:
            self._trouble = str(error)
            await self._read_engines()
            await self.making.fail(error)
            if self._early_keys or self.focused is None:
                await self.prompts.edit("")
        else:
            self._session = session.name
            draft = session.draft
            if not self._is_open:
                draft = drafts.merge_typed_ahead(draft, self.desk.draft)
            self._is_open, self._trouble = True, ""
            await self._read_engines()
            self.making.forget_trouble()
            await self._restore(drafts.show_seed(draft))
            self._watch()
        self._is_opening = False
        for key in self._early_keys:
            self.app.post_message(events.Key(key.key, key.character))
        self._early_keys = []
        self._load_tokenizer()

    async def _read_engines(self) -> None:
        def read() -> dict[str, Capabilities]:
            found = {}
            for engine in self._darkroom.list_engines():
                try:
                    found[engine] = self._darkroom.get_capabilities(engine)
                except SafelightError:
                    continue
            return found

        self._engines = self._darkroom.list_engines()
        self._capabilities = await asyncio.to_thread(read)

    async def _restore(self, draft: Draft) -> None:
        """Put `draft` on the desk and the person where it says."""
        await self._stack.close_fields(take_focus=False)
        await self._parameters.close_fields(take_focus=False)
        is_new = not draft.place
        theme = draft.place.get("theme")
        if isinstance(theme, str) and theme in self.app.available_themes:
            self.app.theme = theme
        self.desk.change(draft)
        await self.show()
        place = draft.place
        typing = "text" if is_new else place.get("typing")
        part = place.get("part")
        self.focus_part(part if isinstance(part, str) and part in PARTS else "prompts")
        row, field = self.prompts.row, self.parameters.field
        if typing == "text":
            line, column = place.get("line"), place.get("column")
            has_place = isinstance(line, int) and isinstance(column, int)
            await self.prompts.reopen_text(int(line or 0), int(column or 0) if has_place else 0)
            self.desk.set_place(typing="text")
        elif typing == "weight" and f"prompts.{row}.weight" in draft.pending:
            await self.prompts.open_weight(draft.pending[f"prompts.{row}.weight"])
        elif typing == "value" and f"parameters.{field}" in draft.pending:
            await self.parameters.open(draft.pending[f"parameters.{field}"])
        self.show_keys()

    @work(group="watch", exclusive=True, exit_on_error=False)
    async def _watch(self) -> None:
        async for _ in self._darkroom.watch():
            try:
                await self.making.update()
                status = await self._darkroom.get_worker_status()
            except SafelightError as error:
                await self.making.fail(error)
                continue
            worker = "worker ready" if status.is_running else "worker asleep"
            self._worker = f"{status.jobs} in the queue" if status.jobs else worker
            self._show_header()
            self.show_keys()

    @work(group="tokenizer", exclusive=True, exit_on_error=False)
    async def _load_tokenizer(self) -> None:
        from engines.tokens import count_tokens

        await asyncio.to_thread(count_tokens, "warm up")
        self._stack.set_counting(count_tokens)
        await self.show()

    def _save(self, draft: Draft) -> None:
        if self._is_open and self._session is not None:
            self._darkroom.save_draft(self._session, draft)

    # Showing

    def get_context(self, draft: Draft) -> fields.Context | None:
        """`draft` with what its engine accepts; the first engine stands in for a missing one."""
        capabilities = self._capabilities.get(draft.engine)
        if capabilities is None and self._capabilities:
            capabilities = next(iter(self._capabilities.values()))
        if capabilities is None:
            return None
        return fields.Context(draft, capabilities, self._engines)

    async def show(self) -> None:
        """Show the draft on the desk."""
        draft = self.desk.draft
        context = self.get_context(draft)
        full = 2.0 if context is None else max(abs(end) for end in context.capabilities.weights)
        limit = 77 if context is None else context.capabilities.token_limit
        await self._stack.show(draft.prompts, self.prompts.row, full, limit)
        self._parameters.show(context, self.parameters.field)
        if draft.engine not in self._capabilities and self._capabilities:
            self._parameters.explain("engine", f"There is no engine {draft.engine!r}.")
        self._show_header()
        self.show_keys()

    def _show_header(self) -> None:
        dot = f" {self._glyphs.dot} "
        session = show_safely(self._session or "")
        left = f" safelight{dot}{session}" if session else " safelight"
        context = self.get_context(self.desk.draft)
        said = [self._worker] if self._worker else []
        if context is not None:
            model = fields.show_value("model", context)
            size = fields.show_value("size", context)
            said = [f"{context.draft.engine} {model}", size, *said]
        if self._trouble:
            said = ["opening" if self._is_opening else "history not open"]
        right = show_safely(dot.join(said)) + " "
        gap = max(1, self.size.width - len(left) - len(right))
        self._header.update(Content.assemble((left, "bold"), " " * gap, (right, "$role-quiet")))

    def show_keys(self) -> None:
        """Show the keys that hold where the focus is."""
        part = self.get_part()
        contexts = ("typing", "compose") if self.is_typing else (part, "compose")
        self._keys.show(contexts, self.get_situation(), is_typing=self.is_typing)

    def say(self, text: str) -> None:
        """Show `text` in the last line until the next key."""
        self._keys.say(text)

    @property
    def message(self) -> str:
        """What the last line says."""
        return self._keys.message

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
        elif (field := fields.find_field(name)) is not None:
            self.focus_part("parameters")
            await self.parameters.choose_field(field)
            self._parameters.explain(field, str(error))

    # Where the person is

    @property
    def is_typing(self) -> bool:
        """Whether keys are text."""
        return isinstance(self.focused, PromptEditor | ValueInput)

    def get_part(self, widget: Widget | None = None) -> str:
        """The part with the focus, or that holds `widget`."""
        widget = widget or self.focused
        known: Mapping[Widget, str] = {
            self._stack: "prompts",
            self._parameters: "parameters",
            self._panel: "image",
            self._recent: "recent",
        }
        for node in widget.ancestors_with_self if widget is not None else ():
            if isinstance(node, Widget) and node in known:
                return known[node]
        part = self.desk.draft.place.get("part")
        return part if isinstance(part, str) and part in PARTS else "prompts"

    def focus_part(self, part: str) -> None:
        """Give the focus to a part."""
        targets: Mapping[str, Widget] = {
            "prompts": self._stack,
            "parameters": self._parameters,
            "image": self._panel,
            "recent": self._strip,
        }
        self._show_part(part)
        self.set_focus(targets[part])
        self.desk.set_place(part=part)

    def _show_part(self, part: str) -> None:
        for name in PARTS:
            self.set_class(name == part, f"-part-{name}")

    async def _turn(self, key: str) -> None:
        await self._settle()
        at = PARTS.index(self.get_part())
        self.focus_part(PARTS[(at + (1 if key == "tab" else -1)) % len(PARTS)])

    async def _settle(self) -> None:
        await self.prompts.settle()
        await self.parameters.settle()

    async def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember the part, and close a field that was left for another part."""
        part = self.get_part(event.widget)
        self._show_part(part)
        if isinstance(event.widget, PromptEditor | ValueInput):
            self._is_field_left = False
        elif self._is_field_left and not self.is_typing and self._has_open_field():
            await self._settle()
            if event.widget.is_attached:
                self.set_focus(event.widget)
        self.desk.set_place(part=part)
        self.show_keys()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Moving and typing may have changed."""
        self._is_field_left |= isinstance(event.widget, PromptEditor | ValueInput)
        self.show_keys()

    def _has_open_field(self) -> bool:
        return self._stack.open_row is not None or self._parameters.open_field is not None

    # Actions

    def get_situation(self) -> Situation:
        """What can be done now."""
        draft = self.desk.draft
        context = self.get_context(draft)
        return Situation(
            trouble=self._trouble,
            is_read_only=self._is_open and self._darkroom.is_read_only,
            has_image=self.making.image is not None,
            has_unfinished_job=self.making.has_unfinished_job,
            has_ended_job=self.making.ended_job is not None,
            has_undo=self.desk.has_undo,
            has_previous_seed=bool(draft.previous_seeds),
            prompts=len(draft.prompts),
            prompt_limit=64 if context is None else context.capabilities.prompt_limit,
            row=self.prompts.row,
        )

    def _list_handlers(self) -> Mapping[str, Callable[[str], Awaitable[None]]]:
        prompts, parameters = self.prompts, self.parameters
        return {
            "generate": self._generate,
            "cancel": lambda _: self.making.cancel(),
            "retry": lambda _: self.making.retry(),
            "verify": lambda _: self.making.verify(),
            "regenerate": lambda _: self.making.regenerate(),
            "undo": self._undo,
            "seed.lock": parameters.lock_seed,
            "seed.new": parameters.renew_seed,
            "seed.previous": parameters.recall_seed,
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
        if self._is_opening and self.focused is None and event.key != "ctrl+q":
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
        if self._is_opening and action_id not in ("quit", "help", "palette", "theme", "part"):
            self.say(OPENING)
            return
        if reason := BY_ID[action_id].explain(self.get_situation()):
            self.say(reason)
            return
        await self._handlers[action_id](key)
        self.show_keys()

    async def _generate(self, _: str) -> None:
        if await self.prompts.accept() and await self.parameters.accept():
            await self.making.generate(self._session or "")

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

    # Messages of the parts

    def on_resize(self) -> None:
        """The header is as wide as the screen."""
        self._show_header()

    @on(PromptStack.TextTyped)
    async def _note_text(self, event: PromptStack.TextTyped) -> None:
        await self.prompts.note_text(event.row, event.text)

    @on(PromptStack.CursorMoved)
    def _note_cursor(self, event: PromptStack.CursorMoved) -> None:
        self.prompts.note_cursor(event.line, event.column)

    @on(PromptStack.TextLeft)
    async def _leave_text(self, event: PromptStack.TextLeft) -> None:
        await self.prompts.leave_text(event.row)

    @on(PromptStack.WeightTyped)
    def _note_weight(self, event: PromptStack.WeightTyped) -> None:
        self.prompts.note_weight(event.row, event.text)

    @on(PromptStack.WeightEntered)
    async def _enter_weight(self, event: PromptStack.WeightEntered) -> None:
        await self.prompts.enter_weight(event.row, event.text)

    @on(PromptStack.WeightLeft)
    async def _leave_weight(self, event: PromptStack.WeightLeft) -> None:
        await self.prompts.leave_weight(event.row)

    @on(PromptStack.RowChosen)
    async def _choose_row(self, event: PromptStack.RowChosen) -> None:
        await self.prompts.choose_row(event.row)

    @on(ParameterList.ValueTyped)
    def _note_value(self, event: ParameterList.ValueTyped) -> None:
        self.parameters.note(event.field, event.text)

    @on(ParameterList.ValueEntered)
    async def _enter_value(self, event: ParameterList.ValueEntered) -> None:
        await self.parameters.enter(event.field, event.text)

    @on(ParameterList.ValueLeft)
    async def _leave_value(self, event: ParameterList.ValueLeft) -> None:
        await self.parameters.leave(event.field)

    @on(ParameterList.FieldChosen)
    async def _choose_field(self, event: ParameterList.FieldChosen) -> None:
        await self.parameters.choose_field(event.field)

    @on(FilmStrip.ImageChosen)
    async def _choose_image(self, event: FilmStrip.ImageChosen) -> None:
        await self.making.choose(event.image)
