"""A darkroom in memory with engines, sessions and a queue, for tests of the compose screen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError, Failure
from engines.capabilities import Capabilities
from engines.resolve import resolve_draft
from engines.settings import Settings
from store.errors import SafelightError, StoreError
from store.records import Draft, Image, Job, JobState, Session, Turn
from store.request import Request
from tests.factories import CAPABILITIES, HOSTED
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.app import SafelightApp
from tui.darkroom import OPENING, USUAL_TURN
from tui.terminal.detect import Surroundings

UTF8 = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}


class DeskDarkroom(MemoryDarkroom):
    """Keeps sessions in a dictionary, so that a second app finds what the first one left."""

    def __init__(self, directory: Path, draft: Draft | None = None) -> None:
        super().__init__()
        self.directory = directory
        self.settings = Settings()
        self.sessions: dict[str, Draft] = {} if draft is None else {"main": draft}
        self.archived: frozenset[str] = frozenset()
        self.saved: list[Draft] = []
        self.open_error: SafelightError | None = None
        self.send_error: SafelightError | None = None
        self.gate: asyncio.Event | None = None
        self.trouble = OPENING
        self.is_closed = False
        self.sent: list[Draft] = []
        self.read_only = False

    async def open(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        await super().open()

    def _open(self) -> None:
        if self.open_error is not None:
            raise self.open_error
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True

    @property
    def is_read_only(self) -> bool:
        return self.read_only and not self.is_closed

    def get_capabilities(self, engine: str) -> Capabilities:
        known = {"builtin": CAPABILITIES, "stability": HOSTED}
        if engine not in known:
            raise EngineError(Failure.UNKNOWN_ENGINE, f"There is no engine {engine!r}.")
        return known[engine]

    async def load_session(self, name: str | None = None) -> Session:
        name = name or "main"
        return Session(name=name, draft=self.sessions.setdefault(name, Draft()), updated_at=0)

    async def list_sessions(self) -> list[Session]:
        return [
            Session(name=name, draft=draft, updated_at=0, is_archived=name in self.archived)
            for name, draft in self.sessions.items()
        ]

    async def make_session(self, name: str, draft: Draft) -> Session:
        if name in self.sessions:
            raise StoreError(f"There is a session {name!r} already.")
        self.sessions[name] = draft
        return await self.load_session(name)

    async def rename_session(self, name: str, new: str) -> None:
        self.sessions[new] = self.sessions.pop(name)

    async def archive_session(self, name: str, *, is_archived: bool) -> None:
        self.archived = self.archived | {name} if is_archived else self.archived - {name}

    def find_draft_place(self, name: str) -> str:
        return name

    def save_draft(self, name: str, draft: Draft) -> None:
        self.sessions[name] = draft
        self.saved.append(draft)

    @property
    def draft(self) -> Draft:
        """What would be found after a crash now."""
        return self.sessions["main"]

    def resolve(self, draft: Draft) -> list[Request]:
        return resolve_draft(draft, self.get_capabilities(draft.engine))

    async def generate(
        self, draft: Draft, session: str | None = None, turn: Turn = USUAL_TURN
    ) -> list[Job]:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(draft)
        return [
            self.add_job(
                request=request,
                steps=request.parameters.steps,
                session=session,
                parent_id=draft.parent_id,
                relation=draft.relation,
            )
            for request in self.resolve(draft)
        ]

    def finish(self, job: Job, **facts: Any) -> Image:
        """End the job with an image, as a worker does."""
        image = self.add_image(job.request, **facts)
        self.replace_job(job.id, state=JobState.DONE, image_id=image.id)
        return image


def make_app(darkroom: DeskDarkroom, session: str | None = None, **environ: str) -> SafelightApp:
    """The app on `darkroom` in a terminal with colours and UTF-8."""
    return SafelightApp(darkroom, session=session, around=Surroundings(environ=UTF8 | environ))


def with_place(draft: Draft, **place: str | int | bool | None) -> Draft:
    """`draft` with the person somewhere, so that it is no first launch."""
    return msgspec.structs.replace(draft, place={"part": "prompts", "row": 0} | place)
