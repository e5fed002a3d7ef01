"""Contact sheets of the exported model, made by the engine itself.

``python -m engines.builtin.training.evaluation.contact_sheet --weights DIR --sheet FILE
[--prompts FILE]`` draws one picture a line of the prompts, several seeds each.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from engines.base import Produced
from engines.builtin.models import MODEL
from store.prompts import parse_prompt
from store.request import Parameters, PromptStack, Request

if TYPE_CHECKING:
    from engines.builtin.pipeline import Pipeline

PROMPTS = """
night sky, stars, japanese town
blue sky, sea, clouds
sunset over the sea
snowy mountains, lake
forest, snowy mountains, blue sky
night sky, moon, city skyline, sea
sunset sky, mountains, desert dunes
beach under a blue sky
meadow, blue sky, clouds
flower field at dawn
storm over the sea, lightning
rain over the city
snow falling on a town
harbour at sunset
mount fuji above a lake
japanese town at sunset, mount fuji
city at night
town under a blue sky, hills
snow field at night, stars
rainbow over a meadow
cat
a dog
bicycle
a red car
panda
horse
sailboat
castle
mosque
rose
palm tree
apple
pizza
guitar
rocket
robot
a cat on a beach
a horse in a meadow
a ship on the sea at sunset
a tent in the forest at night
elephant in the desert
penguin on a snow field
night sky above japanese town, anime style
cat, pixel art
city at night, neon punk
mountains and lake, low poly
car, line art
beach at sunset, analog film
""".strip().splitlines()


def make_request(
    line: str,
    seed: int,
    *,
    steps: int = 30,
    cfg_scale: float = 7,
    sampler: str = "k_dpmpp_2m",
    size: tuple[int, int] = (128, 128),
) -> Request:
    """The request of prompts in one line, ``TEXT::WEIGHT | TEXT::WEIGHT``; the API's defaults."""
    prompts = tuple(parse_prompt(text) for text in line.split(" | "))
    parameters = Parameters(
        seed=seed, steps=steps, cfg_scale=cfg_scale, sampler=sampler, width=size[0],
        height=size[1], style_preset=None,
    )  # fmt: skip
    stack = PromptStack(prompts=prompts)
    return Request(engine="builtin", model=MODEL, stack=stack, parameters=parameters)


def draw(pipeline: Pipeline, request: Request) -> Image.Image:
    """The image of a request, through everything that the engine does."""
    *_, last = pipeline.generate(request)
    assert isinstance(last, Produced)
    assert last.data is not None
    with Image.open(io.BytesIO(last.data), formats=["PNG"]) as image:
        return image.convert("RGB")


def main() -> None:
    """Command line: a sheet, seeds in rows of columns of prompts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--cfg", type=float, default=7)
    parser.add_argument("--sampler", default="k_dpmpp_2m")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=128)
    args = parser.parse_args()
    from engines.builtin.pipeline import Pipeline
    from engines.builtin.training.data.generator import sheet
    from engines.builtin.weights import load_weights

    pipeline = Pipeline(load_weights(args.weights))
    lines = args.prompts.read_text().strip().splitlines() if args.prompts else PROMPTS
    images: list[Image.Image] = []
    start = time.perf_counter()
    for line in lines:
        for seed in range(1, args.seeds + 1):
            request = make_request(
                line,
                seed,
                steps=args.steps,
                cfg_scale=args.cfg,
                sampler=args.sampler,
                size=(args.width, args.height),
            )
            images.append(draw(pipeline, request))
    seconds = (time.perf_counter() - start) / len(images)
    sheet(images, args.columns).save(args.sheet)
    print(f"{len(images)} images, {seconds:.2f} s each, {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
