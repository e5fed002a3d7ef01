"""Made-up records for the tests of the screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engines.capabilities import Capabilities, Span
from engines.sizes import Sizes
from store.records import FinishReason, Image, Job, JobState, Purpose
from store.request import Parameters, Prompt, PromptStack, Request

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


def make_request(*prompts: Prompt, **changes: Any) -> Request:
    """A request for `prompts` (a harbour by default); `changes` go to the parameters."""
    values: dict[str, Any] = {
        "seed": 7,
        "steps": 20,
        "cfg_scale": 7.5,
        "sampler": "k_euler",
        "width": 128,
        "height": 192,
        "style_preset": None,
    }
    return Request(
        engine="builtin",
        model="r1",
        stack=PromptStack(prompts=prompts or (Prompt(text="a harbour"),)),
        parameters=Parameters(**(values | changes)),
    )


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
    return Image(**(values | changes))


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
    return Job(**(values | changes))
