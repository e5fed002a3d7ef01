"""The app: opens the darkroom and watches it for all screens; keys, palette, help, the end."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import msgspec
from textual import events, on, work
from textual.actions import parse
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import CommandPalette, Provider
from textual.dom import DOMNode
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen
from textual.types import AnimationLevel

from store.errors import SafelightError
from store.records import Draft, Session
from tui.announcer import Announcer
from tui.compose.fields import ALL_FIELDS
from tui.compose.screen import ComposeScreen
from tui.darkroom import Darkroom
from tui.image_screen import ImageScreen
from tui.keys import KeyQueue, Reasoned, Released, Said, is_bound, list_places, split_keys
from tui.palette import EVERYDAY, Command, Commanded, CommandProvider
from tui.terminal.answers import Answers
from tui.terminal.clipboard import hand_to_tmux, write_copy
from tui.terminal.detect import (
    IMAGE_SETTINGS,
    Surroundings,
    explain_colours,
    explain_image_protocol,
    note_colours,
    read_display,
)
from tui.terminal.filter import ControlFilter, ShapeFilter
from tui.terminal.probe import Opening, Probe
from tui.terminal.remembered import recall_answers, remember_answers
from tui.terminal.writer import is_behind
from tui.text import show_safely
from tui.theme_files import ThemeChoice
from tui.themes import ROLES, THEMES, choose_theme, make_theme
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.words import TERMS
from tui.work import start_work

if TYPE_CHECKING:
    from rich.console import RenderableType

    from engines.settings import InterfaceSettings, Settings
    from tui.compare.screen import CompareScreen
    from tui.lineage.screen import LineageScreen
    from tui.sessions import SessionsScreen
    from tui.terminal.driver import TerminalAnswered

NO_ANIMATION: AnimationLevel = "none"
WIDTHS = [(0, "-tiny"), (72, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-flat"), (20, "-low"), (32, "-high")]
"""From how many columns or rows on a screen has that class."""

WATCH_AGAIN_SECONDS = 1.0
SESSIONS_NAMED = 5


@runtime_checkable
class Follower(Protocol):
    """A screen that shows what is in the darkroom."""

    async def update(self) -> None:
        """Read what changed and show it. Raises `SafelightError`."""
        ...


class SafelightApp(Reasoned, App[None]):
    """Safelight in a terminal.

    `darkroom` is opened after the first paint and closed at the end. `session` names the
    session, None for the last one. `around` tells what the terminal can show. `keymap` holds
    keys by binding id, where they are not the default ones. `themes`: the one to begin with, and
    those that the person has written. `interface`: how to tell that jobs have ended.
    """

    TITLE = "safelight"
    # Textual loads no sheet of its own for the default screen.
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "compose/compose.tcss"]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {CommandProvider}
    SUSPENDED_SCREEN_CLASS = "-covered"
    BINDING_GROUP_TITLE = "everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "question_mark,f1",
            "help",
            "help",
            tooltip="Show every key and what it does",
            id="help",
        ),
        Binding(
            "ctrl+p",
            "command_palette",
            "palette",
            tooltip="Open the command palette",
            priority=True,
            system=True,
            id="palette",
        ),
        Binding(
            "ctrl+o",
            "jump",
            "jump",
            tooltip="Jump mode: a letter on each thing of the screen, type it to go there",
            show=False,
            system=True,
            id="jump",
        ),
        Binding(
            "P",
            "choose_images",
            "image display",
            tooltip="Choose how images are shown here: kitty, sixel, cells, not at all",
            show=False,
            id="images.protocol",
        ),
        Binding(
            "T",
            "choose_theme",
            "theme",
            tooltip="Choose the theme: light, dark, high contrast, your own; each is shown at once",
            show=False,
            id="theme",
        ),
        Binding(
            "o",
            "reopen",
            "open again",
            tooltip="Try again to open the history",
            show=False,
            id="reopen",
        ),
        Binding(
            "f10",
            "edit_settings",
            "settings",
            tooltip="Settings: edit config.toml in your own editor; it is checked at once",
            show=False,
            id="settings",
        ),
        Binding(
            "ctrl+z",
            "suspend_process",
            "to the shell",
            tooltip="Stop the darkroom and go to the shell; fg goes on. Jobs go on meanwhile",
            show=False,
            id="suspend",
        ),
        Binding(
            "ctrl+q",
            "quit",
            "quit",
            tooltip="Quit from anywhere, while typing too",
            show=False,
            priority=True,
            id="quit.always",
        ),
    ]

    def __init__(
        self,
        darkroom: Darkroom,
        *,
        session: str | None = None,
        around: Surroundings | None = None,
        keymap: Mapping[str, str] | None = None,
        themes: ThemeChoice | None = None,
        interface: InterfaceSettings | None = None,
    ) -> None:
        around, themes = around or Surroundings(), themes or ThemeChoice()
        super().__init__()
        self.animation_level = NO_ANIMATION
        self.darkroom = darkroom
        self._session = session
        self._glanced: Session | None = None
        self._is_closed = False
        self._is_saying = False
        self._has_focus_told = False
        self._keymap_given = dict(keymap or {})
        self.terminal_opening = Opening()
        self._around = around
        self.terminal_display = read_display(around)
        has_pictures = self.terminal_display.has_unicode
        self._gates: list[LineFilter] = [ControlFilter(has_pictures=has_pictures)]
        if not has_pictures:
            self._gates.append(ShapeFilter())
        own = [make_theme(name, written) for name, written in themes.own.items()]
        for name in set(self.available_themes):
            self.unregister_theme(name)
        for theme in (*THEMES, *own):
            self.register_theme(theme)
        self.theme = choose_theme(around, themes.name)
        self._announcer = Announcer(darkroom, around, interface)
        self.key_queue = KeyQueue(self)
        quit_keys = split_keys(self._keymap_given.get("quit.always", "ctrl+q"))
        self.key_queue.passing = frozenset(quit_keys)
        self.set_keymap({name: ",".join(split_keys(keys)) for name, keys in self.keymap.items()})
        self.compose_screen = ComposeScreen(
            darkroom, session, self.keymap, keeps_theme=themes.is_given
        )

    @property
    def answers(self) -> Answers:
        """What the terminal has said of itself."""
        return self._around.answers

    def on_terminal_answered(self, event: TerminalAnswered) -> None:
        """Know it the next time: Rich keeps what it has made of a style, so nothing changes now."""
        self._around = msgspec.structs.replace(self._around, answers=event.answers)
        if read_display(self._around) != self.terminal_display:
            self.say("The terminal answered late. The next start uses all that it can show.")

    @property
    def keymap(self) -> Mapping[str, str]:
        """Keys by binding id, where they are not the default ones."""
        return self._keymap_given

    def get_default_screen(self) -> Screen[None]:
        """The compose screen is always at the bottom."""
        # It has the classes of its size from the beginning: all would be styled again for them.
        for length, limits in zip(self.size, (WIDTHS, HEIGHTS), strict=True):
            fitting = [name for least, name in limits if length >= least]
            self.compose_screen.add_class(fitting[-1], update=False)
        return self.compose_screen

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The roles, for themes that do not define them."""
        return dict(ROLES)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """No control character that stands in a text reaches the terminal."""
        return [*super().get_line_filters(), *self._gates]

    def get_driver_class(self) -> type[Driver]:
        """What reads this terminal and writes to it."""
        from tui.terminal.driver import TerminalDriver

        return TerminalDriver

    def on_mount(self) -> None:
        """Open the history after the first paint."""
        self.app_resume_signal.subscribe(self, self._draw_again)
        start_work(self, self.key_queue.run, "keys")
        self.call_after_refresh(self.open_darkroom)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Leave frames out while the terminal takes none; then all is drawn again."""
        if not is_behind(self._driver):
            super()._display(screen, renderable)

    def _draw_again(self, _: object) -> None:
        """Draw the whole screen: what stood on it is gone after a stop, or was left out."""
        self.refresh(layout=True)
        if self._driver is not None:
            self._driver.write(self._announcer.repeat_title())

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """No cursor blinks: over a line each blink is sent, and nothing comes to rest."""
        if getattr(event.widget, "cursor_blink", False):
            event.widget.cursor_blink = False  # type: ignore[attr-defined]

    # Keys

    async def on_event(self, event: events.Event) -> None:
        """Keys wait for their turn; each ends the message in the last line."""
        if not self.key_queue.take(event):
            if self._is_saying and isinstance(event, events.Key) and not event.is_forwarded:
                self.say("")
            await super().on_event(event)

    async def run_action(
        self,
        action: str | tuple[str, str, tuple[object, ...]],
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action, or say why it cannot be run now."""
        name = parse(action)[1] if isinstance(action, str) else action[1]
        if isinstance(default_namespace, Reasoned) and (reason := default_namespace.why_not(name)):
            self.say(reason)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def on_key(self, event: events.Key) -> None:
        """Say that a letter that does nothing is no text, for who thinks that it is typed."""
        if event.is_printable and not is_bound(self.screen, event.key, self.keymap):
            how = getattr(self.screen, "HOW_TO_TYPE", "")
            self.say(f"{event.character} is no key here: {how}? shows the keys.")

    def say(self, text: str) -> None:
        """Show `text` in the last line of the screen until the next key; "" ends it."""
        self._is_saying = bool(text)
        for line in self.screen.query(KeyLine):
            line.say(text)

    def copy_to_clipboard(self, text: str) -> None:
        """Hand `text` to the clipboard of the terminal; nobody tells whether it took it."""
        self._clipboard = text
        environ = self._around.environ
        if self._driver is not None and (sequence := write_copy(text, environ)):
            self._driver.write(sequence)
        if environ.get("TMUX"):
            start_work(self, partial(self._hand_to_tmux, text), "clipboard")

    async def _hand_to_tmux(self, text: str) -> None:
        await asyncio.to_thread(hand_to_tmux, text, self._around.environ)

    @on(Said)
    def _show_said(self, event: Said) -> None:
        self.say(event.text)

    @on(Released)
    def _look_at_keys_again(self) -> None:
        self.key_queue.look_again()

    def why_not(self, action: str) -> str:
        """Why something cannot be done now."""
        if action == "reopen" and not self.darkroom.trouble:
            return "The history is open."
        return ""

    def action_help_quit(self) -> None:
        """What ctrl+c says where nothing is selected that it could copy."""
        self.say("ctrl+c copies what is selected. ctrl+q quits: all is saved, jobs go on.")

    def action_help(self) -> None:
        """Show every key of this screen."""
        from tui.dialogs import HelpScreen

        places = list_places(self.screen, self.keymap)
        terms = [*TERMS, *((field.label, field.meaning) for field in ALL_FIELDS)]
        self.push_screen(HelpScreen(places, self.terminal_display.glyphs, terms))

    def action_choose_theme(self) -> None:
        """Let the person choose a theme, seeing each; it is kept with the session."""
        from tui.dialogs import ThemeScreen

        before = self.theme

        def take(chosen: str | None) -> None:
            self.theme = chosen or before
            if chosen is not None:
                self.compose_screen.editor.set_place(theme=chosen)

        self.push_screen(ThemeScreen(tuple(self.available_themes), before), take)

    def action_jump(self) -> None:
        """Let the person go somewhere by a letter."""
        from tui.jump import Jump, JumpScreen, list_jumps

        def go(jump: Jump | None) -> None:
            if jump is not None:
                jump.go()

        if isinstance(self.screen, ModalScreen):
            return
        self.push_screen(JumpScreen(list_jumps(self.screen)), go)

    def action_choose_images(self) -> None:
        """Let the person choose how images are shown, until the end of the program."""
        from tui.dialogs import Choice, ChoiceScreen

        now = explain_image_protocol(self._around)
        words = {"auto": "what the terminal can show", "cells": "coloured characters"}
        choices = [Choice(name, words.get(name, "")) for name in IMAGE_SETTINGS]

        def take(chosen: str | None) -> None:
            if chosen is None:
                return
            self._around = msgspec.structs.replace(self._around, images=chosen)
            self.terminal_display = read_display(self._around)
            for screen in self.screen_stack:
                for picture in screen.query(Picture):
                    picture.draw_again()
            name, why = explain_image_protocol(self._around)
            why = f": {why}" if chosen == "auto" else " until the end. f10: [interface] images"
            self.say(f"Images are shown as {name}{why}.")

        title = f"images are shown as {now[0]}"
        self.push_screen(ChoiceScreen(title, choices, self._around.images, "auto"), take)

    def action_edit_settings(self) -> None:
        """Hand the configuration to the person's editor; it holds from the next start."""
        from engines.settings import begin_config, load_settings
        from store.folder import find_config_file
        from tui.external_editor import edit_file

        try:
            path = find_config_file()
            begin_config(path)
            edit_file(self, path)
            load_settings(os.environ, path)
        except SafelightError as error:
            self.say(f"{error} f10 opens it again.")
        else:
            self.say("The settings hold from the next start: q, then safelight again.")

    def list_commands(self) -> Sequence[Command]:
        """What can be done on the screen that the palette is called on; its order is of the help.

        What cannot be done now says why.
        """
        screen = self.screen_stack[-2] if isinstance(self.screen, CommandPalette) else self.screen
        found = [
            Command(
                hint.words.partition(";")[0],
                hint.written,
                hint.reason,
                EVERYDAY.get(hint.binding.id or "", ""),
                partial(self.run_action, hint.binding.action, hint.node),
            )
            for _, hints in list_places(screen, self.keymap)
            for hint in hints
            if not hint.binding.system
        ]
        return [*found, *screen.list_commands()] if isinstance(screen, Commanded) else found

    # The darkroom

    def action_reopen(self) -> None:
        """Try again to open the history."""
        self.open_darkroom()

    @work(group="open", exclusive=True)
    async def open_darkroom(self) -> None:
        """Open the history, restore the session, and watch from then on."""
        compose = self.compose_screen
        compose.is_ready = False
        # Tried again, it leaves alone what was typed since.
        if self._glanced is None:
            self._glanced = await self.darkroom.glance_at_session(self._session)
            if self._glanced is not None:
                await compose.show_session(self._glanced)
                self.key_queue.look_again()
        try:
            session = await self.darkroom.open_session(self._session)
        except SafelightError as error:
            await compose.fail_opening(error)
        else:
            await compose.restore(session, self._glanced)
            self._glanced = None
            self._watch()
            if self._session is not None and session.draft == Draft():
                await self._tell_empty(session.name)
        self.key_queue.look_again()
        compose.refresh_bindings()

    async def _tell_empty(self, name: str) -> None:
        """Say that the session that was asked for is empty, and which others there are.

        A name that was mistyped makes a session too.
        """
        rows = await self.darkroom.list_sessions()
        others = [row.name for row in rows if row.name != name][:SESSIONS_NAMED]
        there = f" There are {', '.join(others)}." if others else ""
        self.say(f"The session {name!r} is empty.{there}")

    @work(group="watch", exclusive=True)
    async def _watch(self) -> None:
        """Let each screen follow what anybody changed."""
        while True:
            try:
                async for _ in self.darkroom.watch():
                    for screen in self.screen_stack:
                        if isinstance(screen, Follower):
                            await screen.update()
                    await self._announce()
            except SafelightError as error:
                await self.compose_screen.fail(error)
            await asyncio.sleep(WATCH_AGAIN_SECONDS)

    async def _announce(self) -> None:
        """Tell the terminal how far the jobs are, and that the last one has ended."""
        compose = self.compose_screen
        said = await self._announcer.follow(
            compose.making.jobs, compose.session or "", is_seen=self._is_seen
        )
        if said and self._driver is not None:
            self._driver.write(said)

    def on_app_blur(self) -> None:
        """The terminal has told that it is not looked at, so it will tell when it is."""
        self._has_focus_told = True

    @property
    def _is_seen(self) -> bool:
        """Whether the terminal is known to be looked at."""
        return self._has_focus_told and self.app_focus

    # Screens

    @on(ComposeScreen.HistoryWanted)
    async def _open_history(self) -> None:
        from tui.history.screen import HistoryScreen

        compose = self.compose_screen
        screen = HistoryScreen(self.darkroom, compose.draft, compose.session, self.keymap)
        await self.push_screen(screen)

    @on(ComposeScreen.JobsWanted)
    async def _open_jobs(self) -> None:
        from tui.jobs import JobsScreen

        await self.push_screen(JobsScreen(self.darkroom, self.keymap))

    @on(ComposeScreen.SessionsWanted)
    async def _open_sessions(self) -> None:
        from tui.sessions import SessionsScreen

        compose = self.compose_screen
        screen = SessionsScreen(self.darkroom, compose.session or "", compose.draft, self.keymap)
        await self.push_screen(screen)

    async def on_sessions_screen_session_chosen(self, event: SessionsScreen.SessionChosen) -> None:
        """Go on with another session, from where it was left."""
        await self._go_back()
        compose = self.compose_screen
        compose.is_ready = False
        try:
            await compose.restore(await self.darkroom.load_session(event.name))
            await compose.update()
        except SafelightError as error:
            await compose.fail(error)
            compose.is_ready = True
        self.key_queue.look_again()
        compose.refresh_bindings()

    @on(ImageScreen.DraftLoaded)
    async def _load_parts(self, event: ImageScreen.DraftLoaded) -> None:
        """Parts of a past image go into the editor, and the person too."""
        await self._go_back()
        self.compose_screen.load_image(event.image, event.parts)

    @on(ImageScreen.StartChosen)
    async def _start_from(self, event: ImageScreen.StartChosen) -> None:
        """The editor starts from a past image, and the person goes there."""
        await self._go_back()
        await self.compose_screen.start_from(event.image)

    async def _go_back(self) -> None:
        """Leave every screen above the editor."""
        while self.screen is not self.compose_screen:
            self.screen.workers.cancel_node(self.screen)
            await self.pop_screen()

    @on(ImageScreen.LineageWanted)
    async def _open_lineage(self, event: ImageScreen.LineageWanted) -> None:
        from tui.lineage.screen import LineageScreen

        compose = self.compose_screen
        await self.push_screen(
            LineageScreen(self.darkroom, event.image, compose.draft, compose.session, self.keymap)
        )

    def on_image_screen_view_wanted(self, event: ImageScreen.ViewWanted) -> None:
        """Show the image that is meant there on the whole screen."""
        from tui.viewer import ViewerScreen

        self.push_screen(ViewerScreen(event.screen, self.keymap))

    async def on_lineage_screen_image_opened(self, event: LineageScreen.ImageOpened) -> None:
        """The image of a tree is shown in the history, in the one that is open if there is one."""
        from tui.history.screen import HistoryScreen

        while len(self.screen_stack) > 1 and not isinstance(self.screen, HistoryScreen):
            self.screen.workers.cancel_node(self.screen)
            await self.pop_screen()
        if not isinstance(self.screen, HistoryScreen):
            await self._open_history()
        if isinstance(self.screen, HistoryScreen):
            self.screen.show_image(event.image)

    @on(ImageScreen.ComparisonWanted)
    async def _open_comparison(self, event: ImageScreen.ComparisonWanted) -> None:
        from tui.compare.screen import CompareScreen

        await self.push_screen(CompareScreen(self.darkroom, event.one, event.other, self.keymap))

    async def on_compare_screen_image_loaded(self, event: CompareScreen.ImageLoaded) -> None:
        """The whole of one of two images goes into the editor, and the person too."""
        await self._go_back()
        self.compose_screen.load_image(event.image, "all")

    # The end

    async def action_quit(self) -> None:
        """Write what is pending and leave; jobs go on in the worker."""
        await self._close()
        self.exit()

    async def on_unmount(self) -> None:
        """Write what is pending however the app ends."""
        await self._close()

    async def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            for group in ("open", "watch"):
                self.workers.cancel_group(self, group)
            await self.darkroom.close()

    def _fatal_error(self) -> None:
        """Leave with a traceback that shows no values: they may be prompts or keys.

        What the exception itself says may come from outside.
        """
        from rich.text import Text

        self.bell()
        shown = show_safely(traceback.format_exc(), lines=True)
        self._exit_renderables.append(Text(shown, no_wrap=True, overflow="ignore", end=""))
        self._close_messages_no_wait()


