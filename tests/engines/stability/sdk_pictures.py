"""A program that makes images from images with the SDK's context, as its documentation teaches.

The argument says which: `generate`, `inpaint` or `upscale`. Reads init.png and mask.png, writes
made.png.
"""

import os
import sys

from PIL import Image
from stability_sdk.api import Context

context = Context(os.environ["STABILITY_HOST"], os.environ["STABILITY_KEY"])
init, mask = Image.open("init.png"), Image.open("mask.png")
same = {"seed": 7, "steps": 12, "cfg_scale": 6.5, "init_strength": 0.25}

match sys.argv[1]:
    case "generate":
        images = context.generate(
            ["town", "clouds"], [1.0, -0.5], width=192, height=128, init_image=init, **same
        )[1]
    case "inpaint":
        images = context.inpaint(init, mask, ["town"], [1.0], **same)[1]
    case _:
        images = [context.upscale(init, width=192)]
(image,) = images
image.save("made.png")
