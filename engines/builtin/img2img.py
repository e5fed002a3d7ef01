"""Images that start from another one, wholly or where a mask says.

The image comes to the wanted size (its middle where its proportions are others), from there to
the size that the network makes, and through the encoder to a latent z. With noise n of level
sigma the first step starts from z + sigma n. A start schedule of 1 starts from sigma n alone, as
if there were no image; 0 changes nothing, so the image itself comes back, resized.

`kept-latent-1`, with a mask: m is 0 where the image is kept and 1 where it is made anew, the
mean over the 8x8 pixels of a place, and every prediction d of denoised data becomes
m d + (1 - m) z. So each sampler carries z with the noise of its own level through the part that
is kept, and ends with z there. The first step starts from m a + (1 - m) z + sigma n with the area
a: 0 (`zero`, the middle of all latents), noise of its own (`random`) or z (`original`); a start
schedule of 1 leaves a out. In the end the pixels that are kept come from the image at full size,
grey in between, white and black exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from engines.builtin.autoencoder import Encoder
from engines.builtin.elementary import Floats
from engines.builtin.noise import Draws, Stream
from engines.builtin.pixels import (
    ReadInput,
    Size,
    fit,
    frame,
    invert,
    is_cropped,
    read_image,
    read_mask,
)
from engines.builtin.samplers import Denoise
from store.request import InitialImage, Mask, Parameters

_FACTOR = 8


@dataclass
class Img2Img:
    """The image at the wanted size, its latent, and where both are made anew.

    `replaced`: 255 where a pixel is made anew; `share`: the same as (h, w, 1) from 0 to 1.
    `notes`: what a person should know.
    """

    settings: InitialImage
    image: Image.Image
    given: Size
    latent: Floats | None = None
    mask: Mask | None = None
    replaced: Image.Image | None = None
    share: Floats | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was asked to change."""
        nothing = self.replaced is not None and self.replaced.getextrema() == (0, 0)
        return self.settings.start_schedule == 0 or nothing

    def begin(self, sigma: float, noise: Floats, draws: Draws) -> Floats:
        """What the first step starts from."""
        x = noise * np.float32(sigma)
        if self.latent is None:
            return x
        if self.share is None or self.mask is None:
            return x + self.latent
        known = (np.float32(1) - self.share) * self.latent
        if self.settings.start_schedule < 1:
            if self.mask.area_init == "random":
                known += self.share * draws.draw(Stream.AREA, 0, noise.shape)
            elif self.mask.area_init == "original":
                known += self.share * self.latent
        return x + known

    def wrap(self, predict: Denoise) -> Denoise:
        """The predictor with what is kept put back into each prediction."""
        share, latent = self.share, self.latent
        if share is None or latent is None:
            return predict
        kept: Floats = (np.float32(1) - share) * latent

        def predict_and_keep(x: Floats, sigma: float) -> Floats:
            return share * predict(x, sigma) + kept

        return predict_and_keep

    def describe(self) -> dict[str, str]:
        """What became of the image on its way in."""
        size = f"{self.given[0]}x{self.given[1]}"
        wanted = self.image.size
        resized = f", resized to {wanted[0]}x{wanted[1]} with Lanczos"
        cropped = ", cropped to fill" if is_cropped(self.given, wanted) else ""
        return {"initial image": size + (resized + cropped if self.given != wanted else "")}

    def paste(self, made: Image.Image) -> Image.Image:
        """The finished image with the kept pixels put back."""
        if self.replaced is None:
            return made
        return Image.composite(made, self.image, self.replaced)


def read_img2img(parameters: Parameters, read_input: ReadInput) -> Img2Img | None:
    """The initial image of a request with its mask, at the wanted size; no latent yet.

    Raises `EngineError` when a file cannot be used.
    """
    settings, mask = parameters.initial_image, parameters.mask
    if settings is None:
        return None
    wanted = (parameters.width, parameters.height)
    image = read_image(read_input, settings.sha256, "initial image")
    img2img = Img2Img(settings, fit(image, wanted), image.size, mask=mask)
    size = f"{image.width}x{image.height}"
    if is_cropped(image.size, wanted):
        img2img.notes.append(
            f"The initial image ({size}) has other proportions than {wanted[0]}x{wanted[1]}: "
            "its edges are cut off."
        )
    if mask is not None:
        grey = fit(
            read_mask(read_input, mask.sha256, image.size), wanted, Image.Resampling.BILINEAR
        )
        img2img.replaced = grey if mask.replaces == "white" else invert(grey)
        low, high = img2img.replaced.getextrema()
        other = "black" if mask.replaces == "white" else "white"
        if high == 0:
            img2img.notes.append(
                f"The mask is all {other}, and {mask.replaces} is made anew: nothing is replaced, "
                "the initial image comes back as it is."
            )
        elif low == 255:
            img2img.notes.append(
                f"The mask is all {mask.replaces}, which is made anew: nothing of the initial "
                "image is kept."
            )
    if settings.start_schedule == 0:
        img2img.notes.append(
            "A start schedule of 0 changes nothing: the initial image comes back as it is."
        )
    elif settings.start_schedule == 1 and mask is None:
        img2img.notes.append("A start schedule of 1 ignores the initial image.")
    return img2img


def encode_img2img(img2img: Img2Img, made: Size, encoder: Encoder) -> None:
    """Add the latent and the share of each of its places, for a network's image of size `made`.

    Without a mask a start schedule of 1 needs none.
    """
    if img2img.settings.start_schedule == 1 and img2img.mask is None:
        return
    img2img.latent = encoder.encode(np.asarray(frame(img2img.image, made)))
    if img2img.replaced is not None:
        framed = frame(img2img.replaced, made, Image.Resampling.BILINEAR)
        share = np.asarray(framed.reduce(_FACTOR), np.float32) / np.float32(255)
        img2img.share = share[:, :, None]
