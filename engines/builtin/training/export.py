"""From checkpoints to the files in the package: plain arrays, vocabulary, manifest.

``python -m engines.builtin.training.export --autoencoder FILE --denoiser FILE --upscaler FILE
--words FILE --latents DIR --out DIR --revision N``. Large matrices become int8 with one factor
a column, all else float16.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from engines.builtin.methods import METHODS
from engines.builtin.models import MODEL
from engines.builtin.training.loop import load
from engines.builtin.training.networks import Shape
from engines.builtin.training.train_autoencoder import CHANNELS, Autoencoder
from engines.builtin.training.train_upscaler import Upscaler
from engines.builtin.training.word_vectors import Vocabulary
from engines.builtin.weights import FORMAT, MANIFEST, Manifest

Arrays = dict[str, np.ndarray]


def _conv(weight: Tensor) -> np.ndarray:
    """(out, in, k, k) to (k k in, out), rows ordered by place, then channel."""
    return weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0]).numpy()


def _square_in(weight: Tensor) -> np.ndarray:
    """Inputs in PyTorch's pixel-unshuffle order (channel, place) to (place, channel)."""
    out, wide = weight.shape
    return weight.view(out, wide // 4, 4).permute(2, 1, 0).reshape(wide, out).numpy()


def _square_out(weight: Tensor, bias: Tensor, places: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Outputs in pixel-shuffle order (channel, place) to (place, channel)."""
    wide = weight.shape[0]
    w = weight.reshape(wide // places, places, -1).transpose(0, 1).reshape(wide, -1)
    return w.T.numpy(), bias.view(-1, places).T.reshape(-1).numpy()


def denoiser_arrays(average: dict[str, Tensor], vectors: np.ndarray, shape: Shape) -> Arrays:
    """Text encoder and denoiser by the names that the engine uses."""
    w = {k.removeprefix("text.") if k.startswith("text.") else k: v for k, v in average.items()}
    table = torch.from_numpy(vectors).clone()
    table[: len(w["shift"])] += w["shift"]
    out: Arrays = {"text.vectors": table.numpy(), "text.places": w["places"].numpy()}

    def linear(name: str, at: str) -> None:
        out[f"{name}.w"] = w[f"{at}.weight"].T.numpy()
        out[f"{name}.b"] = w[f"{at}.bias"].numpy()

    linear("text.enter", "enter")
    for k in range(shape.text_layers):
        out[f"text.{k}.qkv"] = w[f"qkv.{k}.weight"].T.numpy()
        out[f"text.{k}.out"] = w[f"out.{k}.weight"].T.numpy()
        linear(f"text.{k}.up", f"up.{k}")
        linear(f"text.{k}.down", f"down.{k}")
    w = {k.removeprefix("denoiser."): v for k, v in w.items()}
    for name in ("time_in", "time_out", "pool", "modulate"):
        linear(name, name)
    for name in ("conv_in", "conv_out"):
        out[f"{name}.w"], out[f"{name}.b"] = _conv(w[f"{name}.weight"]), w[f"{name}.bias"].numpy()
    for name in ("fine_in", "fine_out.0", "fine_out.1"):
        for part in "ab":
            out[f"{name}.{part}.w"] = _conv(w[f"{name}.{part}.weight"])
            out[f"{name}.{part}.b"] = w[f"{name}.{part}.bias"].numpy()
        linear(f"{name}.shift", f"{name}.shift")
    out["patch.w"], out["patch.b"] = _square_in(w["patch.weight"]), w["patch.bias"].numpy()
    out["unpatch.w"], out["unpatch.b"] = _square_out(w["unpatch.weight"], w["unpatch.bias"])
    for rows, cols in ((8, 8), (8, 12), (12, 8)):
        place = w[f"rows.{rows}"] + w[f"cols.{cols}"] + w[f"grids.{rows}x{cols}"]
        out[f"place.{rows}x{cols}"] = place.flatten(0, 1).numpy()
    size = shape.width // shape.heads
    for k in range(shape.layers):
        for part in ("enter", "leave", "text"):
            out[f"layer.{k}.{part}"] = w[f"layers.{k}.{part}.weight"].T.numpy()
        out[f"layer.{k}.sharp"] = (w[f"layers.{k}.sharp"] * size**-0.5).numpy()[:, None]
        out[f"layer.{k}.table"] = w[f"layers.{k}.table"].numpy()
    return out


def autoencoder_arrays(model: Autoencoder) -> Arrays:
    """Encoder and decoder by the names that the engine uses."""
    w = {k: v.detach() for k, v in model.state_dict().items()}
    out: Arrays = {}
    names = {"enter": "enc.enter", "from_latent": "dec.enter", "leave": "dec.leave"}
    names |= {f"enc_fine.{p}": f"enc.fine.{p}" for p in "ab"}
    for k in range(2):
        for p in "ab":
            names |= {f"enc_coarse.{k}.{p}": f"enc.coarse.{k}.{p}"}
            names |= {f"dec_coarse.{k}.{p}": f"dec.coarse.{k}.{p}"}
            names |= {f"dec_fine.{k}.{p}": f"dec.fine.{k}.{p}"}
    for theirs, ours in names.items():
        out[f"{ours}.w"], out[f"{ours}.b"] = (
            _conv(w[f"{theirs}.weight"]),
            w[f"{theirs}.bias"].numpy(),
        )
    # The encoder's first layer reads 4x4 squares of RGB, the decoder's last layer writes them.
    first = w["enter.weight"].view(-1, 3, 16, 3, 3).transpose(1, 2).reshape(-1, 48, 3, 3)
    out["enc.enter.w"] = _conv(first)
    last = w["leave.weight"].view(3, 16, -1, 3, 3).transpose(0, 1).reshape(48, -1, 3, 3)
    out["dec.leave.w"], out["dec.leave.b"] = (
        _conv(last),
        w["leave.bias"].view(3, 16).T.reshape(-1).numpy(),
    )
    for theirs, ours in (("down", "enc.down"), ("to_latent", "enc.leave")):
        out[f"{ours}.w"], out[f"{ours}.b"] = (
            _conv(w[f"{theirs}.weight"]),
            w[f"{theirs}.bias"].numpy(),
        )
    up, bias = w["up.weight"][:, :, 0, 0], w["up.bias"]
    out["dec.up.w"], out["dec.up.b"] = _square_out(up, bias)
    return out


def upscaler_arrays(model: Upscaler) -> Arrays:
    """The upscaler by the names that the engine uses."""
    w = {k: v.detach() for k, v in model.state_dict().items()}
    out: Arrays = {}
    for k in range(len(model.blocks)):
        for p in "ab":
            out[f"up.{k}.{p}.w"] = _conv(w[f"blocks.{k}.{p}.weight"])
            out[f"up.{k}.{p}.b"] = w[f"blocks.{k}.{p}.bias"].numpy()
    # The first layer reads 2x2 squares of RGB, the last one writes squares of 4x4.
    first = w["enter.weight"].view(-1, 3, 4, 3, 3).transpose(1, 2).reshape(-1, 12, 3, 3)
    out["up.enter.w"], out["up.enter.b"] = _conv(first), w["enter.bias"].numpy()
    last = w["leave.weight"].view(3, 16, -1, 3, 3).transpose(0, 1).reshape(48, -1, 3, 3)
    out["up.leave.w"] = _conv(last)
    out["up.leave.b"] = w["leave.bias"].view(3, 16).T.reshape(-1).numpy()
    return out


@torch.no_grad()
def preview_arrays(model: Autoencoder, latents: Tensor, mean: Tensor, deviation: Tensor) -> Arrays:
    """The linear map from a normalised latent to 2x2 RGB that fits the decoder's output best."""
    z = latents.float()
    pictures = torch.nn.functional.avg_pool2d(model.decode(z), 4).clamp(-1, 1)
    target = torch.nn.functional.pixel_unshuffle(pictures, 2)
    x = ((z - mean) / deviation).permute(0, 2, 3, 1).reshape(-1, CHANNELS)
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    y = target.view(len(z), 3, 4, 16, 16).permute(0, 3, 4, 2, 1).reshape(-1, 12)
    fit = torch.linalg.lstsq(x, y).solution
    return {"preview.w": fit[:-1].numpy(), "preview.b": fit[-1].numpy()}


def pack(arrays: Arrays) -> Arrays:
    """Large matrices of the layers in int8, the rest in float16 or, where tiny, float32."""
    packed: Arrays = {}
    for name, value in arrays.items():
        value = np.ascontiguousarray(value, np.float32)
        if name.startswith("layer.") and value.ndim == 2 and value.size > 50_000:
            scale = np.maximum(np.abs(value).max(0), 1e-8) / 127
            packed[name] = np.rint(value / scale).astype(np.int8)
            packed[f"{name}:scale"] = scale.astype(np.float32)
        else:
            packed[name] = value.astype(np.float16 if value.size > 2048 else np.float32)
    return packed


def write(folder: Path, arrays: Arrays, words: list[str], manifest: Manifest) -> Manifest:
    """Write the files and the manifest, the same bytes for the same arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "model.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            buffer = BytesIO()
            np.save(buffer, arrays[name])
            info = zipfile.ZipInfo(f"{name}.npy", (2020, 1, 1, 0, 0, 0))
            archive.writestr(info, buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)
    (folder / "vocabulary.txt").write_text("\n".join(words))
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("model.npz", "vocabulary.txt")
    }
    full = msgspec.structs.replace(manifest, files=files)
    text = msgspec.json.format(msgspec.json.encode(full), indent=2)
    (folder / MANIFEST).write_bytes(text + b"\n")
    return full


def main() -> None:
    """Command line: export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--denoiser", type=Path, required=True)
    parser.add_argument("--upscaler", type=Path, required=True)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--latents", type=Path, required=True, help="folder of shards")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--revision", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    vocabulary, shape = Vocabulary.load(args.words), Shape()
    model = Autoencoder()
    model.load_state_dict(load(args.autoencoder))
    state = load(args.denoiser)
    arrays = denoiser_arrays(state["average"], vocabulary.vectors, shape)
    arrays |= autoencoder_arrays(model)
    upscaler = Upscaler()
    upscaler.load_state_dict(load(args.upscaler))
    arrays |= upscaler_arrays(upscaler)
    mean, deviation = state["mean"], state["deviation"]
    arrays |= {
        "latent.mean": mean.flatten().numpy(),
        "latent.deviation": deviation.flatten().numpy(),
    }
    with np.load(args.latents / "00000.npz") as shard:
        arrays |= preview_arrays(model, torch.from_numpy(shard["z"][:256]), mean, deviation)
    manifest = Manifest(
        format=FORMAT, model=MODEL, revision=args.revision, files={},
        pictures=int(state["step"]) * int(state.get("batch", 128)), sizes=shape.as_dict(),
        methods={purpose: names[-1] for purpose, names in METHODS.items()},
    )  # fmt: skip
    full = write(args.out, pack(arrays), vocabulary.words, manifest)
    size = sum((args.out / name).stat().st_size for name in full.files)
    print(f"{size / 2**20:.2f} MiB in {args.out}, {full.pictures} pictures seen")


if __name__ == "__main__":
    main()
