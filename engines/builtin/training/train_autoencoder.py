"""The autoencoder: pictures to latents an eighth as wide and high, and back.

``python -m engines.builtin.training.train_autoencoder --sprites DIR --out FILE --minutes M`` trains
it, resumes from ``FILE`` where that exists, and writes ``FILE`` and a sheet beside it.
Convolutions and ReLU only: cheap in numpy and free of functions that differ between machines.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engines.builtin.training.data.generator import make, sheet
from engines.builtin.training.data.things import Sprites
from engines.builtin.training.loop import Course, add_device, load, mix_precision

CHANNELS = 12
FACTOR = 8


class Block(nn.Module):
    """A residual pair of 3x3 convolutions without normalisation, the second starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, refined."""
        return x + self.b(F.relu(self.a(F.relu(x))))


class Autoencoder(nn.Module):
    """Encoder and decoder. Pictures are in [-1, 1], latents in (-3, 3)."""

    def __init__(self, fine: int = 96, coarse: int = 160) -> None:
        super().__init__()
        self.enter = nn.Conv2d(48, 64, 3, padding=1)
        self.enc_fine = Block(64)
        self.down = nn.Conv2d(64, 128, 2, stride=2)
        self.enc_coarse = nn.Sequential(Block(128), Block(128))
        self.to_latent = nn.Conv2d(128, CHANNELS, 1)
        self.from_latent = nn.Conv2d(CHANNELS, coarse, 3, padding=1)
        self.dec_coarse = nn.Sequential(Block(coarse), Block(coarse))
        self.up = nn.Conv2d(coarse, fine * 4, 1)
        self.dec_fine = nn.Sequential(Block(fine), Block(fine))
        self.leave = nn.Conv2d(fine, 48, 3, padding=1)

    def encode(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, CHANNELS, H/8, W/8)."""
        x = self.enc_fine(self.enter(F.pixel_unshuffle(picture, 4)))
        z: Tensor = self.to_latent(F.relu(self.enc_coarse(self.down(x)))).float()
        return z * torch.rsqrt(1 + z * z / 9)

    def decode(self, latent: Tensor) -> Tensor:
        """(B, CHANNELS, h, w) to (B, 3, 8h, 8w)."""
        x = self.up(F.relu(self.dec_coarse(self.from_latent(latent))))
        x = self.leave(F.relu(self.dec_fine(F.pixel_shuffle(x, 2))))
        return F.pixel_shuffle(x, 4)


def loss_of(output: Tensor, target: Tensor) -> Tensor:
    """L1 of values and of gradients, and a square term that minds small bright details."""
    gx = (output.diff(dim=3) - target.diff(dim=3)).abs().mean()
    gy = (output.diff(dim=2) - target.diff(dim=2)).abs().mean()
    return F.l1_loss(output, target) + gx + gy + 2 * F.mse_loss(output, target)


def to_tensor(images: np.ndarray) -> Tensor:
    """8-bit pictures (B, h, w, 3) to (B, 3, h, w) in [-1, 1]."""
    data = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return data.contiguous(memory_format=torch.channels_last)


def _sheet(model: Autoencoder, images: np.ndarray, path: Path, device: torch.device) -> float:
    with torch.no_grad(), mix_precision(device):
        x = to_tensor(images)
        y = model.decode(model.encode(x.to(device))).float().clamp(-1, 1).cpu()
    mse = ((x - y) / 2).square().mean().item()
    out = ((y.permute(0, 2, 3, 1) + 1) * 127.5).round().byte().numpy()
    pairs = [Image.fromarray(i) for pair in zip(images, out, strict=True) for i in pair]
    sheet(pairs, 12).save(path)
    return float(-10 * np.log10(mse))


def main() -> None:
    """Command line: train for a number of minutes and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=18)
    parser.add_argument("--pool", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--compile", action="store_true")
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sprites = Sprites(args.sprites)
    begin = time.time()
    pool = np.stack([np.asarray(make(i, sprites)[0]) for i in range(args.pool)])
    print(f"pool of {args.pool} after {time.time() - begin:.0f} s", flush=True)
    model = Autoencoder().to(args.device, memory_format=torch.channels_last)
    if args.out.exists():
        model.load_state_dict(load(args.out, args.device))
    optimizer = torch.optim.AdamW(
        model.parameters(), args.rate, betas=(0.9, 0.99), weight_decay=1e-4
    )

    def objective(x: Tensor, noise: Tensor) -> Tensor:
        with mix_precision(args.device):
            z = model.encode(x)
            y = model.decode(z + 0.1 * noise)
        return loss_of(y.float(), x) + 2e-3 * z.square().mean()

    step_of = torch.compile(objective) if args.compile else objective
    rng = np.random.default_rng(0)
    held, picture = pool[:36].copy(), args.out.with_suffix(".png")
    made = args.pool
    course = Course(optimizer, minutes=args.minutes, rate=args.rate, batch=args.batch, fall=0.45)
    for step in course.steps():
        for slot in rng.integers(36, args.pool, 4):
            pool[slot] = np.asarray(make(made, sprites)[0])
            made += 1
        x = to_tensor(pool[rng.integers(0, args.pool, args.batch)]).to(args.device)
        noise = torch.randn(args.batch, CHANNELS, 16, 16, device=args.device)
        loss = step_of(x, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        course.note(loss.item(), every=100)
        if step % 1000 == 999:
            torch.save(model.state_dict(), args.out)
            print(f"psnr {_sheet(model, held, picture, args.device):.2f} dB", flush=True)
    torch.save(model.state_dict(), args.out)
    print(f"psnr {_sheet(model, held, picture, args.device):.2f} dB", flush=True)


if __name__ == "__main__":
    main()
