"""Training of text encoder and denoiser on shards of latents.

``python -m engines.builtin.training.train_denoiser --latents DIR --words FILE --out FILE --until
HH:MM`` trains until that time of day, saves ``FILE`` every few minutes and resumes from it.

The recipe: flow matching, z = t x + (1 - t) noise, the network predicts x, the square error is
weighted by 1 / (1 - t)^2, t is logit-normal; some captions are dropped; Muon for the
matrices of the layers and AdamW for the rest; a moving average of the weights is what is kept.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.builtin.training.data.generator import Kind, tell_kind
from engines.builtin.training.data.latents import SEED
from engines.builtin.training.loop import add_device, load, mix_precision
from engines.builtin.training.networks import Layer, Model, Shape
from engines.builtin.training.word_vectors import LENGTH, SHORT, Vocabulary

LONG_SHARE = 0.06
"""Of the batches: those with long captions."""

SHARES: dict[Kind, float] = {"alone": 0.34, "cloudy": 0.43, "clear": 0.23}
"""Kinds of pictures in a batch."""

SILENT: dict[Kind, float] = {"alone": 0.1, "cloudy": 0.04, "clear": 0.18}
"""Of each kind, how many captions are dropped.

The picture without a text is what guidance leads away from. Clear skies prevail there, so that
what usually brings clouds brings them, and "clouds" with a negative weight has something to
lead away from as well.
"""


class Pool:
    """Latents and captions by shape; new shards are read as they appear."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[str] = set()
        self.z: dict[tuple[int, int], list[np.ndarray]] = {}
        self.ids: dict[tuple[int, int], list[np.ndarray]] = {}
        self.rng = np.random.default_rng()
        self.places: dict[tuple[tuple[int, int], Kind], np.ndarray] = {}

    def refresh(self, limit: int = 1000) -> int:
        """Read at most ``limit`` new shards; the number of pictures at hand."""
        fresh = [p for p in sorted(self.folder.glob("*.npz")) if p.name not in self.seen]
        for path in fresh[:limit]:
            with np.load(path) as data:
                key = (data["z"].shape[2], data["z"].shape[3])
                self.z.setdefault(key, []).append(data["z"])
                self.ids.setdefault(key, []).append(data["ids"])
                self._sort(int(path.stem), key, len(data["z"]))
            self.seen.add(path.name)
        return sum(len(a) for shards in self.z.values() for a in shards)

    def _sort(self, number: int, key: tuple[int, int], count: int) -> None:
        """Note the kinds of the pictures of a new shard."""
        shard, size = len(self.z[key]) - 1, (key[1] * 8, key[0] * 8)
        kinds = np.array([tell_kind(number * count + k, size, SEED) for k in range(count)])
        for kind in SHARES:
            rows = np.flatnonzero(kinds == kind)
            fresh = np.stack([np.full_like(rows, shard), rows], 1)
            known = self.places.get((key, kind), fresh[:0])
            self.places[key, kind] = np.concatenate([known, fresh])

    def batch(self, size: int, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Random pictures of one shape, as `SHARES` has them; one caption of each, or none."""
        shards = self.z[shape]
        kinds = list(SHARES)
        chosen = self.rng.choice(len(kinds), size, p=list(SHARES.values()))
        tables = [self.places[shape, kind] for kind in kinds]
        picked = [tables[k][self.rng.integers(len(tables[k]))] for k in chosen]
        which, row = np.stack(picked).T
        captions = self.ids[shape][0].shape[1]
        if self.rng.random() < LONG_SHARE:
            say, length = np.full(size, captions - 1), LENGTH
        else:
            say, length = self.rng.integers(0, captions - 1, size), SHORT
        z = np.stack([shards[s][r] for s, r in zip(which, row, strict=True)])
        rows = zip(which, row, say, strict=True)
        ids = np.stack([self.ids[shape][s][r, c, :length] for s, r, c in rows])
        silent = self.rng.random(size) < np.array([SILENT[kind] for kind in kinds])[chosen]
        ids[silent, 1:] = -1
        return torch.from_numpy(z).float(), torch.from_numpy(ids).long()


def statistics(pool: Pool) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel over the square latents at hand, shaped for use."""
    z = torch.from_numpy(np.concatenate(pool.z[16, 16][:4])).float()
    return z.mean((0, 2, 3))[:, None, None], z.std((0, 2, 3))[:, None, None]


def optimizers(model: Model, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for everything else."""
    named = [(n, p) for n, p in model.named_parameters() if p.ndim == 2]
    deep = ("layers.", "qkv", ".up.", ".down.")
    matrices = [
        p
        for n, p in named
        if any(part in n for part in deep) and "table" not in n and "sharp" not in n
    ]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, rate, betas=(0.9, 0.99), weight_decay=0.0),
    ]


def objective(model: Model, x: Tensor, ids: Tensor) -> Tensor:
    """The loss of one batch of normalised latents."""
    b = x.shape[0]
    t = torch.sigmoid(torch.randn(b, device=x.device) - 0.5)
    noise = torch.randn_like(x)
    level = t[:, None, None, None]
    with mix_precision(x.device):
        clean = model(level * x + (1 - level) * noise, t, ids)
    error = (clean.float() - x).square().mean((1, 2, 3))
    return (error / (1 - t).clamp(min=0.05).square()).mean()


def load_average(
    path: Path, vocabulary: Vocabulary, device: torch.device
) -> tuple[Model, Tensor, Tensor]:
    """The trained network of a checkpoint, and mean and deviation of the latents."""
    state = load(path, device)
    model = Model(Shape(), torch.from_numpy(vocabulary.vectors), vocabulary.trained)
    model.load_state_dict({**state["model"], **state["average"]})
    return model.eval().to(device), state["mean"], state["deviation"]


def save(path: Path, state: dict[str, object]) -> None:
    """Write a checkpoint so that a crash leaves the old one."""
    partial = path.with_suffix(".tmp")
    torch.save(state, partial)
    partial.rename(path)


def main() -> None:
    """Command line: train until a time of day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--until", required=True, help="HH:MM, local time")
    parser.add_argument(
        "--decay", type=float, default=20, help="minutes of falling rate at the end"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--keep", type=float, default=0.995, help="of the moving average a step")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps")
    parser.add_argument("--no-compile", action="store_true")
    add_device(parser)
    args = parser.parse_args()
    hour, minute = map(int, args.until.split(":"))
    end = datetime.datetime.now().replace(hour=hour, minute=minute, second=0).timestamp()
    torch.set_num_threads(1)
    pool = Pool(args.latents)
    while pool.refresh() < 8 * 2048:
        time.sleep(2)
    vocabulary = Vocabulary.load(args.words)
    model = Model(Shape(), torch.from_numpy(vocabulary.vectors), vocabulary.trained)
    model.to(args.device)
    if not args.no_compile:
        Layer.forward = torch.compile(Layer.forward)  # type: ignore[method-assign]
    both = optimizers(model, args.rate)
    average = {n: p.detach().clone() for n, p in model.named_parameters()}
    step, (mean, deviation) = 0, (s.to(args.device) for s in statistics(pool))
    if args.out.exists():
        state = load(args.out, args.device)
        model.load_state_dict(state["model"])
        average, step = state["average"], state["step"]
        mean, deviation = state["mean"], state["deviation"]
        for optimizer, saved in zip(both, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    def checkpoint() -> None:
        save(args.out, {
            "model": model.state_dict(), "average": average, "step": step, "mean": mean,
            "deviation": deviation, "optimizers": [o.state_dict() for o in both],
        })  # fmt: skip

    square = ((16, 16),) * 7
    shapes = (*square, (16, 24), *square, (24, 16))
    first, begin, saved, smooth = step, time.time(), time.time(), 0.0
    while time.time() < end and (not args.steps or step < first + args.steps):
        rate = args.rate * min(1.0, (step - first + 1) / 300)
        rate *= min(1.0, (end - time.time()) / 60 / args.decay + 0.005)
        for optimizer in both:
            for group in optimizer.param_groups:
                group["lr"] = rate
        x, ids = (t.to(args.device) for t in pool.batch(args.batch, shapes[step % len(shapes)]))
        loss = objective(model, (x - mean) / deviation, ids)
        for optimizer in both:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in both:
            optimizer.step()
        step += 1
        keep = min(args.keep, (step + 1) / (step + 20))
        with torch.no_grad():
            names, now = zip(*model.named_parameters(), strict=True)
            torch._foreach_lerp_([average[n] for n in names], list(now), 1 - keep)
        smooth = 0.98 * smooth + 0.02 * loss.item() if step > first + 1 else loss.item()
        if step % 50 == 0:
            speed = (step - first) * args.batch / (time.time() - begin)
            print(f"{step} loss {smooth:.4f} rate {rate:.1e} {speed:.0f} pictures/s", flush=True)
            pool.refresh(4)
        if time.time() - saved > 180:
            checkpoint()
            saved = time.time()
    checkpoint()


if __name__ == "__main__":
    main()
