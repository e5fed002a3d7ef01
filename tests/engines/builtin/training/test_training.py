"""Real training steps, exports, and numpy against PyTorch. Needs PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")


@pytest.fixture
def sprites(tmp_path: Path) -> Path:
    """A stand-in for the sprite package: one coloured square for each thing."""
    from engines.builtin.training.data.things import things

    folder = tmp_path / "img" / "google" / "64"
    folder.mkdir(parents=True)
    table = []
    for k, thing in enumerate(things()):
        name = f"{k}.png"
        Image.new("RGBA", (64, 64), (k % 256, 90, 200, 255)).save(folder / name)
        table.append({"short_names": [thing.sprite], "image": name})
    (tmp_path / "emoji.json").write_text(json.dumps(table))
    return tmp_path


def test_two_steps_and_an_export(sprites: Path, tmp_path: Path) -> None:
    from engines.builtin.autoencoder import Decoder, Encoder
    from engines.builtin.denoiser import Denoiser
    from engines.builtin.models import MODEL
    from engines.builtin.parallel.denoise import Predictor
    from engines.builtin.text_encoder import TextEncoder
    from engines.builtin.training import export
    from engines.builtin.training import train_autoencoder as autoencoder
    from engines.builtin.training.data.generator import make
    from engines.builtin.training.data.things import Sprites
    from engines.builtin.training.networks import Model, Shape
    from engines.builtin.training.train_denoiser import objective, optimizers
    from engines.builtin.training.word_vectors import Vocabulary, split
    from engines.builtin.weights import Manifest, load_weights

    torch.manual_seed(0)
    made = [make(k, Sprites(sprites)) for k in range(4)]
    words = sorted({word for _, text, _ in made for word in split(text)})
    shape = Shape()
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(words) + 1, shape.vector)).astype(np.float32)
    vocabulary = Vocabulary(["", *words], vectors, len(words) + 1)
    coder = autoencoder.Autoencoder()
    data = torch.from_numpy(np.stack([np.asarray(image) for image, _, _ in made]))
    pictures = data.permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        latents = coder.encode(pictures)
    ids = torch.from_numpy(np.stack([vocabulary.encode(text) for _, text, _ in made])).long()
    model = Model(shape, torch.from_numpy(vectors), vocabulary.trained)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    both = optimizers(model, 1e-3)
    for _ in range(2):
        loss = objective(model, latents, ids)
        loss.backward()
        for optimizer in both:
            optimizer.step()
            optimizer.zero_grad()
        assert bool(torch.isfinite(loss))
    now = {name: value.detach() for name, value in model.named_parameters()}
    assert all(not torch.equal(before[name], now[name]) for name in ("denoiser.patch.weight",))
    mean, deviation = torch.zeros(12, 1, 1), torch.ones(12, 1, 1)
    arrays = export.denoiser_arrays(now, vectors, shape) | export.autoencoder_arrays(coder)
    arrays |= export.preview_arrays(coder, latents, mean, deviation)
    arrays |= {"latent.mean": np.zeros(12), "latent.deviation": np.ones(12)}
    folder = tmp_path / "weights"
    draft = Manifest(format=1, model=MODEL, revision=1, pictures=8, files={}, sizes=shape.as_dict())
    export.write(folder, export.pack(arrays), vocabulary.words, draft)
    weights = load_weights(folder)
    encoder, denoiser = TextEncoder(weights), Denoiser(weights)
    reading = encoder.read(made[0][1])
    text = encoder.encode(reading.ids)
    z = latents[:1]
    clean = np.ascontiguousarray(z[0].permute(1, 2, 0).numpy())
    ours = Predictor(denoiser, [text], (16, 16)).predict(clean, 0.4)[0]
    with torch.no_grad():
        theirs = model(z, torch.tensor([0.4]), ids[:1])[0].permute(1, 2, 0).numpy()
        picture = coder.decode(z)[0].permute(1, 2, 0).numpy()
    # The export rounds the weights to 8 and 16 bits; the rest is the same arithmetic.
    assert np.abs(ours - theirs).max() < 0.05 * max(1.0, float(np.abs(theirs).max()))
    decoded = Decoder(weights).decode(clean) / 127.5 - 1
    assert np.abs(decoded - picture.clip(-1, 1)).max() < 0.03
    encoded = Encoder(weights).encode(data[0].numpy())
    assert np.abs(encoded - clean).max() < 0.02


def test_nothing_in_a_step_is_tied_to_the_processor() -> None:
    """On PyTorch's device without memory, which refuses any array that lies elsewhere."""
    from engines.builtin.training.evaluation.classifier import Classifier, disturb, prepare
    from engines.builtin.training.networks import Model, Shape
    from engines.builtin.training.train_autoencoder import Autoencoder, loss_of
    from engines.builtin.training.train_decoder import Cleaner, list_learned
    from engines.builtin.training.train_denoiser import objective, optimizers
    from engines.builtin.training.train_upscaler import Upscaler

    meta, shape = torch.device("meta"), Shape()
    pictures = torch.empty(6, 3, 128, 128, device=meta)
    ids = torch.zeros(6, 20, dtype=torch.long, device=meta)
    coder, model = Autoencoder().to(meta), Model(shape, torch.empty(9, 96), 9).to(meta)
    z = coder.encode(pictures)
    objective(model, z.detach(), ids).backward()
    assert model.denoiser.patch.weight.grad is not None
    for optimizer in optimizers(model, 1e-3):
        optimizer.step()
    cleaner = Cleaner(model, z.new_empty(12, 1, 1), z.new_empty(12, 1, 1))
    loss_of(coder.decode(cleaner(z, ids, z.new_empty(6))), pictures).backward()
    assert all(p.grad is not None for p in list_learned(coder))
    assert Upscaler().to(meta)(pictures).shape == (6, 3, 256, 256)
    bytes_ = torch.empty(6, 128, 128, 3, dtype=torch.uint8, device=meta)
    assert Classifier().to(meta)(disturb(prepare(bytes_))).device == meta


