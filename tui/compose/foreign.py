"""What another program asked for, as a draft for an engine that is here.

Engine and model stay those of the draft. What the engine does not take becomes the nearest that it
takes, or its default, and is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from engines.capabilities import Capabilities, Span
from store.records import Draft, Image
from store.request import Request
from tui.compose.draft import Parts, merge_request, set_seed, take_prompts
from tui.words import LABELS

if TYPE_CHECKING:
    from store.metadata.intake import Adopted


def merge_adopted(
    current: Draft, adopted: Adopted, capabilities: Mapping[str, Capabilities]
) -> tuple[Draft, list[str]]:
    """`current` with all that a file's metadata say; it comes from no image of the history.

    `capabilities`: of the engines that are here. Gives what became of it too, a sentence each.
    """
    request = adopted.request
    if adopted.is_ours and request.engine in capabilities:
        draft, notes = merge_request(current, request, Parts.ALL), list[str]()
        if request.parameters.inputs:
            notes.append("It starts from image files, which have to be kept here to use it.")
    else:
        draft, notes = merge_foreign(current, request, capabilities, unsaid=adopted.unsaid)
    return msgspec.structs.replace(draft, parent_id=None, relation=None), notes


def merge_image(
    current: Draft, image: Image, parts: str, capabilities: Mapping[str, Capabilities]
) -> tuple[Draft, list[str]]:
    """`current` with `parts` of an image that another program made, and what became of them.

    The image becomes the parent where prompts are taken.
    """
    unsaid = image.imported.unsaid if image.imported is not None else ()
    draft, notes = merge_foreign(current, image.request, capabilities, unsaid=unsaid, parts=parts)
    if Parts(parts).has_prompts:
        draft = msgspec.structs.replace(draft, parent_id=image.id, relation=None)
    return draft, notes


def merge_foreign(
    current: Draft,
    request: Request,
    capabilities: Mapping[str, Capabilities],
    *,
    unsaid: Collection[str] = (),
    parts: str = Parts.ALL,
) -> tuple[Draft, list[str]]:
    """`current` with `parts` (see `Parts`) of `request`, and what became of it, a sentence each.

    The draft's engine stays if it is one of `capabilities`. `unsaid`: fields that only stand in;
    they stay as they are in `current`. Where it comes from is not noted here.
    """
    part = Parts(parts)
    engine = current.engine if current.engine in capabilities else next(iter(capabilities))
    if engine != current.engine:
        current = msgspec.structs.replace(current, engine=engine, model=None)
    draft = msgspec.structs.replace(current, pending={})
    notes: list[str] = []
    if part.has_prompts and "prompts" not in unsaid:
        draft = take_prompts(draft, request)
    if part.has_parameters:
        draft = _take_parameters(draft, request, capabilities[engine], unsaid, notes)
    if part.has_seed and "seed" not in unsaid:
        draft = set_seed(draft, request.parameters.seed)
    return draft, notes


def _take_parameters(
    draft: Draft,
    request: Request,
    capabilities: Capabilities,
    unsaid: Collection[str],
    notes: list[str],
) -> Draft:
    own, parameters = capabilities.for_model(draft.model), request.parameters
    changes: dict[str, int | float | str] = {}
    if "steps" not in unsaid:
        changes["steps"] = int(_clamp("steps", parameters.steps, own.steps, notes))
    if "cfg_scale" not in unsaid:
        changes["cfg_scale"] = _clamp("cfg_scale", parameters.cfg_scale, own.cfg_scale, notes)
    if "sampler" not in unsaid:
        if parameters.sampler in own.samplers:
            changes["sampler"] = parameters.sampler
        else:
            notes.append(f"The sampler {parameters.sampler} is not one of {own.engine}.")
    if "size" not in unsaid:
        size = (parameters.width, parameters.height)
        width, height = own.sizes.find_nearest(size)
        if (width, height) != size:
            notes.append(f"The size {size[0]}x{size[1]} became {width}x{height}.")
        changes |= {"width": width, "height": height}
    return msgspec.structs.replace(draft, **changes)


def _clamp(name: str, value: float, span: Span, notes: list[str]) -> float:
    held = min(span.high, max(span.low, value))
    if held != value:
        notes.append(f"{LABELS[name]} {value:g} became {held:g}.")
    return held
