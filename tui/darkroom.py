"""What screens may ask for: the only door from screens to store and engines.

Every method that touches a file or the database is a coroutine whose work runs in a
thread, so that the screen never waits for a disk. Errors are `SafelightError`, with a
text for the person. Making the object does nothing; `open` makes folders and database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
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
from engines.worker.process import engage_worker, find_worker
from store.errors import SafelightError, StoreError
from store.records import (
    Draft,
    Image,
    Job,
    Purpose,
    Relation,
)
from store.request import Request
from tui.archive import Archive

if TYPE_CHECKING:
    from engines.settings import Settings
    from store.inputs import Input


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker runs (`is_running`), its process id, and how many jobs are unfinished."""

    is_running: bool
    process_id: int | None
    jobs: int


class Darkroom(Archive):
    """One data directory, as the screens see it."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        super().__init__(directory)
        self.settings = settings
        self._registry = EngineRegistry(settings)

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

    # Jobs

    def resolve(self, draft: Draft) -> list[Request]:
        """The complete requests that `draft` stands for, one an image.

        Draws the first seed when the draft has none; the others follow it by one. Raises
        `RequestError` for the first thing that the store or the engine does not accept.
        """
        requests = resolve_draft(draft, self.get_capabilities(draft.engine))
        self._registry.describe_losses(requests[0])  # refuses what cannot be sent at all
        return requests

    def describe_losses(self, draft: Draft) -> tuple[str, ...]:
        """What of `draft` its engine cannot honour, a sentence each, before anything is sent.

        Empty for a draft that is not complete. Cheap.
        """
        try:
            return self._registry.describe_losses(self.resolve(draft)[0])
        except SafelightError:
            return ()

    async def generate(self, draft: Draft, session: str | None = None) -> list[Job]:
        """Resolve `draft`, queue its jobs and make sure that a worker runs."""
        requests = self.resolve(draft)
        return await asyncio.to_thread(
            self._enqueue, requests, session, draft.parent_id, draft.relation
        )

    def _enqueue(
        self,
        requests: list[Request],
        session: str | None,
        parent_id: str | None,
        relation: Relation | None,
    ) -> list[Job]:
        from engines.cost import check_budget
        from store import queue

        check_budget(self.database, requests, self.settings)
        with self._engage_worker(requests):
            return queue.enqueue(
                self.database,
                requests,
                session=session,
                parent_id=parent_id,
                relation=relation,
                profile=self._choose_profile(requests[0].engine),
            )

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
            image.request, capabilities, strength=strength, seed=seed, images=images
        )
        return await asyncio.to_thread(
            self._enqueue, requests, session, image.id, Relation.VARIATION
        )

    def resolve_upscale(self, source: Image | Input, choices: UpscaleChoices) -> Request:
        """The complete request that makes `source` larger. Raises `RequestError`."""
        made_by = None
        if isinstance(source, Image):
            _check_whole(source)
            made_by = source.request
        return resolve_upscale(
            source.file_sha256 if isinstance(source, Image) else source.sha256,
            (source.width, source.height),
            made_by,
            choices,
            self.get_capabilities(choices.engine or self.default_engine),
        )

    async def upscale(
        self,
        source: Image | Input,
        choices: UpscaleChoices | None = None,
        session: str | None = None,
    ) -> Job:
        """Queue a larger one of a past image, as its child, or of a kept file."""
        request = self.resolve_upscale(source, choices or UpscaleChoices())
        parent_id = None
        if isinstance(source, Image):
            await self.add_input(await self.read_image(source))
            parent_id = source.id
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

    def _engage_worker(self, requests: Sequence[Request]) -> AbstractContextManager[None]:
        """What is queued within the block is run with the settings of this process, or newer."""
        variables = self._registry.list_variables(request.engine for request in requests)
        return engage_worker(self.directory, variables)

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
        from engines.verify import verify_record
        from store import history

        image = history.get_image(self.database, image_id)
        if image.is_damaged and (comparison := verify_record(self.database, image)) is not None:
            history.add_verification(self.database, image.id, comparison)
            return None
        return self._enqueue_comparison(image.id, Purpose.VERIFY)

    def _enqueue_comparison(self, image_id: str, purpose: Purpose) -> Job:
        from engines.cost import check_budget
        from store import history, queue

        request = history.get_image(self.database, image_id).request
        if purpose is Purpose.REGENERATE:
            check_budget(self.database, [request], self.settings)
        profile = self._choose_profile(request.engine)
        with self._engage_worker([request]):
            return queue.enqueue_comparison(self.database, image_id, purpose, profile=profile)

    async def cancel(self, job_id: str) -> Job:
        """Ask that the job stop within one step."""
        from store import queue

        return await asyncio.to_thread(queue.request_cancel, self.database, job_id)

    async def retry(self, job_id: str) -> Job:
        """Queue an ended job again, with the same id and seed."""
        return await asyncio.to_thread(self._retry, job_id)

    def _retry(self, job_id: str) -> Job:
        from engines.cost import check_budget
        from store import queue

        waited = queue.get_job(self.database, job_id)
        settings = self.settings.for_profile(waited.profile) if waited.profile else self.settings
        check_budget(self.database, [waited.request], settings)
        with self._engage_worker([waited.request]):
            return queue.retry(self.database, job_id)

    async def get_worker_status(self) -> WorkerStatus:
        """Whether a worker runs for this data directory."""
        return await asyncio.to_thread(self._get_worker_status)

    def _get_worker_status(self) -> WorkerStatus:
        from store import queue

        found = find_worker(self.directory)
        return WorkerStatus(
            is_running=found.is_running,
            process_id=found.process_id,
            jobs=queue.count_active(self.database),
        )


def _check_whole(image: Image) -> None:
    if image.is_damaged:
        raise StoreError(
            f"The record of the image {image.id[:8]} is damaged, so nothing is made from it.",
            "Its record shows which fields differ.",
        )
