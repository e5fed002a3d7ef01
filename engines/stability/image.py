"""The protocol's image parameters, built and read: everything but prompts and style."""

from __future__ import annotations

from typing import Any

from engines.stability.images import Pictures
from engines.stability.names import (
    ADAPTER_INIT_NAMES,
    ADAPTER_NAMES,
    AREA_NAMES,
    CREDENTIAL_NAMES,
    SAMPLER_NAMES,
    UPSCALER_NAMES,
    WEIGHT_METHOD_NAMES,
)
from engines.stability.numbers import check_float, shorten_float
from engines.stability.proportions import Size, choose_side, find_size
from engines.stability.protocol import Message, generation
from engines.stability.rules import has_diffusion
from engines.stability.steps import build_step, check_no_schedule, read_guidance
from store.errors import RequestError
from store.parameters import Adapter, FineTune
from store.request import Request

UNSAID = {"seed": 1, "steps": 1, "cfg_scale": 0.0, "sampler": "ddim"}
"""What an upscale has where its message says nothing, as its model uses nothing of the kind."""


def build_image(request: Request, pictures: Pictures) -> Message:
    """The image parameters of `request`. Raises `RequestError` for what they cannot express."""
    parameters = request.parameters
    image = generation.ImageParameters(samples=1)
    if parameters.upscale is not None:
        assert pictures.upscale is not None
        upscaler = parameters.upscale.upscaler
        number = UPSCALER_NAMES.find_number("parameters.upscale.upscaler", upscaler)
        image.transform.upscaler = number
        name, value = choose_side((parameters.width, parameters.height), pictures.upscale.size)
        setattr(image, name, value)
        if not has_diffusion(request.model):
            return image
    else:
        image.transform.diffusion = SAMPLER_NAMES.find_number(
            "parameters.sampler", parameters.sampler
        )
        image.width, image.height = parameters.width, parameters.height
    image.seed[:] = [parameters.seed]
    image.steps = parameters.steps
    image.parameters.append(build_step(parameters))
    image.weight_method = WEIGHT_METHOD_NAMES.find_number(
        "parameters.weight_method", parameters.weight_method
    )
    if parameters.mask is not None:
        image.masked_area_init = AREA_NAMES.find_number(
            "parameters.mask.area_init", parameters.mask.area_init
        )
    if parameters.adapter is not None:
        image.adapter.CopyFrom(_build_adapter(parameters.adapter))
    image.fine_tuning_parameters.extend(_build_tune(tune) for tune in parameters.fine_tunes)
    if parameters.content_credentials is not None:
        image.cai_parameters.model_metadata = CREDENTIAL_NAMES.find_number(
            "parameters.content_credentials", parameters.content_credentials
        )
    return image


def read_image(image: Message, *, starts_from_image: bool, upscaled: Size | None) -> dict[str, Any]:
    """The values of `Parameters` in `image`, without those that stand in the prompts.

    `starts_from_image`: whether there is an initial image. `upscaled`: the size of the image
    that is made larger, None where one is drawn. Raises `RequestError` for what is missing or
    not known.
    """
    _check_counts(image, is_upscale=upscaled is not None)
    if not starts_from_image:
        check_no_schedule(image)
    values = _read_drawing(image) if upscaled is None else _read_upscale(image, upscaled)
    return values | {
        "guidance": read_guidance(image),
        "weight_method": WEIGHT_METHOD_NAMES.find_word("image.weight_method", image.weight_method),
        "adapter": _read_adapter(image),
        "fine_tunes": tuple(_read_tune(tune) for tune in image.fine_tuning_parameters),
        "content_credentials": _read_credentials(image),
    }


def read_area(image: Message) -> Any:
    """What lies under the mask before the first step. Raises `RequestError` when not said."""
    if not image.HasField("masked_area_init"):
        raise RequestError(
            "image.masked_area_init", None, "The message has a mask and no masked area init."
        )
    return AREA_NAMES.find_word("image.masked_area_init", image.masked_area_init)


