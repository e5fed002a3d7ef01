"""Requests that hold all that a message can say, and those for a larger image."""

from __future__ import annotations

from typing import Any

from store.request import Adapter, FineTune, Guidance, Request
from tests.engines.stability.files import Shelf, make_file
from tests.factories import make_hosted_request

LATENT = "stable-diffusion-x4-latent-upscaler"
ESRGAN = "esrgan-v1-x2plus"


def make_full_request(shelf: Shelf, **changes: Any) -> Request:
    """A request with everything that a drawing can have."""
    values: dict[str, Any] = {
        "sampler": "ddim",
        "style_preset": "anime",
        "initial_image": shelf.make_initial(),
        "mask": shelf.make_mask(),
        "guidance": Guidance(
            preset="fast_blue", strength=0.25, cuts=4, models=("ViT-L/14",), prompt="more blue"
        ),
        "weight_method": "cross_attention",
        "adapter": Adapter(kind="sketch", strength=0.4, init="adapter_image"),
        "fine_tunes": (FineTune(model="cats-1", weight=0.5), FineTune(model="dogs-2")),
        "content_credentials": "sign_with_engine_id",
    }
    return make_hosted_request(model="stable-diffusion-v1-6", **values | changes)


def make_upscale(shelf: Shelf, model: str = LATENT, **changes: Any) -> Request:
    """A request to make an image of 128x96 twice as large."""
    values: dict[str, Any] = {"steps": 20, "width": 256, "height": 192}
    values["upscale"] = shelf.make_upscale(make_file((128, 96)))
    return make_hosted_request(model=model, **values | changes)
