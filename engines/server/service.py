"""What a server of the Stability protocol answers: images of one engine, and facts about it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

from engines.base import Engine, EngineError, Failure, Produced, Progressed, Run, Warned
from engines.capabilities import Capabilities
from engines.quiet_grpc import grpc
from engines.remote import clean_text
from engines.server.completion import complete_message
from engines.stability.answers import Newest, cancel, is_asked_for, make_artifact
from engines.stability.images import decode_artifacts
from engines.stability.messages import (
    IMAGE_FIELD,
    Files,
    SentFiles,
    parse_message,
    read_requests,
)
from engines.stability.models import UPSCALER_RULES
from engines.stability.protocol import WARNING_HEADER, Message, dashboard, generation, listing
from engines.stability.unsupported import check_supported, name_field
from store.errors import RequestError
from store.records import FinishReason
from store.request import Request

_ACCOUNT = "local"


class DashboardService:
    """The two calls that clients make to see an account. There is one, and no money in it."""

    async def get_me(self, request: Message, context: Any) -> Message:
        """The one user, with the one organization."""
        member = dashboard.OrganizationMember(organization=_make_organization(), is_default=True)
        return dashboard.User(id=_ACCOUNT, organizations=[member])

    async def get_organization(self, request: Message, context: Any) -> Message:
        """The one organization; its balance is 0, as images cost nothing."""
        if request.id not in ("", _ACCOUNT):
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"The only organization here is {_ACCOUNT!r}."
            )
        return _make_organization()


def _make_organization() -> Message:
    return dashboard.Organization(
        id=_ACCOUNT,
        name="Safelight",
        description="A server of one's own: images cost nothing.",
        payment_info=dashboard.OrganizationPaymentInfo(balance=0.0),
    )


QUEUE_LENGTH = 8
KEEPALIVE_SECONDS = 10.0
"""How long a client hears nothing at most."""

WRITE_SECONDS = 300.0
"""How long a client may leave an answer untaken."""

WEB_HEADER = "safelight-web"
"""The metadata, with the value `1`, of calls that came over gRPC-Web.

