"""What every engine is to the rest: its spec, its failures, its events, its runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import msgspec

from engines.capabilities import Capabilities
from engines.config_file import ConfigFile
from store.errors import SafelightError, StoreError
from store.records import EnvironmentRecord, FinishReason
from store.request import Request

if TYPE_CHECKING:
    from PIL import Image as Pillow


class Failure(StrEnum):
    """The kinds of failure, each one a state that a person can act on."""

    UNKNOWN_ENGINE = "unknown_engine"
    INVALID_REQUEST = "invalid_request"
    MISSING_KEY = "missing_key"
    WRONG_KEY = "wrong_key"
    OUT_OF_CREDIT = "out_of_credit"
    OVER_BUDGET = "over_budget"
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    INSECURE = "insecure"
    MODEL_GONE = "model_gone"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    FILTERED = "filtered"
    BAD_ANSWER = "bad_answer"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DAMAGED_MODEL = "damaged_model"
    WRONG_PROCESS = "wrong_process"
    STORAGE = "storage"
    INTERNAL = "internal"


class EngineError(SafelightError):
    """Why an engine made no image.

    `may_be_charged` is True when the request reached a paid service, so that nothing is
    ever sent again by itself.
    """

    def __init__(
        self, kind: Failure, message: str, hint: str = "", *, may_be_charged: bool = False
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.may_be_charged = may_be_charged


class Progressed(msgspec.Struct, frozen=True):
    """Step `step` of `steps` is done. `preview`: a small PNG of how it looks, or None."""

    step: int
    steps: int
    preview: bytes | None = None


class StageReached(msgspec.Struct, frozen=True):
    """An intermediate result and its digest; see `store.records.Stage`."""

    name: str
    step: int
    sha256: str


class Warned(msgspec.Struct, frozen=True):
    """Something a person should know about this image (words ignored, prompt cut off …)."""

    text: str


class Produced(msgspec.Struct, frozen=True, kw_only=True):
    """The image: the engine's own bytes, the seed that it says it used, how it ended.

    `data` is None when nothing was delivered (a withheld image). It may be damaged: who takes
    it decodes it, so that it is decoded only once. `meta` is stored as is. `environment`: what
    decided this image, None for what the engine's `environment` says.
    """

    data: bytes | None
    mime: str
    seed: int
    finish_reason: FinishReason = FinishReason.SUCCESS
    meta: dict[str, str] = {}
    environment: EnvironmentRecord | None = None


EQUAL_BITS = "equal bits promised"
"""In an environment's record: `yes` where `BESIDE_BITS` decide no pixel, else why they might."""

BESIDE_BITS = ("kernels", "machine")


class Weight(StrEnum):
    """Whether something that is other now decides pixels; what matters most first."""

    PREVENTS = "prevents"
    DECIDES = "decides"
    MAY_DECIDE = "may decide"
    DOES_NOT_DECIDE = "does not decide"


class Judgement(msgspec.Struct, frozen=True):
    """Whether a change decides pixels, and why, in a sentence without its point."""

    weight: Weight
    reason: str


Event = Progressed | StageReached | Warned | Produced


class InputFiles(Protocol):
    """The files of input images, by their digests."""

    def read(self, sha256: str) -> bytes:
        """The file. Raises `StoreError`."""
        ...


class NoFiles:
    """What a run without input images has."""

    def read(self, sha256: str) -> bytes:
        """Raise `StoreError`."""
        raise StoreError(f"The input image {sha256[:8]} is not at hand.")


NO_FILES = NoFiles()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution: `id` is the job's id (and the wire's request id).

    `spool` is called with the raw bytes of each answer that holds something, before they are
    decoded and maybe in a thread; it returns when they are on disk. `inputs`: the files of the
    images that it starts from.
    """

    id: str
    spool: Callable[[bytes], None] = lambda _: None
    inputs: InputFiles = NO_FILES

    def read_input(self, sha256: str) -> bytes:
        """The file of an input image by its digest. Raises `StoreError`."""
        return self.inputs.read(sha256)


class Engine(Protocol):
    """Something that turns requests into images.

    `generate` is an async generator, so that the loop of the worker stays free: an engine
    that computes does so in a thread of its own. Closing the generator (`aclose`, or
    cancelling the task that iterates it) stops the work within one step or reaches the
    server. It yields any number of events and at most one `Produced`, last; failures are
    raised as `EngineError`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it accepts; cheap."""
        ...

    def environment(self) -> EnvironmentRecord:
        """What else decides the pixels. May load the model; raises `EngineError`."""
        ...

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        """The exact message that `generate` will send, None for an engine without a wire."""
        ...

    def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """Make the image of `request`."""
        ...

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        """The events in answers that were spooled before a crash; empty without a result.

        A withheld image is a `Produced` without bytes.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


class TokenizedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """`unknown`: where words stand that the model does not know, as (start, end) in characters.

    `kept`: the text after this many characters is not read, None when all of it is.
    """

    unknown: tuple[tuple[int, int], ...] = ()
    kept: int | None = None


class NoSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section of an engine that has nothing to set: any key in it is an error."""


_Own = TypeVar("_Own")


@runtime_checkable
class EngineSpec(Protocol[_Own]):
    """An engine before it is opened: what the program asks of it without knowing it.

    A package offers one as an entry point of the group `safelight.engines`, under the engine's
    name; it derives from this class. Nothing here may load a model or a client: those are
    imported by `open`. `_Own` is what the engine's settings become.

    `name`: its id. `section`: what its section in `config.toml` may hold, a struct whose fields
    all have defaults. `hosts_table`: a table with more such sections, each a host profile; empty
    for none. `variables`: the environment variables that `configure` reads; a worker that was
    started with others is replaced before the engine's next job. `is_default`: used where no
    engine is named.
    """

    name: str
    section: type[msgspec.Struct] = NoSettings
    hosts_table: str = ""
    variables: tuple[str, ...] = ()
    is_default: bool = False

    def get_capabilities(self, settings: _Own) -> Capabilities:
        """What it accepts; cheap."""
        ...

    def open(self, settings: _Own, *, processes: int | None = None) -> Engine:
        """The engine itself, which connects and loads only when it has to. Raises `EngineError`.

        `processes`: how many of this machine may share the work of one image, None for as many
        as are useful.
        """
        ...

    def configure(self, section: Any, config: ConfigFile, place: str) -> _Own:
        """The settings from its `section`, read at `place` in `config`; no file need be opened.

        Raises `SettingsError`.
        """
        own: _Own = section
        return own

    def estimate_cost(self, request: Request, settings: _Own) -> float | None:
        """The credits that `request` may cost; 0 where images are free, None if not known."""
        return 0.0

    def check_ready(self, settings: _Own) -> None:
        """Raise `EngineError` for what is known to be missing before anything is sent; cheap."""
        return

    def name_model(self, request: Request, environment: EnvironmentRecord | None = None) -> str:
        """The model that `request` means, with its revision, where models have revisions.

        `environment`: what is recorded of the image that was made of it, None where there is none
        yet. Names a revision also where it cannot be run any more.
        """
        return request.model

    def describe_environment(self, request: Request, engine: Engine) -> EnvironmentRecord:
        """What would decide the pixels of `request` if `engine` made it now; sends nothing.

        May load the model. Raises `EngineError`.
        """
        return engine.environment()

    def judge_change(
        self, name: str, request: Request, then: EnvironmentRecord, now: EnvironmentRecord
    ) -> Judgement:
        """Whether it decides the pixels of `request` that `name` is other in two environments."""
        return Judgement(Weight.MAY_DECIDE, "the engine does not say whether it decides pixels")

    def encode(self, image: Pillow.Image) -> bytes | None:
        """The file that the engine would write of these pixels; None where that is not known.

        An image is thinned only where its file is that one: else what is made again would have
        its pixels, but not its file.
        """
        return None

    def describe_losses(self, request: Request) -> tuple[str, ...]:
        """What of `request` the engine cannot honour, a sentence each; empty for nothing.

        An engine that maps a request onto less than it says (one text for several prompts)
        tells here what that costs, before anything is sent. Its `generate` yields the same
        sentences as `Warned`. Cheap. Raises `RequestError` when the mapping is impossible.
        """
        return ()

    def tokenize(self, text: str, style_preset: str | None = None) -> TokenizedPrompt:
        """What the model reads of `text`; all of it where nobody knows its words."""
        return TokenizedPrompt()

    def examine(self, settings: _Own) -> str:
        """One line about it for who looks for a fault, never a key. Raises `EngineError`."""
        return "installed"
