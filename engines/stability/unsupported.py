"""What a message may hold besides what a request of ours expresses: nothing that matters.

Every field that is present is looked at, those that only a newer protocol knows too, so that
none is ever ignored in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from engines.stability.protocol import Message, generation
from store.errors import RequestError

EXTRAS_KEY = "$IPC"
PRESET_KEY = "preset"

_READ = {
    "engine_id",
    "request_id",
    "prompt.text",
    "prompt.parameters.weight",
    "prompt.parameters.init",
    "prompt.artifact.type",
    "prompt.artifact.binary",
    "image.height",
    "image.width",
    "image.seed",
    "image.samples",
    "image.steps",
    "image.transform.diffusion",
    "image.transform.upscaler",
    "image.parameters.sampler.cfg_scale",
    "image.parameters.schedule.start",
    "image.parameters.schedule.end",
    "image.parameters.guidance.guidance_preset",
    "image.parameters.guidance.instances.models.alias",
    "image.parameters.guidance.instances.guidance_strength",
    "image.parameters.guidance.instances.cutouts.count",
    "image.parameters.guidance.instances.prompt.text",
    "image.parameters.guidance.instances.prompt.parameters.weight",
    # Only a mask gives it an effect; it is read with one.
    "image.masked_area_init",
    "image.weight_method",
    "image.adapter.adapter_type",
    "image.adapter.adapter_strength",
    "image.adapter.adapter_init_type",
    "image.fine_tuning_parameters.model_id",
    "image.fine_tuning_parameters.weight",
    "image.cai_parameters.model_metadata",
}


def _list_open() -> set[str]:
    """The messages that are looked into: everything that a field which is read lies in."""
    found: set[str] = set()
    for name in _READ:
        while name := name.rpartition(".")[0]:
            found.add(name)
    return found


_OPEN = _list_open()

_DESCRIBING = ("id", "mime", "magic", "index", "finish_reason", "seed", "uuid", "size")
"""What an artifact of an answer says of itself; it asks for nothing in a request."""

_HARMLESS: dict[str, Callable[[Any], bool]] = {
    "requested_type": lambda value: value == generation.ARTIFACT_IMAGE,
    "image.quantize": lambda value: not value,
    **{f"prompt.artifact.{name}": lambda value: True for name in _DESCRIBING},
}

_REASONS = {
    "requested_type": "Only images are made here.",
    "prompt.artifact": "Only an initial image and its mask are known.",
    "prompt.tokens": "Give the prompt as text, not as tokens.",
}

_IMAGES = (generation.ARTIFACT_IMAGE, generation.ARTIFACT_MASK)

_FIELDS = {
    "parameters.initial_image": "prompt.artifact",
    "parameters.mask": "prompt.artifact",
    "parameters.guidance": "image.parameters.guidance",
    "parameters.start_schedule": "image.parameters.schedule",
    "parameters.end_schedule": "image.parameters.schedule",
    "parameters.weight_method": "image.weight_method",
    "parameters.adapter": "image.adapter",
    "parameters.fine_tunes": "image.fine_tuning_parameters",
    "parameters.content_credentials": "image.cai_parameters",
    "parameters.upscale": "image.transform.upscaler",
}
"""The protocol's names of the fields that stand elsewhere in a message than in a request."""


def check_supported(message: Message) -> None:
    """Raise `RequestError` for the first field of a request message that has no effect here.

    The error's `field` is the protocol's name of it, such as `image.parameters.guidance`.
    """
    _check(message, "")


def name_field(error: RequestError) -> str:
    """The protocol's name of the field that is wrong."""
    for name, known in _FIELDS.items():
        if error.field == name or error.field.startswith(f"{name}."):
            return known
    return error.field


def _check(message: Message, prefix: str) -> None:
    for unknown in UnknownFieldSet(message):
        raise _refuse(f"{prefix}{unknown.field_number}", "This field is not known here.")
    for descriptor, value in message.ListFields():
        path = f"{prefix}{descriptor.name}"
        if path in _READ:
            continue
        if path == "extras":
            _check_extras(value)
        elif path == "prompt.artifact" and not _is_image(value):
            raise _refuse(path, _REASONS[path])
        elif path in _OPEN:
            for part in (value,) if hasattr(value, "ListFields") else value:
                _check(part, f"{path}.")
        elif path not in _HARMLESS or not _HARMLESS[path](value):
            raise _refuse(path, _REASONS.get(path, "It would have no effect here."))


def _is_image(artifact: Message) -> bool:
    return artifact.type in _IMAGES and artifact.WhichOneof("data") == "binary"


def _check_extras(extras: Message) -> None:
    for name, value in extras.fields.items():
        if name != EXTRAS_KEY or value.WhichOneof("kind") != "struct_value":
            raise _refuse(f"extras.{name}", "It would have no effect here.")
        for inner, setting in value.struct_value.fields.items():
            if inner != PRESET_KEY or setting.WhichOneof("kind") != "string_value":
                raise _refuse(f"extras.{name}.{inner}", "It would have no effect here.")


def _refuse(path: str, why: str) -> RequestError:
    return RequestError(path, None, why, "Leave it out.")
