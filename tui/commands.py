"""The command that makes an image again."""

from __future__ import annotations

import shlex

from store.request import Prompt, Request


def make_command(request: Request) -> str:
    """One line for a POSIX shell that makes the image of `request` again.

    Every prompt carries its weight, so that a text which itself ends in `::2` keeps it.
    Switched-off prompts have no effect and are left out. Nothing is left to a default.
    """
    parameters = request.parameters
    words = ["safelight", "generate"]
    words += ["-S", str(parameters.seed), "-s", str(parameters.steps)]
    words += ["-C", f"{parameters.cfg_scale!r}", "-A", parameters.sampler]
    words += ["-W", str(parameters.width), "-H", str(parameters.height)]
    if parameters.style_preset is not None:
        words += ["--style-preset", parameters.style_preset]
    words += ["-e", request.engine, "--model", request.model, "--"]
    words += [_show_prompt(prompt) for prompt in request.stack.prompts if prompt.is_active]
    return shlex.join(words)


def _show_prompt(prompt: Prompt) -> str:
    weight = f"{prompt.weight!r}".removesuffix(".0")
    return f"{prompt.text}::{weight}"
