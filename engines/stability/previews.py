"""How far an image is: what the protocol has no place for, for clients that ask.

A client asks with the metadata `safelight-previews: 1`. Then the server puts answers between
its keepalives, each with one artifact: `type` ARTIFACT_LATENT, `magic` `safelight-preview`,
`index` the steps that are done, `id` all steps, `binary` a small PNG or nothing, `size` its
bytes. Clients that do not ask never see one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from google.protobuf.message import DecodeError

from engines.base import Progressed
from engines.stability.protocol import PREVIEW_MAGIC, PREVIEWS_HEADER, Message, generation

PREVIEW_LIMIT = 512 * 1024
"""Bytes of a preview that is worth showing."""

STEPS_LIMIT = 100_000

ASK = ((PREVIEWS_HEADER, "1"),)
"""The metadata of a call that asks for previews."""


def is_asked_for(metadata: Iterable[tuple[str, str | bytes]] | None) -> bool:
    """Whether a call with this `metadata` asks for previews."""
    return any((name, value) in ASK for name, value in metadata or ())


def make_artifact(progress: Progressed) -> Message:
    """The artifact that says `progress`."""
    preview = progress.preview or b""
    artifact = generation.Artifact(
        id=progress.steps,
        type=generation.ARTIFACT_LATENT,
        magic=PREVIEW_MAGIC,
        binary=preview,
        index=progress.step,
        size=len(preview),
    )
    if preview:
        artifact.mime = "image/png"
    return artifact


def read_progress(data: bytes) -> Progressed | None:
    """The progress that the answer in `data` says; None for any other answer.

    A preview that is too large to be one is left out, and so are steps that cannot be.
    """
    if len(data) > 2 * PREVIEW_LIMIT or PREVIEW_MAGIC.encode() not in data:
        return None  # to search an image for it would take longer than to read its head
    try:
        answer = generation.Answer.FromString(data)
    except DecodeError:
        return None
    artifacts = answer.artifacts
    if len(artifacts) != 1 or artifacts[0].magic != PREVIEW_MAGIC:
        return None
    artifact = artifacts[0]
    if artifact.type != generation.ARTIFACT_LATENT:
        return None
    steps = min(artifact.id, STEPS_LIMIT)
    is_small = 0 < len(artifact.binary) <= PREVIEW_LIMIT
    return Progressed(min(artifact.index, steps), steps, artifact.binary if is_small else None)


class Newest:
    """The newest progress of a piece of work: what was not taken in time is passed over."""

    def __init__(self) -> None:
        self._progress: Progressed | None = None
        self._is_new = asyncio.Event()

    def put(self, progress: Progressed) -> None:
        """Have `progress` taken next."""
        self._progress = progress
        self._is_new.set()

    async def wait(self) -> None:
        """Return when there is something to take."""
        await self._is_new.wait()

    def take(self) -> Progressed | None:
        """The progress since the last time, None when there is none."""
        progress, self._progress = self._progress, None
        self._is_new.clear()
        return progress

    async def follow(
        self, task: asyncio.Future[Any], seconds: float | None = None
    ) -> AsyncGenerator[Progressed | None, None]:
        """What is put until `task` is done; None after each `seconds` with nothing new."""
        while not task.done():
            news = asyncio.ensure_future(self.wait())
            try:
                done, _ = await asyncio.wait(
                    {task, news}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                news.cancel()
            if not done:
                yield None
            elif (progress := self.take()) is not None:
                yield progress


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancel `task` when it is not done, and wait for it; its failure is nobody's then."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
