"""What screens and commands may ask for: the only door to store and engines.

Every method that touches a file or the database is a coroutine whose work runs in a
thread, so that the screen never waits for a disk. Errors are `SafelightError`, with a
text for the person. Making the object does nothing; `open` makes folders and database.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.base import TokenizedPrompt
from engines.capabilities import Capabilities
from engines.registry import EngineRegistry
from engines.resolve import (
    VARIATION_STRENGTH,
    UpscaleChoices,
    resolve_draft,
    resolve_upscale,
    resolve_variations,
)
from store.batches import divide
from store.errors import NotFound, SafelightError, StoreError, Unavailable
from store.limits import suggest
from store.records import (
    Draft,
    Emptying,
    EnvironmentRecord,
    Image,
    Job,
    JobState,
    Mark,
    Marked,
    Purpose,
    Relation,
    RunResult,
    Series,
    SeriesRequest,
    Serving,
    Session,
    Turn,
    Verification,
    VerificationRun,
)
from store.request import Request
from store.search import NEWEST_FIRST, Search, Sort
from tui import abilities
from tui.abilities import Upscaler

if TYPE_CHECKING:
    from engines.file_verification import FileVerifier
    from engines.outlook import Preflight
    from engines.settings import Settings
    from engines.thinning import Thinning
    from store.database import Database
    from store.decoding import DecodedInput, Input, Role
    from store.lineage import Ancestry, Branch
    from store.metadata.choices import FileChoices, MadeFile
    from store.metadata.intake import Adopted, Arrival
    from store.metadata.signature import SigningKey
    from store.outcomes import Ended, Outcome
    from store.selection import Chunk, Place
    from store.sessions import DraftWriter
    from store.texts import TextPage

FIRST_SESSION = "main"

OPENING = "The history is being opened."
CLOSED = "The history is closed."
READ_ONLY = "This history can only be read."
NO_WORKER_YET = "It is in the queue, and made as soon as a worker comes up."

USUAL_TURN = Turn()

WORKER_SECONDS = 1.0
"""How often somebody who watches makes sure that a worker runs while jobs are left."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker runs (`is_running`), its process id, and how many jobs are unfinished.

    `trouble`: what the worker waits for before it can go on, "" for nothing.
    """

    is_running: bool
    process_id: int | None
    jobs: int
    trouble: str = ""


class Darkroom:
    """One data directory and the engines of one configuration.

    `trouble` says why the history is not open ("" when it is), `is_opening` whether `open`
    is at work. `capabilities` holds what each engine accepts, from `open` on, also when the
    history could not be opened; an engine whose capabilities cannot be read is not in it.
    `queued` and `begun` hold the jobs and runs that were committed from here, `worker_trouble` why
    nothing goes on in the queue ("" when something does), as far as `watch` saw.
    """

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self.trouble = OPENING
        self.is_opening = False
        self.notes: list[str] = []
        self.queued: list[Job] = []
        self.begun: list[VerificationRun] = []
        self.worker_trouble = ""
        self.capabilities: Mapping[str, Capabilities] = {}
        self._losing: set[str] = set()
        self._counted: dict[int, tuple[int, dict[str, int]]] = {}
        self._registry = EngineRegistry(settings)
        self._opened: Database | None = None
        self._drafts: DraftWriter | None = None

    # Open and closed

    async def open(self) -> None:
        """Open or create the history. Raises `StoreError` with what to do."""
        self.is_opening, self.trouble = True, OPENING
        try:
            self.capabilities = await asyncio.to_thread(self._read_capabilities)
            await asyncio.to_thread(self._open)
        except SafelightError as error:
            self.trouble = str(error)
            raise
        else:
            self.trouble = ""
        finally:
            self.is_opening = False

    def _read_capabilities(self) -> dict[str, Capabilities]:
        found = {}
        for engine in self.list_engines():
            try:
                found[engine] = self.get_capabilities(engine)
            except SafelightError:
                continue  # It is said where that engine is chosen.
            if self._registry.has_losses(engine):
                self._losing.add(engine)
        return found

    def _open(self) -> None:
        from store.database import Database
        from store.sessions import DraftWriter

        self._opened = Database.open(self.directory)
        if self._opened.is_read_only:
            self.notes.extend(self._opened.warnings)
        self._drafts = DraftWriter(self._opened)

    async def close(self) -> None:
        """Write what is pending and let go of the database."""
        await asyncio.to_thread(self._close)
        self.trouble = self.trouble or CLOSED

    def _close(self) -> None:
        if self._drafts is not None:
            self._drafts.close()
        if self._opened is not None:
            self._opened.close()
        self._drafts = self._opened = None

    @property
    def database(self) -> Database:
        """The open history. Raises `StoreError` before `open`."""
        if self._opened is None:
            raise StoreError("The history is not open.")
        return self._opened

    async def back_up(self, path: Path) -> None:
        """Write a checked copy of the database, without the image files, to a new file."""
        await asyncio.to_thread(self.database.back_up, path)

    @property
    def is_open(self) -> bool:
        """Whether there is a history to read."""
        return not self.trouble

    @property
    def is_read_only(self) -> bool:
        """Whether this history can be looked at but not added to; False while not open."""
        return self._opened is not None and self._opened.is_read_only

    def explain_writing(self) -> str:
        """Why nothing can be added to the history now; "" when it can."""
        if self.trouble or not self.is_read_only:
            return self.trouble
        return " ".join([READ_ONLY, *(self._opened.warnings if self._opened else ())])

    # Sessions

    async def glance_at_session(self, name: str | None = None) -> Session | None:
        """The session of that name, or the last one used, while the history is not open.

        None where it cannot be had at once; `open_session` says why. Nothing is written to it
        before that.
        """
        return await asyncio.to_thread(self._glance_at_session, name)

    def _glance_at_session(self, name: str | None) -> Session | None:
        from store.glance import glance_at_session
        from store.migrations import VERSION

        return glance_at_session(self.directory, name, FIRST_SESSION, VERSION)

    def expect_draft(self, name: str, draft: Draft) -> None:
        """Where session `name` is no more as it was at a glance, with `draft`, keep both."""
        if self._drafts is not None:
            self._drafts.expect(name, draft)

    async def open_session(self, name: str | None = None) -> Session:
        """Open the history and load a session, as `load_session` does. Raises `StoreError`."""
        await self.open()
        try:
            return await self.load_session(name)
        except SafelightError as error:
            self.trouble = str(error)
            raise

    async def load_session(self, name: str | None = None) -> Session:
        """The session of that name, or the last one used; made when there is none."""
        return await asyncio.to_thread(self._load_session, name)

    def _load_session(self, name: str | None) -> Session:
        from store import sessions

        wanted = name or sessions.last_session_name(self.database) or FIRST_SESSION
        if self._drafts is None:
            return sessions.load_session(self.database, wanted)
        return self._drafts.load(wanted)

    async def check_session(self, name: str | None) -> None:
        """Raise `NotFound`, with those that there are, unless `name` is a session or None."""
        if name is None:
            return
        known = [session.name for session in await self.list_sessions()]
        if name not in known:
            makes = "The darkroom makes one: safelight --session NAME."
            raise NotFound(
                f"There is no session {name!r}.",
                f"{suggest(name, known)} {makes}" if known else makes,
            )

    async def list_sessions(self) -> list[Session]:
        """All sessions, the last used first."""
        from store import sessions

        return await asyncio.to_thread(sessions.list_sessions, self.database)

    async def make_session(self, name: str, draft: Draft) -> Session:
        """A new session that begins with `draft`. Raises `StoreError` where the name is taken."""
        from store import sessions

        return await asyncio.to_thread(sessions.make_session, self.database, name, draft)

    async def rename_session(self, name: str, new: str) -> None:
        """Give a session another name; what was made in it keeps the old one in its record."""
        from store import sessions

        await asyncio.to_thread(sessions.rename_session, self.database, name, new)

    async def archive_session(self, name: str, *, is_archived: bool) -> None:
        """Put a session behind the others, or back among them."""
        from store import sessions

        await asyncio.to_thread(sessions.archive_session, self.database, name, is_archived)

    def save_draft(self, name: str, draft: Draft) -> None:
        """Write the draft through. Returns at once; a thread writes the newest one."""
        if self._drafts is not None and not self.is_read_only:
            self._drafts.write(name, draft)

    async def write_draft(self, name: str, draft: Draft) -> None:
        """Write the draft of a session that is not open here. Raises `StoreError`."""
        from store import sessions

        await asyncio.to_thread(sessions.save_draft, self.database, name, draft)

    def find_draft_place(self, name: str) -> str:
        """The session that the draft of session `name` is written to.

        It is another one where a second darkroom writes to that: then each keeps its text.
        """
        return name if self._drafts is None else self._drafts.find_place(name)

    @property
    def draft_error(self) -> StoreError | None:
        """Why the newest draft could not be written, None when it was."""
        return None if self._drafts is None else self._drafts.error

    # Input files

    async def add_input(self, data: bytes, role: Role = "initial image") -> Input:
        """Decode an image file that a request starts from, and keep it.

        Raises `StoreError` if it is none.
        """
        from store import inputs

        return await asyncio.to_thread(inputs.store_input, self.database, data, role)

    async def keep_input(self, decoded: DecodedInput) -> Input:
        """Keep an image that was decoded. Raises `StoreError`."""
        from store import inputs

        return await asyncio.to_thread(inputs.keep_input, self.database, decoded)

    async def recall_input(self, data: bytes) -> DecodedInput | None:
        """The kept file that is equal to `data`; None when none is."""
        from store import inputs

        return await asyncio.to_thread(inputs.recall_input, self.database, data)

    async def get_input(self, sha256: str) -> Input:
        """The facts of a kept file. Raises `NotFound`."""
        from store import inputs

        return await asyncio.to_thread(inputs.get_input, self.database, sha256)

    async def read_input(self, sha256: str) -> bytes:
        """A kept file, checked. Raises `StoreError`."""
        from store import inputs

        return await asyncio.to_thread(inputs.read_input, self.database, sha256)

    async def find_input(self, sha256: str) -> Path:
        """Where a kept file lies. Raises `NotFound`."""
        from store import inputs

        return await asyncio.to_thread(inputs.find_input, self.database, sha256)

    # History

    async def list_images(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        search: str | Search | None = None,
        session: str | None = None,
        sort: Sort = NEWEST_FIRST,
    ) -> list[Image]:
        """Images that fit `search` and come after that of the number `before` in this order.

        Only those of `session`, if any. Raises `SearchError`.
        """
        from store import history

        return await asyncio.to_thread(
            history.list_images,
            self.database,
            before=before,
            limit=limit,
            search=search,
            session=session,
            sort=sort,
        )

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        """The numbers of all images that match, newest first: eight bytes an image."""
        from store import history

        return await asyncio.to_thread(history.list_image_numbers, self.database, search=search)

    async def read_numbers(
        self,
        *,
        search: str | Search | None = None,
        sort: Sort = NEWEST_FIRST,
        after: Place | None = None,
        limit: int,
        from_end: bool = False,
    ) -> Chunk:
        """The next numbers of a list behind `after`; with `from_end` from its other end.

        Raises `SearchError`.
        """
        from store import history

        return await asyncio.to_thread(
            history.read_numbers,
            self.database,
            search=search,
            sort=sort,
            after=after,
            limit=limit,
            from_end=from_end,
        )

    async def load_images(
        self, numbers: Sequence[int], search: str | Search | None = None
    ) -> list[Image]:
        """The images with these numbers that there are and that fit `search`, in this order."""
        from store import history

        return await asyncio.to_thread(history.load_images, self.database, numbers, search=search)

    async def load_parents(self, identities: Collection[str]) -> dict[str, Request]:
        """The requests of the images with these ids, as far as there are such."""
        from store import history

        return await asyncio.to_thread(history.load_parents, self.database, identities)

    async def count_images(self) -> int:
        """How many images there are that are not in the trash."""
        from store import history

        return await asyncio.to_thread(history.count_images, self.database)

    async def list_search_names(self, key: str) -> list[str]:
        """The names that a key of the search language can be given here."""
        from store import history

        return await asyncio.to_thread(history.list_search_names, self.database, key)

    async def get_image(self, reference: str) -> Image:
        """The whole record by a unique beginning of its id, `@1` for the newest, or `seed:N`."""
        from store import history

        image = await asyncio.to_thread(history.get_image, self.database, reference)
        await self._note_meaning(reference, image)
        return image

    async def get_images(self, numbers: Sequence[int]) -> list[Image]:
        """The images with these numbers that there are, as lists have them, newest first."""
        from store import history

        return await asyncio.to_thread(history.get_images, self.database, numbers)

    async def check_image(self, reference: str) -> Image:
        """As `get_image`, with the names of what was changed in the record."""
        from store import history

        image = await asyncio.to_thread(history.check_image, self.database, reference)
        await self._note_meaning(reference, image)
        return image

    async def _note_meaning(self, reference: str, image: Image) -> None:
        """Keep for the person what else a short reference may have meant."""
        from store import history

        if len(reference) < len(image.id):
            note = await asyncio.to_thread(
                history.explain_reference, self.database, reference, image
            )
            if note and note not in self.notes:
                self.notes.append(note)

    async def find_neighbour(self, image: Image, *, is_newer: bool) -> Image | None:
        """The image made next after `image`, or last before it; None at an end."""
        from store import history

        return await asyncio.to_thread(
            history.find_neighbour, self.database, image.number, is_newer=is_newer
        )

    async def list_made(self, request: Request) -> list[Image]:
        """The images of this very request, newest first; those in the trash too."""
        from store import history

        return await asyncio.to_thread(history.list_made, self.database, request.digest)

    async def read_image(self, image: Image) -> bytes:
        """The stored file. Raises `StoreError` when it is missing or damaged."""
        from store import history

        return await asyncio.to_thread(history.read_image, self.database, image)

    async def read_shown(self, image: Image) -> tuple[bytes, bool]:
        """What there is to look at: the file, or (then with True) the thumbnail of a thinned image.

        Raises `StoreError` when the file is missing or damaged.
        """
        try:
            return await self.read_image(image), False
        except StoreError:
            # It may have been thinned since the list was read.
            now = await self.get_image(image.id)
            if not now.is_thinned:
                raise
            thumbnails = await self.get_thumbnails([image.number])
            if image.number not in thumbnails:
                raise
            return thumbnails[image.number], True

    async def get_thumbnails(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Thumbnails (WebP) by image number."""
        from store import history

        return await asyncio.to_thread(history.get_thumbnails, self.database, numbers)

    async def find_ancestors(self, image_id: str) -> Ancestry:
        """The line of an image upwards, its parent first. Raises `NotFound`."""
        from store import lineage

        return await asyncio.to_thread(lineage.find_ancestors, self.database, image_id)

    async def list_children(self, image_id: str, after: int = 0, limit: int = 50) -> list[Image]:
        """Images that came from this one, with numbers over `after`, the oldest first."""
        from store import lineage

        return await asyncio.to_thread(lineage.list_children, self.database, image_id, after, limit)

    async def count_children(self, image_ids: Collection[str]) -> dict[str, int]:
        """How many images came from each of these."""
        from store import lineage

        return await asyncio.to_thread(lineage.count_children, self.database, image_ids)

    async def list_by_id(self, image_ids: Collection[str]) -> list[Image]:
        """The images with these ids, those that there are, in no order."""
        from store import lineage

        return await asyncio.to_thread(lineage.list_by_id, self.database, image_ids)

    async def read_tree(self, image_id: str, *, depth: int, breadth: int) -> Branch:
        """An image with what came of it. Raises `NotFound`."""
        from store import lineage

        return await asyncio.to_thread(
            lineage.read_tree, self.database, image_id, depth=depth, breadth=breadth
        )

    async def list_texts(self, before: int | None, images: int) -> TextPage:
        """The prompt texts of up to `images` images with numbers below `before`, newest first."""
        from store import texts

        return await asyncio.to_thread(texts.list_texts, self.database, before, images)

    async def read_wire(self, job_id: str) -> bytes | None:
        """The exact message that was sent for the job; None for an engine without a wire."""
        from store import queue

        return await asyncio.to_thread(queue.read_wire, self.database, job_id)

    async def get_environment(self, digest: str) -> EnvironmentRecord | None:
        """What images were made or verified with, by its digest; None where it is not kept."""
        from store import history

        return await asyncio.to_thread(history.get_environment, self.database, digest)

    async def list_verifications(self, image_id: str) -> list[Verification]:
        """All verifications of the image, newest first."""
        from store import history

        return await asyncio.to_thread(history.list_verifications, self.database, image_id)

    # What is said of images

    async def mark_images(self, numbers: Sequence[int], mark: Mark) -> Marked:
        """Say `mark` of the images with these numbers. Raises `RequestError` or `StoreError`."""
        from store.annotations import apply_mark

        return await asyncio.to_thread(apply_mark, self.database, numbers, mark)

    async def mark_found(self, search: str, mark: Mark) -> Marked:
        """Say `mark` of all images that `search` finds now. Raises `SearchError`."""
        return await asyncio.to_thread(self._mark_found, search, mark)

    def _mark_found(self, search: str, mark: Mark) -> Marked:
        from store.annotations import apply_mark
        from store.history import iterate_numbers

        found = iterate_numbers(self.database, search=search)
        return apply_mark(self.database, chain.from_iterable(found), mark)

    async def undo_marks(self, marked: Marked) -> int:
        """Put back what a mark changed; of how many images."""
        from store.annotations import undo_marks

        return await asyncio.to_thread(undo_marks, self.database, marked)

    async def list_tags(self, begin: str = "", limit: int = 1000) -> list[tuple[str, int]]:
        """Tags that begin with `begin`, and of how many images each is, the most used first."""
        from store.annotations import list_tags

        return await asyncio.to_thread(list_tags, self.database, begin, limit)

    async def plan_emptying(self) -> Emptying:
        """What emptying the trash would do now. Changes nothing."""
        from store.trash import plan_emptying

        return await asyncio.to_thread(plan_emptying, self.database)

    async def empty_trash(self, tell: Callable[[int], object] | None = None) -> Emptying:
        """Remove what lies in the trash, for good. `tell` is called in another thread."""
        from store.trash import empty_trash

        return await asyncio.to_thread(empty_trash, self.database, tell)

    # Images of others

    async def import_image(
        self, data: bytes, file_name: str, session: str | None = None
    ) -> Arrival:
        """Add an image file to the history with all that its metadata say of it.

        `file_name`: without its folder; `session`: where it is shown. One that is there is not
        added again. Raises `StoreError` where it is no image or says nothing.
        """
        from store.metadata.intake import import_file

        return await asyncio.to_thread(
            import_file,
            self.database,
            data,
            file_name=file_name,
            session=session and self.find_draft_place(session),
        )

    async def read_metadata(self, data: bytes) -> Adopted:
        """The request that an image file's metadata make, with how much of them is in it.

        Nothing is kept. Raises `StoreError` where it is no image or says nothing.
        """
        from store.metadata.intake import adopt_file

        return await asyncio.to_thread(adopt_file, data)

    # Engines

    def list_engines(self) -> tuple[str, ...]:
        """The engines' ids, the default first."""
        return self._registry.list_engines()

    @property
    def default_engine(self) -> str:
        """The engine that is used where none is named."""
        return self._registry.default_engine

    def get_capabilities(self, engine: str) -> Capabilities:
        """What `engine` accepts; cheap, loads no model. Raises `EngineError` if unknown."""
        return self._registry.get_capabilities(engine)

    def read_prompt(
        self, engine: str, text: str, style_preset: str | None = None
    ) -> TokenizedPrompt:
        """What the engine's model reads of `text`. The first call reads a file."""
        return self._registry.tokenize(engine, text, style_preset)

    def has_losses(self, engine: str) -> bool:
        """Whether `engine` may be unable to honour all of a request; see `describe_losses`."""
        return engine in self._losing

    def upscalers(self, first: str = "") -> list[Upscaler]:
        """The models that make images larger, those of the engine `first` in front."""
        return abilities.list_upscalers(self.capabilities, first)

    def why_no_start(self, engine: str, model: str | None) -> str:
        """Why `engine` with `model` starts from no image; "" when it does."""
        return abilities.explain_start(self.capabilities, engine, model)

    def why_no_mix(self, engine: str, model: str | None) -> str:
        """Why `engine` with `model` mixes no second seed in; "" when it does."""
        return abilities.explain_mix(self.capabilities, engine, model)

    def why_no_vary(self, image: Image | None) -> str:
        """Why `image` cannot be varied; "" when it can."""
        return abilities.explain_vary(self.capabilities, image)

    def why_no_enlarge(self, image: Image | None) -> str:
        """Why `image` cannot be made larger; "" when it can."""
        return abilities.explain_enlarge(self.capabilities, image)

    # Jobs

    def resolve(self, draft: Draft) -> list[Request]:
        """The complete requests that `draft` stands for, one an image.

        Draws the first seed when the draft has none; the others follow it by one. Raises
        `RequestError` for the first thing that the store or the engine does not accept.
        """
        requests = resolve_draft(draft, self.get_capabilities(draft.engine))
        self._registry.describe_losses(requests[0])  # refuses what cannot be sent at all
        return requests

    def pin(self, image: Image) -> Request:
        """The request of `image` with the revision of its model named, also where it did not.

        What comes of it anew is then made by the same revision.
        """
        return self._registry.pin(image.request, image.environment)

    def pin_anew(self, request: Request) -> Request:
        """`request` with the revision that its model means where no image was made of it yet."""
        return self._registry.pin(request)

    def describe_losses(self, draft: Draft) -> tuple[str, ...]:
        """What of `draft` its engine cannot honour, a sentence each, before anything is sent.

        Empty for a draft that is not complete. Cheap.
        """
        try:
            return self._registry.describe_losses(self.resolve(draft)[0])
        except SafelightError:
            return ()

    async def generate(
        self, draft: Draft, session: str | None = None, turn: Turn = USUAL_TURN
    ) -> list[Job]:
        """Resolve `draft`, queue its jobs and make sure that a worker runs."""
        requests = self.resolve(draft)
        return await asyncio.to_thread(
            self._enqueue, requests, session, draft.parent_id, draft.relation, turn
        )

    async def generate_all(
        self, drafts: Sequence[Draft], session: str | None = None, turn: Turn = USUAL_TURN
    ) -> list[Job]:
        """Queue the jobs of several drafts, in their order. Raises before any is queued.

        Those that go together are queued in one go; what was queued before another could not be is
        in `queued`.
        """
        found = [(draft, self.resolve(draft)) for draft in drafts]
        return await asyncio.to_thread(self._enqueue_all, found, session, turn)

    def _enqueue_all(
        self, found: list[tuple[Draft, list[Request]]], session: str | None, turn: Turn
    ) -> list[Job]:
        from engines.cost import check_budget

        check_budget(self.database, [each for _, part in found for each in part], self.settings)

        def name_group(pair: tuple[Draft, list[Request]]) -> object:
            return pair[0].engine, pair[0].parent_id, pair[0].relation

        parts = [
            part for _, group in groupby(found, key=name_group) for part in divide(list(group))
        ]
        # Each part comes before all that wait, so the last one is queued first.
        ordered = parts[::-1] if turn.is_next else parts
        queued: dict[int, list[Job]] = {}
        for part in ordered:
            requests = [each for _, some in part for each in some]
            draft = part[0][0]
            queued[id(part)] = self._enqueue(
                requests, session, draft.parent_id, draft.relation, turn
            )
        return [job for part in parts for job in queued[id(part)]]

    async def generate_request(
        self,
        request: Request,
        session: str | None = None,
        parent: Image | None = None,
        turn: Turn = USUAL_TURN,
    ) -> Job:
        """Queue `request` as it is, to the digest; as what was edited from `parent`, if given.

        Raises `RequestError` for the first thing that its engine does not accept, `NotFound` for
        an image file that it starts from and that is not kept.
        """
        self.get_capabilities(request.engine).check(request)
        self._registry.describe_losses(request)
        for sha256 in request.parameters.inputs:
            await self.get_input(sha256)
        parent_id = None if parent is None else parent.id
        relation = None if parent is None else Relation.EDIT
        (job,) = await asyncio.to_thread(
            self._enqueue, [request], session, parent_id, relation, turn
        )
        return job

    def _check_ready(self, requests: Sequence[Request]) -> None:
        """Raise `EngineError` for what an engine is known to lack before anything is sent."""
        for engine in {request.engine for request in requests}:
            self._registry.check_ready(engine)

    def _enqueue(
        self,
        requests: list[Request],
        session: str | None,
        parent_id: str | None,
        relation: Relation | None,
        turn: Turn = USUAL_TURN,
    ) -> list[Job]:
        from engines.cost import check_budget
        from store import history, queue

        self._check_ready(requests)
        check_budget(self.database, requests, self.settings)
        if parent_id is not None and not history.has_image(self.database, parent_id):
            # A draft may outlive the image that it came from.
            parent_id = relation = None
        with self._engage_worker(requests) as wanted:
            jobs = queue.enqueue(
                self.database,
                requests,
                session=session and self.find_draft_place(session),
                parent_id=parent_id,
                relation=relation,
                profile=self._choose_profile(requests[0].engine),
                wanted=wanted,
                turn=turn,
            )
            self.queued += jobs
        return jobs

    async def vary(
        self,
        image: Image,
        *,
        strength: float = VARIATION_STRENGTH,
        seed: int | None = None,
        images: int = 1,
        session: str | None = None,
    ) -> list[Job]:
        """Queue the image's request with noise of another seed blended in, as its children.

        `strength` is 0 to 1; `seed` (the variation's) is drawn when None. Raises `StoreError`
        when the record is damaged, `RequestError` when the engine has no variations.
        """
        _check_whole(image)
        capabilities = self.get_capabilities(image.request.engine)
        requests = resolve_variations(
            self.pin(image), capabilities, strength=strength, seed=seed, images=images
        )
        return await asyncio.to_thread(
            self._enqueue, requests, session, image.id, Relation.VARIATION
        )

    def resolve_upscale(
        self, source: Input, choices: UpscaleChoices, image: Image | None = None
    ) -> Request:
        """The complete request that makes `source` larger, which is the file of `image` if given.

        Raises `RequestError`.
        """
        if image is not None:
            _check_whole(image)
        return resolve_upscale(
            source.sha256,
            (source.width, source.height),
            None if image is None else image.request,
            choices,
            self.get_capabilities(choices.engine or self.default_engine),
        )

    async def enlarge(
        self, image: Image, choices: UpscaleChoices | None = None, session: str | None = None
    ) -> Job:
        """Queue a larger one of a past image, as its child."""
        from store.decoding import decode_input

        data = await self.read_image(image)
        source = await asyncio.to_thread(decode_input, data, "image to make larger")
        return await self.upscale(source, choices, session, image)

    async def upscale(
        self,
        source: DecodedInput,
        choices: UpscaleChoices | None = None,
        session: str | None = None,
        image: Image | None = None,
    ) -> Job:
        """Queue a larger one of a file, as a child of `image` where that has the file."""
        request = self.resolve_upscale(source, choices or UpscaleChoices(), image)
        await self.keep_input(source)
        parent_id = None if image is None else image.id
        (job,) = await asyncio.to_thread(
            self._enqueue, [request], session, parent_id, Relation.UPSCALE if parent_id else None
        )
        return job

    def _choose_profile(self, engine: str) -> str | None:
        """The host profile that goes with a job, where its engine has profiles."""
        return self.settings.profile if self._registry.has_profiles(engine) else None

    def estimate_cost(self, requests: Sequence[Request]) -> float | None:
        """The credits that `requests` may cost together; 0 where free, None if not known."""
        prices = [self._registry.estimate_cost(request) for request in requests]
        return None if None in prices else sum(price or 0.0 for price in prices)

    async def get_spent_today(self) -> float:
        """The credits of what was sent today, in credits."""
        from engines.cost import spent_today

        return await asyncio.to_thread(spent_today, self.database)

    def _engage_worker(self, requests: Sequence[Request]) -> AbstractContextManager[Serving | None]:
        """What is queued within the block is run by this program with its settings, or newer."""
        return self._engage({request.engine for request in requests})

    def _engage(self, engines: Collection[str]) -> AbstractContextManager[Serving | None]:
        from engines.worker.process import engage_worker

        return engage_worker(self.database, engines, self._note_no_worker)

    def _note_no_worker(self, trouble: str) -> None:
        """What was queued is queued, though no worker came up for it."""
        self.worker_trouble = trouble
        self.notes.append(f"{NO_WORKER_YET} {trouble}")

    async def regenerate(self, image_id: str) -> Job:
        """Queue a child of the image, made from its stored request and compared with it."""
        return await asyncio.to_thread(self._enqueue_comparison, image_id, Purpose.REGENERATE)

    async def verify(self, image_id: str) -> Job | None:
        """Queue a comparison; the verdict is stored, no image is added.

        None when the record itself was changed after it was written: the verdict is then
        stored at once, because what would be made is not what was recorded.
        """
        return await asyncio.to_thread(self._verify, image_id)

    def _verify(self, image_id: str) -> Job | None:
        from engines.verify import judge_foreign, verify_record
        from store import history

        image = history.check_image(self.database, image_id)
        is_changed = image.is_damaged or bool(image.changes)
        comparison = verify_record(self.database, image) if is_changed else None
        if (comparison := comparison or judge_foreign(image)) is not None:
            history.add_verification(self.database, image.id, comparison)
            return None
        return self._enqueue_comparison(image.id, Purpose.VERIFY)

    def _enqueue_comparison(self, image_id: str, purpose: Purpose) -> Job:
        from engines.cost import check_budget
        from store import history, queue

        image = history.get_image(self.database, image_id)
        if image.is_foreign:
            raise StoreError(
                f"Another program made the image {image.id[:8]}; it cannot be made again here.",
                "Load it into the editor to make one like it.",
            )
        request = image.request
        if purpose is Purpose.REGENERATE:
            check_budget(self.database, [request], self.settings)
        profile = self._choose_profile(request.engine)
        with self._engage_worker([request]) as wanted:
            job = queue.enqueue_comparison(
                self.database, image_id, purpose, profile=profile, wanted=wanted
            )
            self.queued.append(job)
        return job

    # Files that leave, and files that are verified

    async def make_file(
        self, image_id: str, choices: FileChoices, key: SigningKey | None = None
    ) -> MadeFile:
        """The file of an image with its record in it, to be written somewhere.

        `key` signs the record. Raises `StoreError` where a file or record is damaged.
        """
        return await asyncio.to_thread(self._make_file, image_id, choices, key)

    def _make_file(self, image_id: str, choices: FileChoices, key: SigningKey | None) -> MadeFile:
        from store import history
        from store.metadata.files import make_file

        image = history.get_image(self.database, image_id)
        data = history.read_image(self.database, image)
        return make_file(self.database, image, data, choices, key=key)

    async def read_inputs(self, image: Image) -> dict[str, tuple[str, bytes]]:
        """The files that an image's request starts from, with their endings, by their digests."""
        return await asyncio.to_thread(self._read_inputs, image)

    def _read_inputs(self, image: Image) -> dict[str, tuple[str, bytes]]:
        from store.inputs import get_input, read_input
        from store.vault import suffix_of

        database = self.database
        return {
            sha256: (suffix_of(get_input(database, sha256).mime), read_input(database, sha256))
            for sha256 in image.request.parameters.inputs
        }

    def make_file_verifier(self, signers: Mapping[str, str]) -> FileVerifier:
        """What verifies files from their own records; to be closed. It adds nothing to the history.

        `signers`: whose keys are whose. Files that requests start from are looked for here too.
        """
        from engines.file_verification import FileVerifier
        from engines.worker.job import KeptFiles

        return FileVerifier(self.settings, KeptFiles(self.database), signers)

    async def get_export_folder(self) -> str | None:
        """The folder that images were saved to last, None before the first time."""
        from store.preferences import EXPORT_FOLDER, read_preference

        return await asyncio.to_thread(read_preference, self.database, EXPORT_FOLDER)

    async def remember_export_folder(self, folder: Path) -> None:
        """Save images there from now on, without asking."""
        from store.preferences import EXPORT_FOLDER, write_preference

        if not self.is_read_only:
            await asyncio.to_thread(write_preference, self.database, EXPORT_FOLDER, str(folder))

    # Runs of verifications

    async def begin_run(self, search: str, numbers: Sequence[int]) -> VerificationRun:
        """Verify the images with these numbers one after the other, behind all other jobs.

        `search` says what chose them.
        """
        return await asyncio.to_thread(self._begin_run, search, numbers)

    def _begin_run(self, search: str, numbers: Sequence[int]) -> VerificationRun:
        from store.verification_runs import begin_run

        # What is made again is made by the settings of each engine that has any.
        with self._engage(self.list_engines()) as wanted:
            run = begin_run(self.database, search, numbers, wanted=wanted)
            self.begun.append(run)
        return run

    async def list_runs(self, limit: int = 50) -> list[VerificationRun]:
        """Runs of verifications, newest first."""
        from store import verification_runs

        return await asyncio.to_thread(verification_runs.list_runs, self.database, limit)

    async def get_run(self, reference: str) -> VerificationRun:
        """The run by a unique beginning of its id, `@1` for the newest. Raises `NotFound`."""
        from store import verification_runs

        return await asyncio.to_thread(verification_runs.get_run, self.database, reference)

    async def list_results(self, run: VerificationRun, after: int = 0) -> list[RunResult]:
        """Some images of a run in their order, those behind the position `after`."""
        from store import verification_runs

        return await asyncio.to_thread(
            verification_runs.list_results, self.database, run.number, after=after
        )

    async def count_verdicts(self, run: VerificationRun) -> dict[str, int]:
        """How many images of a run have which verdict so far."""
        return await asyncio.to_thread(self._count_verdicts, run)

    def _count_verdicts(self, run: VerificationRun) -> dict[str, int]:
        from store.verification_runs import count_verdicts

        # Only what is new is counted: a run may have a million images.
        until, counted = self._counted.get(run.number, (0, {}))
        if run.done <= until:
            return counted
        fresh = count_verdicts(self.database, run.number, after=until, until=run.done)
        counted = {
            verdict: counted.get(verdict, 0) + fresh.get(verdict, 0)
            for verdict in counted.keys() | fresh.keys()
        }
        self._counted[run.number] = (run.done, counted)
        return counted

    async def pause_run(self, run_id: str) -> VerificationRun:
        """Take no further image of a run until it is resumed."""
        from store import verification_runs

        return await asyncio.to_thread(verification_runs.pause_run, self.database, run_id)

    async def resume_run(self, run_id: str) -> VerificationRun:
        """Go on with a paused run."""
        return await asyncio.to_thread(self._resume_run, run_id)

    def _resume_run(self, run_id: str) -> VerificationRun:
        from store.verification_runs import resume_run

        with self._engage(self.list_engines()) as wanted:
            run = resume_run(self.database, run_id, wanted=wanted)
            self.begun.append(run)
        return run

    async def cancel_run(self, run_id: str) -> VerificationRun:
        """End a run; what it has found is kept."""
        from store import verification_runs

        return await asyncio.to_thread(verification_runs.cancel_run, self.database, run_id)

    # Series

    async def begin_series(
        self, drafts: Sequence[Draft], until: float, session: str | None = None
    ) -> Series:
        """Make the images of these drafts in turns until a moment, behind all other jobs.

        `until`: seconds of 1970. The seeds are others in each round. Raises `SafelightError` for
        what could not be made, or would cost more than the day allows already in its first round.
        """
        found = [(draft, self.resolve(draft)) for draft in drafts]
        return await asyncio.to_thread(self._begin_series, found, until, session)

    def _begin_series(
        self, found: list[tuple[Draft, list[Request]]], until: float, session: str | None
    ) -> Series:
        from engines.cost import check_budget
        from store.series import begin_series

        requests = [
            SeriesRequest(
                request=request,
                stride=len(part),
                parent_id=draft.parent_id,
                relation=draft.relation,
                profile=self._choose_profile(request.engine),
            )
            for draft, part in found
            for request in part
        ]
        self._check_ready([each.request for each in requests])
        check_budget(self.database, [each.request for each in requests], self.settings)
        with self._engage_worker([each.request for each in requests]) as wanted:
            return begin_series(
                self.database,
                requests,
                until,
                session=session and self.find_draft_place(session),
                wanted=wanted,
            )

    async def list_series(self, limit: int = 50) -> list[Series]:
        """Series, newest first."""
        from store import series

        return await asyncio.to_thread(series.list_series, self.database, limit)

    async def has_series(self) -> bool:
        """Whether a series goes on, which it does not while the queue is paused."""
        from store import series

        return await asyncio.to_thread(series.is_any_open, self.database)

    async def pause_series(self, series_id: str) -> Series:
        """Begin no further image of a series until it is resumed."""
        from store import series

        return await asyncio.to_thread(series.pause_series, self.database, series_id)

    async def resume_series(self, series_id: str) -> Series:
        """Go on with a paused series."""
        return await asyncio.to_thread(self._resume_series, series_id)

    def _resume_series(self, series_id: str) -> Series:
        from store.series import resume_series

        with self._engage(self.list_engines()) as wanted:
            return resume_series(self.database, series_id, wanted=wanted)

    async def cancel_series(self, series_id: str) -> Series:
        """End a series; what it has made is kept."""
        from store import series

        return await asyncio.to_thread(series.cancel_series, self.database, series_id)

    async def check_before(self, reference: str) -> Preflight:
        """What is other now than when the image was made; nothing is made. May load a model."""
        from engines.preflight import check_before

        return await asyncio.to_thread(check_before, self.database, self._registry, reference)

    # Images without pixels

    async def thin(
        self,
        numbers: Sequence[int],
        *,
        made_before: float | None = None,
        is_rehearsal: bool = False,
    ) -> Thinning:
        """Drop the pixels of those of these images that can be made again here.

        `made_before`: only of those made before this moment. `is_rehearsal`: only say what would
        be done. May load a model.
        """
        from engines.thinning import thin

        return await asyncio.to_thread(
            thin,
            self.database,
            self._registry,
            numbers,
            made_before=made_before,
            is_rehearsal=is_rehearsal,
        )

    async def list_thinned(self) -> list[int]:
        """The numbers of all images without pixels, newest first."""
        from store import thinning

        return await asyncio.to_thread(thinning.list_thinned, self.database)

    async def restore(self, image_id: str) -> Job:
        """Queue that the pixels of a thinned image are made again; only the same are taken."""
        return await asyncio.to_thread(self._enqueue_comparison, image_id, Purpose.RESTORE)

    # The queue

    async def cancel(self, job_id: str) -> Job:
        """Ask that the job stop within one step."""
        from store import queue

        return await asyncio.to_thread(queue.request_cancel, self.database, job_id)

    async def cancel_jobs(self, job_ids: Sequence[str]) -> int:
        """Ask that these jobs stop; how many of them had not ended."""
        from store import queue

        return await asyncio.to_thread(queue.request_cancels, self.database, job_ids)

    async def cancel_all(self) -> tuple[int, int]:
        """End all that waits and runs; how many jobs, and runs of verifications and series."""
        return await asyncio.to_thread(self._cancel_all)

    def _cancel_all(self) -> tuple[int, int]:
        from store import queue, series, verification_runs

        # Runs and series first: they would take another image.
        runs = verification_runs.cancel_open_runs(self.database)
        runs += series.cancel_all_series(self.database)
        return queue.request_cancel_of_all(self.database), runs

    async def count_open(self) -> tuple[int, int]:
        """How many jobs have not ended, and how many runs of verifications and series."""
        status = await self.get_worker_status()
        states = [run.state for run in await self.list_runs()]
        states += [series.state for series in await self.list_series()]
        return status.jobs, sum(not state.is_final for state in states)

    async def is_queue_paused(self) -> bool:
        """Whether nothing that waits is begun until the queue is resumed."""
        from store import turns

        return await asyncio.to_thread(turns.is_queue_paused, self.database)

    async def pause_queue(self) -> bool:
        """Begin no further job until the queue is resumed; False where it was paused already."""
        from engines.worker.program import read_serving
        from store import turns

        return await asyncio.to_thread(
            turns.pause_queue, self.database, wanted=read_serving(self.directory)
        )

    async def resume_queue(self) -> bool:
        """Go on with the queue, with a worker; False where it was not paused."""
        return await asyncio.to_thread(self._resume_queue)

    def _resume_queue(self) -> bool:
        from store import queue, turns
        from store.series import is_any_open
        from store.verification_runs import is_pending

        is_changed = turns.resume_queue(self.database)
        has_more = is_pending(self.database) or is_any_open(self.database)
        if queue.count_active(self.database) or has_more:
            # It is resumed, also where no worker comes up now.
            with self._engage(self.list_engines()):
                pass
        return is_changed

    async def move_first(self, job_ids: Sequence[str]) -> list[str]:
        """Let these jobs come next, in this order; their ids."""
        from store import turns

        return await asyncio.to_thread(turns.move_first, self.database, job_ids)

    async def move_last(self, job_ids: Sequence[str]) -> list[str]:
        """Let these jobs come behind all that wait, in this order; their ids."""
        from store import turns

        return await asyncio.to_thread(turns.move_last, self.database, job_ids)

    async def move_before(self, job_ids: Sequence[str], anchor: str) -> list[str]:
        """Let these jobs come just before another one that waits; their ids."""
        from store import turns

        return await asyncio.to_thread(turns.move_before, self.database, job_ids, anchor)

    async def shift(self, job_id: str, places: int) -> bool:
        """Let a job come later by so many places, below 0 earlier; False at that end."""
        from store import turns

        return await asyncio.to_thread(turns.shift, self.database, job_id, places)

    async def retry(self, job_id: str) -> Job:
        """Queue an ended job again, with the same id and seed."""
        return await asyncio.to_thread(self._retry, job_id)

    def _retry(self, job_id: str) -> Job:
        from engines.cost import check_budget
        from store import queue

        waited = queue.get_job(self.database, job_id)
        settings = self.settings.for_profile(waited.profile) if waited.profile else self.settings
        if settings is self.settings:
            self._check_ready([waited.request])
        check_budget(self.database, [waited.request], settings)
        with self._engage_worker([waited.request]) as wanted:
            job = queue.retry(self.database, job_id, wanted=wanted)
            self.queued.append(job)
        return job

    async def get_worker_status(self) -> WorkerStatus:
        """Whether a worker runs for this data directory."""
        return await asyncio.to_thread(self._get_worker_status)

    def _get_worker_status(self) -> WorkerStatus:
        from engines.worker.process import find_worker
        from store import queue

        found = find_worker(self.directory)
        return WorkerStatus(
            is_running=found.is_running,
            process_id=found.process_id,
            jobs=queue.count_active(self.database),
            trouble=found.trouble,
        )

    async def get_job(self, job_id: str) -> Job:
        """The job, with its last progress and preview."""
        from store import queue

        return await asyncio.to_thread(queue.get_job, self.database, job_id)

    async def list_queue(self, limit: int = 100) -> list[Job]:
        """The jobs that have not ended: what runs, then what waits, the next one first."""
        return await asyncio.to_thread(self._list_queue, limit)

    def _list_queue(self, limit: int) -> list[Job]:
        from store import queue

        return self._explain_waiting(queue.list_queue(self.database, limit))

    async def count_ended(self, since: float) -> Ended:
        """How many jobs ended since a moment (seconds of 1970), and how. Cheap."""
        from store import outcomes

        return await asyncio.to_thread(outcomes.count_ended, self.database, since)

    async def read_outcome(self, since: float, *, images: int = 0) -> Outcome:
        """What became of the jobs that ended since a moment (seconds of 1970), and why.

        With the ids of up to `images` of the newest images.
        """
        from store import outcomes

        return await asyncio.to_thread(outcomes.read_outcome, self.database, since, images=images)

    async def follow(self, jobs: Sequence[Job]) -> list[Job]:
        """The same jobs as they are now; what has ended or only waits is not read again."""
        from store import queue

        return await asyncio.to_thread(queue.follow, self.database, jobs)

    async def list_jobs(
        self,
        states: Sequence[JobState] | None = None,
        limit: int = 100,
        *,
        has_runs: bool = True,
    ) -> list[Job]:
        """Jobs, newest first; of those that wait, whether they wait for others or for a worker.

        One that runs though no worker lives waits too: the next worker puts it right. `has_runs`:
        also those of runs of verifications that have ended.
        """
        return await asyncio.to_thread(self._list_jobs, states, limit, has_runs)

    def _list_jobs(
        self, states: Sequence[JobState] | None, limit: int, has_runs: bool
    ) -> list[Job]:
        from store import queue

        return self._explain_waiting(
            queue.list_jobs(self.database, states=states, limit=limit, has_runs=has_runs)
        )

    def _explain_waiting(self, jobs: list[Job]) -> list[Job]:
        """`jobs`, each with what it waits for."""
        from engines.worker.process import find_worker
        from engines.worker.program import read_serving
        from store.serving import list_others

        # Beside a worker all have their turn.
        if all(job.state.is_final for job in jobs) or find_worker(self.directory).is_running:
            return jobs
        jobs = [job if job.state.is_final else _await_worker(job) for job in jobs]
        # What may only be read has no settings to compare.
        if self.database.is_read_only:
            return jobs
        others = list_others(self.database, read_serving(self.directory))
        return [
            msgspec.structs.replace(job, is_for_others=True, has_no_worker=False)
            if job.id in others
            else job
            for job in jobs
        ]

    # Changes

    async def watch(self, seconds: float = 0.2, quickly: float = 0.0) -> AsyncIterator[None]:
        """Yields once at the start and after each change to history or progress, until closed.

        Whoever made the change. Looks every `seconds`, and four times as often for the first
        `quickly` seconds; while nothing changes it costs two small queries. A worker that died
        with jobs left is replaced on the way. What stands in the way, of the worker or of the
        looks themselves, is in `worker_trouble`; as long as it lasts, this yields about once a
        second.
        """
        from engines.worker.keeper import Keeper

        versions: tuple[int, int] | None = None
        seen: object = None
        began = time.monotonic()
        kept_at = -math.inf
        keeper: Keeper | None = None
        while (database := self._opened) is not None:
            is_due = (now_at := time.monotonic()) - kept_at >= WORKER_SECONDS
            before = self.worker_trouble
            try:
                if is_due:
                    kept_at = now_at
                    keeper = keeper or Keeper(self.directory, database)
                    await asyncio.to_thread(keeper.look)
                    self.worker_trouble = keeper.trouble
                now = await asyncio.to_thread(_read_versions, database)
                state = seen
                if now != versions:
                    state = (await asyncio.to_thread(_read_fingerprint, database), now[1])
                    versions = now
            except Unavailable as error:
                self.worker_trouble, state = str(error), seen
            is_told = self.worker_trouble != before or (is_due and self.worker_trouble)
            if state != seen or is_told:
                seen = state
                yield
            is_quick = time.monotonic() - began < quickly
            await asyncio.sleep(seconds / 4 if is_quick else seconds)


def _check_whole(image: Image) -> None:
    if image.is_damaged:
        raise StoreError(
            f"The record of the image {image.id[:8]} is damaged, so nothing is made from it.",
            "Its record shows which fields differ.",
        )


def _await_worker(job: Job) -> Job:
    """`job` as it is while no worker lives, whatever its last one was doing."""
    return msgspec.structs.replace(
        job,
        state=JobState.WAITING,
        step=0,
        steps=0,
        seconds_left=None,
        preview=None,
        # While the queue is paused none is needed.
        has_no_worker=not job.is_paused,
    )


def _read_fingerprint(database: Database) -> object:
    from store.watch import read_fingerprint

    return read_fingerprint(database)


def _read_versions(database: Database) -> tuple[int, int]:
    return (database.data_version(), database.progress.data_version())
