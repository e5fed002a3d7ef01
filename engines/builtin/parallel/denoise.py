"""The denoiser at work on one image: alone, or shared out to the processes of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from engines.builtin.denoiser import Denoiser, Modulation
from engines.builtin.elementary import Floats
from engines.builtin.parallel.group import (
    Begin,
    Pair,
    ProcessGroup,
    RankLostError,
    SharedMemoryError,
    lay_out,
    take_turns,
)
from engines.builtin.parallel.shard import Shard, list_shared


class Passes:
    """Some prompts of one image as a batch, and what is made of them once for all steps."""

    def __init__(self, net: Denoiser, texts: Sequence[Floats], size: tuple[int, int]) -> None:
        """`texts`: (tokens, text width) for each prompt; `size`: height and width of the latent."""
        self.net, self.texts, self.size = net, list(texts), size
        means = [np.add.reduce(text, axis=0) * np.float32(1 / len(text)) for text in texts]
        self._pool = net.pool(np.stack(means))
        self._conditions: dict[float, Floats] = {}

    def prepare(self, times: Sequence[float]) -> None:
        """Make what depends on the time alone for many steps at once."""
        new = [t for t in dict.fromkeys(times) if t not in self._conditions]
        if new:
            made = self.net.condition(self._pool, new)
            self._conditions.update(zip(new, made, strict=True))

    def modulate(self, t: float) -> Modulation:
        """What time and text do in the step at `t`."""
        self.prepare([t])
        return self.net.modulate(self._conditions[t])

    def list_shared(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays that the shards share."""
        return list_shared(self.net, len(self.texts), self.size)

    def make_shard(self, side: int, shared: Mapping[str, Floats]) -> Shard:
        """One shard of the work on these prompts."""
        return Shard(side, self.net, shared, self.size, self.texts)


class _Alone:
    """The prompts of one image in this process, both shards in turn."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._shared = lay_out(passes.list_shared())
        self._shards = [passes.make_shard(side, self._shared) for side in range(2)]

    def predict(self, z: Floats, t: float) -> Floats:
        self._shared["noisy"][:] = z
        mod = self._passes.modulate(t)
        one, two = (shard.predict(mod) for shard in self._shards)
        take_turns(one, two)
        return self._shared["denoised"].copy()


class _Together:
    """The prompts of one image as this process and its ranks share them out."""

    def __init__(self, pairs: list[Pair], passes: Passes, times: Sequence[float]) -> None:
        """Raises `SharedMemoryError` where a pair's memory has no room for its prompts."""
        texts, count = passes.texts, min(len(pairs), len(passes.texts))
        edges = [k * len(texts) // count for k in range(count + 1)]
        groups = [texts[start:stop] for start, stop in pairwise(edges)]
        self._pairs = pairs[:count]
        self._passes = passes if count == 1 else Passes(passes.net, groups[0], passes.size)
        self._shared = []
        for pair, group in zip(self._pairs, groups, strict=True):
            shapes = list_shared(passes.net, len(group), passes.size)
            shared = lay_out(shapes, pair.memory)
            for array in shared.values():
                array.fill(0)
            self._shared.append(shared)
        for pair, group in zip(self._pairs, groups, strict=True):
            for rank in pair.ranks:
                rank.order(Begin(group, passes.size, times, rank.side))
        self._shard = self._passes.make_shard(0, self._shared[0])
        self._passes.prepare(times)

    def predict(self, z: Floats, t: float) -> Floats:
        for pair, shared in zip(self._pairs, self._shared, strict=True):
            shared["noisy"][:] = z
            for rank in pair.ranks:
                rank.order(t)
        self._pairs[0].drive(self._shard.predict(self._passes.modulate(t)))
        for pair in self._pairs[1:]:
            pair.ranks[0].wait()
        return np.concatenate([shared["denoised"] for shared in self._shared])


class Predictor:
    """The denoised latents of all prompts of one image, step by step."""

    def __init__(
        self,
        net: Denoiser,
        texts: Sequence[Floats],
        size: tuple[int, int],
        times: Sequence[float] = (),
        group: ProcessGroup | None = None,
    ) -> None:
        """Prepare for all steps.

        `texts`: (tokens, text width) of each prompt; `size`: height and width of the latent;
        `times`: those of the steps, 0 noise and 1 denoised; `group`: who may help.
        """
        self._passes, self._times, self._group = Passes(net, texts, size), times, group
        self._passes.prepare(times)
        self._together: _Together | None = None
        if group is not None:
            group.start()

    @cached_property
    def _alone(self) -> _Alone:
        return _Alone(self._passes)

    def predict(self, z: Floats, t: float) -> Floats:
        """(h, w, channels) noisy latent to the denoised ones of all prompts, (batch, h, w, ...)."""
        if self._group is not None:
            made = self._predict_together(self._group, z, t)
            if made is not None:
                return made
        return self._alone.predict(z, t)

    def _predict_together(self, group: ProcessGroup, z: Floats, t: float) -> Floats | None:
        """None where there is nobody to help, or nobody any more."""
        try:
            if self._together is None:
                pairs = group.find_ready()
                if not pairs:
                    return None
                self._together = _Together(pairs, self._passes, self._times)
            made = self._together.predict(z, t)
        except (RankLostError, SharedMemoryError) as error:
            self._leave(group, is_lost=isinstance(error, RankLostError))
            return None
        except BaseException:
            # The others wait in the middle of a step.
            self._leave(group, is_lost=True)
            raise
        if not group.is_trusted:
            group.is_trusted = np.array_equal(made, self._alone.predict(z, t))
            if not group.is_trusted:
                self._leave(group, is_lost=True)
                return None
        return made

    def _leave(self, group: ProcessGroup, *, is_lost: bool) -> None:
        """Go on alone; `is_lost`: for ever, for nothing more can be made with the ranks."""
        self._together = self._group = None
        if is_lost:
            group.close()
