"""What the embedded model accepts; reading it loads neither numpy nor weights."""

from __future__ import annotations

from engines.capabilities import Capabilities, Sizes, Span

MODEL = "safelight-128-v1"
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
STYLE_WORDS = {
    "analog-film": "analog film",
    "anime": "anime style",
    "comic-book": "comic book",
    "line-art": "line art",
    "low-poly": "low poly",
    "neon-punk": "neon punk",
    "photographic": "photographic",
    "pixel-art": "pixel art",
}
"""Style presets and the words that stand for them in the training captions."""

NATIVE_SIZES = ((128, 128), (192, 128), (128, 192))
"""Sizes (width, height) that the network itself makes; others are resized from these."""

SIDE_HIGH = 4096
PIXELS_HIGH = 1536 * 1536
"""The largest side and image: every size that the hosted service's models take is among them."""

UPSCALE_MODEL = "safelight-upscale-x2"
UPSCALED_SIZES = ((256, 256), (384, 256), (256, 384))
"""What the upscaler makes of the native sizes."""

UPSCALE_INPUT = (16, 1024)
"""Smallest and largest side of an image that is made larger, in pixels."""
UPSCALE_SIDE = 2048
"""Largest side that comes of it."""
UPSCALE_FACTOR = 4
"""How many times longer a side can become."""

CAPABILITIES = Capabilities(
    engine="builtin",
    title="Embedded model",
    models=(MODEL,),
    samplers=SAMPLERS,
    default_sampler="k_dpmpp_2m",
    style_presets=tuple(STYLE_WORDS),
    steps=Span(low=1, high=150, step=1, default=30),
    cfg_scale=Span(low=0, high=35, step=0.5, default=7),
    sizes=Sizes(
        default=(128, 128),
        suggested=(*NATIVE_SIZES, *UPSCALED_SIZES, (512, 512), (1024, 1024)),
        native=(*NATIVE_SIZES, *UPSCALED_SIZES),
        high=SIDE_HIGH,
        pixels_high=PIXELS_HIGH,
    ),
    takes=("initial_image", "mask", "variation", "upscale"),
    upscale_models=(UPSCALE_MODEL,),
    upscale_side=UPSCALE_SIDE,
)
