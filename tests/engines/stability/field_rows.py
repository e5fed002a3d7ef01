"""What is claimed of each field of the protocol's request; `test_field_table` checks it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from store.request import FineTune, Request
from tests.engines.stability.files import Shelf, make_file

Change = Callable[[Request, Shelf], Request]


class Claim(StrEnum):
    """What becomes of a field.

    `carried`: a field of a request; sent, recorded and restored. `constant`: sent, always the
    same; another value is refused. `ignored`: not sent; read without effect, as it asks for
    nothing. `refused`: not sent; refused by its name.
    """

    CARRIED = "carried"
    CONSTANT = "constant"
    IGNORED = "ignored"
    REFUSED = "refused"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The claims about the field at `path`, or about everything below it.

    `change`: another request, from which the field differs. `takes`: what an engine has to take
    to honour it, "" when every engine does, None where there is nothing to honour. `note` says
    where it comes from or why it is refused.
    """

    path: str
    claim: Claim
    change: Change | None = None
    takes: str | None = None
    note: str = ""


def _set(name: str, value: Any) -> Change:
    """A change of one parameter, `part.name` for one of a part."""

    def change(request: Request, shelf: Shelf) -> Request:
        part, _, leaf = name.rpartition(".")
        new = value
        if part:
            new = msgspec.structs.replace(getattr(request.parameters, part), **{leaf: value})
        parameters = msgspec.structs.replace(request.parameters, **{part or leaf: new})
        return msgspec.structs.replace(request, parameters=parameters)

    return change


def _set_prompt(**values: Any) -> Change:
    def change(request: Request, _: Shelf) -> Request:
        first, *rest = request.stack.prompts
        prompts = (msgspec.structs.replace(first, **values), *rest)
        stack = msgspec.structs.replace(request.stack, prompts=prompts)
        return msgspec.structs.replace(request, stack=stack)

    return change


def _set_model(request: Request, _: Shelf) -> Request:
    return msgspec.structs.replace(request, model="stable-diffusion-512-v2-1")


def _set_picture(request: Request, shelf: Shelf) -> Request:
    sha256 = shelf.put(make_file(start=99))
    return _set("initial_image.sha256", sha256)(request, shelf)


def _carried(path: str, change: Change, note: str, takes: str | None = "") -> Row:
    return Row(path=path, claim=Claim.CARRIED, change=change, takes=takes, note=note)


def _constant(path: str, note: str) -> Row:
    return Row(path=path, claim=Claim.CONSTANT, note=note)


def _ignored(path: str, note: str) -> Row:
    return Row(path=path, claim=Claim.IGNORED, note=note)


def _refused(path: str, note: str) -> Row:
    return Row(path=path, claim=Claim.REFUSED, note=note)


_STEP = "image.parameters"
_GUIDE = f"{_STEP}.guidance.instances"
_UNKNOWN = "No meaning of it is documented."
_DESCRIBES = "Describes the file; asks for nothing."
_OTHER = "Another job than making an image from words or images."