`stability-client`, which speaks that, takes no image without a classification beside it.
"""

NODE_KEY = "node id"
"""In `Produced.meta`: which of several makers of the same images made this one."""

_WARNINGS_LIMIT = 10

Code = grpc.StatusCode
_FINISH_REASONS = {
    FinishReason.FILTER: generation.FILTER,
    FinishReason.ERROR: generation.ERROR,
}
_CODES = {
    Failure.INVALID_REQUEST: Code.INVALID_ARGUMENT,
    Failure.UNKNOWN_ENGINE: Code.NOT_FOUND,
    Failure.DEADLINE: Code.DEADLINE_EXCEEDED,
}
_log = logging.getLogger("safelight.serve")


class Refused(Exception):
    """A call that ends with a gRPC status; `text` is what the client is told."""

    def __init__(self, code: Any, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class _Order(NamedTuple):
    """What one call asks for: `notes` say what was changed or lost of its images."""

    requests: list[Request]
    files: Files
    run_id: str
    notes: tuple[str, ...]


class _ClientLeft(Exception):
    """The client of a call is gone: there is nobody to tell anything."""


class GenerationService:
    """Makes the images of one engine, `places` at a time, for any number of clients.

    `models` maps each engine id that clients may ask for to the model that answers: the engine's
    own models, with their revisions and without, the engine's name and `names`. These mean its
    default model, but
    the ids of the hosted service's upscalers mean the model that makes images larger.
    Beyond the requests in work, `queue` requests may wait; more are refused.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        names: Sequence[str] = (),
        queue: int = QUEUE_LENGTH,
        places: int = 1,
    ) -> None:
        self._engine = engine
        own = engine.capabilities
        models = (*own.models, *own.upscale_models)
        aliases = {name: _find_model(name, own) for name in (own.engine, *names)}
        self.models = aliases | own.aliases | {model: model for model in models}
        # Without the revision: what clients have written down stays an engine id of the list.
        shown = {model: alias for alias, model in own.aliases.items()}
        self.offered = tuple(
            dict.fromkeys((*(shown.get(model, model) for model in models), *names))
        )
        self.queue = queue
        self._limit = queue + places
        self._taken = 0
        self._turn = asyncio.Semaphore(places)

    @property
    def is_busy(self) -> bool:
        """Whether a request is in work."""
        return self._taken > 0

    async def generate(self, data: bytes, context: Any) -> None:
        """Answer the serialised request `data`: empty answers while it works, then the images."""
        try:
            with self._take_place():
                order = await asyncio.to_thread(self._read, data)
                await self._answer(order, context)
        except _ClientLeft:
            return
        except Refused as refused:
            failure = refused
        except EngineError as error:
            failure = Refused(_CODES.get(error.kind, Code.INTERNAL), str(error))
        except Exception:  # noqa: BLE001 (logged; the client gets a status)
            # A fault of ours must not tell a stranger more than that.
            _log.exception("A request failed.")
            failure = Refused(Code.INTERNAL, "The server failed. Its log says why.")
        else:
            return
        await context.abort(failure.code, clean_text(failure.text, 1000))

    async def refuse_chain(self, data: bytes, context: Any) -> None:
        """Say that there are no chains."""
        await context.abort(
            Code.UNIMPLEMENTED,
            "This server makes single images: send the stages of a chain one by one to Generate.",
        )

    async def list_engines(self, request: Message, context: Any) -> Message:
        """The engine ids that clients may ask for."""
        title = self._engine.capabilities.title
        found = [
            listing.EngineInfo(
                id=name,
                owner="safelight",
                ready=True,
                type=listing.PICTURE,
                name=name,
                description=f"{title}: {self.models[name]}",
            )
            for name in self.offered
        ]
        return listing.Engines(engine=found)

    def make_artifacts(self, produced: Produced, index: int) -> list[Message]:
        """The image as the protocol's artifact; `index` counts the images of one request."""
        data = produced.data or b""
        artifact = generation.Artifact(
            id=index,
            type=generation.ARTIFACT_IMAGE,
            mime=produced.mime,
            binary=data,
            index=index,
            finish_reason=_FINISH_REASONS.get(produced.finish_reason, generation.NULL),
            seed=produced.seed,
            uuid=str(uuid.uuid4()),
            size=len(data),
        )
        return [artifact]

    def name_model(self, request: Request) -> str:
        """The model that the answer names as its maker."""
        return request.model

    def _describe_resizing(self, request: Request) -> str:
        """That an image of this size is another one resized; "" when it is none."""
        own = self._engine.capabilities.for_model(request.model).sizes
        size = (request.parameters.width, request.parameters.height)
        if request.parameters.upscale is not None or not own.native or size in own.native:
            return ""
        natives = ", ".join(f"{width}x{height}" for width, height in own.native)
        return (
            f"{request.model} draws {natives}: this image is one of these, resized to "
            f"{size[0]}x{size[1]}."
        )

    def _read(self, data: bytes) -> _Order:
        capabilities = self._engine.capabilities
        try:
            message = parse_message(data)
            if message.engine_id not in self.models:
                known = ", ".join(self.offered)
                name = clean_text(message.engine_id, 100)
                raise Refused(Code.NOT_FOUND, f"Unknown engine: {name!r}. Known: {known}.")
            message.engine_id = self.models[message.engine_id]
            check_supported(message)
            notes = decode_artifacts(message, IMAGE_FIELD)
            parts = complete_message(message, capabilities)
            requests, files = read_requests(parts, capabilities.engine)
            for request in requests:
                capabilities.check(request)
        except RequestError as error:
            raise Refused(Code.INVALID_ARGUMENT, f"{name_field(error)}: {error}") from None
        return _Order(requests, files, message.request_id, notes)

    @contextlib.contextmanager
    def _take_place(self) -> Iterator[None]:
        if self._taken >= self._limit:
            raise Refused(
                Code.RESOURCE_EXHAUSTED,
                f"Too many requests: {self._taken} are in work or wait. Try again later.",
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def _answer(self, order: _Order, context: Any) -> None:
        stream = _Stream(context, order.run_id)
        for note in order.notes:
            stream.add_warning(note)
        await stream.write()  # so that the client knows that it was accepted
        for index, request in enumerate(order.requests):
            if note := self._describe_resizing(request):
                stream.add_warning(note)
            produced = await stream.await_result(self._make(request, order.files, stream))
            artifacts = self.make_artifacts(produced, index)
            node = produced.meta.get(NODE_KEY, "")
            await stream.write(artifacts, self.name_model(request), node)

    async def _make(self, request: Request, files: Files, stream: _Stream) -> Produced:
        """The image of `request`. Being cancelled stops the engine within a step."""
        found, run = None, Run(id=stream.id, inputs=SentFiles(files))
        async with (
            self._turn,
            contextlib.aclosing(self._engine.generate(request, run)) as events,
        ):
            async for event in events:
                if isinstance(event, Warned):
                    stream.add_warning(event.text)
                elif isinstance(event, Progressed):
                    stream.progress.put(event)
                elif isinstance(event, Produced):
                    found = event
        if found is None:
            raise Refused(Code.INTERNAL, "The engine ended without an image.")
        return found


def _find_model(name: str, own: Capabilities) -> str:
    """The model of `own` that answers for `name`."""
    if name in UPSCALER_RULES and own.upscale_models:
        return own.upscale_models[0]
    return own.default_model


def _make_classification() -> Message:
    """What a classifier said that has no categories: the image passes."""
    classifier = generation.ClassifierParameters(realized_action=generation.ACTION_PASSTHROUGH)
    return generation.Artifact(type=generation.ARTIFACT_CLASSIFICATIONS, classifier=classifier)


class _Stream:
    """The answers to one call, in their order."""

    def __init__(self, context: Any, run_id: str) -> None:
        self.id = run_id or str(uuid.uuid4())
        self._context = context
        self._run_id = run_id
        self._count = 0
        self._warnings: list[bytes] = []
        self.progress = Newest()
        self._wants_previews = is_asked_for(context.invocation_metadata())
        is_web = (WEB_HEADER, "1") in tuple(context.invocation_metadata())
        self._beside = [_make_classification()] if is_web else []

    def add_warning(self, text: str) -> None:
        """Tell the client `text` at the end of the call, for which the answers have no place."""
        data = clean_text(text).encode()
        if data not in self._warnings and len(self._warnings) < _WARNINGS_LIMIT:
            self._warnings.append(data)
            pairs = tuple((WARNING_HEADER, warning) for warning in self._warnings)
            self._context.set_trailing_metadata(pairs)

    async def write(
        self, artifacts: Sequence[Message] = (), model: str = "", node: str = ""
    ) -> None:
        """Send an answer for each of `artifacts`, or one without any, which is a keepalive.

        `model` and `node` say what made them; empty: nothing is said.
        """
        for artifact in artifacts or (None,):
            answer = generation.Answer(
                answer_id=f"{self.id}-{self._count}",
                request_id=self._run_id,
                artifacts=[] if artifact is None else [artifact, *self._beside],
            )
            if model:
                answer.meta.engine_id = model
            if node:
                answer.meta.node_id = node
            self._count += 1
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._context.write(answer.SerializeToString())
            except TimeoutError:
                raise Refused(Code.DEADLINE_EXCEEDED, "The answer was not taken.") from None
            except grpc.aio.InternalError:
                # A call that ends during a write ends the write before it cancels its task.
                raise _ClientLeft from None

    async def await_result(self, work: Coroutine[Any, Any, Produced]) -> Produced:
        """What `work` returns; until then keepalives are sent, and previews if asked for."""
        task = asyncio.ensure_future(work)
        try:
            async with contextlib.aclosing(self.progress.follow(task, KEEPALIVE_SECONDS)) as events:
                async for progress in events:
                    if progress is None:
                        await self.write()
                    elif self._wants_previews:
                        await self.write([make_artifact(progress)])
            return task.result()
        finally:
            await cancel(task)
