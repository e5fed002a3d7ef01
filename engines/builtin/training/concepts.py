"""Measures whether the model draws what it is asked for.

An independent classifier is trained on the generator's pictures, never on the model's, and then
asked what is in pictures that the exported model makes.

``python -m engines.builtin.training.concepts train --sprites DIR --latents DIR --out FILE`` and
``… measure --autoencoder FILE --classifier FILE --weights DIR``, which prints two tables: how
often each concept is found when it is asked for, and how often clouds are there by the weight of
"clouds".
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engines.builtin.training.autoencoder import CHANNELS, Autoencoder
from engines.builtin.training.generator import make
from engines.builtin.training.lands import FARS
from engines.builtin.training.latents import SEED, SHARD, SIZES
from engines.builtin.training.skies import HOURS
from engines.builtin.training.styles import STYLES
from engines.builtin.training.things import Sprites, things

GROUNDS = (
    "sea", "lake", "beach", "meadow", "flower field", "desert", "snow field", "forest", "town",
    "japanese town", "city", "harbour",
)  # fmt: skip
FEATURES = ("clouds", "stars", "moon", "sun", "rain", "snow", "lightning", "rainbow")
SCENES = (*HOURS, *FEATURES, *FARS, *GROUNDS)
CONCEPTS = (*SCENES, *STYLES, *(t.name for t in things()))
CLOUDY_PROMPTS = (
    "cloudy sky above the sea", "meadow, blue sky, clouds", "cloudy night sky above japanese town",
    "sunset, pink clouds, beach", "mountains under white clouds", "clouds over a snow field",
)  # fmt: skip
SKY_PROMPTS = (
    "beautiful night sky above japanese town, anime style", "blue sky above the sea",
    "sunset over mountains", "night sky over a town", "blue sky, meadow", "dawn above a lake",
)  # fmt: skip


class Classifier(nn.Module):
    """From a picture's latent to one number a concept, above 0 for present."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(CHANNELS, 96, 3, padding=1)
        self.b = nn.Conv2d(96, 160, 3, padding=1, stride=2)
        self.c = nn.Conv2d(160, 256, 3, padding=1, stride=2)
        self.hidden = nn.Linear(256 * 16, 512)
        self.out = nn.Linear(512, len(CONCEPTS))

    def forward(self, z: Tensor) -> Tensor:
        """(B, CHANNELS, 16, 16) to (B, concepts)."""
        x = F.relu(self.c(F.relu(self.b(F.relu(self.a(z))))))
        found: Tensor = self.out(F.dropout(F.relu(self.hidden(x.flatten(1))), 0.3, self.training))
        return found


def encode(model: Autoencoder, pictures: list[Image.Image]) -> Tensor:
    """Latents of 128x128 pictures."""
    data = np.stack([np.asarray(p.convert("RGB")) for p in pictures])
    x = torch.from_numpy(data).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return model.encode(x).float()


