"""Bisecting two images of the history: the requests in between, made by the queue's worker.

Each is a job like any other, one at a time, so that jobs of people are not kept waiting. An image
that the history has of the same request is taken instead, so a search that was ended goes on where
it was. What is made in between is put in the trash at once, because it is nothing that a person
asked for; the one that explains the difference is put back from there, as a child of the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec
from PIL import Image as Pillow

from engines.base import EngineError, Failure
from engines.bisection import TRIALS_AT_MOST, Bisection, Explanation, Trial
from engines.cost import describe_cost
from engines.pixel_difference import measure_difference
from store.errors import RequestError, SafelightError, StoreError
from store.pixels import open_image
from store.records import Image, Job, JobState, Mark, Verdict
from store.request import Request
from tui.compare.pair import ImagePair, open_loaded
from tui.darkroom import Darkroom


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and the image that shows it: the first one with these changes."""

    explanation: Explanation
    image: Image


class BisectRun:
    """One search between the images of `pair`, from the first to the second, of `most` trials.

    `job` is the one that is being made now; `made` counts the images that were.
    """

    def __init__(self, darkroom: Darkroom, pair: ImagePair, most: int = TRIALS_AT_MOST) -> None:
        self._darkroom = darkroom
        self._pair = pair
        self._one = darkroom.pin(pair.one.image)
        self._other = darkroom.pin(pair.other.image)
        self._goal: Pillow.Image | None = None
        self._bisection = Bisection(self._one, self._other, self._measure, most)
        self._most = most
        self.job: Job | None = None
        self.made = 0

    @property
    def requests(self) -> tuple[Request, Request]:
        """The requests of both images, their models pinned."""
        return self._one, self._other

    def check(self) -> None:
        """Raise `SafelightError` where there is nothing to find, or it would prove nothing."""
        if reason := self._darkroom.explain_writing():
            raise StoreError(reason)
        for name, loaded in (("A", self._pair.one), ("B", self._pair.other)):
            if loaded.fault:
                raise StoreError(loaded.fault)
            if loaded.image.is_damaged or loaded.image.changes:
                named = ", ".join(loaded.image.changes) or "request"
                raise StoreError(
                    f"The record of {name} was changed after it was written ({named}), so an image "
                    "in between proves nothing.",
                    "Verify it, or choose another image.",
                )
        if self._pair.differences.has_equal_pixels:
            raise RequestError("images", None, "Every pixel of both images is the same.")
        for request in self.requests:
            capabilities = self._darkroom.get_capabilities(request.engine)
            if not capabilities.is_deterministic:
                raise RequestError(
                    "images",
                    request.engine,
                    f"{request.engine} does not repeat itself, so an image in between proves "
                    f"nothing: {capabilities.why_not}.",
                )

    def describe_price(self) -> str:
        """What the search may cost, "" where it is free."""
        prices = [self._darkroom.estimate_cost([request]) for request in self.requests]
        if not any(price is None or price > 0 for price in prices):
            return ""
        known = None if None in prices else max(price or 0.0 for price in prices)
        return f"{describe_cost(known)} an image, at most {self._most} images"

    async def search(self) -> AsyncGenerator[Trial | Explained, None]:
        """Each trial, and what was found last. Raises `SafelightError`.

        Ended in between, it cancels the job that is being made.
        """
        self.check()
        self._goal = await asyncio.to_thread(open_loaded, self._pair.other)
        async for found in self._bisection.search():
            if isinstance(found, Trial):
                yield found
                continue
            image = await self._find_made(found.request)
            if image is None:
                image = await self._make(found.request)
            if image not in (self._pair.one.image, self._pair.other.image):
                await self._darkroom.mark_images([image.number], Mark(is_trashed=False))
            yield Explained(explanation=found, image=image)

    async def _measure(self, request: Request) -> float | None:
        """How far the image of `request` is from the second one; see `Measure`."""
        image = await self._find_made(request)
        if image is None:
            try:
                image = await self._make(request)
            except RequestError:
                return None
        data = await self._darkroom.read_image(image)
        return await asyncio.to_thread(self._compare, data)

    def _compare(self, data: bytes) -> float | None:
        assert self._goal is not None
        measured = measure_difference(open_image(data), self._goal)
        return None if measured is None else measured.mean

    async def _find_made(self, request: Request) -> Image | None:
        """An image of this very request that is whole and was not found to be another."""
        for end, loaded in zip(self.requests, (self._pair.one, self._pair.other), strict=True):
            if request == end:
                return loaded.image
        for image in await self._darkroom.list_made(request):
            if image.is_damaged or image.verdict in (Verdict.DIFFERENT, Verdict.CANNOT_RUN):
                continue
            try:
                await self._darkroom.read_image(image)
            except SafelightError:
                continue
            return image
        return None

    async def _make(self, request: Request) -> Image:
        """The image of `request`, made by a job and put in the trash. Raises `RequestError`."""
        parent = self._pair.one.image
        self.job = job = await self._darkroom.generate_request(request, parent.session, parent)
        try:
            async for _ in self._darkroom.watch():
                self.job = job = await self._darkroom.get_job(job.id)
                if job.state.is_final:
                    break
        finally:
            self.job = None
            if not job.state.is_final:
                await self._darkroom.cancel(job.id)
        if job.error_kind == Failure.INVALID_REQUEST:
            raise RequestError("images", None, job.error or "The engine refused it.")
        if job.state is not JobState.DONE or job.image_id is None:
            raise EngineError(
                Failure.CANCELLED if job.state is JobState.CANCELLED else Failure.INTERNAL,
                f"An image in between was not made: {job.error or job.state.value}",
            )
        self.made += 1
        image = await self._darkroom.get_image(job.image_id)
        await self._darkroom.mark_images([image.number], Mark(is_trashed=True))
        return image
