"""What is asked for with one stack of prompts, as typed, and the images that it stands for.

The same for the flags of `generate` and for a line of a list: both end here.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engines.capabilities import Capabilities
from engines.resolve import IMAGES_MAXIMUM, make_initial_image
from store.decoding import DecodedInput
from store.errors import RequestError
from store.limits import parse_whole
from store.prompts import clean_text
from store.records import Draft, DraftPrompt, Relation
from store.request import (
    CONTENT_CREDENTIALS,
    MASK_COLORS,
    MASKED_AREA_INITS,
    WEIGHT_METHODS,
    Mask,
    Request,
)
from tui.cli.inputs import (
    GivenImage,
    parse_adapter,
    parse_fine_tunes,
    parse_guidance,
    parse_variation,
    read_choice,
    read_image,
    read_number,
    read_whole,
)
from tui.cli.run import print_note
from tui.darkroom import Darkroom
from tui.seeds import find_seed, read_seed


class ImageChoices(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts, and the parameters of `generate` by their names there, each as it was typed.

    None and empty: what the engine takes.
    """

    prompts: tuple[DraftPrompt, ...] = ()
    seed: str | None = None
    steps: str | None = None
    cfg_scale: str | None = None
    width: str | None = None
    height: str | None = None
    sampler: str | None = None
    style_preset: str | None = None
    engine: str | None = None
    model: str | None = None
    images: str = "1"
    init_image: str | None = None
    start_schedule: str | None = None
    end_schedule: str | None = None
    image_strength: str | None = None
    mask_image: str | None = None
    mask_replaces: str = MASK_COLORS[0]
    masked_area_init: str = "original"
    variation_seed: str | None = None
    variation_strength: str | None = None
    guidance_preset: str | None = None
    guidance_strength: str | None = None
    guidance_cuts: str | None = None
    guidance_models: tuple[str, ...] = ()
    guidance_prompt: str | None = None
    weight_method: str = WEIGHT_METHODS[0]
    adapter_type: str | None = None
    adapter_strength: str | None = None
    adapter_init_type: str | None = None
    fine_tune: tuple[str, ...] = ()
    content_credentials: bool = False
    is_verbatim: bool = False


class PlannedImages(msgspec.Struct, frozen=True, kw_only=True):
    """What choices stand for: `draft` has a seed, and `requests` are complete, one an image.

    `given`: the files that they start from, which are to be kept before they are queued. `losses`:
    what the engine cannot honour and what was changed of the files, a sentence each.
    """

    draft: Draft
    requests: list[Request]
    given: list[DecodedInput]
    losses: tuple[str, ...]


class PlannedStart(msgspec.Struct, frozen=True, kw_only=True):
    """Choices that were read as far as that needs no history."""

    draft: Draft
    schedule: tuple[float | None, float | None, float | None]


def read_choices(choices: ImageChoices, default_engine: str) -> PlannedStart:
    """Read what can be read without a history. Raises `RequestError`."""
    draft = Draft(
        prompts=choices.prompts,
        engine=choices.engine or default_engine,
        model=choices.model,
        style_preset=choices.style_preset,
        sampler=choices.sampler,
        variation=parse_variation(choices.variation_seed, choices.variation_strength),
        guidance=parse_guidance(
            choices.guidance_preset,
            choices.guidance_strength,
            choices.guidance_cuts,
            choices.guidance_models,
            clean_guidance(choices.guidance_prompt, choices.is_verbatim),
        ),
        weight_method=read_choice(
            "parameters.weight_method", choices.weight_method, WEIGHT_METHODS
        ),
        adapter=parse_adapter(
            choices.adapter_type, choices.adapter_strength, choices.adapter_init_type
        ),
        fine_tunes=parse_fine_tunes(choices.fine_tune),
        content_credentials=CONTENT_CREDENTIALS[0] if choices.content_credentials else None,
        images=parse_whole("images", "images", choices.images, 1, IMAGES_MAXIMUM),
    )
    read_seed("parameters.seed", "seed", choices.seed)
    schedule = (
        read_number("parameters.start_schedule", choices.start_schedule),
        read_number("parameters.end_schedule", choices.end_schedule),
        read_number("image_strength", choices.image_strength),
    )
    return PlannedStart(draft=draft, schedule=schedule)


