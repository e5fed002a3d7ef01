"""From an editor's draft, a past image or a file to complete requests, or why not.

Nothing in them is left to a default elsewhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engines.capabilities import Capabilities
from store.errors import RequestError
from store.limits import check_seed, draw_seed, following_seed
from store.records import EXTRAS, Draft
from store.request import (
    REQUEST_FORMAT,
    InitialImage,
    Parameters,
    Prompt,
    PromptStack,
    Request,
    Upscale,
    Variation,
)

IMAGES_MAXIMUM = 100
"""Most images that one call queues."""


def resolve_draft(draft: Draft, capabilities: Capabilities) -> list[Request]:
    """The requests of `draft`, one an image, every parameter resolved.

    What the draft leaves open takes the engine's default; a missing seed is drawn, and the
    further images get the seeds that follow it. Empty prompts that are switched off are
    left out. Raises `RequestError` for the first thing that cannot be accepted, with the
    position of the prompt in its field (`prompts.2.weight`).
    """
    if not 1 <= draft.images <= IMAGES_MAXIMUM:
        raise RequestError(
            "images",
            draft.images,
            f"{draft.images} images cannot be made in one go.",
            f"Give 1 to {IMAGES_MAXIMUM}.",
        )
    stack = _resolve_stack(draft)
    seed = draw_seed() if draft.seed is None else check_seed(draft.seed)
    own = capabilities.for_model(draft.model)
    width, height = own.sizes.default
    width = width if draft.width is None else draft.width
    height = height if draft.height is None else draft.height
    # Before the limits of every request, which do not know what this engine takes.
    own.check_size((width, height))
    steps = int(own.steps.default) if draft.steps is None else draft.steps
    cfg_scale = own.cfg_scale.default if draft.cfg_scale is None else draft.cfg_scale
    own.check_numbers(steps, cfg_scale)
    sampler = capabilities.find_sampler(draft.sampler or capabilities.default_sampler)
    extras: dict[str, Any] = {name: getattr(draft, name) for name in EXTRAS}
    extras = {name: value for name, value in extras.items() if value is not None}
    requests = [
        Request(
            engine=capabilities.engine,
            model=capabilities.pin(draft.model or capabilities.default_model),
            stack=stack,
            parameters=Parameters(
                seed=following_seed(seed, offset),
                steps=steps,
                cfg_scale=cfg_scale,
                sampler=sampler,
                width=width,
                height=height,
                style_preset=draft.style_preset,
                **extras,
            ),
        )
        for offset in range(draft.images)
    ]
    capabilities.check(requests[0])
    return requests


def _resolve_stack(draft: Draft) -> PromptStack:
    prompts = []
    for position, row in enumerate(draft.prompts, start=1):
        if not row.enabled and not row.text.strip():
            continue
        try:
            prompts.append(Prompt(text=row.text, weight=row.weight, enabled=row.enabled))
        except RequestError as error:
            raise error.at_prompt(position) from None
    return PromptStack(prompts=tuple(prompts))


START_SCHEDULE = 0.6
END_SCHEDULE = 0.0
VARIATION_STRENGTH = 0.2
UPSCALE_FACTORS = (2, 4)


class UpscaleChoices(msgspec.Struct, frozen=True, kw_only=True):
    """How an image is made larger.

    `factor` (2 or 4) or `width` in pixels, not both; the height follows. None: twice as large;
    for the others what made the image, else the engine's default. `engine`: None for the default
    one. `upscaler`: the protocol's
    kind, None for the one that the model's name tells.
    """

    engine: str | None = None
    model: str | None = None
    factor: int | None = None
    width: int | None = None
    upscaler: str | None = None
    seed: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    style_preset: str | None = None
    prompts: tuple[Prompt, ...] | None = None


def resolve_upscale(
    sha256: str,
    size: tuple[int, int],
    made_by: Request | None,
    choices: UpscaleChoices,
    capabilities: Capabilities,
) -> Request:
    """The request that makes the image file `sha256` of `size` (width, height) larger.

    Stack and parameters are those of `made_by`, the request that the image was made from;
    without one the stack is empty and the parameters are the engine's defaults, with a drawn
    seed. Raises `RequestError`.
    """
    width, height = _choose_size(size, choices)
    model = capabilities.pin(
        choices.model or next(iter(capabilities.upscale_models), capabilities.default_model)
    )
    upscaler = choices.upscaler or ("esrgan" if model.startswith("esrgan") else "rgb")
    own = made_by.parameters if made_by is not None else None
    defaults: dict[str, Any] = {
        "seed": own.seed if own else draw_seed(),
        "steps": own.steps if own else int(capabilities.steps.default),
        "cfg_scale": own.cfg_scale if own else capabilities.cfg_scale.default,
        "sampler": own.sampler if own else capabilities.default_sampler,
        "style_preset": own.style_preset if own else None,
    }
    chosen = {name: getattr(choices, name) for name in defaults}
    if choices.sampler is not None:
        chosen["sampler"] = capabilities.find_sampler(choices.sampler)
    stack = made_by.stack if made_by is not None else PromptStack(prompts=())
    request = Request(
        engine=capabilities.engine,
        model=model,
        stack=stack if choices.prompts is None else PromptStack(prompts=choices.prompts),
        parameters=Parameters(
            width=width,
            height=height,
            upscale=Upscale(sha256=sha256, upscaler=upscaler),
            **{
                name: default if chosen[name] is None else chosen[name]
                for name, default in defaults.items()
            },
        ),
    )
    capabilities.check(request)
    return request


def _choose_size(size: tuple[int, int], choices: UpscaleChoices) -> tuple[int, int]:
    width, height = size
    if choices.width is None:
        factor = UPSCALE_FACTORS[0] if choices.factor is None else choices.factor
        if factor not in UPSCALE_FACTORS:
            raise RequestError(
                "factor", factor, f"An image is not made {factor} times as large.", "Give 2 or 4."
            )
        return width * factor, height * factor
    if choices.factor is not None:
        raise RequestError("parameters.width", choices.width, "Give a factor or a width, not both.")
    if choices.width <= width:
        raise RequestError(
            "parameters.width",
            choices.width,
            f"The image is {width} pixels wide; {choices.width} would not make it larger.",
            f"Give more than {width}.",
        )
    return scale_size(size, choices.width)


def scale_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """`size` (width, height) at another `width`, its proportions kept as well as can be."""
    return width, max(1, round(size[1] * width / size[0]))


def resolve_variations(
    request: Request,
    capabilities: Capabilities,
    *,
    strength: float = VARIATION_STRENGTH,
    seed: int | None = None,
    images: int = 1,
) -> list[Request]:
    """`request` again, `images` times, with noise of another seed blended in by `strength`.

    `seed` is the variation's; it is drawn when None, and further images get those that
    follow it. A variation that `request` has already is replaced. Raises `RequestError`.
    """
    if not 1 <= images <= IMAGES_MAXIMUM:
        raise RequestError(
            "images", images, f"{images} images cannot be made in one go.", "Give 1 to 100."
        )
    if request.parameters.upscale is not None:
        raise RequestError(
            "parameters.variation",
            None,
            "An image that was only made larger has no variations.",
            "Vary the image that it came from.",
        )
    first = draw_seed() if seed is None else seed
    made = [
        msgspec.structs.replace(
            request,
            format=REQUEST_FORMAT,
            parameters=msgspec.structs.replace(
                request.parameters,
                variation=Variation(seed=following_seed(first, offset), strength=strength),
            ),
        )
        for offset in range(images)
    ]
    capabilities.check(made[0])
    return made


def make_initial_image(
    sha256: str,
    start_schedule: float | None = None,
    end_schedule: float | None = None,
    image_strength: float | None = None,
) -> InitialImage:
    """The initial image `sha256`, its schedule complete (0.6 to 0.0 where nothing is said).

    `image_strength` is another way to give the start: 1 minus it. Raises `RequestError`.
    """
    if image_strength is not None:
        if start_schedule is not None:
            raise RequestError(
                "parameters.start_schedule",
                start_schedule,
                "Image strength and start schedule are one thing told twice: 1 minus the other.",
                "Give one of them.",
            )
        if not 0 <= image_strength <= 1:
            raise RequestError(
                "image_strength",
                image_strength,
                f"The image strength {image_strength:g} is not a number from 0 to 1.",
            )
        start_schedule = round(1 - image_strength, 9)
    return InitialImage(
        sha256=sha256,
        start_schedule=START_SCHEDULE if start_schedule is None else start_schedule,
        end_schedule=END_SCHEDULE if end_schedule is None else end_schedule,
    )
