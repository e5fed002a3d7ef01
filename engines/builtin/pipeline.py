"""From a request to an image, step by step: text, noise, steps, decoding, size.

`generate` is a plain generator of events that computes between them; closing it stops the work
within one step. The prompts of a step are one batch; every product in it is exact, so neither
their number nor their order nor the processes that share the work change a bit of any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from functools import cached_property

import numpy as np
from PIL import Image

from engines.base import (
    NO_FILES,
    EngineError,
    Event,
    Failure,
    Produced,
    Progressed,
    StageReached,
    Warned,
)
from engines.builtin.autoencoder import Decoder, Encoder
from engines.builtin.cpu import use_own_threads
from engines.builtin.denoiser import Denoiser
from engines.builtin.elementary import Floats
from engines.builtin.guidance import GUIDANCES, Guidance
from engines.builtin.img2img import Img2Img, encode_img2img, read_img2img
from engines.builtin.methods import find_unknown
from engines.builtin.models import NATIVE_SIZES, STYLE_WORDS, UPSCALE_MODEL
from engines.builtin.noise import Draws, Stream
from engines.builtin.parallel.denoise import Predictor
from engines.builtin.parallel.group import ProcessGroup
from engines.builtin.pixels import ReadInput, Size, encode_png, fit
from engines.builtin.samplers import (
    FORMULAS,
    Denoise,
    make_sigmas,
    to_time,
)
from engines.builtin.text_encoder import TextEncoder
from engines.builtin.upscaler import Upscaler, upscale
from engines.builtin.vocabulary import Tokenization
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


class Pipeline:
    """The model of one set of weights; makes one image at a time."""

    def __init__(
        self, weights: Weights, processes: int | None = None, group: ProcessGroup | None = None
    ) -> None:
        """`processes`: one for each processor when None, four at most; they decide the speed only.

        The others are started with the first image. `group`: these processes instead. Raises
        `EngineError` where the weights ask for a method that is not here.
        """
        if unknown := find_unknown(weights.manifest.methods):
            name = weights.manifest.name
            raise EngineError(
                Failure.MODEL_GONE,
                f"{name} asks for {unknown}, which this program does not have.",
                "Update Safelight.",
            )
        use_own_threads()
        self.weights = weights
        self._text = TextEncoder(weights)
        self._denoiser = Denoiser(weights)
        self._decoder = Decoder(weights)
        self._channels = weights.manifest.sizes["channels"]
        self._group = group or ProcessGroup(weights, processes)

    @property
    def process_ids(self) -> list[int]:
        """The ids of the other processes, for the system."""
        return self._group.process_ids

    def close(self) -> None:
        """End the other processes."""
        self._group.close()

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.weights)

    @cached_property
    def _upscaler(self) -> Upscaler:
        return Upscaler(self.weights)

    def generate(
        self, request: Request, read_input: ReadInput = NO_FILES.read
    ) -> Generator[Event, None, None]:
        """The events of one image, `Produced` last. Raises `EngineError` for a wrong input."""
        parameters = request.parameters
        if parameters.upscale is not None:
            yield from upscale(self._upscaler, parameters, read_input)
            return
        img2img = read_img2img(parameters, read_input)
        if img2img is not None:
            yield from map(Warned, img2img.notes)
            yield StageReached("initial image", 0, digest_pixels(img2img.image))
            if img2img.is_unchanged:
                yield from _keep(img2img, parameters.seed)
                return
        yield from self._draw(request, img2img)

    def _draw(self, request: Request, img2img: Img2Img | None) -> Generator[Event, None, None]:
        parameters, methods = request.parameters, self.weights.manifest.methods
        wanted = (parameters.width, parameters.height)
        made = choose_native_size(*wanted)
        active = [(k, p) for k, p in enumerate(request.stack.prompts, 1) if p.is_active]
        tokenized = [self._read(p, parameters.style_preset) for _, p in active]
        yield from _warnings([p for _, p in active], tokenized)
        shape = (made[1] // FACTOR, made[0] // FACTOR, self._channels)
        texts = [self._text.encode(reading.ids) for reading in tokenized]
        empty = self._text.encode((0,))
        yield StageReached("text", 0, digest_array(empty))
        for (position, _), text in zip(active, texts, strict=True):
            yield StageReached("text", position, digest_array(text))
        draws = Draws(parameters.seed, parameters.variation)
        noise = draws.draw(Stream.INITIAL, 0, shape)
        yield StageReached("noise", 0, digest_array(noise))
        if img2img is not None:
            encode_img2img(img2img, made, self._encoder)
            yield from _digest_img2img(img2img)
        sigmas = _choose_sigmas(request)
        guess = _Guess(
            Predictor(
                self._denoiser,
                [empty, *texts],
                shape[:2],
                [to_time(sigma) for sigma in sigmas[:-1]],
                self._group,
            ),
            [(p.weight, p.text) for _, p in active],
            parameters.cfg_scale,
            GUIDANCES[methods["guidance"]],
        )
        x = noise * np.float32(sigmas[0])
        predict: Denoise = guess.predict
        if img2img is not None:
            x = img2img.begin(sigmas[0], noise, draws)
            predict = img2img.wrap(predict)

        def fresh(step: int, part: int) -> Floats:
            return draws.draw(Stream.SAMPLER, 2 * step + part, shape)

        steps = FORMULAS[parameters.sampler](predict, x, sigmas, fresh)
        for step, (after, denoised) in enumerate(steps, 1):
            x = after
            yield StageReached("latent", step, digest_array(x))
            yield Progressed(step, len(sigmas) - 1, self._preview(denoised))
        yield StageReached("final latent", 0, digest_array(x))
        image = self._resize(Image.fromarray(self._decoder.decode(x)), wanted)
        if img2img is not None:
            image = img2img.paste(image)
        yield StageReached("pixels", 0, digest_pixels(image))
        meta = {
            "made at": f"{made[0]}x{made[1]}",
            "resizing": _describe_resizing(made, wanted),
            "guidance": methods["guidance"],
            "noise": methods["noise"],
            "schedule": methods["schedule"],
        }
        if img2img is not None:
            meta |= img2img.describe()
            meta["steps"] = f"{len(sigmas) - 1} of {parameters.steps}"
            meta["partial schedule"] = methods["partial schedule"]
        if parameters.mask is not None:
            meta["inpainting"] = methods["inpainting"]
        if parameters.variation is not None:
            meta["variation"] = methods["variation"]
        yield Produced(data=encode_png(image), mime="image/png", seed=parameters.seed, meta=meta)

    def _resize(self, image: Image.Image, wanted: Size) -> Image.Image:
        """The network's image at the wanted size, by the upscaler where that is larger."""
        if image.size != wanted:
            image = Image.fromarray(self._upscaler.enlarge(np.asarray(image)))
        return fit(image, wanted)

    def _read(self, prompt: Prompt, preset: str | None) -> Tokenization:
        words = STYLE_WORDS[preset] if preset is not None and prompt.weight > 0 else ""
        return self._text.read(prompt.text, words)

    def _preview(self, denoised: Floats) -> bytes:
        image = Image.fromarray(self._decoder.preview(denoised))
        size = (image.width * PREVIEW_SCALE, image.height * PREVIEW_SCALE)
        return encode_png(image.resize(size, Image.Resampling.BILINEAR))


