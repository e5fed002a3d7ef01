"""Training data of the denoiser: latents and captions in shards, made once and read often.

``python -m engines.builtin.training.data.latents --sprites DIR --autoencoder FILE --words FILE
--out DIR --count N``. A shard holds pictures of one shape: latents ``z`` (n, C, h, w) in
float16 and ``ids`` (n, 4, T), three captions and a long one each.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch

from engines.builtin.training.data.captions import caption, long_caption
from engines.builtin.training.data.generator import make
from engines.builtin.training.data.things import Sprites
from engines.builtin.training.loop import add_device, load, mix_precision
from engines.builtin.training.train_autoencoder import Autoencoder, to_tensor
from engines.builtin.training.word_vectors import LENGTH, SHORT, Vocabulary

SHARD = 2048
SIZES = ((128, 128),) * 4 + ((192, 128), (128, 128), (128, 128), (128, 192))
CAPTIONS = 4
"""Of each picture; the last one is long."""
SEED = 3


def _shard(
    number: int,
    size: tuple[int, int],
    sprites: Sprites,
    vocabulary: Vocabulary,
    model: Autoencoder,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Latents and token numbers of the pictures of one shard."""
    latents, ids = [], []
    for first in range(number * SHARD, (number + 1) * SHARD, 64):
        made = [make(k, sprites, size, SEED) for k in range(first, first + 64)]
        data = np.stack([np.asarray(image) for image, _, _ in made])
        with torch.no_grad(), mix_precision(device):
            z = model.encode(to_tensor(data).to(device))
        latents.append(z.contiguous().half().cpu().numpy())
        for k, (_, text, facts) in enumerate(made):
            rng = random.Random(f"captions:{number}:{first + k}")
            short = [text, *(caption(facts, rng) for _ in range(CAPTIONS - 2))]
            rows = [vocabulary.encode(t, SHORT, LENGTH) for t in short]
            ids.append(np.stack([*rows, vocabulary.encode(long_caption(facts, rng))]))
    return np.concatenate(latents), np.stack(ids)


def main() -> None:
    """Command line: write shards until ``--count`` pictures are there; resumes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400_000)
    parser.add_argument("--share", default="0/1", help="K/N: only every Nth shard, from the Kth")
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sprites, vocabulary = Sprites(args.sprites), Vocabulary.load(args.words)
    model = Autoencoder().to(args.device, memory_format=torch.channels_last)
    model.load_state_dict(load(args.autoencoder, args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    start, stride = map(int, args.share.split("/"))
    for number in range(start, args.count // SHARD, stride):
        path = args.out / f"{number:05d}.npz"
        if path.exists():
            continue
        size = SIZES[number % len(SIZES)]
        z, ids = _shard(number, size, sprites, vocabulary, model, args.device)
        partial = path.with_suffix(".tmp")
        with partial.open("wb") as file:
            np.savez(file, z=z, ids=ids)
        partial.rename(path)


if __name__ == "__main__":
    main()