def train(sprites: Sprites, shards: list[Path], epochs: int) -> Classifier:
    """A classifier from shards of the generator's square pictures; prints how good it is."""
    index = {name: k for k, name in enumerate(CONCEPTS)} | {"crescent moon": CONCEPTS.index("moon")}
    latents, rows = [], []
    for path in shards:
        with np.load(path) as shard:
            latents.append(torch.from_numpy(shard["z"]).float())
        for k in range(SHARD):
            facts = make(int(path.stem) * SHARD + k, sprites, seed=SEED)[2]
            row = torch.zeros(len(CONCEPTS))
            row[[index[name] for name in facts.concepts() if name in index]] = 1
            rows.append(row)
    labels, count = torch.stack(rows), len(rows)
    z, held = torch.cat(latents), count // 20
    net = Classifier()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.02)
    total = epochs * ((count - held) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total)
    for _ in range(total):
        some = torch.randint(held, count, (128,))
        x = z[some] + 0.1 * torch.randn(128, CHANNELS, 16, 16)
        with torch.autocast("cpu", torch.bfloat16):
            out = net(x)
        loss = F.binary_cross_entropy_with_logits(out.float(), labels[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()
    with torch.no_grad():
        said, true = net(z[:held]) > 0, labels[:held] > 0
    hit = (said & true).sum(0) / true.sum(0).clamp(min=1)
    scenes = slice(0, len(SCENES))
    print(f"held-out recall: scenes {hit[scenes].mean():.3f}, all {hit[true.any(0)].mean():.3f}")
    cloud = CONCEPTS.index("clouds")
    print(f"clouds: right in {(said[:, cloud] == true[:, cloud]).float().mean():.3f}")
    return net


class Asker:
    """Makes pictures with the exported model and asks the classifier about them."""

    def __init__(self, weights: Path, model: Autoencoder, net: Classifier, steps: int) -> None:
        from engines.builtin.pipeline import Pipeline
        from engines.builtin.weights import load_weights

        self._pipeline = Pipeline(load_weights(weights))
        self._model, self._net, self._steps = model, net, steps

    def ask(self, prompts: tuple[tuple[str, float], ...], seed: int, cfg: float = 7.0) -> Tensor:
        """Which concepts are in the picture of these prompts: booleans in the order of CONCEPTS."""
        from engines.base import Produced
        from engines.builtin.capabilities import MODEL
        from store.request import Parameters, Prompt, PromptStack, Request

        stack = PromptStack(prompts=tuple(Prompt(text=t, weight=w) for t, w in prompts))
        parameters = Parameters(
            seed=seed, steps=self._steps, cfg_scale=cfg, sampler="k_dpmpp_2m",
            width=128, height=128, style_preset=None,
        )  # fmt: skip
        request = Request(engine="builtin", model=MODEL, stack=stack, parameters=parameters)
        for event in self._pipeline.generate(request):
            if isinstance(event, Produced) and event.data is not None:
                image = Image.open(io.BytesIO(event.data), formats=["PNG"])
        with torch.no_grad():
            found: Tensor = self._net(encode(self._model, [image]))[0] > 0
        return found


def measure_concepts(asker: Asker, names: tuple[str, ...], seeds: int) -> None:
    """Print how often each concept is found when its name is the prompt."""
    everything = []
    print("| concept | found when asked | found when another was asked |\n| --- | --- | --- |")
    for name in names:
        rows = [asker.ask(((name, 1.0),), seed) for seed in range(1, seeds + 1)]
        everything.append(torch.stack(rows).float().mean(0))
    table = torch.stack(everything)
    shares = []
    for k, name in enumerate(names):
        at = CONCEPTS.index(name)
        others = torch.cat([table[:k, at], table[k + 1 :, at]]).mean()
        shares.append(float(table[k, at]))
        print(f"| {name} | {100 * table[k, at]:.0f} % | {100 * others:.0f} % |")
    print(f"| mean | {100 * np.mean(shares):.0f} % | |")


def measure_clouds(asker: Asker, seeds: int) -> None:
    """Print how often clouds are there by the weight of a second prompt, "clouds"."""
    at = CONCEPTS.index("clouds")
    print("| weight of clouds | cloudy prompts | prompts that do not say |\n| --- | --- | --- |")
    for weight in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0):
        shares = []
        for prompts in (CLOUDY_PROMPTS, SKY_PROMPTS):
            found = [
                bool(asker.ask(((p, 1.0), ("clouds", weight)), seed)[at])
                for p in prompts
                for seed in range(1, seeds + 1)
            ]
            shares.append(f"{100 * np.mean(found):.0f} %")
        print(f"| {weight:g} | {shares[0]} | {shares[1]} |", flush=True)


def main() -> None:
    """Command line: train the classifier, or measure with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("train", "measure"))
    parser.add_argument("--autoencoder", type=Path)
    parser.add_argument("--sprites", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--latents", type=Path, help="folder of shards")
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--things", type=int, default=30, help="how many things to ask for")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.time()
    if args.action == "train":
        shards = sorted(args.latents.glob("*.npz"))
        square = [p for p in shards if SIZES[int(p.stem) % len(SIZES)] == (128, 128)]
        net = train(Sprites(args.sprites), square[: args.shards], args.epochs)
        torch.save(net.state_dict(), args.out)
    else:
        model = Autoencoder().eval()
        model.load_state_dict(torch.load(args.autoencoder))
        net = Classifier().eval()
        net.load_state_dict(torch.load(args.classifier))
        asker = Asker(args.weights, model, net, args.steps)
        measure_clouds(asker, args.seeds)
        every = [t.name for t in things()]
        chosen = every[:: max(1, len(every) // args.things)][: args.things]
        measure_concepts(asker, (*SCENES, *chosen), args.seeds)
    print(f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
