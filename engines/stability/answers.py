"""What a server answers: keepalives, progress, images, refusals; read from the raw bytes.

The protocol has no place for how far an image is. A client asks for it with the metadata
`safelight-previews: 1`. Then the server puts answers between its keepalives, each with one
artifact: `type` ARTIFACT_LATENT, `magic` `safelight-preview`, `index` the steps that are done, `id`
all steps, `binary` a small PNG or nothing, `size` its bytes. Clients that do not ask never see one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from engines.base import EngineError, Event, Failure, Produced, Progressed, Warned
from engines.capabilities import split_name
from engines.remote import (
    KEPT,
    META_LIMIT,
    clean_text,
    describe_seed,
    describe_unusable,
    explain_bad_answer,
    identify,
    make_filtered_error,
)
from engines.stability.parts import PARTS_LIMIT, TooManyParts, parse_message
from engines.stability.protocol import PREVIEW_MAGIC, PREVIEWS_HEADER, Message, generation
from store.errors import StoreError
from store.pixels import is_whole
from store.records import FinishReason
from store.request import Request

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
        answer = parse_message(generation.Answer, data)
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


_KEEPALIVE_LIMIT = 4096
"""Bytes of a keepalive at most. What is larger is put aside before it is looked into."""


def is_keepalive(data: bytes) -> bool:
    """Whether the answer in `data` only says that the server still works."""
    if len(data) > _KEEPALIVE_LIMIT:
        return False
    try:
        return not parse_message(generation.Answer, data).artifacts
    except DecodeError:
        return False


_IMAGES_LIMIT = 10
"""Images that are looked at, as each may take a second; an answer is to have one."""

_TEXTS_LIMIT = 10
"""Texts of a server that say nothing about an end; the failure shows them in one line."""


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """An image that has come, and what its answer says of it; the answer itself is not held."""

    data: bytes
    seed: int
    reason: int
    request_id: str
    made_by: str
    meta: dict[str, str]


class Answers:
    """The answers of one call so far, in their order. At most two images are held.

    `add` takes the raw bytes of each; `list_events` says what they amount to.
    """

    def __init__(self, request: Request, run_id: str | None = None) -> None:
        self._request = request
        self._run_id = run_id
        self._image: _Found | None = None
        self._is_whole: bool | None = None
        self._count = 0
        self._reasons: set[int] = set()
        self._filter_text: str | None = None
        self._error_text: str | None = None
        self._texts: list[str] = []
        self._fault = ""

    @property
    def has_result(self) -> bool:
        """Whether an image has arrived, or the filter's word that there will be none."""
        return self._count > 0 or self._filter_text is not None

    def has_whole_image(self) -> bool:
        """Whether the image that has arrived, if any, can be decoded to its end.

        Decodes it, so call it in a thread.
        """
        if self._is_whole is None:
            self._is_whole = self._image is not None and is_whole(self._image.data)
        return self._is_whole

    def add(self, data: bytes) -> None:
        """Read one answer. Never raises: what cannot be read is reported at the end.

        Decodes images where there are several, so call it in a thread.
        """
        try:
            answer = parse_message(generation.Answer, data)
        except TooManyParts:
            self._fault = f"has more than {PARTS_LIMIT:,} parts and was not read"
            return
        except DecodeError:
            self._fault = self._fault or "cannot be read"
            return
        for artifact in answer.artifacts:  # none: a keepalive
            self._add_artifact(answer, artifact)

    def list_events(self) -> list[Event]:
        """Warnings, then the image. Raises `EngineError` when there is none.

        Reads the head of the image only: it may still turn out to be damaged.
        """
        found = self._image
        if found is None:
            raise self._explain_no_image()
        try:
            mime, sized = identify(self._request, found.data)
        except StoreError as error:
            raise _make_bad_answer(describe_unusable(error)) from None
        events: list[Event] = [Warned(text) for text in [*self._list_warnings(found), *sized]]
        events.append(
            Produced(
                data=found.data,
                mime=mime,
                seed=found.seed or self._request.parameters.seed,
                finish_reason=_find_finish_reason(found.reason),
                meta=found.meta,
            )
        )
        return events

    def _add_artifact(self, answer: Message, artifact: Message) -> None:
        kind, reason = artifact.type, artifact.finish_reason
        if kind == generation.ARTIFACT_IMAGE:
            self._count += 1
            self._reasons.add(reason)
            if self._count <= _IMAGES_LIMIT and (data := artifact.binary):
                self._offer(data, answer, artifact)
        elif kind == generation.ARTIFACT_TEXT:
            text = clean_text(artifact.text)
            if reason == generation.FILTER:
                self._filter_text = text
            elif reason == generation.ERROR:
                self._error_text = text
            elif text and len(self._texts) < _TEXTS_LIMIT:
                self._texts.append(text)

    def _offer(self, data: bytes, answer: Message, artifact: Message) -> None:
        """Hold the image in `data` unless the one before is as good: the first whole one counts."""
        if self._image is not None and (self.has_whole_image() or not is_whole(data)):
            return
        self._is_whole = None if self._image is None else True
        self._image = _Found(
            data=data,
            seed=artifact.seed,
            reason=artifact.finish_reason,
            request_id=clean_text(answer.request_id, META_LIMIT),
            made_by=clean_text(answer.meta.engine_id, META_LIMIT),
            meta=_list_meta(answer, artifact),
        )

    def _list_warnings(self, found: _Found) -> list[str]:
        seed = self._request.parameters.seed
        warnings = []
        if found.reason == generation.FILTER:
            warnings.append("The service's filter blurred this image.")
        if found.reason == generation.ERROR:
            warnings.append("The server says that this image failed; it is kept as it came.")
        warnings += describe_seed(seed, found.seed or None)
        if self._run_id and found.request_id and found.request_id != self._run_id:
            other = clean_text(found.request_id, 60)
            warnings.append(f"The answer belongs to another request ({other}).")
        made_by = clean_text(found.made_by, 60)
        # A server may say which revision it took for a model that was asked for without one.
        if made_by and self._request.model not in (made_by, split_name(made_by)[0]):
            warnings.append(f"The server says that {made_by} made it, not {self._request.model}.")
        if self._count > 1:
            warnings.append(f"The server sent {self._count} images; the first whole one is kept.")
        if self._filter_text is not None and found.reason != generation.FILTER:
            warnings.append(f"The service's filter said: {self._filter_text or 'nothing'}.")
        if self._error_text is not None:
            warnings.append(f"The server also reports an error: {self._error_text or 'no text'}.")
        if self._fault:
            warnings.append("One of the server's answers could not be read.")
        return warnings

    def _explain_no_image(self) -> EngineError:
        if self._filter_text is not None or generation.FILTER in self._reasons:
            return make_filtered_error(self._filter_text or "")
        if self._error_text is not None or generation.ERROR in self._reasons:
            said = f" It said: {self._error_text}" if self._error_text else ""
            return EngineError(
                Failure.INTERNAL,
                f"The server failed to make the image.{said}",
                "It may have been charged. Retry the job, or try other parameters.",
                may_be_charged=True,
            )
        if self._fault:
            return _make_bad_answer(f"The server's answer {self._fault}. {KEPT}")
        said = f" It said: {' '.join(self._texts)}" if self._texts else ""
        return _make_bad_answer(f"The server finished without an image.{said}")


def _make_bad_answer(text: str) -> EngineError:
    return explain_bad_answer(text, "the server speaks this version of the protocol")


def _find_finish_reason(number: int) -> FinishReason:
    reasons = {
        generation.FILTER: FinishReason.FILTER,
        generation.ERROR: FinishReason.ERROR,
    }
    return reasons.get(number, FinishReason.SUCCESS)


def _list_meta(answer: Message, artifact: Message) -> dict[str, str]:
    values = {
        "answer id": answer.answer_id,
        "request id": answer.request_id,
        "artifact uuid": artifact.uuid,
        "artifact index": str(artifact.index),
        "seed": str(artifact.seed),
        "mime": artifact.mime,
        "finish reason": _name_reason(artifact.finish_reason),
        "received": str(answer.received or ""),
        "created": str(answer.created or ""),
        "engine id": answer.meta.engine_id,
        "gpu id": answer.meta.gpu_id,
        "cpu id": answer.meta.cpu_id,
        "node id": answer.meta.node_id,
    }
    return {name: clean_text(text, META_LIMIT) for name, text in values.items() if text}


def _name_reason(number: int) -> str:
    known = dict(zip(generation.FinishReason.values(), generation.FinishReason.keys(), strict=True))
    return str(known.get(number, number))
