"""What an engine accepts and promises, readable without loading its model."""

from __future__ import annotations

import functools
import math

import msgspec

from store.errors import RequestError
from store.limits import SIZE_MAXIMUM, SIZE_MINIMUM, SIZE_MULTIPLE, UPSCALED_MAXIMUM, suggest
from store.metadata.sampler_names import find_sampler, guess_sampler, is_usual
from store.request import Parameters, Request

REVISION_MARK = "@"
"""Stands between a model and its revision in a name: `safelight-128-v1@3`."""


def split_name(name: str) -> tuple[str, int | None]:
    """The model of a name and its revision, None where it names none."""
    model, mark, number = name.partition(REVISION_MARK)
    return (model, int(number)) if mark and number.isdecimal() else (name, None)


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

    @property
    def words(self) -> str:
        """What is accepted, as a sentence without its point."""
        if self.only:
            return f"It makes {', '.join(f'{width}x{height}' for width, height in self.only)}"
        least = f"{self.pixels_low:,} to " if self.pixels_low else "at most "
        return (
            f"Each side is a multiple of {self.multiple} from {self.low} to {self.high}, "
            f"{least}{self.pixels_high:,} pixels in all"
        )

    def find_nearest(self, size: tuple[int, int]) -> tuple[int, int]:
        """`size` (width, height in pixels) if an image can have it, else the nearest possible one.

        Proportions weigh more than the number of pixels.
        """
        if _is_possible(size) and self.accepts(size):
            return size
        low, high = max(self.low, SIZE_MINIMUM), min(self.high, SIZE_MAXIMUM)
        sides = range(-(-low // self.multiple) * self.multiple, high + 1, self.multiple)
        known = self.only or [(width, height) for width in sides for height in sides]
        return min(
            (candidate for candidate in known if self.accepts(candidate)),
            key=lambda candidate: (_measure(size, candidate), candidate),
            default=self.default,
        )


def _is_possible(size: tuple[int, int]) -> bool:
    return all(s % SIZE_MULTIPLE == 0 and SIZE_MINIMUM <= s <= SIZE_MAXIMUM for s in size)


def _measure(size: tuple[int, int], other: tuple[int, int]) -> float:
    """How far two sizes are apart: other proportions weigh three times a change of scale."""
    width, height = (max(1, side) for side in size)
    proportions = math.log(width / height) - math.log(other[0] / other[1])
    scale = math.log(width * height) - math.log(other[0] * other[1])
    return 3 * abs(proportions) + abs(scale)


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
    `aliases`: other names of models and what they stand for now: a model that has revisions, for
    one of them. Complete requests hold none of them, see `pin`.
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
    aliases: dict[str, str] = {}
    upscale_side: int = UPSCALED_MAXIMUM
    is_deterministic: bool = True
    why_not: str = ""
    is_paid: bool = False

    @property
    def default_model(self) -> str:
        """The model that is used when none is named."""
        return self.models[0]

    def pin(self, model: str) -> str:
        """The name that a complete request holds for `model`: with the revision, if it has any."""
        return self.aliases.get(model, model)

    def for_model(self, name: str | None) -> Capabilities:
        """The same as the model `name` has it (None: the default model)."""
        name = self.pin(name or self.default_model)
        return msgspec.structs.replace(
            self,
            sizes=self.sizes_by_model.get(name, self.sizes),
            sizes_by_model={},
            cfg_scale=self.cfg_scale_by_model.get(name, self.cfg_scale),
            cfg_scale_by_model={},
            takes=self.takes_by_model.get(name, self.takes),
            takes_by_model={},
        )

    def find_sampler(self, name: str) -> str:
        """The engine's own name of the sampler `name`, also as other programs write it.

        `DPM++ 2M Karras`, `Euler a`. Raises `RequestError` for an unknown one, and for one with a
        schedule that it does not have here.
        """
        if name in self.samplers:
            return name
        found, schedule = find_sampler(name)
        if found in self.samplers and found is not None:
            if is_usual(found, schedule):
                return found
            said = f"{found} has no schedule {schedule!r} to choose here."
            raise RequestError("parameters.sampler", name, said, f"Give {found!r} for its own.")
        hint = suggest(name, self.samplers, guess_sampler(name))
        raise RequestError("parameters.sampler", name, f"Unknown sampler {name!r}.", hint)

    def list_left_to_server(self, model: str) -> tuple[str, ...]:
        """The parameters that the server decides for `model`, whatever stands in a request."""
        own = self.for_model(model)
        found = [name for name in ("steps", "cfg_scale") if getattr(own, name).is_left_to_server]
        if self.samplers == (LEFT_TO_SERVER,):
            found.append("sampler")
        return tuple(found)

    def check(self, request: Request) -> None:
        """Raise `RequestError` for the first field that this engine does not accept."""
        parameters = request.parameters
        self._check_extras(parameters, request.model)
        if parameters.upscale is not None:
            self._check_model(request.model, self.upscale_models)
            self._check_upscaled_size((parameters.width, parameters.height))
            return
        self._check_model(request.model, self.models)
        _check_choice("parameters.sampler", parameters.sampler, self.samplers)
        if parameters.style_preset is not None:
            _check_choice("parameters.style_preset", parameters.style_preset, self.style_presets)
        own = self.for_model(request.model)
        own.check_numbers(parameters.steps, parameters.cfg_scale)
        own.check_size((parameters.width, parameters.height))
        if len(request.stack.active) > self.prompt_limit:
            raise RequestError(
                "prompts",
                len(request.stack.active),
                f"The engine {self.engine} takes at most {self.prompt_limit} prompts.",
                "Switch some off.",
            )

    def _check_model(self, name: str, known: tuple[str, ...]) -> None:
        name = self.pin(name)
        model, revision = split_name(name)
        others = [number for own, number in map(split_name, known) if own == model and number]
        if revision is not None and others and name not in known:
            listed = ", ".join(str(number) for number in others)
            raise RequestError(
                "model",
                name,
                f"Revision {revision} of {model} is not on board; on board: {listed}.",
                "Install the package of its weights, or choose another revision.",
            )
        _check_choice("model", name, known)

    def _check_extras(self, parameters: Parameters, model: str) -> None:
        takes = self.for_model(model).takes
        for field in _list_optional():
            if field.name in takes:
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

    def check_numbers(self, steps: int, cfg_scale: float) -> None:
        """Raise `RequestError` for a number that is not in `steps` or `cfg_scale`.

        What is other for some models is not looked at: ask `for_model` first.
        """
        self._check_span("steps", steps, self.steps)
        self._check_span("cfg_scale", cfg_scale, self.cfg_scale)

    def _check_span(self, name: str, value: float, span: Span) -> None:
        if span.low <= value <= span.high:
            return
        field, words = f"parameters.{name}", name.replace("_", " ")
        if span.is_left_to_server:
            raise RequestError(
                field,
                value,
                f"The engine {self.engine} takes no {words} here: the server decides.",
                f"Leave it out, or give {span.default:g}.",
            )
        raise RequestError(
            field,
            value,
            f"{words} {value:.10g} is out of range for the engine {self.engine}.",
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


@functools.cache
def _list_optional() -> tuple[msgspec.structs.FieldInfo, ...]:
    """The optional parameters; asked for once, as that reads the types of all of them."""
    return tuple([field for field in msgspec.structs.fields(Parameters) if not field.required])


def _check_choice(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        name = field.rpartition(".")[2]
        raise RequestError(
            field, value, f"Unknown {name.replace('_', ' ')} {value!r}.", suggest(value, known)
        )
