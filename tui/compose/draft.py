"""Changes to a draft, as pure functions: the same draft in, a new draft out."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from store.limits import WEIGHT_MAXIMUM, WEIGHT_MINIMUM, draw_seed
from store.records import Draft, DraftPrompt, Image

WEIGHT_STEP = 0.1
PREVIOUS_SEEDS_KEPT = 100


class Parts(StrEnum):
    """Which parts of a past image go into the draft."""

    ALL = "all"
    ALL_BUT_SEED = "all but seed"
    PROMPTS = "prompts"
    PARAMETERS = "parameters"
    SEED = "seed"


def merge_draft(current: Draft, image: Image, parts: str) -> Draft:
    """`current` with `parts` (see `Parts`) of what made `image`.

    `parameters` are engine, model and everything but prompts and seed. The seed that was
    shown goes to the previous ones. The image becomes the parent, except when only its
    seed or its parameters are taken. Half-typed values are dropped. Of an image that was only
    made larger the model and the size are left out: they draw nothing. Raises `ValueError` for
    other parts.
    """
    part = Parts(parts)
    request = image.request
    draft = msgspec.structs.replace(current, pending={})
    if part in (Parts.ALL, Parts.ALL_BUT_SEED, Parts.PROMPTS):
        prompts = tuple(
            DraftPrompt(text=prompt.text, weight=prompt.weight, enabled=prompt.enabled)
            for prompt in request.stack.prompts
        )
        draft = msgspec.structs.replace(draft, prompts=prompts, parent_id=image.id, relation=None)
    if part in (Parts.ALL, Parts.ALL_BUT_SEED, Parts.PARAMETERS):
        parameters = request.parameters
        is_drawn = parameters.upscale is None
        weight_method = parameters.weight_method
        draft = msgspec.structs.replace(
            draft,
            engine=request.engine,
            model=request.model if is_drawn else None,
            steps=parameters.steps,
            cfg_scale=parameters.cfg_scale,
            sampler=parameters.sampler,
            width=parameters.width if is_drawn else None,
            height=parameters.height if is_drawn else None,
            style_preset=parameters.style_preset,
            initial_image=parameters.initial_image,
            mask=parameters.mask,
            variation=parameters.variation,
            guidance=parameters.guidance,
            weight_method=None if weight_method == "text_encoder" else weight_method,
            adapter=parameters.adapter,
            fine_tunes=parameters.fine_tunes,
            content_credentials=parameters.content_credentials,
        )
    if part in (Parts.ALL, Parts.SEED):
        draft = set_seed(draft, image.seed)
    return draft


# Prompts


def insert_prompt(draft: Draft, index: int, prompt: DraftPrompt | None = None) -> Draft:
    """`draft` with `prompt` (an empty one when None) at `index`."""
    prompts = [*draft.prompts]
    prompts.insert(index, DraftPrompt() if prompt is None else prompt)
    return msgspec.structs.replace(draft, prompts=tuple(prompts))


def remove_prompt(draft: Draft, index: int) -> Draft:
    """`draft` without the prompt at `index`; the last one leaves an empty prompt behind."""
    prompts = draft.prompts[:index] + draft.prompts[index + 1 :]
    return msgspec.structs.replace(draft, prompts=prompts or (DraftPrompt(),))


def move_prompt(draft: Draft, index: int, places: int) -> Draft:
    """`draft` with the prompt at `index` moved by `places`, as far as the stack goes."""
    target = min(max(index + places, 0), len(draft.prompts) - 1)
    prompts = [*draft.prompts]
    prompts.insert(target, prompts.pop(index))
    return msgspec.structs.replace(draft, prompts=tuple(prompts))


def change_prompt(draft: Draft, index: int, **changes: str | float | bool) -> Draft:
    """`draft` with `text`, `weight` or `enabled` of the prompt at `index` changed."""
    prompts = [*draft.prompts]
    prompts[index] = msgspec.structs.replace(prompts[index], **changes)
    return msgspec.structs.replace(draft, prompts=tuple(prompts))


def step_weight(weight: float, steps: int) -> float:
    """`weight` plus `steps` tenths, within [-10, 10], without the dust of binary fractions."""
    stepped = round(weight + steps * WEIGHT_STEP, 6)
    return min(max(stepped, WEIGHT_MINIMUM), WEIGHT_MAXIMUM) + 0.0


# Seeds


def set_seed(draft: Draft, seed: int) -> Draft:
    """`draft` with `seed`; the one that was shown becomes the newest of the previous ones."""
    previous = draft.previous_seeds
    if draft.seed is not None and draft.seed != seed:
        previous = (*previous, draft.seed)[-PREVIOUS_SEEDS_KEPT:]
    return msgspec.structs.replace(draft, seed=seed, previous_seeds=previous)


def show_seed(draft: Draft) -> Draft:
    """`draft` with a drawn seed when it has none."""
    return draft if draft.seed is not None else msgspec.structs.replace(draft, seed=draw_seed())


def renew_seed(draft: Draft) -> Draft:
    """`draft` with a newly drawn seed."""
    return set_seed(draft, draw_seed())


def recall_seed(draft: Draft) -> Draft:
    """`draft` with the newest previous seed; the one that was shown goes to the other end.

    So that going back again and again walks round all of them and loses none.
    """
    if not draft.previous_seeds:
        return draft
    *older, seed = draft.previous_seeds
    shown = () if draft.seed is None else (draft.seed,)
    return msgspec.structs.replace(draft, seed=seed, previous_seeds=(*shown, *older))


def advance_seed(draft: Draft) -> Draft:
    """The draft after its run was queued: a new seed, unless it is locked."""
    return draft if draft.seed_locked else renew_seed(draft)


# What was typed before the session was read


def merge_typed_ahead(loaded: Draft, typed: Draft) -> Draft:
    """The session's draft with what was typed while it was being read.

    Into an untouched first prompt it goes as it stands, else as prompts of its own at the end.
    """
    written = tuple(prompt for prompt in typed.prompts if prompt.text)
    if not written:
        return loaded
    untouched = loaded.prompts == (DraftPrompt(),)
    prompts = written if untouched else (*loaded.prompts, *written)
    place = {**loaded.place, **typed.place, "row": len(prompts) - 1}
    return msgspec.structs.replace(loaded, prompts=prompts, place=place)


def has_same_content(one: Draft, other: Draft) -> bool:
    """Whether two drafts stand for the same work: all but place, half-typed values and seeds."""
    return _strip(one) == _strip(other)


def _strip(draft: Draft) -> Draft:
    return msgspec.structs.replace(
        draft, place={}, pending={}, previous_seeds=(), seed=None, seed_locked=False
    )