ROWS = (
    _carried("engine_id", _set_model, "The model.", takes=None),
    Row(path="request_id", claim=Claim.CARRIED, note="The id of the job."),
    _constant("requested_type", "ARTIFACT_IMAGE."),
    _constant("prompt.parameters.init", "True for the initial image, absent elsewhere."),
    _carried("prompt.parameters.weight", _set_prompt(weight=0.5), "Weight of a prompt."),
    _carried("prompt.text", _set_prompt(text="grey sea"), "Text of a prompt that is switched on."),
    _refused("prompt.tokens", "Prompts are texts here."),
    _ignored("prompt.artifact.id", _DESCRIBES),
    _carried(
        "prompt.artifact.type",
        _set("mask", None),
        "ARTIFACT_IMAGE: initial image, or the image to make larger; ARTIFACT_MASK: mask.",
        takes="mask",
    ),
    _ignored("prompt.artifact.mime", _DESCRIBES),
    _ignored("prompt.artifact.magic", _DESCRIBES),
    _carried(
        "prompt.artifact.binary",
        _set_picture,
        "The file, a PNG: unchanged, or converted and then said with its digest.",
        takes="initial_image",
    ),
    _refused("prompt.artifact.text", "A text is a prompt of its own."),
    _refused("prompt.artifact.tokens", "Prompts are texts here."),
    _refused("prompt.artifact.classifier", _OTHER),
    _refused("prompt.artifact.tensor", _OTHER),
    _ignored("prompt.artifact.index", _DESCRIBES),
    _ignored("prompt.artifact.finish_reason", _DESCRIBES),
    _ignored("prompt.artifact.seed", _DESCRIBES),
    _ignored("prompt.artifact.uuid", _DESCRIBES),
    _ignored("prompt.artifact.size", _DESCRIBES),
    _carried("image.height", _set("height", 192), "Height; of an upscale only if width cannot."),
    _carried("image.width", _set("width", 192), "Width."),
    _carried("image.seed", _set("seed", 8), "The one seed, never 0."),
    _constant("image.samples", "1: each image is a request of its own."),
    _carried("image.steps", _set("steps", 12), "Steps."),
    _carried(
        "image.transform.diffusion",
        _set("sampler", "k_euler_ancestral"),
        "Sampler, DDIM (number 0) too; `plms` is the SDK's name of number 1, DDPM.",
    ),
    _carried(
        "image.transform.upscaler",
        _set("upscale.upscaler", "gfpgan"),
        "Kind of upscaler. An engine with one model for it does not tell them apart.",
        takes=None,
    ),
    _constant(f"{_STEP}.scaled_step", "0: the parameters hold for all steps."),
    _refused(f"{_STEP}.sampler.eta", _UNKNOWN),
    _refused(f"{_STEP}.sampler.sampling_steps", _UNKNOWN),
    _refused(f"{_STEP}.sampler.latent_channels", _UNKNOWN),
    _refused(f"{_STEP}.sampler.downsampling_factor", _UNKNOWN),
    _carried(f"{_STEP}.sampler.cfg_scale", _set("cfg_scale", 3.5), "Cfg scale."),
    _refused(f"{_STEP}.sampler.init_noise_scale", _UNKNOWN),
    _refused(f"{_STEP}.sampler.step_noise_scale", _UNKNOWN),
    _carried(
        f"{_STEP}.schedule.start",
        _set("initial_image.start_schedule", 0.9),
        "Start schedule, always with an initial image and never without.",
        takes="initial_image",
    ),
    _carried(
        f"{_STEP}.schedule.end",
        _set("initial_image.end_schedule", 0.5),
        "End schedule, likewise.",
        takes="initial_image",
    ),
    _refused(f"{_STEP}.schedule.value", _UNKNOWN),
    _carried(
        f"{_STEP}.guidance.guidance_preset",
        _set("guidance.preset", "slow"),
        "CLIP guidance: preset.",
        takes="guidance",
    ),
    _refused(f"{_GUIDE}.models.architecture", "A model is named by its alias."),
    _refused(f"{_GUIDE}.models.publisher", "A model is named by its alias."),
    _refused(f"{_GUIDE}.models.dataset", "A model is named by its alias."),
    _refused(f"{_GUIDE}.models.version", "A model is named by its alias."),
    _refused(f"{_GUIDE}.models.semantic_version", "A model is named by its alias."),
    _carried(
        f"{_GUIDE}.models.alias",
        _set("guidance.models", ("ViT-B/32",)),
        "CLIP guidance: models.",
        takes="guidance",
    ),
    _carried(
        f"{_GUIDE}.guidance_strength",
        _set("guidance.strength", 0.5),
        "CLIP guidance: strength.",
        takes="guidance",
    ),
    _refused(f"{_GUIDE}.schedule", _UNKNOWN),
    _refused(f"{_GUIDE}.cutouts.cutouts", _UNKNOWN),
    _carried(
        f"{_GUIDE}.cutouts.count",
        _set("guidance.cuts", 8),
        "CLIP guidance: cuts.",
        takes="guidance",
    ),
    _refused(f"{_GUIDE}.cutouts.gray", _UNKNOWN),
    _refused(f"{_GUIDE}.cutouts.blur", _UNKNOWN),
    _refused(f"{_GUIDE}.cutouts.size_power", _UNKNOWN),
    _refused(f"{_GUIDE}.prompt.parameters.init", "Its prompt is a text."),
    _refused(f"{_GUIDE}.prompt.parameters.weight", "Its prompt has no weight but 1."),
    _carried(
        f"{_GUIDE}.prompt.text",
        _set("guidance.prompt", "less blue"),
        "CLIP guidance: its own prompt.",
        takes="guidance",
    ),
    _refused(f"{_GUIDE}.prompt.tokens", "Its prompt is a text."),
    _refused(f"{_GUIDE}.prompt.artifact", "Its prompt is a text."),
    _carried(
        "image.masked_area_init",
        _set("mask.area_init", "original"),
        "Masked area init, always with a mask; without one it says nothing.",
        takes="mask",
    ),
    _carried(
        "image.weight_method",
        _set("weight_method", "text_encoder"),
        "Weight method, TEXT_ENCODER (number 0) too.",
        takes="weight_method",
    ),
    _refused("image.quantize", _UNKNOWN),
    _carried(
        "image.cai_parameters.model_metadata",
        _set("content_credentials", None),
        "Content credentials.",
        takes="content_credentials",
    ),
    _carried(
        "image.adapter.adapter_type",
        _set("adapter.kind", "canny"),
        "T2I adapter: kind.",
        takes="adapter",
    ),
    _carried(
        "image.adapter.adapter_strength",
        _set("adapter.strength", 0.9),
        "T2I adapter: strength.",
        takes="adapter",
    ),
    _carried(
        "image.adapter.adapter_init_type",
        _set("adapter.init", "image"),
        "T2I adapter: what the initial image is.",
        takes="adapter",
    ),
    _carried(
        "image.fine_tuning_parameters.model_id",
        _set("fine_tunes", (FineTune(model="birds-1", weight=0.5), FineTune(model="dogs-2"))),
        "Fine-tuned models.",
        takes="fine_tunes",
    ),
    _carried(
        "image.fine_tuning_parameters.weight",
        _set("fine_tunes", (FineTune(model="cats-1", weight=0.75), FineTune(model="dogs-2"))),
        "Their weights.",
        takes="fine_tunes",
    ),
    _refused("classifier", _OTHER),
    _refused("asset", _OTHER),
    _refused("interpolate", _OTHER),
    _refused("transform", _OTHER),
    _refused("conditioner", _UNKNOWN),
    _carried(
        "extras", _set("style_preset", "pixel-art"), "`$IPC.preset`: style preset. Others: refused."
    ),
)
"""A row for each field, in the protocol's order; one for all fields of what is refused whole."""
