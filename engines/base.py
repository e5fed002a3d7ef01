"""What every engine is to the rest: capabilities, environment, events, errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from engines.sizes import Sizes as Sizes
from store.errors import RequestError, SafelightError, StoreError
from store.fields import UPSCALED_MAXIMUM
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


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine accepts and promises, readable without loading its model.

    `weights` is the recommended range; outside it is accepted within [-10, 10].
    `sizes_by_model`, `cfg_scale_by_model` and `takes_by_model` hold what is other for some
    models than `sizes`, `cfg_scale` and `takes`; ask `for_model`.
    `token_limit`: CLIP tokens a prompt may have before the rest falls off, None without one.
    `takes` names the optional parameters that it honours (`initial_image`, `mask` …).
    `upscale_models` are those that make an image larger instead of drawing one, to at most
    `upscale_side` pixels a side.
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
    takes_by_model: dict[str, tuple[str, ...]] = {}
    upscale_models: tuple[str, ...] = ()
    upscale_side: int = UPSCALED_MAXIMUM
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
            takes=self.takes_by_model.get(name, self.takes),
            takes_by_model={},
        )

    def check(self, request: Request) -> None:
        """Raise `RequestError` for the first field that this engine does not accept."""
        parameters = request.parameters
        self._check_extras(parameters, request.model)
        if parameters.upscale is not None:
            _check_choice("model", request.model, self.upscale_models)
            self._check_upscaled_size((parameters.width, parameters.height))
            return
        _check_choice("model", request.model, self.models)
        _check_choice("parameters.sampler", parameters.sampler, self.samplers)
        if parameters.style_preset is not None:
            _check_choice("parameters.style_preset", parameters.style_preset, self.style_presets)
        own = self.for_model(request.model)
        self._check_span("steps", parameters.steps, own.steps)
        self._check_span("cfg_scale", parameters.cfg_scale, own.cfg_scale)
        own.check_size((parameters.width, parameters.height))
        if len(request.stack.active) > self.prompt_limit:
            raise RequestError(
                "prompts",
                len(request.stack.active),
                f"The engine {self.engine} takes at most {self.prompt_limit} prompts.",
                "Switch some off.",
            )

    def _check_extras(self, parameters: Parameters, model: str) -> None:
        takes = self.for_model(model).takes
        for field in msgspec.structs.fields(Parameters):
            if field.required or field.name in takes:
                continue
            value = getattr(parameters, field.name)
            if value != field.default:
                able = [name for name, other in self.takes_by_model.items() if field.name in other]
                who = f"The model {model}" if able else f"The engine {self.engine}"
                raise RequestError(
                    f"parameters.{field.name}",
                    msgspec.to_builtins(value),
                    f"{who} has no {field.name.replace('_', ' ')}.",
                    f"Leave it out, or choose {', '.join(able) or 'another engine'}.",
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

    def _check_upscaled_size(self, size: tuple[int, int]) -> None:
        if max(size) > self.upscale_side:
            raise RequestError(
                "parameters.size",
                size,
                f"The size {size[0]}x{size[1]} does not fit the engine {self.engine}.",
                f"It makes images larger to at most {self.upscale_side} pixels a side.",
            )

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise `RequestError` for an image of `size` (width, height) that is not among `sizes`.

        What is other for some models is not looked at: ask `for_model` first.
        """
        if not self.sizes.accepts(size):
            width, height = self.sizes.find_nearest(size)
            raise RequestError(
                "parameters.size",
                size,
                f"The size {size[0]}x{size[1]} does not fit the engine {self.engine}.",
                f"{self.sizes.words}. The nearest is {width}x{height}.",
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


EQUAL_BITS = "equal bits promised"
"""In an environment's record: `yes` where `BESIDE_BITS` decide no pixel, else why they might."""

BESIDE_BITS = ("kernels", "machine")

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