async def plan_images(darkroom: Darkroom, choices: ImageChoices) -> PlannedImages:
    """Complete what was asked for. Queues and keeps nothing. Raises `SafelightError`."""
    read = read_choices(choices, darkroom.default_engine)
    draft, schedule = read.draft, read.schedule
    given_seed = read_seed("parameters.seed", "seed", choices.seed)
    number = await find_seed(darkroom, "parameters.seed", given_seed)
    draft = msgspec.structs.replace(draft, seed=number)
    own = darkroom.get_capabilities(draft.engine).for_model(draft.model)
    draft = read_numbers(
        draft, own, (choices.steps, choices.cfg_scale), (choices.width, choices.height)
    )
    given: list[DecodedInput] = []
    if choices.init_image is not None:
        start = await read_image(
            darkroom, choices.init_image, "initial image", "parameters.initial_image"
        )
        draft = _start_from(darkroom, draft, start, schedule)
        given.append(start.file)
    elif schedule != (None, None, None):
        raise RequestError(
            "parameters.start_schedule",
            None,
            "A schedule's start and end belong to an initial image.",
            "Give --init-image too.",
        )
    if choices.mask_image is not None:
        replaces = read_choice("parameters.mask.replaces", choices.mask_replaces, MASK_COLORS)
        mask = await read_image(
            darkroom, choices.mask_image, "mask", "parameters.mask", replaces=replaces
        )
        area = read_choice("parameters.mask.area_init", choices.masked_area_init, MASKED_AREA_INITS)
        draft = msgspec.structs.replace(
            draft, mask=Mask(sha256=mask.file.sha256, replaces=replaces, area_init=area)
        )
        given.append(mask.file)
    requests = darkroom.resolve(draft)
    # The seed that was drawn is the one that is queued.
    draft = msgspec.structs.replace(draft, seed=requests[0].parameters.seed)
    losses = (*list_notes(given), *darkroom.describe_losses(draft))
    return PlannedImages(draft=draft, requests=requests, given=given, losses=losses)


def clean_guidance(text: str | None, is_verbatim: bool) -> str | None:
    """The text of the guidance as a prompt's is cleaned."""
    return text if text is None or is_verbatim else clean_text(text)


def read_numbers(
    draft: Draft,
    own: Capabilities,
    numbers: tuple[str | None, str | None],
    size: tuple[str | None, str | None],
) -> Draft:
    """`draft` with steps and cfg scale (`numbers`), width and height (`size`) as they were given.

    `own` is what the model accepts. Raises `RequestError`.
    """
    sizes = own.sizes
    sides = [side for known in sizes.only for side in known] or [sizes.low, sizes.high]
    low, high = min(sides), max(sides)
    return msgspec.structs.replace(
        draft,
        steps=read_whole("parameters.steps", numbers[0], own.steps.low, own.steps.high),
        cfg_scale=read_number(
            "parameters.cfg_scale", numbers[1], own.cfg_scale.low, own.cfg_scale.high
        ),
        width=read_whole("parameters.width", size[0], low, high),
        height=read_whole("parameters.height", size[1], low, high),
    )


def _start_from(
    darkroom: Darkroom,
    draft: Draft,
    given: GivenImage,
    schedule: tuple[float | None, float | None, float | None],
) -> Draft:
    """`draft` with `given` as its initial image, in its size where none was asked for."""
    sizes = darkroom.get_capabilities(draft.engine).for_model(draft.model).sizes
    size = (given.file.width, given.file.height)
    nearest = sizes.find_nearest(size)
    if nearest != size and draft.width is None and draft.height is None:
        print_note(
            f"note: the engine {draft.engine} makes no {size[0]}x{size[1]}; "
            f"the nearest is {nearest[0]}x{nearest[1]}, which is taken"
        )
    parent = given.image.id if given.image else None
    return msgspec.structs.replace(
        draft,
        initial_image=make_initial_image(given.file.sha256, *schedule),
        width=nearest[0] if draft.width is None else draft.width,
        height=nearest[1] if draft.height is None else draft.height,
        parent_id=parent,
        relation=Relation.INITIAL_IMAGE if parent else None,
    )


def list_notes(files: Sequence[DecodedInput]) -> tuple[str, ...]:
    """What was changed or lost of the files that came in, a sentence each."""
    return tuple(dict.fromkeys(note for file in files for note in file.notes))
