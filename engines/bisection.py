"""Which of the changes between two requests explains the difference of their images.

A set of changes *explains* the difference when the image of the first request with these changes
is nearer to the second image by at least half: when the mean absolute difference of its pixels
from the second image is at most half of the first image's. Where the sizes differ, that is measured
from the first request in the second one's size, as images of two sizes are not compared.

The search is delta debugging (Zeller and Hildebrandt, 2002): halves of the set are tried, then
smaller parts, then what is left without a part, until no single change can be left out; where that
leaves several, each other change is tried alone. With n changes of which one decides it takes about
2 log2 n images, at worst about n squared.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec

from engines.changes import Change, apply_changes, list_changes
from store.errors import RequestError
from store.request import Request

TRIALS_AT_MOST = 64
"""Images that one search makes when nothing else is said."""

ENOUGH = 0.5
"""The share of the difference that may be left where a set of changes explains it."""

Measure: TypeAlias = Callable[[Request], Awaitable[float | None]]
"""The mean absolute difference (0 to 255) of the request's image from the second image.

None when there is no such image: the engine does not take the request, or the sizes differ.
"""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One request in between that was measured: the first one with `changes`.

    `explained` is the share of the difference that they explain: 1 for equal pixels, below 0 where
    they lead away; None when there is no image. `number` counts from 1.
    """

    number: int
    changes: tuple[Change, ...]
    request: Request | None
    explained: float | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest set of changes that was found to explain the difference.

    `request` is the first one with these changes, `explained` the share that they explain: 1 for
    equal pixels. `base` are changes that were made first, so that pixels could be compared; they
    are among `changes`. `is_complete`: False when the trials were over before no change could be
    left out.
    """

    changes: tuple[Change, ...]
    request: Request
    explained: float
    base: tuple[Change, ...]
    trials: int
    is_complete: bool

    @property
    def decisive(self) -> tuple[Change, ...]:
        """The changes that were searched for: without `base`, unless that explains all."""
        return tuple(each for each in self.changes if each not in self.base) or self.changes


class Bisection:
    """The search between `one` and `other`, whose requests differ. `measure` makes the images."""

    def __init__(
        self, one: Request, other: Request, measure: Measure, most: int = TRIALS_AT_MOST
    ) -> None:
        self._one, self._other = one, other
        self._measure = measure
        self._most = most
        self._trials = 0
        self._whole = 0.0
        self._base: tuple[Change, ...] = ()
        self._known: dict[tuple[Change, ...], float | None] = {}
        self.changes = list_changes(one, other)

    async def search(self) -> AsyncGenerator[Trial | Explanation, None]:
        """Each trial as it is made, and the explanation last.

        Raises `RequestError` when the requests are the same, when both images are, or when no
        image can be compared with the second one.
        """
        if not self.changes:
            raise RequestError(
                "images",
                None,
                "Both images have the same request, so no change of it explains a difference.",
                "Verify them: what changed around the engine is named there.",
            )
        async for trial in self._find_base():
            yield trial
        found = tuple(change for change in self.changes if change not in self._base)
        explained, parts, is_cut = 1.0, 2, False
        while len(found) > 1 and self._whole and not is_cut:
            smaller: tuple[Change, ...] | None = None
            for some in _list_parts(found, parts):
                if some not in self._known:
                    is_cut = self._is_used_up
                    if is_cut:
                        break
                    yield await self._try(some)
                share = self._known[some]
                if share is not None and share >= 1 - ENOUGH:
                    smaller, explained = some, share
                    break
            if smaller is not None:
                # What is left after a part was taken away is in one part less.
                is_rest = parts > 2 and len(smaller) > -(-len(found) // parts)
                found, parts = smaller, parts - 1 if is_rest else 2
            elif parts < len(found):
                parts = min(len(found), 2 * parts)
            else:
                break
        if len(found) > 1 and self._whole:
            # That none alone suffices is only known once each was tried.
            for single in ((change,) for change in self.changes if change not in self._base):
                if single not in self._known:
                    is_cut = is_cut or self._is_used_up
                    if is_cut:
                        break
                    yield await self._try(single)
                share = self._known[single]
                if share is not None and share >= 1 - ENOUGH:
                    found, explained = single, share
                    break
        # Where what had to be changed first leaves no difference, it explains all.
        changes = self._sort({*(found if self._whole else ()), *self._base})
        yield Explanation(
            changes=changes,
            request=apply_changes(self._one, self._other, changes),
            explained=explained,
            base=self._base,
            trials=self._trials,
            is_complete=not is_cut,
        )

    async def _find_base(self) -> AsyncGenerator[Trial, None]:
        """What has to be changed first so that pixels can be compared, and how far off that is."""
        parameters = {change for change in self.changes if change.kind == "parameter"}
        size = {change for change in parameters if change.field == "size"}
        for base in (set[Change](), size, parameters):
            self._base = self._sort(base)
            request = self._apply(())
            distance = None if request is None else await self._measure(request)
            if base:
                self._trials += 1
                share = None if distance is None else 0.0 if distance else 1.0
                yield Trial(
                    number=self._trials, changes=self._base, request=request, explained=share
                )
            if distance is not None:
                self._whole = distance
                if not distance and not base:
                    raise RequestError("images", None, "Every pixel of both images is the same.")
                return
        raise RequestError(
            "images",
            None,
            "No image between them can be compared with the second one.",
            "They differ in too much at once, such as the engine.",
        )

    async def _try(self, some: tuple[Change, ...]) -> Trial:
        self._trials += 1
        request = self._apply(some)
        distance = None if request is None else await self._measure(request)
        share = None if distance is None else 1 - distance / self._whole
        self._known[some] = share
        changes = self._sort({*some, *self._base})
        return Trial(number=self._trials, changes=changes, request=request, explained=share)

    @property
    def _is_used_up(self) -> bool:
        return self._trials >= self._most

    def _apply(self, some: Sequence[Change]) -> Request | None:
        try:
            return apply_changes(self._one, self._other, {*some, *self._base})
        except RequestError:
            return None

    def _sort(self, changes: set[Change]) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change in changes)


def _list_parts(changes: tuple[Change, ...], parts: int) -> list[tuple[Change, ...]]:
    """`changes` in so many parts, then what is left without each of them."""
    bounds = [len(changes) * place // parts for place in range(parts + 1)]
    spans = list(itertools.pairwise(bounds))
    some = [changes[low:high] for low, high in spans]
    rest = [changes[:low] + changes[high:] for low, high in spans] if parts > 2 else []
    return some + rest
