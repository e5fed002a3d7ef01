"""The app: themes, screens, palette. Wiring only."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.types import AnimationLevel

from tui.actions import CONTEXTS, Situation, list_actions, write_keys
from tui.compose.screen import ComposeScreen
from tui.darkroom import Darkroom
from tui.terminal.detect import choose_glyphs, read_display
from tui.terminal.filter import ControlFilter
from tui.terminal.hangup import watch_hangup
from tui.themes import ROLES, THEMES, choose_theme, name_following

if TYPE_CHECKING:
    from engines.settings import Settings
    from tui.history.screen import DraftLoaded, OriginChosen

NO_ANIMATION: AnimationLevel = "none"
STYLES: list[str | PurePath] = ["app.tcss", "compose/compose.tcss"]
WIDTHS = [(0, "-tiny"), (72, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-flat"), (20, "-low"), (32, "-high")]
"""From how many columns or rows on a screen has that class."""


@runtime_checkable
class ActionScreen(Protocol):
    """A screen whose actions are in the palette: those of `ACTION_CONTEXTS`."""

    ACTION_CONTEXTS: ClassVar[tuple[str, ...]]

    def get_situation(self) -> Situation:
        """What can be done now."""
        ...

    async def action_perform(self, action_id: str, key: str = "") -> None:
        """Do what the action says."""
        ...


class SafelightApp(App[None]):
    """Safelight in a terminal.

    `darkroom` is opened after the first paint and closed at the end. `session` names the
    session, None for the last one. `environ` tells what the terminal can show.
    """

    TITLE = "safelight"
    CSS_PATH = STYLES
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        darkroom: Darkroom,
        *,
        session: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__()
        self.animation_level = NO_ANIMATION
        self.darkroom = darkroom
        self._session = session
        self._is_closed = False
        self.glyphs = choose_glyphs(environ)
        images = darkroom.settings.interface.images
        self.terminal_display = read_display(environ, images)
        self._control_filter = ControlFilter(has_pictures=self.glyphs.has_unicode)
        for theme in THEMES:
            self.register_theme(theme)
        for name in set(self.available_themes) - {theme.name for theme in THEMES}:
            self.unregister_theme(name)
        self.theme = choose_theme(environ)
        self.compose_screen = ComposeScreen(darkroom, session, self.glyphs)

    def get_default_screen(self) -> Screen[None]:
        """The compose screen is always at the bottom."""
        return self.compose_screen

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The roles, for themes that do not define them."""
        return dict(ROLES)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """No control character that stands in a text reaches the terminal."""
        return [*super().get_line_filters(), self._control_filter]

    async def on_event(self, event: events.Event) -> None:
        """A key ends the message in the last line; commands are done before the next key."""
        is_key = isinstance(event, events.Key) and not event.is_forwarded
        if is_key and self.screen is self.compose_screen:
            assert isinstance(event, events.Key)
            self.compose_screen.say("")
            if await self.compose_screen.take_key(event):
                return
        await super().on_event(event)

    async def on_history_screen_draft_loaded(self, event: DraftLoaded) -> None:
        """Parts of a past image go into the editor."""
        await self.compose_screen.load_image(event.image, event.parts)

    async def on_history_screen_origin_chosen(self, event: OriginChosen) -> None:
        """The editor starts from a past image."""
        await self.compose_screen.images.start_from(event.image)

    # Screens

    async def open_history(self) -> None:
        """Show the history."""
        from tui.history.screen import HistoryScreen

        desk, keeper = self.compose_screen.desk, self.compose_screen.keeper
        await self.push_screen(
            HistoryScreen(
                self.darkroom,
                engine=desk.draft.engine,
                model=desk.draft.model,
                session=keeper.session,
            )
        )

    async def open_jobs(self) -> None:
        """Show the jobs."""
        from tui.jobs import JobsScreen

        await self.push_screen(JobsScreen(self.darkroom))

    async def open_help(self, situation: Situation, focused: Sequence[str]) -> None:
        """Show every key."""
        from tui.help_dialog import HelpScreen

        contexts = {name: CONTEXTS[name] for name in ComposeScreen.ACTION_CONTEXTS}
        await self.push_screen(HelpScreen(contexts, situation, self.glyphs, focused))

    async def open_palette(self) -> None:
        """Show the command palette."""
        self.action_command_palette()

    def open_choice(
        self,
        title: str,
        choices: Sequence[str],
        now: str,
        enter: Callable[[str], Awaitable[None]],
    ) -> None:
        """Let the person choose one of `choices` and hand it to `enter`."""
        from tui.dialogs import ChoiceScreen

        async def take(chosen: str | None) -> None:
            if chosen is not None:
                await enter(chosen)

        self.push_screen(ChoiceScreen(title, choices, now), take)

    async def turn_theme(self) -> None:
        """The next look; it is kept with the session."""
        self.theme = name_following(self.theme)
        self.compose_screen.desk.set_place(theme=self.theme)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The screen's actions; one that cannot be done now says why."""
        if not isinstance(screen, ActionScreen):
            return
        situation = screen.get_situation()
        for action in (each for name in screen.ACTION_CONTEXTS for each in list_actions(name)):
            if action.is_in_palette:
                reason = action.explain(situation)
                keys = write_keys(action, self.glyphs.keys)
                yield SystemCommand(
                    action.description.partition(";")[0],
                    f"not now: {reason}" if reason else f"key: {keys}",
                    functools.partial(screen.action_perform, action.id, action.keys[0]),
                )

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
            self.workers.cancel_all()
            await self.darkroom.close()

    def _fatal_error(self) -> None:
        """Leave with a traceback that shows no values: they may be prompts or keys."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        self.bell()
        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(
            Segments(self.console.render(traceback, self.console.options))
        )
        self._close_messages_no_wait()


def run_app(settings: Settings, session: str | None = None) -> int:
    """Run the app on this user's data directory; the exit status of the program."""
    from store.places import find_data_directory

    app = SafelightApp(Darkroom(find_data_directory(), settings), session=session)
    watch_hangup(app)
    app.run(mouse=settings.interface.mouse)
    return app.return_code or 0
