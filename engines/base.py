"""What every engine is to the rest: capabilities, environment, events, errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from store.errors import RequestError, SafelightError, StoreError
from store.records import EnvironmentRecord, FinishReason
from store.request import Parameters, Request


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


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that an engine accepts, both ends included, the key step and the default.

    `is_left_to_server`: the one number that is accepted stands for what the server decides;
    nothing is sent.
    """

    low: float
    high: float
    step: float
    default: float
    is_left_to_server: bool = False

    @property
    def words(self) -> str:
        """What is accepted, in a few words."""
        if self.is_left_to_server:
            return "the server decides"
        return f"{self.low:g} to {self.high:g}"


LEFT_TO_SERVER = "server"
"""The one sampler of an engine whose service lets nobody choose it."""


def leave_to_server(number: float) -> Span:
    """The span of a parameter that the service decides; `number` stands in the request."""
    return Span(low=number, high=number, step=1, default=number, is_left_to_server=True)


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes that an engine accepts, in pixels (width, height).

    `only` lists them where they are few; else each side is a `multiple` from `low` to
    `high`, with at most `pixels_high` and at least `pixels_low` pixels in all.
    `suggested` are the ones that a list offers, `native` those made without resizing.
    """

    default: tuple[int, int]
    suggested: tuple[tuple[int, int], ...]
    native: tuple[tuple[int, int], ...] = ()
    only: tuple[tuple[int, int], ...] = ()
    multiple: int = 64
    low: int = 128
    high: int = 1024
    pixels_low: int = 0
    pixels_high: int = 1024 * 1024

    def accepts(self, size: tuple[int, int]) -> bool:
        """Whether an image of `size` (width, height in pixels) can be made."""
        if self.only:
            return size in self.only
        sides_fit = all(s % self.multiple == 0 and self.low <= s <= self.high for s in size)
        return sides_fit and self.pixels_low <= size[0] * size[1] <= self.pixels_high


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine accepts and promises, readable without loading its model.

    `weights` is the recommended range; outside it is accepted within [-10, 10].
    `sizes_by_model` and `cfg_scale_by_model` hold what is other for some models than `sizes`
    and `cfg_scale`; ask `for_model`.
    `token_limit`: CLIP tokens a prompt may have before the rest falls off, None without one.
    `takes` names the optional parameters that it honours (`initial_image`, `mask` …).
    `upscale_models` are those that make an image larger instead of drawing one.
    `is_deterministic`: the same request gives the same pixels in the same environment;
    `why_not` says why it does not. `is_paid`: an image may cost money.
    """

    engine: str
    title: str
    models: tuple[str, ...]
    samplers: tuple[str, ...]
    default_sampler: str
    style_presets: tuple[str, ...]
    steps: Span
    cfg_scale: Span
    sizes: Sizes
    sizes_by_model: dict[str, Sizes] = {}
    cfg_scale_by_model: dict[str, Span] = {}
    weights: tuple[float, float] = (-2.0, 2.0)
    prompt_limit: int = 64
    token_limit: int | None = 77
    takes: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()
    is_deterministic: bool = True
    why_not: str = ""
    is_paid: bool = False

    @property
    def default_model(self) -> str:
        """The model that is used when none is named."""
        return self.models[0]

    def for_model(self, name: str | None) -> Capabilities:
        """The same as the model `name` has it (None: the default model)."""
        name = name or self.default_model
        return msgspec.structs.replace(
            self,
            sizes=self.sizes_by_model.get(name, self.sizes),
            sizes_by_model={},
            cfg_scale=self.cfg_scale_by_model.get(name, self.cfg_scale),
            cfg_scale_by_model={},
        )

    def check(self, request: Request) -> None:
        """Raise `RequestError` for the first field that this engine does not accept."""
        parameters = request.parameters
        self._check_extras(parameters)
        if parameters.upscale is not None:
            _check_choice("model", request.model, self.upscale_models)
            return
        _check_choice("model", request.model, self.models)
        _check_choice("parameters.sampler", parameters.sampler, self.samplers)
        if parameters.style_preset is not None:
            _check_choice("parameters.style_preset", parameters.style_preset, self.style_presets)
        own = self.for_model(request.model)
        self._check_span("steps", parameters.steps, own.steps)
        self._check_span("cfg_scale", parameters.cfg_scale, own.cfg_scale)
        self._check_size(parameters, own.sizes)
        if len(request.stack.active) > self.prompt_limit:
            raise RequestError(
                "prompts",
                len(request.stack.active),
                f"The engine {self.engine} takes at most {self.prompt_limit} prompts.",
                "Switch some off.",
            )

    def _check_extras(self, parameters: Parameters) -> None:
        for field in msgspec.structs.fields(Parameters):
            if field.required or field.name in self.takes:
                continue
            value = getattr(parameters, field.name)
            if value != field.default:
                name = field.name.replace("_", " ")
                raise RequestError(
                    f"parameters.{field.name}",
                    msgspec.to_builtins(value),
                    f"The engine {self.engine} has no {name}.",
                    "Leave it out, or choose another engine.",
                )

    def _check_span(self, name: str, value: float, span: Span) -> None:
        if not span.low <= value <= span.high:
            if span.is_left_to_server:
                raise RequestError(
                    f"parameters.{name}",
                    value,
                    f"The engine {self.engine} takes no {name} here: the server decides.",
                    f"Leave it out, or give {span.default:g}.",
                )
            raise RequestError(
                f"parameters.{name}",
                value,
                f"{name} {value:g} is out of range for the engine {self.engine}.",
                f"Give {span.low:g} to {span.high:g}.",
            )

    def _check_size(self, parameters: Parameters, sizes: Sizes) -> None:
        size = (parameters.width, parameters.height)
        if sizes.accepts(size):
            return
        text = f"The size {size[0]}x{size[1]} does not fit the engine {self.engine}."
        if sizes.only:
            known = ", ".join(f"{width}x{height}" for width, height in sizes.only)
            raise RequestError("parameters.size", size, text, f"It makes {known}.")
        raise RequestError(
            "parameters.size",
            size,
            text,
            f"Each side is a multiple of {sizes.multiple} from {sizes.low} to {sizes.high}, "
            f"{sizes.pixels_low:,} to {sizes.pixels_high:,} pixels in all.",
        )


def _check_choice(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        name = field.rpartition(".")[2]
        listed = ", ".join(known) if known else "none"
        raise RequestError(field, value, f"Unknown {name} {value!r}.", f"Known: {listed}.")


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
    it decodes it, so that it is decoded only once. `meta` is stored as is.
    """

    data: bytes | None
    mime: str
    seed: int
    finish_reason: FinishReason = FinishReason.SUCCESS
    meta: dict[str, str] = {}


Event = Progressed | StageReached | Warned | Produced


def refuse_input(sha256: str) -> bytes:
    """Raise `StoreError`: what a run without input images answers."""
    raise StoreError(f"The input image {sha256[:8]} is not at hand.")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution: `id` is the job's id (and the wire's request id).

    `spool` is called with the raw bytes of each answer that holds something, before they are
    decoded and maybe in a thread; it returns when they are on disk. `read_input` gives the file
    of an input image by its digest; it raises `StoreError`.
    """

    id: str
    spool: Callable[[bytes], None] = lambda _: None
    read_input: Callable[[str], bytes] = refuse_input


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