def _check_counts(image: Message, *, is_upscale: bool) -> None:
    samples = image.samples if image.HasField("samples") or not is_upscale else 1
    seeds = 1 if is_upscale and not image.seed else len(image.seed)
    if not image.HasField("samples") and not is_upscale:
        raise RequestError("image.samples", None, "The message has no samples.")
    if samples != 1 or seeds != 1:
        raise RequestError("image.samples", samples, "Ask for one image with one seed.")
    if len(image.parameters) > 1:
        raise RequestError("image.parameters", None, "Only one set of parameters is known.")


def _read_drawing(image: Message) -> dict[str, Any]:
    for name in ("height", "width", "steps"):
        if not image.HasField(name):
            raise RequestError(f"image.{name}", None, f"The message has no {name}.")
    if image.transform.WhichOneof("type") != "diffusion":
        raise RequestError("image.transform", None, "The message has no sampler.")
    if not image.parameters or not image.parameters[0].sampler.HasField("cfg_scale"):
        raise RequestError("image.parameters", None, "The message has no cfg scale.")
    return {
        "seed": image.seed[0],
        "steps": image.steps,
        "cfg_scale": shorten_float(image.parameters[0].sampler.cfg_scale),
        "sampler": SAMPLER_NAMES.find_word("image.transform.diffusion", image.transform.diffusion),
        "width": image.width,
        "height": image.height,
    }


def _read_upscale(image: Message, size: Size) -> dict[str, Any]:
    if image.HasField("width") == image.HasField("height"):
        given = "both width and height" if image.HasField("width") else "neither width nor height"
        raise RequestError(
            "image.width",
            None,
            f"An image is made larger to its width or to its height, and {given} "
            f"{'are' if image.HasField('width') else 'is'} given.",
            "Give one of them; the other follows from the image.",
        )
    side = "width" if image.HasField("width") else "height"
    width, height = find_size(size, **{side: getattr(image, side)})
    values = UNSAID | {"width": width, "height": height}
    if image.seed:
        values["seed"] = image.seed[0]
    if image.HasField("steps"):
        values["steps"] = image.steps
    if image.parameters and image.parameters[0].sampler.HasField("cfg_scale"):
        values["cfg_scale"] = shorten_float(image.parameters[0].sampler.cfg_scale)
    return values


def _build_adapter(adapter: Adapter) -> Message:
    return generation.T2IAdapterParameter(
        adapter_type=ADAPTER_NAMES.find_number("parameters.adapter.kind", adapter.kind),
        adapter_strength=check_float("parameters.adapter.strength", adapter.strength),
        adapter_init_type=ADAPTER_INIT_NAMES.find_number("parameters.adapter.init", adapter.init),
    )


def _read_adapter(image: Message) -> Adapter | None:
    found = image.adapter
    # The SDK's client sends an adapter of no type with every request.
    if found.adapter_type == generation.T2IADAPTER_NONE:
        return None
    field = "image.adapter"
    init: Any = ADAPTER_INIT_NAMES.find_word(f"{field}.adapter_init_type", found.adapter_init_type)
    return Adapter(
        kind=ADAPTER_NAMES.find_word(f"{field}.adapter_type", found.adapter_type),
        strength=shorten_float(found.adapter_strength),
        init=init,
    )


def _build_tune(tune: FineTune) -> Message:
    found = generation.FineTuningParameters(model_id=tune.model)
    if tune.weight is not None:
        found.weight = check_float("parameters.fine_tunes.weight", tune.weight)
    return found


def _read_tune(tune: Message) -> FineTune:
    weight = shorten_float(tune.weight) if tune.HasField("weight") else None
    return FineTune(model=tune.model_id, weight=weight)


def _read_credentials(image: Message) -> str | None:
    number = image.cai_parameters.model_metadata
    if number == generation.CAIParameters.MODEL_METADATA_UNSPECIFIED:
        return None
    return CREDENTIAL_NAMES.find_word("image.cai_parameters.model_metadata", number)
