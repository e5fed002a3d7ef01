"""Colour profiles (ICC) of images that come in, and their conversion to sRGB by Little CMS."""

from __future__ import annotations

import io

from PIL import Image as Pillow
from PIL import ImageCms
from PIL.Image import Image

PROFILE_LIMIT = 8 * 1024 * 1024
"""Bytes of the largest profile that is read."""

NAME_LIMIT = 60
"""Characters of a profile's name that are told."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""The mode of Pillow's that a profile's colour space is applied to."""

_SAME_COLOUR = 2
"""How far a value of 0 to 255 may move for a profile to count as sRGB."""

_DAMAGED = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


class ProfileError(Exception):
    """A profile cannot be applied; its text goes on after "the colour profile"."""


def convert_to_srgb(image: Image, data: bytes) -> tuple[Image, str] | None:
    """`image` in the RGB of sRGB, and what its profile `data` calls itself.

    None for a profile that describes sRGB, or the grey of sRGB, whatever its name: nothing is to
    be done. `image` has no transparency. Raises `ProfileError`.
    """
    if len(data) > PROFILE_LIMIT:
        raise ProfileError("is larger than is read")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        if not _fits(space, image.mode):
            what = "grey" if image.mode in ("1", "L") else image.mode
            raise ProfileError(f"is for {_clean(space)}, its pixels are {what}")
        if space in ("RGB", "GRAY") and _moves_nothing(profile, space):
            return None
        return _transform(profile, image.convert(_MODES[space])), _name(profile)
    except _DAMAGED:
        raise ProfileError("is damaged") from None


def is_srgb(data: bytes, mode: str) -> bool:
    """Whether pixels of `mode` with the profile `data` look as they would without it."""
    try:
        return convert_to_srgb(Pillow.new("L" if mode == "1" else mode, (1, 1)), data) is None
    except ProfileError:
        return False


def _fits(space: str, mode: str) -> bool:
    """Whether a profile for the colour space describes pixels of this mode.

    Grey pixels are colours too, on the grey axis of RGB.
    """
    if space == "RGB":
        return mode not in ("CMYK", "LAB")
    return (space, mode) in (("GRAY", "1"), ("GRAY", "L"), ("CMYK", "CMYK"), ("Lab", "LAB"))


def _transform(profile: ImageCms.ImageCmsProfile, image: Image) -> Image:
    changed = ImageCms.profileToProfile(
        image,
        profile,
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert changed is not None
    return changed


def _moves_nothing(profile: ImageCms.ImageCmsProfile, space: str) -> bool:
    """Whether a sample of colours stays what it is."""
    import numpy as np

    if space == "GRAY":
        sample = Pillow.fromarray(np.arange(256, dtype=np.uint8)[None])
    else:
        steps = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
        sample = Pillow.fromarray(cube)
    moved = np.asarray(_transform(profile, sample), np.int16)
    return int(np.abs(moved - np.asarray(sample.convert("RGB"), np.int16)).max()) <= _SAME_COLOUR


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    """What a profile calls itself, short and without what a terminal would obey."""
    try:
        name = ImageCms.getProfileDescription(profile)
    except _DAMAGED:
        name = ""
    return _clean(name) or "its colour profile"


def _clean(text: str) -> str:
    printable = "".join(sign for sign in text if sign.isprintable())
    return " ".join(printable.split())[:NAME_LIMIT]
