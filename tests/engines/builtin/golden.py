"""Writes the digests of the current revision: `python -m tests.engines.builtin.golden`."""

from __future__ import annotations

import json
from pathlib import Path

from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from store.request import Request, Variation
from tests.engines.builtin.making import Inputs, draw_mask, draw_picture, run, stages
from tests.factories import make_quick_request

GOLDEN = Path(__file__).with_name("golden.json")
SAMPLERS = ("k_dpmpp_2m", "k_euler_ancestral", "k_heun")


def make_requests() -> tuple[dict[str, Request], Inputs]:
    """The requests whose digests are held, by their names, and the files that they need."""
    inputs = Inputs()
    image, mask = draw_picture(), draw_mask()
    requests = {name: make_quick_request(sampler=name) for name in SAMPLERS}
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


def main() -> None:
    """Add or replace the digests of the revision in the package."""
    weights = load_weights()
    pipeline = Pipeline(weights)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    requests, inputs = make_requests()
    golden[str(weights.manifest.revision)] = {
        name: stages(run(pipeline, request, inputs)) for name, request in requests.items()
    }
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    pipeline.close()


if __name__ == "__main__":
    main()
