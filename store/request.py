"""What decides an image: prompt, prompt stack, parameters, request.

All four are immutable values. They check themselves when they are made, so a value that
exists is valid; what a particular engine accepts beyond that is in its capabilities.

A request has one canonical form in JSON (UTF-8, sorted keys, no spaces, every field
present), and the SHA-256 of that form is its digest, by which it is known everywhere.

Images that a request starts from (initial image, mask, the image to make larger) are named by the
SHA-256 of their file; `store.vault` keeps the bytes. The names and ranges of the parameters are
those of the Stability API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

import msgspec

from store.errors import RequestError
from store.limits import (
    PROMPT_LIMIT,
    STEPS_MAXIMUM,
    UPSCALED_MAXIMUM,
    check_cfg_scale,
    check_choice,
    check_model,
    check_name,
    check_optional_text,
    check_seed,
    check_sha256,
    check_share,
    check_side,
    check_text,
    check_weight,
    check_whole,
)
from store.stored_json import BROKEN_JSON

MaskColor = Literal["black", "white"]
MaskedAreaInit = Literal["zero", "random", "original"]
WeightMethod = Literal["text_encoder", "cross_attention"]
AdapterInit = Literal["image", "adapter_image"]

MASK_COLORS: tuple[MaskColor, ...] = get_args(MaskColor)
MASKED_AREA_INITS: tuple[MaskedAreaInit, ...] = get_args(MaskedAreaInit)
WEIGHT_METHODS: tuple[WeightMethod, ...] = get_args(WeightMethod)
ADAPTER_INITS: tuple[AdapterInit, ...] = get_args(AdapterInit)
GUIDANCE_PRESETS = ("simple", "fast_blue", "fast_green", "slow", "slower", "slowest")
GUIDANCE_CUTS = (1, 1024)
ADAPTERS = ("sketch", "depth", "canny")
UPSCALERS = ("rgb", "gfpgan", "esrgan")
CONTENT_CREDENTIALS = ("sign_with_engine_id",)


class InitialImage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The image to start from. `sha256` is its file's.

    `start_schedule`: 0 keeps it as it is, 1 ignores it; the first part of the schedule that is
    left out is 1 minus it. `end_schedule`: 0 runs the schedule to its end. Both 0 to 1, the end
    not above the start.
    """

    sha256: str
    start_schedule: float
    end_schedule: float

    def __post_init__(self) -> None:
        check_sha256("parameters.initial_image", self.sha256)
        for name in ("start_schedule", "end_schedule"):
            value = check_share(f"parameters.{name}", getattr(self, name))
            msgspec.structs.force_setattr(self, name, value)
        if self.end_schedule > self.start_schedule:
            raise RequestError(
                "parameters.end_schedule",
                self.end_schedule,
                f"The end schedule {self.end_schedule:g} is above the start schedule "
                f"{self.start_schedule:g}.",
                "Give an end that is not above the start.",
            )


class Mask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the initial image is made anew. `sha256` is the mask's file's.

    `replaces`: the colour of what is made anew; grey is in between. `area_init`: what lies there
    before the first step.
    """

    sha256: str
    replaces: MaskColor
    area_init: MaskedAreaInit

    def __post_init__(self) -> None:
        check_sha256("parameters.mask", self.sha256)


class Variation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second seed whose noise is blended into the first one's: `strength` 0 none, 1 only it."""

    seed: int
    strength: float

    def __post_init__(self) -> None:
        check_seed(self.seed, "parameters.variation.seed")
        strength = check_share("parameters.variation.strength", self.strength)
        msgspec.structs.force_setattr(self, "strength", strength)


class Guidance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CLIP guidance: a preset, and what it leaves to be set. None: the service decides.

    `strength` 0 to 1, `cuts` 1 to 1024, `models` by their names, `prompt` its own text.
    """

    preset: str
    strength: float | None = None
    cuts: int | None = None
    models: tuple[str, ...] = ()
    prompt: str | None = None

    def __post_init__(self) -> None:
        check_choice("parameters.guidance.preset", self.preset, GUIDANCE_PRESETS)
        if self.strength is not None:
            strength = check_share("parameters.guidance.strength", self.strength)
            msgspec.structs.force_setattr(self, "strength", strength)
        if self.cuts is not None:
            check_whole("guidance.cuts", self.cuts, *GUIDANCE_CUTS)
        msgspec.structs.force_setattr(self, "models", tuple(self.models))
        for model in self.models:
            check_optional_text("parameters.guidance.models", model)
        check_optional_text("parameters.guidance.prompt", self.prompt)


class Adapter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A T2I adapter that follows the initial image. `strength` 0 to 1.

    `init`: whether the initial image is an ordinary one (`image`) or already the sketch, depth
    map or edges (`adapter_image`).
    """

    kind: str
    strength: float
    init: AdapterInit

    def __post_init__(self) -> None:
        check_choice("parameters.adapter.kind", self.kind, ADAPTERS)
        strength = check_share("parameters.adapter.strength", self.strength)
        msgspec.structs.force_setattr(self, "strength", strength)