def run_app(
    directory: Path,
    settings: Settings,
    session: str | None,
    probe: Probe,
    around: Surroundings,
    themes: ThemeChoice,
) -> int:
    """Run the app on the data folder `directory`; the exit status of the program.

    `probe` has asked the terminal, and `around` is what is known beside its answers; `themes`: the
    one to begin with, and the person's own.
    """
    from engines.memory import collect_seldom
    from tui.terminal.hangup import watch_hangup

    darkroom = Darkroom(directory, settings)
    answers, opening = probe.finish()
    if answers.asked and not answers.is_whole:
        answers = recall_answers(directory, around.environ) or answers
    around = msgspec.structs.replace(around, answers=answers, tmux=probe.tmux)
    # Textual's console looks at the environment as it is now.
    note_colours(os.environ, explain_colours(around)[0])
    app = SafelightApp(
        darkroom,
        session=session,
        around=around,
        keymap=settings.keys,
        themes=themes,
        interface=settings.interface,
    )
    app.terminal_opening = opening
    watch_hangup(app)
    collect_seldom()
    app.run(mouse=settings.interface.mouse)
    # Not before: the first start makes the folder.
    if app.answers.is_whole and not app.answers.is_remembered:
        remember_answers(directory, around.environ, app.answers)
    return app.return_code or 0
