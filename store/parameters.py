"""What decides an image besides its prompts.

Images that a request starts from (initial image, mask, the image to make larger) are named by the
SHA-256 of their file; `store.vault` keeps the bytes. The names and ranges are those of the
Stability API.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from store.errors import RequestError
from store.fields import (
    STEPS_MAXIMUM,
    UPSCALED_MAXIMUM,
    check_cfg_scale,
    check_choice,
    check_name,
    check_optional_text,
    check_seed,
    check_sha256,
    check_share,
    check_side,
    check_whole,
)

MaskColor = Literal["black", "white"]
MaskedAreaInit = Literal["zero", "random", "original"]
WeightMethod = Literal["text_encoder", "cross_attention"]

GUIDANCE_PRESETS = ("simple", "fast_blue", "fast_green", "slow", "slower", "slowest")
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
            check_whole("guidance.cuts", self.cuts, 1, 1024)
        msgspec.structs.force_setattr(self, "models", tuple(self.models))
        for model in self.models:
            check_optional_text("parameters.guidance.models", model)
        check_optional_text("parameters.guidance.prompt", self.prompt)


class Adapter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A T2I adapter that follows the initial image. `strength` 0 to 1.

    `init`: whether the initial image is a picture (`image`) or already the sketch, depth map or
    edges (`adapter_image`).
    """

    kind: str
    strength: float
    init: Literal["image", "adapter_image"]

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

    @property
    def has_extras(self) -> bool:
        """Whether anything is set that has a default."""
        return any(
            getattr(self, name) != default
            for name, default in zip(
                self.__struct_fields__[-len(self.__struct_defaults__) :],
                self.__struct_defaults__,
                strict=True,
            )
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The digests of the image files that are needed, in a fixed order."""
        parts = (self.initial_image, self.mask, self.upscale)
        return tuple(dict.fromkeys(part.sha256 for part in parts if part is not None))
