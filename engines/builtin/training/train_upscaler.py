"""The upscaler: pictures to pictures of twice the width and height.

``python -m engines.builtin.training.train_upscaler --sprites DIR --autoencoder FILE --out FILE
--minutes M`` trains it, resumes from ``FILE`` where that exists, and writes ``FILE`` and a sheet
beside it; ``--compare`` only prints the table of PSNR beside bicubic and Lanczos enlargement on
pictures that were never trained on. Convolutions and ReLU only, as in the autoencoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engines.builtin.training.data.generator import make, sheet
from engines.builtin.training.data.things import Sprites
from engines.builtin.training.loop import Course, add_device, load, mix_precision
from engines.builtin.training.train_autoencoder import Autoencoder, Block, loss_of, to_tensor

WIDTH = 64
SEED, HELD_SEED = 5, 6
CROP = 64
"""Side of the input squares that it trains on."""
NOISE = 0.1
"""Largest deviation of the noise on latents, so that what the denoiser makes is at home too."""


class Upscaler(nn.Module):
    """Twice the size: what convolutions at half the input's size add to its doubled pixels."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.enter = nn.Conv2d(12, width, 3, padding=1)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.leave = nn.Conv2d(width, 48, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1], h and w even, to (B, 3, 2h, 2w)."""
        y = self.leave(F.relu(self.blocks(self.enter(F.pixel_unshuffle(x, 2)))))
        return F.interpolate(x, scale_factor=2) + F.pixel_shuffle(y.float(), 4)


def draw(index: int, sprites: Sprites, seed: int) -> Image.Image:
    """A picture of 256x256: one of the model's size at twice its detail, or a wider one.

    Odd ones are wide: their things are small and sharp. So are those in a style that is drawn by
    the pixel, because at twice the detail it would only be enlarged.
    """
    if index % 2 == 0:
        image, _, facts = make(index, sprites, seed=seed, detail=2)
        if facts.style in ("", "pixel-art"):
            return image
    return make(index, sprites, (256, 256), seed)[0]


def device_of(model: nn.Module) -> torch.device:
    """Where a network is."""
    return next(model.parameters()).device


@torch.no_grad()
def through(model: Autoencoder, small: np.ndarray, noise: float) -> np.ndarray:
    """The pictures as the decoder gives them, from latents with noise of a chance deviation."""
    device = device_of(model)
    with mix_precision(device):
        z = model.encode(to_tensor(small).to(device))
        z = z + noise * torch.rand(len(z), 1, 1, 1, device=device) * torch.randn_like(z)
        return to_images(model.decode(z).float())


def to_images(pictures: Tensor) -> np.ndarray:
    """(B, 3, h, w) in [-1, 1] to 8-bit pictures (B, h, w, 3)."""
    pixels = (pictures.clamp(-1, 1) + 1) * 127.5
    return np.asarray(pixels.round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy())


class Pool:
    """Pictures and what is made of them: clean at half the size, and through the autoencoder."""

    def __init__(self, count: int, sprites: Sprites, model: Autoencoder, seed: int) -> None:
        self.large = np.empty((count, 256, 256, 3), np.uint8)
        self.small = np.empty((2, count, 128, 128, 3), np.uint8)
        self._sprites, self._model, self._seed, self._next = sprites, model, seed, 0
        for first in range(0, count, 32):
            self.refill(np.arange(first, min(count, first + 32)), NOISE)

    def refill(self, slots: np.ndarray, noise: float) -> None:
        """Put new pictures into these places."""
        for slot in slots:
            image = draw(self._next, self._sprites, self._seed)
            self._next += 1
            self.large[slot] = np.asarray(image)
            self.small[0, slot] = np.asarray(image.reduce(2))
        self.small[1, slots] = through(self._model, self.small[0, slots], noise)

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Squares by chance, half of them clean: inputs and what should come of them."""
        inputs, targets = [], []
        for k in range(count):
            slot = rng.integers(0, len(self.large))
            top, left = (int(v) for v in rng.integers(0, 128 - CROP + 1, 2))
            small = self.small[k % 2, slot, top : top + CROP, left : left + CROP]
            large = self.large[slot, 2 * top : 2 * (top + CROP), 2 * left : 2 * (left + CROP)]
            if rng.random() < 0.5:
                small, large = small[:, ::-1], large[:, ::-1]
            inputs.append(small)
            targets.append(large)
        return to_tensor(np.stack(inputs)), to_tensor(np.stack(targets))


def step_of(model: Upscaler, optimizer: torch.optim.Optimizer, x: Tensor, target: Tensor) -> float:
    """One step of training; gives the loss before it."""
    device = device_of(model)
    x, target = x.to(device), target.to(device)
    with mix_precision(device):
        y = model(x)
    loss = loss_of(y.float(), target)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.item())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Mean PSNR in dB of pictures (B, h, w, 3)."""
    error = ((a.astype(np.float32) - b) ** 2).mean((1, 2, 3)) + 1e-3
    return float((10 * np.log10(255**2 / error)).mean())


