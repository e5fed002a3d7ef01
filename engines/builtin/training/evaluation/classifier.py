"""An independent judge of the model's pictures: which of the sixty concepts does it see?

``python -m engines.builtin.training.evaluation.classifier --sprites DIR --out FILE [--minutes N]``
trains a small network on fresh pictures of the generator (never on the model's), or trains the one
in the file further, then measures it on others: the threshold of each concept is chosen on one half
of them, what is printed comes from the other half. No judgement of the model can be better than
these figures.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engines.builtin.training.data.generator import make
from engines.builtin.training.data.labels import CONCEPTS, OBJECTS, label
from engines.builtin.training.data.things import Sprites, Thing, things
from engines.builtin.training.loop import add_device, load, mix_precision

TRAINING_SEED = 31
HELD_OUT_SEED = 32
"""Seeds of the generator; the model is trained on others."""

HELD_OUT = 8192
ALARMS_MAXIMUM = 0.02
BATCH = 64
RATE = 3e-3


class Block(nn.Module):
    """Two 3x3 convolutions beside a short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.b = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.one, self.two = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, refined."""
        return F.relu(x + self.two(self.b(F.relu(self.one(self.a(x))))))


class Classifier(nn.Module):
    """RGB pictures (B, 3, 128, 128) in [-1, 1] to one logit a concept."""

    def __init__(self) -> None:
        super().__init__()

        def halve(i: int, o: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)
            )

        self.body = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, 64, 3, padding=1), Block(64), halve(64, 128),
            Block(128), halve(128, 224), Block(224),
        )  # fmt: skip
        self.head = nn.Linear(2 * 224, len(CONCEPTS))

    def forward(self, x: Tensor) -> Tensor:
        """(B, concepts) logits."""
        y = self.body(x).float()
        return self.head(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1))


@dataclass(frozen=True, slots=True)
class Judge:
    """A trained classifier with its thresholds and its own limits, one of each a concept.

    `recall`: the share of held-out pictures with the concept in which it is found.
    `alarms`: the share of those without it in which it is found all the same.
    """

    model: Classifier
    thresholds: Tensor
    recall: list[float]
    alarms: list[float]

    def find(self, images: Sequence[Image.Image]) -> list[set[str]]:
        """The concepts found in each RGB image of 128x128."""
        data = torch.from_numpy(np.stack([np.asarray(i) for i in images]))
        seen = score(self.model, data) > self.thresholds
        return [{c for c, yes in zip(CONCEPTS, row, strict=True) if yes} for row in seen.tolist()]


def load_judge(path: Path) -> Judge:
    """Read what `main` wrote."""
    state = load(path)
    model = Classifier()
    model.load_state_dict(state["model"])
    model.eval().to(memory_format=torch.channels_last)
    return Judge(model, state["thresholds"], state["recall"], state["alarms"])


def _draw(
    index: int, seed: int, sprites: Sprites, most: int
) -> tuple[np.ndarray, tuple[list[float], list[float]]]:
    """Picture `index` with its labels; into most scenes up to `most` more things are put."""
    image, _, facts = make(index, sprites, seed=seed)
    rng = random.Random(f"{seed}:added:{index}")
    extra = []
    if facts.hour and not facts.style and rng.random() < 0.8:
        for _ in range(rng.randint(1, most)):
            thing = rng.choice(things())
            if rng.random() < 0.7:
                thing = _kind(rng.choice(OBJECTS))
            side = rng.choice((36, 40, 44, 48, 56))
            sprite = sprites.sized(thing, side)
            if rng.random() < 0.5:
                sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            dim = 0.62 if facts.hour in ("night", "storm") else 0.92
            paper = sprite.convert("RGB").point(
                [round(v * dim) for _ in range(3) for v in range(256)]
            )
            image.paste(paper, (rng.randint(0, 128 - side), rng.randint(24, 126 - side)), sprite)
            extra.append(thing.name)
    return np.asarray(image), label(facts, tuple(extra))


@cache
def _kind(name: str) -> Thing:
    return next(thing for thing in things() if thing.name == name)


def make_batch(
    first: int, count: int, seed: int, sprites: Sprites, most: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (B, 128, 128, 3) in 8 bits, presence and knowledge of their concepts."""
    drawn = [_draw(k, seed, sprites, most) for k in range(first, first + count)]
    data = torch.from_numpy(np.stack([picture for picture, _ in drawn]))
    present = torch.tensor([labels[0] for _, labels in drawn])
    known = torch.tensor([labels[1] for _, labels in drawn])
    return data, present, known


