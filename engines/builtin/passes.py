"""The prompts of one image, as the denoiser works on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engines.builtin.denoiser import Denoiser, Modulation
from engines.builtin.elementary import Floats
from engines.builtin.parallel.shard import Half, list_shared


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
        """Shapes of the arrays that the halves share."""
        return list_shared(self.net, len(self.texts), self.size)

    def make_half(self, side: int, shared: Mapping[str, Floats]) -> Half:
        """One half of the work on these prompts."""
        return Half(side, self.net, shared, self.size, self.texts)