class _Guess:
    """The guided predictor of one image: the prompts as one batch, then composed."""

    def __init__(
        self,
        predictor: Predictor,
        prompts: list[tuple[float, str]],
        scale: float,
        compose: Guidance,
    ) -> None:
        """`prompts`: (weight, text) of each but the empty one, which comes first in the batch."""
        self._predictor = predictor
        self.weights = [weight for weight, _ in prompts]
        self._order = sorted(range(len(prompts)), key=lambda k: prompts[k])
        self._scale = scale
        self._compose = compose

    def predict(self, x: Floats, sigma: float) -> Floats:
        """Clean data from data with noise of level `sigma`."""
        t = to_time(sigma)
        empty, *denoised = self._predictor.predict(x * np.float32(t), t)
        terms = [(self.weights[k], denoised[k]) for k in self._order]
        return self._compose(empty, terms, self._scale, t)


def _choose_sigmas(request: Request) -> list[float]:
    """The levels of the steps that are taken."""
    parameters = request.parameters
    start, end = 1.0, 0.0
    if parameters.initial_image is not None:
        start = parameters.initial_image.start_schedule
        end = parameters.initial_image.end_schedule
    return make_sigmas(parameters.sampler, parameters.steps, start, end)


def _describe_resizing(made: Size, wanted: Size) -> str:
    if made == wanted:
        return "none"
    first = f"x2 by {UPSCALE_MODEL}"
    doubled = (2 * made[0], 2 * made[1])
    return first if doubled == wanted else f"{first}, then Lanczos, cropped to fill"


def _digest_img2img(img2img: Img2Img) -> Iterator[StageReached]:
    if img2img.latent is not None:
        yield StageReached("initial latent", 0, digest_array(img2img.latent))
    if img2img.share is not None:
        yield StageReached("mask", 0, digest_array(img2img.share))


def _keep(img2img: Img2Img, seed: int) -> Iterator[Event]:
    """The initial image itself, where nothing was asked to change."""
    yield StageReached("pixels", 0, digest_pixels(img2img.image))
    data = encode_png(img2img.image)
    yield Produced(data=data, mime="image/png", seed=seed, meta=img2img.describe())


def _warnings(prompts: list[Prompt], tokenized: list[Tokenization]) -> Iterator[Warned]:
    """What a person should know about how the prompts were read."""
    unknown = tuple(dict.fromkeys(word for r in tokenized for word in r.unknown))
    ignored = tuple(word for r in tokenized for word in r.ignored)
    if unknown:
        yield Warned(f"The model does not know: {_shorten(unknown)}.")
    if ignored:
        yield Warned(f"Beyond the prompt's length, ignored: {_shorten(ignored)}.")


def _shorten(words: tuple[str, ...], limit: int = 12) -> str:
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more} more" if more > 0 else "")
