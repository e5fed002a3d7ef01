"""The session of the compose screen: opening it, what its engines accept, writing it through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engines.capabilities import Capabilities
from store.errors import SafelightError
from store.records import Draft
from tui.compose.abilities import Abilities, read_capabilities
from tui.compose.draft import merge_typed_ahead, show_seed
from tui.compose.fields import Context
from tui.darkroom import Darkroom

OPENING = "The history is being opened."


class Keeper:
    """What is known of the darkroom so far. Knows no widget.

    `abilities`: what the engines can do with an image. `trouble` says why the history is not
    open, "" when it is. `worker` says in words what the worker does.
    """

    def __init__(self, darkroom: Darkroom, session: str | None) -> None:
        self._darkroom = darkroom
        self._capabilities: dict[str, Capabilities] = {}
        self._engines: tuple[str, ...] = ()
        self._sizes: dict[str, tuple[int, int]] = {}
        self.abilities = Abilities({})
        self.session = session
        self.is_open = False
        self.is_opening = True
        self.is_read_only = False
        self.trouble = OPENING
        self.worker = ""

    @property
    def is_first_launch(self) -> bool:
        """Whether there is no data directory yet."""
        return not self._darkroom.directory.exists()

    def begin(self) -> None:
        """The history is being opened, perhaps once more."""
        self.is_opening, self.trouble = True, OPENING

    async def open(self, get_typed: Callable[[], Draft]) -> Draft:
        """Open the history; the draft to put on the desk, its seed drawn.

        `get_typed` gives what was typed meanwhile. Raises `SafelightError` when it cannot be
        opened; what the engines accept is known then too.
        """
        try:
            await self._darkroom.open()
            session = await self._darkroom.load_session(self.session)
        except SafelightError as error:
            self.trouble = str(error)
            raise
        finally:
            await self._read_engines()
        was_open, self.is_open = self.is_open, True
        self.is_read_only = self._darkroom.is_read_only
        self.session, self.trouble = session.name, ""
        draft = session.draft if was_open else merge_typed_ahead(session.draft, get_typed())
        return show_seed(draft)

    async def _read_engines(self) -> None:
        self._engines = self._darkroom.list_engines()
        self._capabilities = await asyncio.to_thread(read_capabilities, self._darkroom)
        self.abilities = Abilities(self._capabilities)

    async def read_worker(self) -> None:
        """Ask what the worker does. Raises `SafelightError`."""
        status = await self._darkroom.get_worker_status()
        worker = "worker ready" if status.is_running else "worker asleep"
        self.worker = f"{status.jobs} in the queue" if status.jobs else worker

    def save(self, draft: Draft) -> None:
        """Write the draft through; before the history is open it stays in memory."""
        if self.is_open and self.session is not None:
            self._darkroom.save_draft(self.session, draft)

    def get_context(self, draft: Draft) -> Context | None:
        """`draft` with what its engine and model accept, None before that is known.

        The first engine stands in for one that is missing.
        """
        if not self._capabilities:
            return None
        first = next(iter(self._capabilities.values()))
        capabilities = self._capabilities.get(draft.engine, first).for_model(draft.model)
        return Context(draft, capabilities, self._engines, self._sizes)

    async def learn_size(self, sha256: str) -> tuple[int, int]:
        """The size of a kept image file, remembered. Raises `SafelightError`."""
        if sha256 not in self._sizes:
            found = await self._darkroom.get_input(sha256)
            self._sizes[sha256] = (found.width, found.height)
        return self._sizes[sha256]

    def is_missing(self, engine: str) -> bool:
        """Whether there is no such engine."""
        return bool(self._capabilities) and engine not in self._capabilities


def read_place(draft: Draft, name: str, default: str = "") -> str:
    """A text in the draft's place."""
    value = draft.place.get(name)
    return value if isinstance(value, str) else default


def read_cursor(draft: Draft) -> tuple[int, int] | None:
    """Line and column of the cursor in the open text, None when they are not known."""
    line, column = draft.place.get("line"), draft.place.get("column")
    return (line, column) if isinstance(line, int) and isinstance(column, int) else None
