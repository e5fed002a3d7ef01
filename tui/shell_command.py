"""The command that makes an image again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from store.request import Parameters, Prompt, Request


def make_command(request: Request, inputs: Mapping[str, str] | None = None) -> str:
    """One line for a POSIX shell that makes the image of `request` again, of the same digest.

    Every prompt carries its weight, so that a text which itself ends in `::2` keeps it; those
    that are switched off are there too. Nothing is left to a default. `inputs` says how the
    files that the request starts from are called, by digest: a path or an image's id.
    """
    parameters, names = request.parameters, inputs or {}
    words = ["safelight", "generate" if parameters.upscale is None else "upscale"]
    words += ["-S", str(parameters.seed), "-s", str(parameters.steps)]
    words += ["-C", f"{parameters.cfg_scale!r}", "-A", parameters.sampler]
    words += ["-W", str(parameters.width)]
    if parameters.upscale is None:
        words += ["-H", str(parameters.height)]
    if parameters.style_preset is not None:
        words += ["--style-preset", parameters.style_preset]
    words += _list_extras(parameters, names)
    for place, prompt in enumerate(request.stack.prompts, start=1):
        if not prompt.enabled:
            words += ["--off", str(place)]
    words += ["-e", request.engine, "--model", request.model]
    prompts = [_show_prompt(prompt) for prompt in request.stack.prompts]
    if parameters.upscale is None:
        return shlex.join([*words, "--", *prompts])
    words += ["--upscaler", parameters.upscale.upscaler]
    words += [f"--prompt={text}" for text in prompts]
    sha256 = parameters.upscale.sha256
    return shlex.join([*words, "--", names.get(sha256, sha256)])


def _list_extras(parameters: Parameters, names: Mapping[str, str]) -> list[str]:
    words: list[str] = []
    if start := parameters.initial_image:
        words += [f"--init-image={names.get(start.sha256, start.sha256)}"]
        words += ["--start-schedule", f"{start.start_schedule!r}"]
        words += ["--end-schedule", f"{start.end_schedule!r}"]
    if mask := parameters.mask:
        words += [f"--mask-image={names.get(mask.sha256, mask.sha256)}"]
        words += ["--mask-replaces", mask.replaces, "--masked-area-init", mask.area_init]
    if variation := parameters.variation:
        words += ["--variation-seed", str(variation.seed)]
        words += ["--variation-strength", f"{variation.strength!r}"]
    if guidance := parameters.guidance:
        words += ["--guidance-preset", guidance.preset]
        if guidance.strength is not None:
            words += ["--guidance-strength", f"{guidance.strength!r}"]
        if guidance.cuts is not None:
            words += ["--guidance-cuts", str(guidance.cuts)]
        words += [f"--guidance-models={model}" for model in guidance.models]
        if guidance.prompt is not None:
            words += [f"--guidance-prompt={guidance.prompt}"]
    if parameters.weight_method != "text_encoder":
        words += ["--weight-method", parameters.weight_method]
    if adapter := parameters.adapter:
        words += ["--adapter-type", adapter.kind, "--adapter-strength", f"{adapter.strength!r}"]
        words += ["--adapter-init-type", adapter.init]
    for tune in parameters.fine_tunes:
        # A model without a weight keeps a colon of its own by one more at its end.
        weight = "" if tune.weight is None else f"{tune.weight!r}"
        colon = ":" if weight or ":" in tune.model else ""
        words += [f"--fine-tune={tune.model}{colon}{weight}"]
    if parameters.content_credentials is not None:
        words += ["--content-credentials"]
    return words


def _show_prompt(prompt: Prompt) -> str:
    weight = f"{prompt.weight!r}".removesuffix(".0")
    return f"{prompt.text}::{weight}"
