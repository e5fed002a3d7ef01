"""A program as the API's documentation teaches to write one: the SDK's client, two requests.

Only the host is given, by STABILITY_HOST. Writes `plain/SEED.png` and `weighted/SEED.png`.
"""

import os
import pathlib
import warnings

import stability_sdk.interfaces.gooseai.generation.generation_pb2 as generation
from stability_sdk import client

TEXT = "beautiful night sky above japanese town, anime style"

api = client.StabilityInference(
    host=os.environ["STABILITY_HOST"],
    key=os.environ["STABILITY_KEY"],
    engine="stable-diffusion-xl-1024-v1-0",
    verbose=True,
)

weighted = [
    generation.Prompt(text=TEXT, parameters=generation.PromptParameters(weight=1)),
    generation.Prompt(text="clouds", parameters=generation.PromptParameters(weight=-1)),
]

for folder, prompt in (("plain", TEXT), ("weighted", weighted)):
    pathlib.Path(folder).mkdir()
    answers = api.generate(
        prompt=prompt,
        seed=1229080980,
        steps=50,
        cfg_scale=8.0,
        width=1024,
        height=1024,
        sampler=generation.SAMPLER_K_DPMPP_2M,
    )
    for answer in answers:
        for artifact in answer.artifacts:
            if artifact.finish_reason == generation.FILTER:
                warnings.warn("The safety filter withheld the image.", stacklevel=1)
            if artifact.type == generation.ARTIFACT_IMAGE:
                pathlib.Path(folder, f"{artifact.seed}.png").write_bytes(artifact.binary)
