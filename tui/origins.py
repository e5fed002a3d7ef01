"""The initial image, its mask and a variation in a draft, as pure functions."""

from __future__ import annotations

import msgspec

from engines.resolve import VARIATION_STRENGTH, make_initial_image
from store.fields import draw_seed
from store.parameters import Mask, Variation
from store.records import Draft, Image, Relation

_NAME_LENGTH = 80
_DIGEST_SHOWN = 8


def start_from(draft: Draft, sha256: str, name: str, parent: Image | None = None) -> Draft:
    """`draft` with the kept file `sha256` as its initial image, without a mask.

    `name` is what the person knows it by. `parent` is the past image whose file it is.
    """
    past = draft.initial_image
    initial = make_initial_image(
        sha256,
        None if past is None else past.start_schedule,
        None if past is None else past.end_schedule,
    )
    draft = remove_initial_image(draft)
    if parent is not None:
        draft = msgspec.structs.replace(draft, parent_id=parent.id, relation=Relation.INITIAL_IMAGE)
    return _note_name(msgspec.structs.replace(draft, initial_image=initial), sha256, name)


def remove_initial_image(draft: Draft) -> Draft:
    """`draft` without initial image, and without what belongs to one."""
    draft = msgspec.structs.replace(draft, initial_image=None, mask=None, adapter=None)
    if draft.relation is Relation.INITIAL_IMAGE:
        draft = msgspec.structs.replace(draft, parent_id=None, relation=None)
    return draft


def set_mask(draft: Draft, sha256: str, name: str) -> Draft:
    """`draft` with the kept file `sha256` as its mask: what is black there is made anew.

    What lies there before the first step stays as it was chosen for a mask before.
    """
    area_init = "original" if draft.mask is None else draft.mask.area_init
    mask = Mask(sha256=sha256, replaces="black", area_init=area_init)
    return _note_name(msgspec.structs.replace(draft, mask=mask), sha256, name)


def set_variation(draft: Draft) -> Draft:
    """`draft` with a drawn second seed; the strength stays what it was."""
    past = draft.variation
    strength = VARIATION_STRENGTH if past is None else past.strength
    variation = Variation(seed=draw_seed(), strength=strength)
    return msgspec.structs.replace(draft, variation=variation)


def name_input(draft: Draft, sha256: str) -> str:
    """What the person knows a kept file by: a file's name, an image's id, else its digest."""
    name = draft.place.get(_place(sha256))
    return name if isinstance(name, str) and name else sha256[:_DIGEST_SHOWN]


def _note_name(draft: Draft, sha256: str, name: str) -> Draft:
    return msgspec.structs.replace(
        draft, place={**draft.place, _place(sha256): name[:_NAME_LENGTH]}
    )


def _place(sha256: str) -> str:
    return f"input {sha256[:16]}"
