"""What the Stability API accepts over gRPC. Readable without gRPC.

The numbers are those of the documentation of the hosted service; where its pages differ
the wider range is used, because the server has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence

from engines.capabilities import Capabilities, Span
from engines.sizes import Sizes
from engines.stability.rules import UPSCALER_RULES, check_rules
from store.request import Request

ENGINE = "stability"

SAMPLERS = (
    "ddim",
    "ddpm",
    "k_euler",
    "k_euler_ancestral",
    "k_heun",
    "k_dpm_2",
    "k_dpm_2_ancestral",
    "k_lms",
    "k_dpmpp_2s_ancestral",
    "k_dpmpp_2m",
    "k_dpmpp_sde",
)
"""The samplers of the protocol, by the API's names, each at the index of its number there."""

STYLE_PRESETS = (
    "3d-model",
    "analog-film",
    "anime",
    "cinematic",
    "comic-book",
    "digital-art",
    "enhance",
    "fantasy-art",
    "isometric",
    "line-art",
    "low-poly",
    "modeling-compound",
    "neon-punk",
    "origami",
    "photographic",
    "pixel-art",
    "tile-texture",
)

_SDXL_ONLY = (
    (1024, 1024),
    (1152, 896),
    (1216, 832),
    (1344, 768),
    (1536, 640),
    (896, 1152),
    (832, 1216),
    (768, 1344),
    (640, 1536),
)
_SDXL = Sizes(default=(1024, 1024), suggested=_SDXL_ONLY, native=_SDXL_ONLY, only=_SDXL_ONLY)

_V1_6 = Sizes(
    default=(512, 512),
    suggested=((512, 512), (640, 512), (768, 512), (896, 512), (512, 768), (512, 896), (768, 768)),
    native=((512, 512),),
    low=320,
    high=1536,
    pixels_high=1536 * 1536,
)
_512 = Sizes(
    default=(512, 512),
    suggested=((512, 512), (640, 512), (768, 512), (896, 512), (512, 768), (512, 896)),
    native=((512, 512),),
    high=8192,
    pixels_low=512 * 512,
    pixels_high=1024 * 1024,
)
_768 = Sizes(
    default=(768, 768),
    suggested=((768, 768), (896, 768), (1024, 768), (768, 1024)),
    native=((768, 768),),
    high=8192,
    pixels_low=768 * 768,
    pixels_high=1024 * 1024,
)

_SERVED = Sizes(
    default=(512, 512),
    suggested=((512, 512), (768, 512), (512, 768), (1024, 1024), (256, 256), (128, 128)),
    high=4096,
    pixels_high=4096 * 4096,
)
"""For a model that only the server knows: what a request may hold; the server decides."""

SIZES = {
    "stable-diffusion-xl-1024-v1-0": _SDXL,
    "stable-diffusion-v1-6": _V1_6,
    "stable-diffusion-512-v2-1": _512,
    "stable-diffusion-768-v2-1": _768,
    "stable-diffusion-xl-1024-v0-9": _SDXL,
}
"""The sizes of each model that is known to the hosted service, the default model first."""

WHY_NOT = (
    "The Stability API does not promise the same pixels for the same request: "
    "the service may change its models or hardware and does not say when."
)

TAKES = (
    "initial_image",
    "mask",
    "guidance",
    "weight_method",
    "adapter",
    "fine_tunes",
    "content_credentials",
    "upscale",
)
"""The optional parameters that the protocol can express."""


class StabilityCapabilities(Capabilities, frozen=True, kw_only=True):
    """Capabilities with the rules of the hosted service's models."""

    def check(self, request: Request) -> None:
        """Raise `RequestError` for the first field that the service does not accept."""
        super().check(request)
        check_rules(request)


def make_capabilities(
    models: Sequence[str] = (), upscale_models: Sequence[str] = ()
) -> StabilityCapabilities:
    """The engine's capabilities, offering `models` instead of the hosted service's own.

    Likewise `upscale_models`.

    A name that is not in `SIZES` is allowed: a server of one's own names its models as it
    likes, and checks sizes itself.
    """
    names = tuple(models) or tuple(SIZES)
    return StabilityCapabilities(
        engine=ENGINE,
        title="Stability API (gRPC)",
        models=names,
        samplers=SAMPLERS,
        default_sampler="k_dpmpp_2m",
        style_presets=STYLE_PRESETS,
        steps=Span(low=10, high=150, step=1, default=30),
        cfg_scale=Span(low=0, high=35, step=0.5, default=7),
        sizes=SIZES.get(names[0], _SERVED),
        sizes_by_model={name: SIZES.get(name, _SERVED) for name in names},
        takes=TAKES,
        upscale_models=tuple(upscale_models) or tuple(UPSCALER_RULES),
        is_deterministic=False,
        why_not=WHY_NOT,
        is_paid=True,
    )
