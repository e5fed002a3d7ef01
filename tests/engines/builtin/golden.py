"""The digests of what was released: `python -m tests.engines.builtin.golden` writes new ones.

A revision's file is written once, when it is released. It is never written again: the SHA-256 of
each stands in `engines/builtin/models.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engines.builtin.models import CAPABILITIES, SAMPLERS, STYLE_WORDS
from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from store.request import Request, Variation
from tests.engines.builtin.making import Inputs, draw_mask, draw_picture, run, stages
from tests.factories import BASE, make_quick_request

FOLDER = Path(__file__).with_name("golden")
EARLIER = Path(__file__).with_name("golden.json")
"""The digests of three revisions, the first two of which were given up before any release."""

FEW = ("k_dpmpp_2m", "k_euler_ancestral", "k_heun")


def make_requests() -> tuple[dict[str, Request], Inputs]:
    """The requests of the earlier file, by their names, and the files that they need."""
    inputs = Inputs()
    image, mask = draw_picture(), draw_mask()
    requests = {name: make_quick_request(sampler=name) for name in FEW}
    requests["variation"] = make_quick_request(
        sampler="k_euler_ancestral", variation=Variation(seed=5, strength=0.3)
    )
    requests["upscaled"] = make_quick_request(width=256, height=256)
    requests["initial image"] = make_quick_request(initial_image=inputs.start(image, 0.65))
    requests["inpainting"] = make_quick_request(
        sampler="ddim",
        initial_image=inputs.start(draw_picture((200, 150)), 0.9, 0.1),
        mask=inputs.mask(mask, area="random"),
        width=256,
        height=192,
    )
    requests["upscale"] = make_quick_request(
        (), width=300, height=225, upscale=inputs.upscale(draw_picture((100, 75)))
    )
    return requests, inputs


def make_drawn(inputs: Inputs) -> dict[str, Request]:
    """What holds a revision that draws: each way to its pixels at least once, by name."""
    image, mask, odd = draw_picture(), draw_mask(), draw_picture((200, 150))
    found: dict[str, Request] = {}

    def add(name: str, stack: Any = BASE, **changes: Any) -> None:
        found[name] = make_quick_request(stack, **changes)

    for sampler in SAMPLERS:
        add(f"sampler {sampler}", sampler=sampler, steps=4)
        add(
            f"initial image, {sampler}",
            sampler=sampler,
            steps=4,
            initial_image=inputs.start(image, 0.65),
        )
    for style in STYLE_WORDS:
        add(f"style {style}", style_preset=style, steps=2)
    for width, height in ((192, 128), (128, 192), (384, 256), (256, 384), (1024, 1024), (576, 320)):
        add(f"size {width}x{height}", width=width, height=height, steps=2)
    for weight in (-10.0, -2.5, -0.3, 0.4, 2.0, 10.0):
        add(f"weight {weight:g}", (BASE[0], ("clouds", weight)), steps=3)
    add("four prompts", (*BASE, ("a cat", 0.7), ("snow", -1.3)), steps=3)
    for scale in (0.0, 1.0, 35.0):
        add(f"cfg scale {scale:g}", cfg_scale=scale)
    add("one step", steps=1)
    add("thirty steps", steps=30)
    add("long prompt", ((" ".join(["cat"] * 90), 1.0),), steps=2)
    add("unknown words", (("blorptak", 1.0),), steps=2)
    for start, end in ((0.0, 0.0), (0.3, 0.0), (1.0, 0.0), (0.9, 0.5)):
        add(f"start {start:g}, end {end:g}", initial_image=inputs.start(odd, start, end), steps=6)
    for area in ("zero", "random", "original"):
        for replaces in ("white", "black"):
            add(
                f"mask {replaces}, {area}",
                sampler="k_euler_ancestral",
                initial_image=inputs.start(odd, 0.9, 0.1),
                mask=inputs.mask(mask, replaces=replaces, area=area),
                width=256,
                height=192,
            )
    for strength in (0.0, 0.3, 1.0):
        variation = Variation(seed=5, strength=strength)
        add(f"variation {strength:g}", sampler="k_dpmpp_sde", variation=variation)
    return found


def make_enlarged(inputs: Inputs) -> dict[str, Request]:
    """What holds a revision that makes images larger, by name."""
    found: dict[str, Request] = {}
    for given, wanted in (
        ((100, 75), (300, 225)),
        ((128, 128), (256, 256)),
        ((128, 128), (512, 512)),
        ((129, 71), (200, 140)),
        ((300, 200), (600, 300)),
        ((64, 64), (32, 32)),
    ):
        found[f"{given[0]}x{given[1]} to {wanted[0]}x{wanted[1]}"] = make_quick_request(
            (), width=wanted[0], height=wanted[1], upscale=inputs.upscale(draw_picture(given))
        )
    return found


def write(name: str, pipeline: Pipeline, requests: dict[str, Request], inputs: Inputs) -> None:
    """Write the digests of the revision `name`, which must not have any yet."""
    FOLDER.mkdir(exist_ok=True)
    digests = {key: stages(run(pipeline, request, inputs)) for key, request in requests.items()}
    with (FOLDER / f"{name}.json").open("x") as file:
        file.write(json.dumps(digests, indent=1, sort_keys=True) + "\n")


def list_held(model: str) -> set[str]:
    """What the files of `model` hold: those of its release, and of samplers that came later."""
    files = [file for file in FOLDER.glob("*.json") if file.stem.partition(" ")[0] == model]
    return {name for file in files for name in json.loads(file.read_text())}


def main() -> None:
    """Write the files of the newest revisions that have none, and of samplers that have none."""
    pipeline = Pipeline(load_weights())
    inputs = Inputs()
    model = CAPABILITIES.default_model
    made = {model: make_drawn(inputs), CAPABILITIES.upscale_models[0]: make_enlarged(inputs)}
    for name, requests in made.items():
        if not (FOLDER / f"{name}.json").exists():
            write(name, pipeline, requests, inputs)
    held = list_held(model)
    for sampler in SAMPLERS:
        names = (f"sampler {sampler}", f"initial image, {sampler}")
        if not held.intersection(names):
            later = {name: made[model][name] for name in names}
            write(f"{model} sampler {sampler}", pipeline, later, inputs)
    pipeline.close()


if __name__ == "__main__":
    main()