def prepare(data: Tensor) -> Tensor:
    """8-bit pictures to the network's input."""
    x = data.permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def disturb(x: Tensor) -> Tensor:
    """Blur, noise, another light and a shift, so that no fine grain decides."""
    dx, dy = (int(v) for v in torch.randint(0, 9, (2,)))
    x = F.pad(x, (4, 4, 4, 4), mode="replicate")[:, :, dy : dy + 128, dx : dx + 128]
    third = x.shape[0] // 3
    soft = F.avg_pool2d(x[:third], 3, 1, 1, count_include_pad=False)
    x[:third] += torch.rand(third, 1, 1, 1, device=x.device) * (soft - x[:third])
    x[third : 2 * third] += 0.06 * float(torch.rand(1)) * torch.randn_like(x[third : 2 * third])
    lamp = torch.randn(len(x), 4, 1, 1, device=x.device)
    x.mul_(1 + 0.12 * lamp[:, :1]).add_(0.06 * lamp[:, 1:])
    x[::2] = x[::2].flip(3)
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def score(model: Classifier, data: Tensor) -> Tensor:
    """(B, concepts) logits of 8-bit pictures."""
    device = model.head.weight.device
    with mix_precision(device):
        return torch.cat([model(prepare(part.to(device))).cpu() for part in data.split(256)])


def choose_thresholds(logits: Tensor, present: Tensor, known: Tensor) -> Tensor:
    """For each concept the logit at which recall less false alarms is highest.

    Only logits with false alarms of at most `ALARMS_MAXIMUM` are considered.
    """
    chosen = []
    for k in range(logits.shape[1]):
        use = known[:, k] > 0
        order = logits[use, k].sort()
        yes = present[use, k][order.indices]
        missed = yes.cumsum(0) / yes.sum().clamp(min=1)
        refused = (1 - yes).cumsum(0) / (1 - yes).sum().clamp(min=1)
        gain = (refused - missed).where(refused >= 1 - ALARMS_MAXIMUM, -1)
        best = int(gain.argmax())
        values = order.values
        chosen.append(values[best : best + 2].mean())
    return torch.stack(chosen)


def measure(
    logits: Tensor, thresholds: Tensor, present: Tensor, known: Tensor
) -> tuple[list[float], list[float]]:
    """Recall and false alarms of each concept."""
    found = (logits > thresholds).float()
    with_it, without = present * known, (1 - present) * known
    recall = (found * with_it).sum(0) / with_it.sum(0).clamp(min=1)
    alarms = (found * without).sum(0) / without.sum(0).clamp(min=1)
    return recall.tolist(), alarms.tolist()


def train(model: Classifier, sprites: Sprites, seen: int, minutes: float, rate: float) -> int:
    """Train in place for `minutes` of processor time, after `seen` pictures; pictures seen now."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    device = model.head.weight.device
    importance = torch.tensor([2.0 if name in OBJECTS else 1.0 for name in CONCEPTS]).to(device)
    begin, step, total = time.process_time(), 0, 60 * minutes
    while (passed := time.process_time() - begin) < total:
        part = min(1.0, (step + 1) / 100, 2.2 * (1 - passed / total) + 0.01)
        optimizer.param_groups[0]["lr"] = rate * part
        made = make_batch(seen, BATCH, TRAINING_SEED, sprites, 3)
        data, present, known = (part.to(device) for part in made)
        with mix_precision(device):
            logits = model(disturb(prepare(data)))
        losses = F.binary_cross_entropy_with_logits(logits.float(), present, reduction="none")
        loss = (losses * known * importance).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step, seen = step + 1, seen + BATCH
        if step % 100 == 0:
            print(f"{seen} pictures, loss {loss.item():.3f}", flush=True)
    return seen


def main() -> None:
    """Command line: train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, required=True, help="unpacked emoji package")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6, help="processor time, 1 thread")
    parser.add_argument("--rate", type=float, default=RATE, help="highest learning rate")
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    sprites, seen = Sprites(args.sprites), 0
    model = Classifier().to(args.device, memory_format=torch.channels_last)
    if args.out.exists():
        state = load(args.out, args.device)
        model.load_state_dict(state["model"])
        seen = state["pictures"]
    seen = train(model, sprites, seen, args.minutes, args.rate)
    model.eval()
    data, present, known = make_batch(0, HELD_OUT, HELD_OUT_SEED, sprites)
    logits, half = score(model, data), HELD_OUT // 2
    thresholds = choose_thresholds(logits[:half], present[:half], known[:half])
    recall, alarms = measure(logits[half:], thresholds, present[half:], known[half:])
    torch.save(
        {
            "model": model.state_dict(), "thresholds": thresholds, "recall": recall,
            "alarms": alarms, "pictures": seen,
        },
        args.out,
    )  # fmt: skip
    print("| concept | found when there | found when not there |\n| --- | ---: | ---: |")
    for name, hit, alarm in zip(CONCEPTS, recall, alarms, strict=True):
        print(f"| {name} | {hit:.1%} | {alarm:.2%} |")
    print(f"{seen} pictures; means {np.mean(recall):.1%}, {np.mean(alarms):.2%}")


if __name__ == "__main__":
    main()
