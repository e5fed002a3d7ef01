"""Second training of the decoder: on latents as the denoiser leaves them.

``python -m engines.builtin.training.train_decoder --sprites DIR --autoencoder FILE --denoiser FILE
--words FILE --out FILE --minutes M`` reads the autoencoder, leaves its encoder as it is, and
writes both. A latent gets noise of time t and is cleaned by the denoiser in one step; the decoder
learns to draw the picture that it came from. So it learns what the denoiser's errors look like.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.builtin.training.data.captions import caption
from engines.builtin.training.data.generator import make
from engines.builtin.training.data.things import Sprites
from engines.builtin.training.loop import Course, add_device, load, mix_precision
from engines.builtin.training.networks import Model
from engines.builtin.training.train_autoencoder import Autoencoder, loss_of, to_tensor
from engines.builtin.training.train_denoiser import load_average
from engines.builtin.training.word_vectors import SHORT, Vocabulary

CLEANED_SHARE = 0.75
"""Of a batch: latents that went through the denoiser. The others get a little noise."""
TIMES = (0.55, 0.97)
SEED = 7
HELD = 64


@dataclass(frozen=True, slots=True)
class Cleaner:
    """The denoiser as what spoils latents in its own way."""

    model: Model
    mean: Tensor
    deviation: Tensor

    def __call__(self, z: Tensor, ids: Tensor, t: Tensor) -> Tensor:
        """Latents (B, C, h, w) with noise of times (B,), cleaned in one step."""
        level = t[:, None, None, None]
        x = (z - self.mean) / self.deviation
        clean = self.model(level * x + (1 - level) * torch.randn_like(x), t, ids)
        return clean.float() * self.deviation + self.mean


class Pool:
    """Pictures with a caption each, a few of them replaced now and then."""

    def __init__(
        self,
        count: int,
        sprites: Sprites,
        vocabulary: Vocabulary,
        device: torch.device | str = "cpu",
    ) -> None:
        """`device`: where what `take` gives lies."""
        self._sprites, self._vocabulary, self._device = sprites, vocabulary, device
        made = [self._make(k) for k in range(count)]
        self.pictures = np.stack([picture for picture, _ in made])
        self.ids = np.stack([ids for _, ids in made])
        self._next = count

    def _make(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        image, _, facts = make(number, self._sprites, seed=SEED)
        text = caption(facts, random.Random(f"decoder:{number}"))
        return np.asarray(image), self._vocabulary.encode(text, SHORT, SHORT)

    def replace(self, slots: np.ndarray) -> None:
        """New pictures at these places."""
        for slot in slots:
            self.pictures[slot], self.ids[slot] = self._make(self._next)
            self._next += 1

    def take(self, rows: np.ndarray | slice) -> tuple[Tensor, Tensor]:
        """Pictures in [-1, 1] and token numbers."""
        ids = torch.from_numpy(self.ids[rows]).long()
        return to_tensor(self.pictures[rows]).to(self._device), ids.to(self._device)


def measure(model: Autoencoder, cleaner: Cleaner, pool: Pool) -> tuple[float, float]:
    """PSNR in dB over the held pictures: from their latents, and from those cleaned at 0.8."""
    x, ids = pool.take(slice(HELD))
    found = []
    with torch.no_grad(), mix_precision(x.device):
        torch.manual_seed(1)
        z = model.encode(x)
        for latent in (z, cleaner(z, ids, z.new_full((len(z),), 0.8))):
            y = model.decode(latent).float().clamp(-1, 1)
            found.append(float(-10 * torch.log10(((x - y) / 2).square().mean())))
    return found[0], found[1]


def list_learned(model: Autoencoder) -> list[nn.Parameter]:
    """The parameters of the decoder."""
    parts = ("from_latent", "dec_", "up", "leave")
    return [value for name, value in model.named_parameters() if name.startswith(parts)]


def step_of(
    model: Autoencoder, optimizer: torch.optim.Optimizer, cleaner: Cleaner, x: Tensor, ids: Tensor
) -> float:
    """One training step on pictures and their captions; gives the loss."""
    count = round(len(x) * CLEANED_SHARE)
    with torch.no_grad(), mix_precision(x.device):
        z = model.encode(x)
        cleaned = cleaner(z[:count], ids[:count], z.new_empty(count).uniform_(*TIMES))
        noisy = z[count:] + 0.1 * torch.randn_like(z[count:])
    with mix_precision(x.device):
        y = model.decode(torch.cat([cleaned, noisy]))
    loss = loss_of(y.float(), x)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(list_learned(model), 1.0)
    optimizer.step()
    return float(loss.item())


def main() -> None:
    """Command line: train for a number of minutes and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("sprites", "autoencoder", "denoiser", "words", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=35)
    parser.add_argument("--pool", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=8e-4)
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    vocabulary = Vocabulary.load(args.words)
    cleaner = Cleaner(*load_average(args.denoiser, vocabulary, args.device))
    pool = Pool(args.pool, Sprites(args.sprites), vocabulary, args.device)
    model = Autoencoder().to(args.device, memory_format=torch.channels_last)
    model.load_state_dict(load(args.autoencoder, args.device))
    optimizer = torch.optim.AdamW(
        list_learned(model), args.rate, betas=(0.9, 0.99), weight_decay=1e-4
    )
    print("before: {:.2f} dB, cleaned {:.2f} dB".format(*measure(model, cleaner, pool)), flush=True)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    course = Course(optimizer, minutes=args.minutes, rate=args.rate, batch=args.batch)
    for step in course.steps():
        pool.replace(rng.integers(HELD, args.pool, 4))
        rows = rng.integers(HELD, args.pool, args.batch)
        course.note(step_of(model, optimizer, cleaner, *pool.take(rows)))
        if step % 1000 == 999:
            torch.save(model.state_dict(), args.out)
    torch.save(model.state_dict(), args.out)
    print("after: {:.2f} dB, cleaned {:.2f} dB".format(*measure(model, cleaner, pool)), flush=True)


if __name__ == "__main__":
    main()
