"""From a request to an image, step by step: text, noise, steps, decoding, size.

`generate` is a plain generator of events that computes between them; closing it stops the work
within one step. The prompts of a step are one batch; every product in it is exact, so neither
their number nor their order nor the threads change a bit of any of them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator

import numpy as np
from PIL import Image, ImageOps

from engines.base import Event, Produced, Progressed, StageReached, Warned
from engines.builtin.autoencoder import Decoder
from engines.builtin.capabilities import NATIVE_SIZES, STYLE_WORDS
from engines.builtin.denoiser import Denoiser, Passes
from engines.builtin.guidance import GUIDANCE, compose
from engines.builtin.kernels import use_own_threads
from engines.builtin.noise import NOISE, Stream, draw_noise
from engines.builtin.precise import Floats
from engines.builtin.samplers import FORMULAS
from engines.builtin.schedule import SCHEDULE, make_sigmas, to_time
from engines.builtin.team import Team, count_processors
from engines.builtin.text import TextEncoder
from engines.builtin.vocabulary import Reading
from engines.builtin.weights import Weights
from store.pixels import digest_pixels
from store.request import Prompt, Request

FACTOR = 8
"""Pixels a side that one place of the latent stands for."""

PREVIEW_SCALE = 2


def choose_native_size(width: int, height: int) -> tuple[int, int]:
    """The size that the network makes for a wanted one: the nearest in its proportions."""
    if 2 * width * width > 3 * height * height:
        return NATIVE_SIZES[1]
    if 2 * height * height > 3 * width * width:
        return NATIVE_SIZES[2]
    return NATIVE_SIZES[0]


def digest_array(array: Floats) -> str:
    """SHA-256 over shape, type and values."""
    head = f"{array.dtype.str} {array.shape}\n".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def encode_png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


class Pipeline:
    """The model of one set of weights; makes one image at a time."""

    def __init__(self, weights: Weights, threads: int | None = None) -> None:
        """`threads`: as many as there are processors when None; they decide the speed only."""
        use_own_threads()
        self._text = TextEncoder(weights)
        self._denoiser = Denoiser(weights)
        self._decoder = Decoder(weights)
        self._channels = weights.manifest.sizes["channels"]
        self._team = Team(threads or count_processors())

    def close(self) -> None:
        """Let go of the threads."""
        self._team.close()

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """The events of one image, `Produced` last."""
        parameters = request.parameters
        wanted = (parameters.width, parameters.height)
        made = choose_native_size(*wanted)
        active = [(k, p) for k, p in enumerate(request.stack.prompts, 1) if p.is_active]
        readings = [self._read(p, parameters.style_preset) for _, p in active]
        yield from _warnings([p for _, p in active], readings)
        shape = (made[1] // FACTOR, made[0] // FACTOR, self._channels)
        texts = [self._text.encode(reading.ids) for reading in readings]
        empty = self._text.encode((0,))
        yield StageReached("text", 0, digest_array(empty))
        for (position, _), text in zip(active, texts, strict=True):
            yield StageReached("text", position, digest_array(text))
        noise = draw_noise(parameters.seed, Stream.INITIAL, 0, shape)
        yield StageReached("noise", 0, digest_array(noise))
        guess = _Guess(
            self._denoiser,
            self._team,
            [empty, *texts],
            [p.weight for _, p in active],
            [(p.weight, p.text) for _, p in active],
            parameters.cfg_scale,
            shape,
        )
        sigmas = make_sigmas(parameters.sampler, parameters.steps)
        guess.prepare(sigmas[:-1])
        x = noise * np.float32(sigmas[0])

        def fresh(step: int, part: int) -> Floats:
            return draw_noise(parameters.seed, Stream.SAMPLER, 2 * step + part, shape)

        steps = FORMULAS[parameters.sampler](guess.predict, x, sigmas, fresh)
        for step, (after, clean) in enumerate(steps, 1):
            x = after
            yield StageReached("latent", step, digest_array(x))
            yield Progressed(step, parameters.steps, self._preview(clean))
        yield StageReached("final latent", 0, digest_array(x))
        image = Image.fromarray(self._decoder.decode(x, self._team))
        if made != wanted:
            image = ImageOps.fit(image, wanted, Image.Resampling.LANCZOS)
        yield StageReached("pixels", 0, digest_pixels(image))
        meta = {
            "made at": f"{made[0]}x{made[1]}",
            "resizing": "none" if made == wanted else "Lanczos, cropped to fill",
            "guidance": GUIDANCE,
            "noise": NOISE,
            "schedule": SCHEDULE,
        }
        yield Produced(data=encode_png(image), mime="image/png", seed=parameters.seed, meta=meta)

    def _read(self, prompt: Prompt, preset: str | None) -> Reading:
        words = STYLE_WORDS[preset] if preset is not None and prompt.weight > 0 else ""
        return self._text.read(prompt.text, words)

    def _preview(self, clean: Floats) -> bytes:
        image = Image.fromarray(self._decoder.preview(clean))
        size = (image.width * PREVIEW_SCALE, image.height * PREVIEW_SCALE)
        return encode_png(image.resize(size, Image.Resampling.BILINEAR))


class _Guess:
    """The guided predictor of one image: the prompts as one batch, then composed."""

    def __init__(
        self,
        denoiser: Denoiser,
        team: Team,
        texts: list[Floats],
        weights: list[float],
        order: list[tuple[float, str]],
        scale: float,
        shape: tuple[int, ...],
    ) -> None:
        self._denoiser = denoiser
        self._team = team
        self._passes = Passes(denoiser, texts, shape[0], shape[1], team.pairs)
        self._weights = weights
        self._order = sorted(range(len(weights)), key=lambda k: order[k])
        self._scale = scale

    def prepare(self, sigmas: list[float]) -> None:
        """Make what depends on these levels alone, all at once."""
        self._denoiser.prepare(self._passes, [to_time(sigma) for sigma in sigmas])

    def predict(self, x: Floats, sigma: float) -> Floats:
        """Clean data from data with noise of level `sigma`."""
        t = to_time(sigma)
        z = x * np.float32(t)
        empty, *clean = self._denoiser.predict(z, t, self._passes, self._team)
        return compose(empty, [(self._weights[k], clean[k]) for k in self._order], self._scale)


def _warnings(prompts: list[Prompt], readings: list[Reading]) -> Iterator[Warned]:
    """What a person should know about how the prompts were read."""
    unknown = tuple(dict.fromkeys(word for r in readings for word in r.unknown))
    ignored = tuple(word for r in readings for word in r.ignored)
    if unknown:
        yield Warned(f"The model does not know: {_shorten(unknown)}.")
    if ignored:
        yield Warned(f"Beyond the prompt's length, ignored: {_shorten(ignored)}.")


def _shorten(words: tuple[str, ...], limit: int = 12) -> str:
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more} more" if more > 0 else "")