class FineTune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fine-tuned model by its id, and its weight 0 to 1 (None: the service decides)."""

    model: str
    weight: float | None = None

    def __post_init__(self) -> None:
        check_optional_text("parameters.fine_tunes.model", self.model or None, required=True)
        if self.weight is not None:
            weight = check_share("parameters.fine_tunes.weight", self.weight)
            msgspec.structs.force_setattr(self, "weight", weight)


class Upscale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make an image larger instead of drawing one. `sha256` is its file's.

    The size is `width` and `height` of the parameters. `upscaler`: the protocol's kind.
    """

    sha256: str
    upscaler: str

    def __post_init__(self) -> None:
        check_sha256("parameters.upscale", self.sha256)
        check_choice("parameters.upscale.upscaler", self.upscaler, UPSCALERS)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything besides the prompts that decides the pixels. What has a default is absent by it.

    `seed`: 1 to 4294967294. `steps`: 1 to 500. `cfg_scale`: 0 to 35. `sampler`: the API's
    name (`k_dpmpp_2m`, `ddim` …). `width`, `height`: pixels, multiples of 32 from 128 to 4096,
    or any from 1 to 8192 for an upscale. `style_preset`: the API's name or None. `mask` and
    `adapter` need an initial image. `content_credentials`: how the service signs the image.
    Raises `RequestError`.
    """

    seed: int
    steps: int
    cfg_scale: float
    sampler: str
    width: int
    height: int
    style_preset: str | None
    initial_image: InitialImage | None = None
    mask: Mask | None = None
    variation: Variation | None = None
    guidance: Guidance | None = None
    weight_method: WeightMethod = "text_encoder"
    adapter: Adapter | None = None
    fine_tunes: tuple[FineTune, ...] = ()
    content_credentials: str | None = None
    upscale: Upscale | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_whole("steps", self.steps, 1, STEPS_MAXIMUM)
        cfg_scale = check_cfg_scale(self.cfg_scale)
        msgspec.structs.force_setattr(self, "cfg_scale", cfg_scale)
        check_name("parameters.sampler", self.sampler)
        for side in ("width", "height"):
            if self.upscale is None:
                check_side(side, getattr(self, side))
            else:
                check_whole(side, getattr(self, side), 1, UPSCALED_MAXIMUM)
        if self.style_preset is not None:
            check_name("parameters.style_preset", self.style_preset)
        msgspec.structs.force_setattr(self, "fine_tunes", tuple(self.fine_tunes))
        if self.content_credentials is not None:
            check_choice(
                "parameters.content_credentials", self.content_credentials, CONTENT_CREDENTIALS
            )
        if self.initial_image is None:
            for name in ("mask", "adapter"):
                if getattr(self, name) is not None:
                    raise RequestError(
                        f"parameters.{name}",
                        None,
                        f"A request with {'a mask' if name == 'mask' else 'an adapter'} needs an "
                        "initial image.",
                        "Give the image too.",
                    )

    def list_extras(self) -> set[str]:
        """The names of what is set that has a default."""
        defaults = self.__struct_defaults__
        names = self.__struct_fields__[-len(defaults) :]
        return {
            name
            for name, default in zip(names, defaults, strict=True)
            if getattr(self, name) != default
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        """The digests of the image files that are needed, in a fixed order."""
        parts = (self.initial_image, self.mask, self.upscale)
        return tuple(dict.fromkeys(part.sha256 for part in parts if part is not None))


FORMS: Mapping[int, tuple[str, ...]] = {
    1: ("seed", "steps", "cfg_scale", "sampler", "width", "height", "style_preset"),
    2: Parameters.__struct_fields__,
}
"""The canonical forms by their numbers, and the parameters that each holds; the newest all.

