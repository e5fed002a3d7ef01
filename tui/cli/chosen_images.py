"""Which images a command means: named ones, all, the newest, what a search finds, a sample."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from store.errors import RequestError
from store.limits import SEED_MAXIMUM, SEED_MINIMUM, draw_seed
from store.records import Image
from tui.cli.inputs import LIMIT_MAXIMUM, read_count
from tui.darkroom import Darkroom

_TOGETHER = 200
"""How many images are read at once."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Images that a command means: those of `references`, else those that the rest describes.

    `last`: the newest ones only. `sample`: so many of those that are left, chosen by `seed`.
    """

    references: tuple[str, ...] = ()
    search: str | None = None
    last: int | None = None
    sample: int | None = None
    seed: int = 0

    @property
    def words(self) -> str:
        """What chose them, for the list of runs."""
        if self.references:
            return ", ".join(self.references)
        words = f"search {self.search}" if self.search else "all"
        if self.last is not None:
            words = f"last {self.last}"
        if self.sample is not None:
            words = f"sample {self.sample} of {words}, sample seed {self.seed}"
        return words


def choose_images(
    references: list[str],
    is_all: bool,
    last: str | None,
    search: str | None,
    sample: str | None,
    sample_seed: str | None,
) -> Choice:
    """The images that these arguments of `verify` mean. Raises `RequestError`."""
    given = bool(references) + is_all + (last is not None) + (search is not None)
    if given > 1 or (not given and sample is None) or (references and sample is not None):
        raise RequestError(
            "images",
            None,
            "Say which images: ids, or --all, or --last N, or --search TEXT (one of them), or "
            "--sample N of all or of what a search finds.",
        )
    if sample_seed is not None and sample is None:
        raise RequestError("sample_seed", sample_seed, "--sample-seed goes with --sample N.")
    if sample is None:
        seed = 0
    elif sample_seed is None:
        seed = draw_seed()
    else:
        seed = read_count("--sample-seed", sample_seed, SEED_MINIMUM, SEED_MAXIMUM)
    return Choice(
        references=tuple(references),
        search=search,
        last=None if last is None else read_count("--last", last, 1, LIMIT_MAXIMUM),
        sample=None if sample is None else read_count("--sample", sample, 1, LIMIT_MAXIMUM),
        seed=seed,
    )


async def list_numbers(darkroom: Darkroom, choice: Choice) -> list[int]:
    """The numbers of the images that are meant, newest first; those named in their order."""
    if choice.references:
        return [(await darkroom.get_image(name)).number for name in choice.references]
    numbers = list(await darkroom.list_image_numbers(search=choice.search))
    if choice.last is not None:
        numbers = numbers[: choice.last]
    if choice.sample is not None:
        from store.verification_runs import choose_sample

        numbers = choose_sample(numbers, choice.sample, choice.seed)
    return numbers


async def iterate_images(darkroom: Darkroom, numbers: Sequence[int]) -> AsyncIterator[Image]:
    """The images with these numbers, as lists have them, in this order; without those removed."""
    for start in range(0, len(numbers), _TOGETHER):
        page = numbers[start : start + _TOGETHER]
        by_number = {image.number: image for image in await darkroom.get_images(page)}
        for number in page:
            if number in by_number:
                yield by_number[number]
