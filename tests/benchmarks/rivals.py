"""The network alone, in numpy as the engine has it, in PyTorch and in onnxruntime.

All use the engine's schedule and guidance in one loop, without previews and digests, and make the
passes of a step as one batch on as many threads, the engine on as many processes. PyTorch and
onnxruntime have random weights, which does not change the time.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from engines.builtin.guidance import compose
from engines.builtin.samplers import make_sigmas, to_time
from engines.builtin.weights import Weights

Draw = Callable[[], object]


def has(name: str) -> bool:
    """Whether a module is installed."""
    return importlib.util.find_spec(name) is not None


def _networks(sizes: dict[str, int], tokens: list[int]) -> tuple[Any, Any, Any]:
    """Text encoder with denoiser, autoencoder, and token numbers as a batch."""
    import torch

    from engines.builtin.training.networks import Model, Shape
    from engines.builtin.training.train_autoencoder import Autoencoder

    shape = Shape(**sizes)
    model = Model(shape, torch.randn(100, shape.vector), 50).eval()
    ids = torch.full((len(tokens), max(tokens)), -1)
    for row, count in enumerate(tokens):
        ids[row, :count] = torch.arange(count)
    return model, Autoencoder().eval(), ids


def _loop(predict: Callable[[Any, float], Any], steps: int, shape: tuple[int, ...]) -> Any:
    """Steps of DPM-Solver++(2M) in numpy over whatever predicts a batch of clean latents."""
    import numpy as np

    sigmas = make_sigmas("k_dpmpp_2m", steps)
    x = np.random.default_rng(1).standard_normal(shape, np.float32) * np.float32(sigmas[0])
    last = None
    for sigma, after in pairwise(sigmas):
        t = to_time(sigma)
        empty, one, two = predict(x * np.float32(t), t)
        clean = compose(empty, [(1.0, one), (-1.0, two)], 7.0, t)
        aim = clean if last is None else 1.5 * clean - 0.5 * last
        ratio = np.float32(after / sigma)
        x, last = ratio * x + (1 - ratio) * aim, clean
    return x


def make_numpy(weights: Weights, texts: list[str], steps: int, threads: int) -> Draw:
    """A function that makes one image with the engine's own network."""
    from engines.builtin.autoencoder import Decoder
    from engines.builtin.cpu import use_own_threads
    from engines.builtin.denoiser import Denoiser
    from engines.builtin.parallel.denoise import Predictor
    from engines.builtin.parallel.group import ProcessGroup
    from engines.builtin.text_encoder import TextEncoder

    use_own_threads()
    encoder, denoiser, decoder = TextEncoder(weights), Denoiser(weights), Decoder(weights)
    group = ProcessGroup(weights, threads)

    def draw() -> object:
        ids = [(0,), *(encoder.read(text).ids for text in texts)]
        times = [to_time(s) for s in make_sigmas("k_dpmpp_2m", steps)[:-1]]
        encoded = [encoder.encode(i) for i in ids]
        predictor = Predictor(denoiser, encoded, (16, 16), times, group)
        made = _loop(predictor.predict, steps, (16, 16, weights.manifest.sizes["channels"]))
        return decoder.decode(made)

    return draw


def make_torch(sizes: dict[str, int], tokens: list[int], steps: int, threads: int) -> Draw:
    """A function that makes one image with PyTorch."""
    import torch

    torch.set_num_threads(threads)
    model, autoencoder, ids = _networks(sizes, tokens)

    def draw() -> object:
        with torch.inference_mode():
            text, mask = model.text(ids)

            def predict(z: Any, t: float) -> Any:
                batch = torch.from_numpy(z).expand(len(tokens), -1, -1, -1)
                time = torch.full((len(tokens),), t)
                return model.denoiser(batch, time, text, mask).numpy()

            x = _loop(predict, steps, (sizes["channels"], 16, 16))
            return autoencoder.decode(torch.from_numpy(x)[None]).numpy()

    return draw


def make_onnx(sizes: dict[str, int], tokens: list[int], steps: int, threads: int) -> Draw:
    """A function that makes one image with onnxruntime."""
    import numpy as np
    import onnxruntime
    import torch

    model, autoencoder, ids = _networks(sizes, tokens)
    with torch.inference_mode():
        text, mask = model.text(ids)
    latent = torch.randn(len(tokens), sizes["channels"], 16, 16)

    def session(network: Any, inputs: tuple[Any, ...], names: list[str]) -> Any:
        with warnings.catch_warnings(action="ignore"):
            logging.disable(logging.WARNING)  # Operators that are not used here.
            program = torch.onnx.export(
                network.eval(), inputs, input_names=names, dynamo=True, verbose=False, optimize=True
            )
            logging.disable(logging.NOTSET)
        assert program is not None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(
            program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    class Decode(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            decoded: torch.Tensor = autoencoder.decode(z)
            return decoded

    step = session(
        model.denoiser, (latent, torch.rand(len(tokens)), text, mask), ["z", "t", "text", "mask"]
    )
    decode = session(Decode(), (latent[:1],), ["z"])
    wanted = {i.name for i in step.get_inputs()}
    fixed = {"text": text.numpy(), "mask": mask.numpy()}

    def draw() -> object:
        def predict(z: Any, t: float) -> Any:
            batch = np.ascontiguousarray(np.broadcast_to(z, (len(tokens), *z.shape)))
            feed = {"z": batch, "t": np.full(len(tokens), t, np.float32), **fixed}
            return step.run(None, {k: v for k, v in feed.items() if k in wanted})[0]

        x = _loop(predict, steps, (sizes["channels"], 16, 16))
        return decode.run(None, {"z": x[None]})[0]

    return draw