def enlarge(small: np.ndarray, kind: Image.Resampling) -> np.ndarray:
    """Pillow's enlargement to twice the size."""
    size = (small.shape[2] * 2, small.shape[1] * 2)
    return np.stack([np.asarray(Image.fromarray(s).resize(size, kind)) for s in small])


@torch.no_grad()
def compare(model: Upscaler, autoencoder: Autoencoder, sprites: Sprites, path: Path) -> str:
    """The table of PSNR on pictures of a seed of their own, and a sheet at `path`."""
    torch.manual_seed(0)
    pool = Pool(96, sprites, autoencoder, HELD_SEED)
    pool.small[1] = through(autoencoder, pool.small[0], 0)
    wide = np.arange(96) % 2 == 1
    lines = [f"{'input':<28}{'bicubic':>9}{'lanczos':>9}{'upscaler':>9}"]
    for name, source in (("clean", 0), ("autoencoder", 1)):
        for part, chosen in (("even", ~wide), ("odd", wide)):
            small, large = pool.small[source][chosen], pool.large[chosen]
            values = [
                psnr(enlarge(small, k), large)
                for k in (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
            ]
            values.append(psnr(to_images(model(to_tensor(small).to(device_of(model)))), large))
            cells = "".join(f"{value:9.2f}" for value in values)
            lines.append(f"{f'{name}, {part}':<28}{cells}")
    rows = []
    for k in range(12):
        small = pool.small[1][k : k + 1]
        made = to_images(model(to_tensor(small).to(device_of(model))))
        rows += [enlarge(small, Image.Resampling.LANCZOS)[0], made[0], pool.large[k]]
    sheet([Image.fromarray(row) for row in rows], 6).save(path)
    return "\n".join(lines)


def main() -> None:
    """Command line: train for a number of minutes and save, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=18)
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--compare", action="store_true")
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sprites = Sprites(args.sprites)
    autoencoder = Autoencoder().to(args.device, memory_format=torch.channels_last)
    autoencoder.load_state_dict(load(args.autoencoder, args.device))
    model = Upscaler().to(args.device, memory_format=torch.channels_last)
    if args.out.exists():
        model.load_state_dict(load(args.out, args.device))
    sheet_path = args.out.with_suffix(".png")
    if args.compare:
        print(compare(model, autoencoder, sprites, sheet_path))
        return
    pool = Pool(args.pool, sprites, autoencoder, SEED)
    print(f"pool of {args.pool}", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), args.rate, betas=(0.9, 0.99))
    rng = np.random.default_rng(0)
    course = Course(
        optimizer, minutes=args.minutes, rate=args.rate, batch=args.batch, unit="squares"
    )
    for step in course.steps():
        if step % 8 == 0:
            pool.refill(rng.integers(0, args.pool, 8), NOISE)
        course.note(step_of(model, optimizer, *pool.batch(rng, args.batch)))
        if step % 2000 == 1999:
            torch.save(model.state_dict(), args.out)
            print(compare(model, autoencoder, sprites, sheet_path), flush=True)
    torch.save(model.state_dict(), args.out)
    print(compare(model, autoencoder, sprites, sheet_path), flush=True)


if __name__ == "__main__":
    main()
