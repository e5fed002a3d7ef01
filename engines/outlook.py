"""What is known of an image before it is made again: values, without what finds them out."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engines.base import Weight


class Outlook(StrEnum):
    """What verifying an image would find, as far as can be known before."""

    IDENTICAL = "identical"
    UNSURE = "unsure"
    DIFFERENT = "different"
    CANNOT_RUN = "cannot run"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is other now. `then` and `now` are None where there is no value to tell.

    `weight`: whether it decides pixels, `reason` why, in a sentence without its point.
    """

    name: str
    weight: Weight
    reason: str
    then: str | None = None
    now: str | None = None


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """What is other now for one image, what decides most first, and what that comes to.

    `cost`: the credits that making it again may cost, 0 where images are free, None if not known.
    """

    image_id: str
    outlook: Outlook
    changes: tuple[Change, ...]
    cost: float | None
