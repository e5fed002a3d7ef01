"""The messages that the SDK's own clients build, printed as JSON of hexadecimal: run as a process.

The SDK is imported here and not in a test, as its modules set levels of logging.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from PIL import Image
from stability_sdk import api, client
from stability_sdk.interfaces.gooseai.generation import generation_pb2 as generation

ENGINE = "stable-diffusion-v1-6"
COMMON = {"seed": 1229080980, "steps": 30, "cfg_scale": 7.0}
SIZE = {"width": 128, "height": 128}
EULER = generation.SAMPLER_K_EULER_ANCESTRAL


def record() -> tuple[Any, list[bytes]]:
    """A stub that answers nothing, and what it was sent."""
    found: list[bytes] = []

    class Stub:
        def Generate(self, request: Any, **_: Any) -> list[Any]:
            found.append(request.SerializeToString())
            return []

    return Stub(), found


def build_all(init: Image.Image, mask: Image.Image) -> dict[str, str]:
    """The message of each call, by the call's name."""
    stub, found = record()
    inference = client.StabilityInference(host="127.0.0.1:1", key="k", engine=ENGINE)
    inference.stub = stub
    latent = client.StabilityInference(
        host="127.0.0.1:1", key="k", upscale_engine="stable-diffusion-x4-latent-upscaler"
    )
    latent.stub = stub
    context = api.Context(stub=stub, generate_engine_id=ENGINE, inpaint_engine_id=ENGINE)
    prompt = generation.Prompt(text="town", parameters=generation.PromptParameters(weight=1.3))
    drawing = {**COMMON, **SIZE, "sampler": EULER}
    pictures = {"init_image": init, "mask_image": mask}
    guidance = {
        "guidance_preset": generation.GUIDANCE_PRESET_FAST_GREEN,
        "guidance_strength": 0.25,
        "guidance_cuts": 4,
        "guidance_models": ["ViT-L/14"],
        "guidance_prompt": "blue",
    }
    adapter = {
        "adapter_type": generation.T2IADAPTER_DEPTH,
        "adapter_strength": 0.7,
        "adapter_init_type": generation.T2IADAPTERINIT_ADAPTER_IMAGE,
    }
    schedules = {"start_schedule": 0.6, "end_schedule": 0.05}
    calls: dict[str, Any] = {
        "generate": lambda: inference.generate(prompt, **drawing, style_preset="anime"),
        "ddim": lambda: inference.generate(
            prompt, **{**drawing, "sampler": generation.SAMPLER_DDIM}
        ),
        "initial image": lambda: inference.generate(
            prompt, **drawing, **schedules, init_image=init
        ),
        "mask": lambda: inference.generate(prompt, **drawing, **schedules, **pictures),
        "guidance": lambda: inference.generate(prompt, **drawing, **guidance),
        "adapter": lambda: inference.generate(
            prompt, **drawing, **schedules, **adapter, init_image=init
        ),
        "context": lambda: _run(
            context.generate, ["town"], [1.3], **drawing, init_image=init, init_strength=0.4
        ),
        "inpaint": lambda: _run(
            context.inpaint,
            init,
            mask,
            ["town"],
            [1.3],
            **COMMON,
            sampler=EULER,
            init_strength=0.4,
        ),
        "upscale": lambda: inference.upscale(init, width=256),
        "latent upscale": lambda: latent.upscale(init, width=256, prompt=prompt, **COMMON),
    }
    for call in calls.values():
        list(call())
    return dict(zip(calls, (data.hex() for data in found), strict=True))


def _run(call: Any, *arguments: Any, **options: Any) -> list[Any]:
    call(*arguments, **options)
    return []


if __name__ == "__main__":
    given = json.load(sys.stdin)
    opened = (Image.open(io.BytesIO(bytes.fromhex(given[name]))) for name in ("init", "mask"))
    print(json.dumps(build_all(*opened)))
