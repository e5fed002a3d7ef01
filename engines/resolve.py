"""From what stands in an editor to complete requests, nothing left to a default elsewhere."""

from __future__ import annotations

from engines.capabilities import Capabilities
from store.errors import RequestError
from store.fields import check_seed, draw_seed, following_seed
from store.records import Draft
from store.request import Parameters, Prompt, PromptStack, Request

IMAGES_MAXIMUM = 100
"""Most images that one call queues."""

_SAMPLERS = {"plms": "ddpm"}
"""Samplers by the names that the API's own package has for them."""


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
    # Before the limits of every request, which do not know what this engine makes.
    own.check_size((width, height))
    sampler = _SAMPLERS.get(draft.sampler or "", draft.sampler)
    requests = [
        Request(
            engine=capabilities.engine,
            model=draft.model or capabilities.default_model,
            stack=stack,
            parameters=Parameters(
                seed=following_seed(seed, offset),
                steps=int(own.steps.default) if draft.steps is None else draft.steps,
                cfg_scale=own.cfg_scale.default if draft.cfg_scale is None else draft.cfg_scale,
                sampler=sampler or capabilities.default_sampler,
                width=width,
                height=height,
                style_preset=draft.style_preset,
                initial_image=draft.initial_image,
                mask=draft.mask,
                variation=draft.variation,
                guidance=draft.guidance,
                weight_method=draft.weight_method or "text_encoder",
                adapter=draft.adapter,
                fine_tunes=draft.fine_tunes,
                content_credentials=draft.content_credentials,
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
