"""The named methods of the embedded models; reading them loads neither numpy nor weights.

A method of a name keeps its bits. What would change one is a new name beside it, which a new
revision asks for in the manifest of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping

GUIDANCE = "composed-3"
NOISE = "philox-1"
SCHEDULE = "karras-3"
PARTIAL_SCHEDULE = "share-1"
INPAINTING = "kept-latent-1"
VARIATION = "linear-variance-1"

METHODS: Mapping[str, tuple[str, ...]] = {
    "guidance": (GUIDANCE,),
    "noise": (NOISE,),
    "schedule": (SCHEDULE,),
    "partial schedule": (PARTIAL_SCHEDULE,),
    "inpainting": (INPAINTING,),
    "variation": (VARIATION,),
}
"""What each is for, and all that this program has for it."""


def find_unknown(wanted: Mapping[str, str]) -> str:
    """The first method of `wanted` that this program does not have; "" when it has them all."""
    for purpose in METHODS:
        name = wanted.get(purpose)
        if name is None or name not in METHODS[purpose]:
            return f"{purpose} {name or 'by no name'}"
    extra = sorted(wanted.keys() - METHODS.keys())
    return f"{extra[0]} {wanted[extra[0]]}" if extra else ""
