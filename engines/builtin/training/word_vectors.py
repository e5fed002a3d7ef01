"""The vocabulary: words of the captions and common English words near them, with vectors.

``python -m engines.builtin.training.word_vectors --sprites DIR --sentence-model DIR --out FILE``.
The vectors are distilled from a sentence model (all-MiniLM-L6-v2, Apache License 2.0), so that
near words land near. The sentence model is needed here only.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

WIDTH = 96
LENGTH = 77
"""Tokens of a prompt at most, the start token included, as many as Stable Diffusion reads."""
SHORT = 24
"""Tokens of most captions at most."""

_WORD = re.compile(r"[a-z0-9]+")


def split(text: str) -> list[str]:
    """The words of a text: lower case, letters and digits only."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """Words and their vectors. Index 0 is the start token; its vector is zero."""

    def __init__(self, words: list[str], vectors: np.ndarray, trained: int) -> None:
        self.words = words
        self.vectors = vectors
        self.trained = trained
        self.index = {word: k for k, word in enumerate(words)}

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what ``main`` wrote."""
        with np.load(path) as data:
            return cls(list(data["words"]), data["vectors"], int(data["trained"]))

    def encode(self, text: str, limit: int = LENGTH, length: int = LENGTH) -> np.ndarray:
        """``length`` token numbers of a caption: the start token, then words; -1 fills up.

        Words after the first ``limit`` tokens are left out.
        """
        ids = [0, *(self.index[w] for w in split(text) if w in self.index)][:limit]
        return np.array(ids + [-1] * (length - len(ids)), np.int16)


class SentenceModel:
    """A BERT encoder with mean pooling, just enough to embed single words."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        self._w = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self.words = (folder / "vocab.txt").read_text().split("\n")

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._w[f"{name}.weight"], self._w[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], self._w[f"{name}.weight"], self._w[f"{name}.bias"], 1e-12
        )

    @torch.no_grad()
    def embed(self, text: str) -> Tensor:
        """The unit vector of a text."""
        ids = torch.tensor(self._tokenizer.encode(text).ids)
        x = self._w["embeddings.word_embeddings.weight"][ids]
        x = x + self._w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(
            "embeddings.LayerNorm", x + self._w["embeddings.token_type_embeddings.weight"][0]
        )
        for k in range(6):
            at = f"encoder.layer.{k}"
            q, key, v = (
                self._linear(f"{at}.attention.self.{n}", x).view(len(ids), 12, 32).transpose(0, 1)
                for n in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(q, key, v).transpose(0, 1).reshape(len(ids), 384)
            x = self._norm(
                f"{at}.attention.output.LayerNorm",
                x + self._linear(f"{at}.attention.output.dense", mixed),
            )
            hidden = F.gelu(self._linear(f"{at}.intermediate.dense", x))
            x = self._norm(f"{at}.output.LayerNorm", x + self._linear(f"{at}.output.dense", hidden))
        return F.normalize(x.mean(0), dim=0)


def caption_words(sprites: Path, count: int) -> list[str]:
    """Words that occur in the first ``count`` captions, the commonest first."""
    from collections import Counter

    from engines.builtin.training.data.generator import make
    from engines.builtin.training.data.things import Sprites

    loaded, seen = Sprites(sprites), Counter[str]()
    for k in range(count):
        seen.update(split(make(k, loaded, (64, 64))[1]))
    return [word for word, _ in seen.most_common()]


def main() -> None:
    """Command line: write the vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, required=True)
    parser.add_argument("--sentence-model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=5000, help="words in all")
    parser.add_argument("--captions", type=int, default=30000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = SentenceModel(args.sentence_model)
    trained = caption_words(args.sprites, args.captions)
    known = set(trained)
    plain = re.compile(r"[a-z]{3,}")
    others = [w for w in model.words if plain.fullmatch(w) and w not in known]
    a = torch.stack([model.embed(w) for w in trained])
    b = torch.stack([model.embed(w) for w in others])
    nearness = (b @ a.T).max(dim=1).values
    best = nearness.argsort(descending=True)[: args.size - len(trained) - 1]
    best = best[nearness[best] > 0.42]
    words = trained + [others[int(k)] for k in best]
    table = torch.cat([a, b[best]])
    centre = a.mean(0)
    _, scale, axes = torch.linalg.svd(a - centre, full_matrices=False)
    # Half whitening: enough to part words that are neighbours, not so much that noise rules.
    basis = axes[:WIDTH].T / scale[:WIDTH].sqrt()
    small = F.normalize((table - centre) @ basis, dim=1) * WIDTH**0.5
    vectors = np.concatenate([np.zeros((1, WIDTH)), small.numpy()]).astype(np.float32)
    np.savez(args.out, words=np.array(["", *words]), vectors=vectors, trained=len(trained) + 1)
    print(f"{len(trained)} caption words, {len(words)} words in all")
    for probe in ("kitten", "automobile", "ocean", "cottage", "nightfall"):
        if probe in words:
            row = small @ small[words.index(probe)]
            print(probe, [words[int(k)] for k in row.topk(6).indices])


if __name__ == "__main__":
    main()
