"""What a message may hold besides what a request of ours expresses: nothing that matters.

Every field that is present is looked at, those that only a newer protocol knows too, so that
none is ever ignored in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from engines.stability.wire import Message, generation
from store.errors import RequestError

EXTRAS_KEY = "$IPC"
PRESET_KEY = "preset"

_READ = {
    "engine_id",
    "request_id",
    "prompt.text",
    "prompt.parameters.weight",
    "image.height",
    "image.width",
    "image.seed",
    "image.samples",
    "image.steps",
    "image.transform.diffusion",
    "image.parameters.sampler.cfg_scale",
}
_OPEN = {name.rpartition(".")[0] for name in _READ} | {"prompt", "image", "image.parameters"}


def _has_whole_schedule(schedule: Message) -> bool:
    starts = not schedule.HasField("start") or schedule.start == 1
    ends = not schedule.HasField("end") or schedule.end == 0
    return starts and ends and not schedule.HasField("value")


_HARMLESS: dict[str, Callable[[Any], bool]] = {
    "requested_type": lambda value: value == generation.ARTIFACT_IMAGE,
    "prompt.parameters.init": lambda value: not value,
    # The SDK's client sends an adapter of no type with every request.
    "image.adapter": lambda value: value.adapter_type == generation.T2IADAPTER_NONE,
    "image.cai_parameters": lambda value: not value.model_metadata,
    # Only a mask gives it an effect, and a mask is an artifact.
    "image.masked_area_init": lambda value: True,
    "image.weight_method": lambda value: value == generation.TEXT_ENCODER,
    "image.quantize": lambda value: not value,
    "image.parameters.schedule": _has_whole_schedule,
    "image.parameters.guidance": lambda value: not value.guidance_preset and not value.instances,
}

_REASONS = {
    "requested_type": "Only images are made here.",
    "prompt.artifact": "Images are made from words alone: no initial image, mask or depth.",
    "prompt.tokens": "Give the prompt as text, not as tokens.",
    "image.transform.upscaler": "No image is made larger here.",
    "image.parameters.schedule": "A schedule needs an initial image, and none is taken here.",
    "image.parameters.guidance": "There is no CLIP guidance here.",
    "image.adapter": "There are no adapters here.",
    "image.fine_tuning_parameters": "There are no fine-tuned models here.",
    "image.cai_parameters": "Images are not signed here.",
    "image.weight_method": "Weights are applied by TEXT_ENCODER here.",
}


def check_supported(message: Message) -> None:
    """Raise `RequestError` for the first field of a request message that has no effect here.

    The error's `field` is the protocol's name of it, such as `image.parameters.guidance`.
    """
    _check(message, "")


def _check(message: Message, prefix: str) -> None:
    for unknown in UnknownFieldSet(message):
        raise _refuse(f"{prefix}{unknown.field_number}", "This field is not known here.")
    for descriptor, value in message.ListFields():
        path = f"{prefix}{descriptor.name}"
        if path in _READ:
            continue
        if path == "extras":
            _check_extras(value)
        elif path in _OPEN:
            for part in value if descriptor.label == descriptor.LABEL_REPEATED else (value,):
                _check(part, f"{path}.")
        elif path not in _HARMLESS or not _HARMLESS[path](value):
            raise _refuse(path, _REASONS.get(path, "It would have no effect here."))


def _check_extras(extras: Message) -> None:
    for name, value in extras.fields.items():
        if name != EXTRAS_KEY or value.WhichOneof("kind") != "struct_value":
            raise _refuse(f"extras.{name}", "It would have no effect here.")
        for inner, setting in value.struct_value.fields.items():
            if inner != PRESET_KEY or setting.WhichOneof("kind") != "string_value":
                raise _refuse(f"extras.{name}.{inner}", "It would have no effect here.")


def _refuse(path: str, why: str) -> RequestError:
    return RequestError(path, None, why, "Leave it out.")