def test_the_decoder_learns_what_the_denoiser_leaves(sprites: Path) -> None:
    from engines.builtin.training.data.things import Sprites
    from engines.builtin.training.networks import Model, Shape
    from engines.builtin.training.train_autoencoder import Autoencoder
    from engines.builtin.training.train_decoder import Cleaner, Pool, list_learned, step_of
    from engines.builtin.training.word_vectors import Vocabulary

    torch.manual_seed(0)
    shape, words = Shape(), ["", "sky", "sea", "clouds"]
    vectors = np.random.default_rng(0).standard_normal((4, shape.vector)).astype(np.float32)
    pool = Pool(8, Sprites(sprites), Vocabulary(words, vectors, 4))
    model, net = Autoencoder(), Model(shape, torch.from_numpy(vectors), 4).eval()
    cleaner = Cleaner(net, torch.zeros(12, 1, 1), torch.ones(12, 1, 1))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.AdamW(list_learned(model), 8e-4)
    pool.replace(np.array([3]))
    losses = [step_of(model, optimizer, cleaner, *pool.take(slice(8))) for _ in range(6)]
    assert losses[-1] < losses[0]
    changed = {n for n, v in model.named_parameters() if not torch.equal(before[n], v)}
    assert {name.split(".")[0] for name in changed} == {
        "from_latent", "dec_coarse", "dec_fine", "up", "leave",
    }  # fmt: skip
    with torch.no_grad():
        z = model.encode(pool.take(slice(8))[0])
        nearly = cleaner(z, pool.take(slice(8))[1], torch.full((8,), 0.9999))
    assert nearly.shape == z.shape


def test_the_upscaler_learns_and_is_the_same_in_numpy(sprites: Path, tmp_path: Path) -> None:
    from engines.builtin.models import MODEL
    from engines.builtin.training import export
    from engines.builtin.training.data.things import Sprites
    from engines.builtin.training.train_autoencoder import Autoencoder
    from engines.builtin.training.train_upscaler import Pool, Upscaler, step_of, to_images
    from engines.builtin.upscaler import Upscaler as Ours
    from engines.builtin.weights import Manifest, load_weights

    torch.manual_seed(0)
    pool = Pool(4, Sprites(sprites), Autoencoder(), seed=1)
    model = Upscaler()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    batch = pool.batch(np.random.default_rng(0), 4)
    losses = [step_of(model, optimizer, *batch) for _ in range(24)]
    assert losses[-1] < losses[0]
    draft = Manifest(format=1, model=MODEL, revision=1, pictures=0, files={}, sizes={})
    folder = tmp_path / "weights"
    export.write(folder, export.pack(export.upscaler_arrays(model)), [], draft)
    small = pool.small[0, 0, :40, :64].copy()
    with torch.no_grad():
        x = torch.from_numpy(small[None]).permute(0, 3, 1, 2).float() / 127.5 - 1
        theirs = to_images(model(x))[0]
    ours = Ours(load_weights(folder)).enlarge(small)
    assert np.abs(ours.astype(int) - theirs).max() <= 2
