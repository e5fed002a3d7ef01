"""What differs between two images: requests, environments, stages, pixels."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import fields
from PIL import Image as Pillow

from engines.changes import Change, list_changes
from engines.pixel_difference import PixelDifference, measure_difference
from engines.prompt_pairs import PromptPair, match_prompts
from engines.verify import count_common_stages, find_first_difference, list_changed_around
from store.pixels import digest_pixels
from store.records import EnvironmentRecord, Image, Stage
from store.request import Parameters, Request


class EnvironmentChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the environment on both sides; None where it is not recorded."""

    name: str
    one: str | None
    other: str | None


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What leads from one image to another.

    `changes` are those of the requests, `pairs` all prompts of both. `parts_at` names the first
    stage that differs (None: none does), of the `stages` that both have; a prompt's text has the
    number of its place in the other stack. `has_equal_pixels` goes by the pixels in the files, and
    by the record where one cannot be read. `pixels` is None where the sizes differ or a file cannot
    be read.
    """

    changes: tuple[Change, ...]
    pairs: tuple[PromptPair, ...]
    environment: tuple[EnvironmentChange, ...]
    parts_at: str | None
    stages: int
    sizes: tuple[tuple[int, int], tuple[int, int]]
    has_equal_pixels: bool
    pixels: PixelDifference | None

    @property
    def is_equal(self) -> bool:
        """Whether requests, stages and pixels are the same.

        The environment is not asked: where it decides anything, that shows in the pixels.
        """
        return not self.changes and self.parts_at is None and self.has_equal_pixels


def find_differences(
    one: Image, other: Image, pixels: tuple[Pillow.Image | None, Pillow.Image | None]
) -> Differences:
    """What leads from `one` to `other`, whose decoded files are `pixels` (None: not readable).

    The images have their stages and environments, as `history.get_image` fills them.
    """
    here, there = pixels
    pairs = match_prompts(one.request.stack.prompts, other.request.stack.prompts)
    stages = _follow_prompts(one.stages, pairs)
    return Differences(
        changes=list_changes(one.request, other.request),
        pairs=pairs,
        environment=_list_environment(one.environment, other.environment),
        parts_at=find_first_difference(stages, other.stages),
        stages=count_common_stages(stages, other.stages),
        sizes=(_find_size(one, here), _find_size(other, there)),
        has_equal_pixels=_digest(one, here) == _digest(other, there),
        pixels=None if here is None or there is None else measure_difference(here, there),
    )


def find_equal_fields(one: Request, other: Request) -> tuple[str, ...]:
    """The parameters that are set and the same on both sides, as `Change.field` names them."""
    changed = {change.field.partition(".")[0] for change in list_changes(one, other)}
    extras = one.parameters.list_extras() & other.parameters.list_extras()
    optional = {field.name for field in fields(Parameters) if not field.required}
    names = ["engine", "model"]
    names += [
        "size" if name == "width" else name
        for name in Parameters.__struct_fields__
        if name != "height" and (name in extras or name not in optional)
    ]
    if "engine" in changed:
        changed.add("model")  # They change as one.
    return tuple(name for name in names if name not in changed)


def _follow_prompts(stages: Sequence[Stage], pairs: Sequence[PromptPair]) -> list[Stage]:
    """The stages of the first image, those of its prompts by their places in the other stack.

    A prompt that only moved parts nothing; one that was removed has nothing to be compared with.
    """
    places = {
        pair.place_in_one + 1: pair.place_in_other + 1
        for pair in pairs
        if pair.place_in_one is not None and pair.place_in_other is not None
    }
    followed = []
    for stage in stages:
        if stage.name != "text" or stage.step == 0:
            followed.append(stage)
        elif stage.step in places:
            followed.append(msgspec.structs.replace(stage, step=places[stage.step]))
    return followed


def _digest(image: Image, pixels: Pillow.Image | None) -> str:
    return image.pixels_sha256 if pixels is None else digest_pixels(pixels)


def _find_size(image: Image, pixels: Pillow.Image | None) -> tuple[int, int]:
    return (image.width, image.height) if pixels is None else pixels.size


def _list_environment(
    one: EnvironmentRecord | None, other: EnvironmentRecord | None
) -> tuple[EnvironmentChange, ...]:
    here, there = (EnvironmentRecord(values={}) if each is None else each for each in (one, other))
    return tuple(
        EnvironmentChange(name=name, one=here.values.get(name), other=there.values.get(name))
        for name in list_changed_around(here, there)
    )
