"""The text encoder and the denoiser, in PyTorch.

Shapes of the denoiser for a 128x128 picture: latents 12x16x16; a thin convolution stage at
16x16; 8x8 tokens of 256 values in the middle. Everything is made of matrix products, ReLU,
squared ReLU, square roots and one softmax, so that numpy can follow it exactly and fast.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engines.builtin.training.train_autoencoder import CHANNELS
from engines.builtin.training.word_vectors import LENGTH


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the networks."""

    width: int = 256
    hidden: int = 1024
    layers: int = 6
    heads: int = 4
    fine: int = 64
    text: int = 128
    text_layers: int = 2
    vector: int = 96
    length: int = LENGTH
    knots: int = 33
    channels: int = CHANNELS

    def as_dict(self) -> dict[str, int]:
        """The sizes by name, for the manifest."""
        return asdict(self)


def rms(x: Tensor) -> Tensor:
    """Divide by the root mean square over the last axis, computed in float32."""
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def relu2(x: Tensor) -> Tensor:
    """Squared ReLU."""
    y = F.relu(x)
    return y * y


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention of (B, H, N, D) heads; ``mask`` is added to the scores."""
    scores = (q @ k.transpose(-1, -2)).float() + mask
    return scores.softmax(-1).to(v.dtype) @ v


class TextEncoder(nn.Module):
    """Word vectors to text tokens: a learned shift of trained words, then two small layers."""

    def __init__(self, shape: Shape, vectors: Tensor, trained: int) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)
        self.shift = nn.Parameter(torch.zeros(trained, shape.vector))
        self.enter = nn.Linear(shape.vector, shape.text)
        self.places = nn.Parameter(torch.randn(shape.length, shape.text) * 0.1)
        d = shape.text
        self.heads = 4
        self.qkv = nn.ModuleList(nn.Linear(d, 3 * d, bias=False) for _ in range(shape.text_layers))
        self.out = nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(shape.text_layers))
        self.up = nn.ModuleList(nn.Linear(d, 3 * d) for _ in range(shape.text_layers))
        self.down = nn.ModuleList(nn.Linear(3 * d, d) for _ in range(shape.text_layers))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) token numbers, -1 for none: (B, T, text) tokens and the (B, 1, 1, T) mask."""
        absent = ids < 0
        mask = torch.zeros(ids.shape, device=ids.device).masked_fill(absent, -30000.0)[
            :, None, None, :
        ]
        safe = ids.clamp(min=0)
        shift = torch.cat([self.shift, self.shift.new_zeros(1, self.shift.shape[1])])
        words = self.vectors[safe] + shift[safe.clamp(max=self.shift.shape[0])]
        x = self.enter(words) + self.places[: ids.shape[1]]
        b, t, d = x.shape
        for qkv, out, up, down in zip(self.qkv, self.out, self.up, self.down, strict=True):
            q, k, v = qkv(rms(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
            mixed = attend(q * (d // self.heads) ** -0.5, k, v, mask)
            x = x + out(mixed.transpose(1, 2).reshape(b, t, d))
            x = x + down(relu2(up(rms(x))))
        return rms(x), mask


class Layer(nn.Module):
    """Attention over image and text tokens beside an MLP: one product in, one out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.heads, self.hidden = shape.heads, shape.hidden
        self.enter = nn.Linear(d, 3 * d + shape.hidden, bias=False)
        self.leave = nn.Linear(d + shape.hidden, d, bias=False)
        self.text = nn.Linear(shape.text, 2 * d, bias=False)
        self.sharp = nn.Parameter(torch.full((shape.heads, 1), 1.0))
        self.table = nn.Parameter(torch.zeros(3, d))
        nn.init.normal_(self.leave.weight, std=0.02)

    def forward(self, x: Tensor, text: Tensor, mask: Tensor, mod: Tensor) -> Tensor:
        """(B, N, d) tokens, (B, T, text) text, (B, 1, 1, N+T) mask, (B, 3, 1, d) modulation."""
        b, n, d = x.shape
        size = d // self.heads
        scale, shift, gate = (mod + self.table[:, None]).unbind(1)
        inner = self.enter(rms(x) * (1 + scale) + shift)
        q, k, v, m = inner.split((d, d, d, self.hidden), -1)
        tk, tv = self.text(text).view(b, -1, 2, self.heads, size).permute(2, 0, 3, 1, 4)
        q, k, v = (z.view(b, n, self.heads, size).transpose(1, 2) for z in (q, k, v))
        q = (rms(q) * (self.sharp[:, None] * size**-0.5)).to(v.dtype)
        k = torch.cat([rms(k).to(v.dtype), rms(tk).to(v.dtype)], 2)
        mixed = attend(q, k, torch.cat([v, tv.to(v.dtype)], 2), mask)
        wide = torch.cat([mixed.transpose(1, 2).reshape(b, n, d), relu2(m)], -1)
        return x + (1 + gate) * self.leave(wide)


class FineBlock(nn.Module):
    """Two 3x3 convolutions with a shift by time and text between them."""

    def __init__(self, width: int, cond: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        self.shift = nn.Linear(cond, width)
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """The same shape, refined."""
        return x + self.b(F.relu(self.a(F.relu(x)) + self.shift(cond)[:, :, None, None]))


class Denoiser(nn.Module):
    """Predicts the clean latent from a noisy one, the time and the text."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        d, f = shape.width, shape.fine
        self.time_in = nn.Linear(shape.knots, d)
        self.time_out = nn.Linear(d, d)
        self.pool = nn.Linear(shape.text, d)
        self.modulate = nn.Linear(d, 3 * d)
        nn.init.zeros_(self.modulate.weight)
        self.conv_in = nn.Conv2d(shape.channels, f, 3, padding=1)
        self.fine_in = FineBlock(f, d)
        self.patch = nn.Linear(4 * f, d)
        self.rows = nn.ParameterDict(
            {str(n): nn.Parameter(torch.randn(n, 1, d) * 0.1) for n in (8, 12)}
        )
        self.cols = nn.ParameterDict(
            {str(n): nn.Parameter(torch.randn(1, n, d) * 0.1) for n in (8, 12)}
        )
        self.grids = nn.ParameterDict(
            {f"{h}x{w}": nn.Parameter(torch.zeros(h, w, d)) for h, w in ((8, 8), (8, 12), (12, 8))}
        )
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.unpatch = nn.Linear(d, 4 * f)
        self.fine_out = nn.ModuleList(FineBlock(f, d) for _ in range(2))
        self.conv_out = nn.Conv2d(f, shape.channels, 3, padding=1)

    def condition(self, t: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Time (B,) in 0..1 and text to the (B, d) condition; hat functions of the time."""
        knots = torch.arange(self.shape.knots, device=t.device)
        hats = F.relu(1 - (t[:, None] * (self.shape.knots - 1) - knots).abs())
        present = (mask[:, 0, 0, :, None] > -1).float()
        mean = (text.float() * present).sum(1) / present.sum(1)
        return relu2(self.time_out(relu2(self.time_in(hats))) + self.pool(mean))

    def forward(self, z: Tensor, t: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Noisy latents (B, C, h, w), time (B,), text tokens and mask: clean latents."""
        b, _, h, w = z.shape
        cond = self.condition(t, text, mask)
        fine = self.fine_in(self.conv_in(z), cond)
        x = F.pixel_unshuffle(fine, 2).flatten(2).transpose(1, 2)
        rows, cols = h // 2, w // 2
        place = self.rows[str(rows)] + self.cols[str(cols)] + self.grids[f"{rows}x{cols}"]
        x = self.patch(x).float() + place.flatten(0, 1)
        mod = self.modulate(cond).float().view(b, 3, 1, -1)
        full = torch.cat([mask.new_zeros(b, 1, 1, rows * cols), mask], -1)
        for layer in self.layers:
            x = layer(x, text, full, mod)
        scale, shift, _ = mod.unbind(1)
        y = self.unpatch(rms(x) * (1 + scale) + shift)
        y = F.pixel_shuffle(y.transpose(1, 2).unflatten(2, (rows, cols)), 2)
        y = y.to(fine.dtype) + fine
        for block in self.fine_out:
            y = block(y, cond)
        return self.conv_out(F.relu(y)).float()


class Model(nn.Module):
    """Text encoder and denoiser together, as they are trained."""

    def __init__(self, shape: Shape, vectors: Tensor, trained: int) -> None:
        super().__init__()
        self.text = TextEncoder(shape, vectors, trained)
        self.denoiser = Denoiser(shape)

    def forward(self, z: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """Clean latents predicted from noisy ones."""
        text, mask = self.text(ids)
        clean: Tensor = self.denoiser(z, t, text, mask)
        return clean
