"""What an engine accepts and promises, readable without loading its model."""

from __future__ import annotations

import msgspec

from engines.sizes import Sizes
from store.errors import RequestError
from store.limits import UPSCALED_MAXIMUM
from store.request import Parameters, Request


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