A parameter that is added gets a new form; the one before then names what it held. A request of an
old form keeps its form and so its digest; it cannot hold anything that came later.
"""

REQUEST_FORMAT = max(FORMS)
"""Number of the newest canonical form."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text and a weight; may be switched off.

    `weight` is in [-10, 10], above 0 asks for the text, below 0 avoids it, 0 leaves it out.
    A switched-off prompt stays in the stack and has no effect. Raises `RequestError`.
    """

    text: str
    weight: float = 1.0
    enabled: bool = True

    def __post_init__(self) -> None:
        check_text(self.text)
        msgspec.structs.force_setattr(self, "weight", check_weight(self.weight))

    @property
    def is_active(self) -> bool:
        """Whether it has an effect: switched on and not of weight 0."""
        return self.enabled and self.weight != 0


class PromptStack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ordered prompts of one request, at most 64."""

    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "prompts", tuple(self.prompts))
        if len(self.prompts) > PROMPT_LIMIT:
            raise RequestError(
                "prompts",
                len(self.prompts),
                f"The stack has {len(self.prompts)} prompts, more than {PROMPT_LIMIT}.",
                "Remove some.",
            )

    def check_drawable(self) -> None:
        """Raise `RequestError` unless a prompt is active with a weight above 0."""
        if not self.prompts:
            raise RequestError("prompts", (), "The prompt stack is empty.", "Add a prompt.")
        if not any(prompt.is_active and prompt.weight > 0 for prompt in self.prompts):
            raise RequestError(
                "prompts",
                [prompt.weight for prompt in self.prompts],
                "No prompt that is switched on has a weight above 0.",
                "Add a prompt that says what to draw; negative ones only say what to avoid.",
            )

    @property
    def active(self) -> tuple[Prompt, ...]:
        """The prompts that have an effect, in their order."""
        return tuple(prompt for prompt in self.prompts if prompt.is_active)


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompt stack, parameters and engine: complete, immutable, known by its digest.

    `engine` names the engine (`builtin`, `stability`), `model` what it runs
    (`stable-diffusion-xl-1024-v1-0`), with the revision where it has any (`safelight-128-v1@3`).
    One request stands for one image. The stack needs a prompt with a weight above 0, except where
    an image is only made larger.
    """

    format: int = REQUEST_FORMAT
    engine: str
    model: str
    stack: PromptStack
    parameters: Parameters

    def __post_init__(self) -> None:
        if not 1 <= self.format <= REQUEST_FORMAT:
            raise RequestError(
                "format",
                self.format,
                f"This request has the form {self.format}; this program knows 1 to "
                f"{REQUEST_FORMAT}.",
                "Update Safelight to read it.",
            )
        if self.parameters.list_extras() - set(FORMS[self.format]):
            raise RequestError(
                "format",
                self.format,
                f"A request of form {self.format} cannot hold these parameters.",
                f"Use form {REQUEST_FORMAT}.",
            )
        check_name("engine", self.engine)
        check_model("model", self.model)
        if self.parameters.upscale is None:
            self.stack.check_drawable()

    def to_json(self) -> bytes:
        """The canonical form: UTF-8 JSON, sorted keys, no spaces, every field."""
        if self.format == REQUEST_FORMAT:
            return msgspec.json.encode(self, order="sorted")
        values = msgspec.to_builtins(self)
        known = values["parameters"]
        values["parameters"] = {name: known[name] for name in FORMS[self.format]}
        return msgspec.json.encode(values, order="sorted")

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """The request in `data`. Raises `RequestError` when a field is missing, unknown or bad."""
        try:
            values = msgspec.json.decode(data)
            if isinstance(values, dict):
                _check_complete(values)
            return msgspec.convert(values, type=cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, RequestError):
                raise error.__cause__ from None
            raise RequestError("request", None, f"Not a request: {error}.") from None
        except BROKEN_JSON as error:
            is_deep = isinstance(error, RecursionError)
            said = "it is nested too deep" if is_deep else str(error)
            raise RequestError("request", None, f"Not JSON: {said}.") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json()).hexdigest()


def _check_complete(values: dict[str, Any]) -> None:
    """A stored request leaves nothing out, also where the type has a default."""
    parameters = values.get("parameters")
    form = values.get("format")
    if not isinstance(parameters, dict):
        return
    for name in FORMS.get(form if isinstance(form, int) else REQUEST_FORMAT, FORMS[REQUEST_FORMAT]):
        if name not in parameters:
            raise RequestError(
                f"parameters.{name}", None, f"Not a request: the field {name} is missing."
            )
