"""The default image of the speed goals: 128x128, two prompts, 30 steps, k_dpmpp_2m."""

from __future__ import annotations

from engines.builtin.models import MODEL
from store.request import Parameters, Prompt, PromptStack, Request

DEFAULT = Request(
    engine="builtin",
    model=MODEL,
    stack=PromptStack(
        prompts=(
            Prompt(text="beautiful night sky above japanese town, anime style"),
            Prompt(text="clouds", weight=-1),
        )
    ),
    parameters=Parameters(
        seed=1229080980,
        steps=30,
        cfg_scale=7,
        sampler="k_dpmpp_2m",
        width=128,
        height=128,
        style_preset=None,
    ),
)
