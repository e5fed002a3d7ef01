"""Made-up requests, images, jobs, results and capabilities, for the tests of every floor.

Whoever needs another value names it: every function takes the fields that are to differ.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image as Pillow

from engines.builtin.models import MODEL as EMBEDDED_MODEL
from engines.capabilities import Capabilities, Sizes, Span
from engines.stability_rest import models as rest_capabilities
from store.pixels import digest_pixels, make_thumbnail
from store.prompts import parse_prompt
from store.records import (
    EnvironmentRecord,
    FinishReason,
    Image,
    Job,
    JobState,
    Purpose,
    Result,
    Stage,
)
from store.request import Parameters, Prompt, PromptStack, Request

Weighted = Sequence[tuple[str, float]]

SEED = 1229080980
NOON = 1_780_000_000.0
PAINTER_MODEL = "painter-1"
BASE: Weighted = (("night sky above japanese town", 1.0), ("clouds", -1.0))
TOWN: Weighted = (("night sky above a town", 1.0), ("clouds", -1.3))

CAPABILITIES = Capabilities(
    engine="builtin",
    title="Embedded model",
    models=("r1", "r0"),
    samplers=("k_dpmpp_2m", "k_euler", "ddim"),
    default_sampler="k_dpmpp_2m",
    style_presets=("anime", "photographic"),
    steps=Span(low=10, high=150, step=1, default=50),
    cfg_scale=Span(low=0, high=35, step=0.5, default=8),
    sizes=Sizes(default=(128, 128), suggested=((128, 128), (192, 128)), high=256),
    takes=("initial_image", "mask", "variation", "upscale"),
    upscale_models=("larger-x2",),
)

HOSTED = msgspec.structs.replace(
    CAPABILITIES,
    engine="stability",
    title="Stability API",
    models=("stable-diffusion-xl-1024-v1-0",),
    samplers=("ddim", "k_lms"),
    default_sampler="k_lms",
    style_presets=(),
    steps=Span(low=10, high=50, step=1, default=30),
    sizes=Sizes(default=(1024, 1024), suggested=((1024, 1024),), only=((1024, 1024),)),
    takes=(),
    upscale_models=(),
    is_deterministic=False,
    why_not="the service does not promise it",
    is_paid=True,
)


def make_request(
    *prompts: str | Prompt, engine: str = "builtin", model: str = "r1", **changes: Any
) -> Request:
    """A request for `prompts` (a night sky by default); `changes` go to the parameters.

    A text is read as on the command line: `TEXT::WEIGHT`.
    """
    values: dict[str, Any] = {
        "seed": SEED,
        "steps": 50,
        "cfg_scale": 8.0,
        "sampler": "k_dpmpp_2m",
        "width": 128,
        "height": 128,
        "style_preset": None,
    }
    read = (parse_prompt(prompt) if isinstance(prompt, str) else prompt for prompt in prompts)
    return Request(
        engine=engine,
        model=model,
        stack=PromptStack(prompts=tuple(read) if prompts else (Prompt(text="night sky"),)),
        parameters=Parameters(**values | changes),
    )


def make_quick_request(stack: Weighted = BASE, **changes: Any) -> Request:
    """A request of 3 steps that the embedded model takes."""
    return _weigh(stack, model=EMBEDDED_MODEL, **{"steps": 3, "cfg_scale": 7.0} | changes)


def make_hosted_request(model: str = PAINTER_MODEL, prompts: Any = None, **changes: Any) -> Request:
    """A request that the service behind the `stability` engine takes."""
    values: dict[str, Any] = {"engine": "stability", "steps": 30, "cfg_scale": 7.0}
    return _weigh(prompts or TOWN, model=model, **values | changes)


def make_rest_request(
    model: str = "stable-image-ultra", prompts: Any = None, **changes: Any
) -> Request:
    """A request of the `stability-rest` engine with the default values of `model`."""
    own = rest_capabilities.CAPABILITIES.for_model(model)
    values: dict[str, Any] = {
        "engine": "stability-rest",
        "steps": 1,
        "cfg_scale": own.cfg_scale.default,
        "sampler": "server",
        "width": own.sizes.default[0],
        "height": own.sizes.default[1],
    }
    stack = prompts or (("night sky above a town", 1.0), ("clouds", -1.0))
    return _weigh(stack, model=model, **values | changes)


def _weigh(stack: Weighted, **values: Any) -> Request:
    prompts = (Prompt(text=text, weight=weight) for text, weight in stack)
    return make_request(*prompts, **values)


def encode_image(image: Pillow.Image, kind: str = "PNG") -> bytes:
    """The file of an image in memory."""
    image.save(buffer := io.BytesIO(), kind)
    return buffer.getvalue()


def make_plain(
    color: str | tuple[int, ...] = "navy", size: tuple[int, int] = (128, 128), kind: str = "PNG"
) -> bytes:
    """The file of an RGB image of one colour."""
    return encode_image(Pillow.new("RGB", size, color), kind)


def make_png(seed: int, side: int = 16) -> bytes:
    """A PNG whose colours depend on `seed`."""
    red, green, blue = hashlib.sha256(str(seed).encode()).digest()[:3]
    image = Pillow.new("RGB", (side, side))
    for x in range(side):
        for y in range(side):
            image.putpixel((x, y), (red, (green + 9 * x) % 256, (blue + 11 * y) % 256))
    return encode_image(image)


def make_image(number: int = 1, request: Request | None = None, **changes: Any) -> Image:
    """A stored image's record."""
    request = request or make_request()
    values: dict[str, Any] = {
        "number": number,
        "id": f"{number:04x}" * 8,
        "job_id": f"{number:04x}" * 8,
        "request": request,
        "request_digest": request.digest,
        "seed": request.parameters.seed,
        "width": request.parameters.width,
        "height": request.parameters.height,
        "mime": "image/png",
        "pixels_sha256": "ab" * 32,
        "file_sha256": "cd" * 32,
        "file_bytes": 100,
        "path": Path("image.png"),
        "finish_reason": FinishReason.SUCCESS,
        "warning": None,
        "seconds": 0.62,
        "created_at": 1_750_000_000.0,
        "purpose": Purpose.GENERATE,
        "environment_digest": "ef" * 32,
    }
    return Image(**values | changes)


def make_job(number: int = 1, request: Request | None = None, **changes: Any) -> Job:
    """A queued job's record."""
    request = request or make_request()
    values: dict[str, Any] = {
        "number": number,
        "id": f"{number:04x}" * 8,
        "request": request,
        "request_digest": request.digest,
        "purpose": Purpose.GENERATE,
        "state": JobState.WAITING,
        "created_at": 1_750_000_000.0,
        "steps": request.parameters.steps,
    }
    return Job(**values | changes)


def make_result(color: str = "navy", **changes: Any) -> Result:
    """What an engine made of a request: an image of one colour, 128 by 192 pixels."""
    image = Pillow.new("RGB", (128, 192), color)
    values: dict[str, Any] = {
        "data": encode_image(image),
        "mime": "image/png",
        "seed": 7,
        "width": image.width,
        "height": image.height,
        "pixels_sha256": digest_pixels(image),
        "thumbnail": make_thumbnail(image),
        "finish_reason": FinishReason.SUCCESS,
        "warning": None,
        "seconds": 1.5,
        "environment": EnvironmentRecord(values={"engine revision": "1"}),
        "stages": (
            Stage(name="text", step=1, sha256="a" * 64),
            Stage(name="latent", step=1, sha256="b" * 64),
        ),
        "meta": {"answer": "1"},
    }
    return Result(**values | changes)
