"""Our messages beside those that the SDK's clients build for the same call, field by field."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from engines.stability.messages import build_message
from engines.stability.protocol import Message, generation
from store.request import Adapter, Guidance, Request
from tests.engines.stability.field_table import is_repeated
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.factories import make_hosted_request
from tests.sdk import needs_sdk

pytestmark = needs_sdk

Differences = dict[str, str]

ALWAYS: Differences = {
    "requested_type": "What is wanted is said, not left to the server.",
    "image.weight_method": "Said even where it is number 0, so that no default decides.",
}
CLIENT: Differences = ALWAYS | {
    "image.adapter": "The client sends an adapter of no type with every request.",
}
CONTEXT: Differences = ALWAYS | {
    "request_id": "The context names no request; ours is the job's id.",
    "image.parameters.schedule.end": "The context leaves the end to the server.",
    "extras": "The context sends an empty one.",
    "prompt.parameters.init": "Says which image is the one to start from.",
}
INIT: Differences = {"prompt.parameters.init": CONTEXT["prompt.parameters.init"]}

CASES: dict[str, Differences] = {
    "generate": CLIENT,
    "ddim": CLIENT
    | {"image.transform": "The client drops DDIM, as it is number 0: the server would choose."},
    "initial image": CLIENT | INIT,
    "mask": CLIENT
    | INIT
    | {"image.masked_area_init": "The client leaves it to the server what lies under the mask."},
    "guidance": CLIENT
    | {"image.parameters.sampler": "The client drops the cfg scale when there is guidance."},
    "adapter": ALWAYS | INIT,
    "context": CONTEXT
    | {"image.masked_area_init": "The context sends it without a mask, where it says nothing."},
    "inpaint": CONTEXT,
    "upscale": {
        "requested_type": ALWAYS["requested_type"],
        "image.transform": "The kind of upscaler is said.",
        "image.samples": "One image is asked for, not as many as the server likes.",
        "image.steps": "This model has no steps.",
        "image.seed": "This model has no seed; the client's 0 would ask for a random one.",
        "image.parameters": "This model has no cfg scale.",
    },
    "latent upscale": ALWAYS
    | {
        "image.transform": "The kind of upscaler is said.",
        "image.samples": "One image is asked for, not as many as the server likes.",
        "prompt": "Prompts come before images, as in all requests; the order says nothing.",
    },
}


def reopen(data: bytes) -> bytes:
    """The file that the SDK makes of a PNG file."""
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).save(file, format="PNG")
    return file.getvalue()


INIT_FILE, MASK_FILE = reopen(make_file()), reopen(make_mask_file())


@pytest.fixture(scope="module")
def theirs() -> dict[str, Message]:
    """The SDK's messages; it is a process of its own, as it changes what it is imported into."""
    given = json.dumps({"init": INIT_FILE.hex(), "mask": MASK_FILE.hex()})
    program = Path(__file__).with_name("sdk_messages.py")
    command = [sys.executable, "-P", str(program)]
    result = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    return {
        name: generation.Request.FromString(bytes.fromhex(data)) for name, data in found.items()
    }


def make_ours(name: str, shelf: Shelf) -> Request:
    """The same call as a request of ours."""
    initial = shelf.make_initial(INIT_FILE)
    initial = msgspec.structs.replace(initial, end_schedule=0.05)
    if name in ("context", "inpaint"):
        initial = msgspec.structs.replace(initial, end_schedule=0.0)
    prompts = [("town", 1.3)]
    changes: dict[str, Any] = {"sampler": "k_euler_ancestral"}
    model = "stable-diffusion-v1-6"
    match name:
        case "generate":
            changes["style_preset"] = "anime"
        case "ddim":
            changes["sampler"] = "ddim"
        case "initial image" | "context":
            changes["initial_image"] = initial
        case "mask" | "inpaint":
            changes |= {
                "initial_image": initial,
                "mask": shelf.make_mask(MASK_FILE, area_init="zero"),
            }
        case "guidance":
            changes["guidance"] = Guidance(
                preset="fast_green", strength=0.25, cuts=4, models=("ViT-L/14",), prompt="blue"
            )
        case "adapter":
            changes |= {
                "initial_image": initial,
                "adapter": Adapter(kind="depth", strength=0.7, init="adapter_image"),
            }
        case "upscale" | "latent upscale":
            changes |= {"upscale": shelf.make_upscale(INIT_FILE), "width": 256, "height": 256}
            model = "esrgan-v1-x2plus"
            if name == "latent upscale":
                model = "stable-diffusion-x4-latent-upscaler"
    return make_hosted_request(model, prompts, **changes)


def find_differences(ours: Message, other: Message, prefix: str = "") -> Iterator[str]:
    """The names of the fields that differ; repeated messages are compared one by one."""
    for field in ours.DESCRIPTOR.fields:
        path = f"{prefix}{field.name}"
        left, right = getattr(ours, field.name), getattr(other, field.name)
        if field.message_type is None:
            has = [
                side.HasField(field.name) if field.has_presence else None for side in (ours, other)
            ]
            if left != right or has[0] != has[1]:
                yield path
        elif is_repeated(field):
            if [_name_kind(part) for part in left] != [_name_kind(part) for part in right]:
                yield path
                continue
            for one, two in zip(left, right, strict=True):
                yield from find_differences(one, two, f"{path}.")
        elif path == "prompt.parameters":  # absent and empty are the same here
            yield from find_differences(left, right, f"{path}.")
        elif ours.HasField(field.name) != other.HasField(field.name):
            yield path
        elif path == "extras":
            yield from [path] if left != right else []
        else:
            yield from find_differences(left, right, f"{path}.")


def _name_kind(part: Message) -> str:
    return str(part.WhichOneof("prompt")) if "prompt" in part.DESCRIPTOR.oneofs_by_name else ""


@pytest.mark.parametrize("name", CASES)
def test_ours_differs_only_where_it_is_meant_to(name: str, theirs: dict[str, Message]) -> None:
    shelf, other = Shelf(), theirs[name]
    request = make_ours(name, shelf)
    run_id = other.request_id or "run-1"
    ours = build_message(request, shelf.make_run(run_id))
    assert set(find_differences(ours, other)) == set(CASES[name])
    assert ours.engine_id == other.engine_id


def test_each_call_of_the_sdk_is_compared(theirs: dict[str, Message]) -> None:
    assert list(theirs) == list(CASES)
