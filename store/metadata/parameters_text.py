"""The text that AUTOMATIC1111's web UI writes into images, and that most other programs read.

It is for viewers, and for starting elsewhere: `docs/metadata.md` lists what of a request it cannot
say. Prompts of the stack become parts of one text there, `(text:weight)`, which is not the same as
prompts with weights of their own. What is exact is the record (`store.metadata.record`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from store.request import Prompt, Request

SAMPLER_NAMES: Mapping[str, str] = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "k_dpm_2": "DPM2",
    "k_dpm_2_ancestral": "DPM2 a",
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a",
    "k_dpmpp_sde": "DPM++ SDE",
    "k_euler": "Euler",
    "k_euler_ancestral": "Euler a",
    "k_heun": "Heun",
    "k_lms": "LMS",
}
"""The names that the web UI has for samplers, by those of the Stability API."""

NEGATIVE = "Negative prompt:"

_BRACKETS = re.compile(r"([\\()\[\]])")
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_QUOTED = re.compile(r'[,:"\n]')


def write_infotext(request: Request, *, program: str) -> str:
    """The prompts, the negative prompt if there is one, and a line of parameters.

    `program`: name and version of this one.
    """
    active = request.stack.active
    lines = [_join(prompt for prompt in active if prompt.weight > 0)]
    if avoided := _join(prompt for prompt in active if prompt.weight < 0):
        lines.append(f"{NEGATIVE} {avoided}")
    values = _list_parameters(request) | {"Version": program}
    lines.append(", ".join(f"{key}: {_quote(value)}" for key, value in values.items()))
    return "\n".join(lines)


def _list_parameters(request: Request) -> dict[str, str]:
    parameters = request.parameters
    values = {
        "Steps": str(parameters.steps),
        "Sampler": SAMPLER_NAMES.get(parameters.sampler, parameters.sampler),
        "CFG scale": _write_number(parameters.cfg_scale),
        "Seed": str(parameters.seed),
        "Size": f"{parameters.width}x{parameters.height}",
        "Model": request.model,
    }
    if parameters.variation is not None:
        values["Variation seed"] = str(parameters.variation.seed)
        values["Variation seed strength"] = _write_number(parameters.variation.strength)
    if parameters.initial_image is not None:
        start = parameters.initial_image.start_schedule
        values["Denoising strength"] = _write_number(start)
    if parameters.style_preset is not None:
        values["Style preset"] = parameters.style_preset
    return values | {"Engine": request.engine}


def _join(prompts: Iterable[Prompt]) -> str:
    return ", ".join(_weigh(prompt) for prompt in prompts)


def _weigh(prompt: Prompt) -> str:
    """A prompt as attention; of weight 1 or -1 as plain text."""
    text = _BRACKETS.sub(r"\\\1", _BREAKS.sub(" ", prompt.text).strip())
    # Readers look for these words anywhere in the text.
    text = text.replace(NEGATIVE, "Negative prompt :")
    weight = abs(prompt.weight)
    return text if weight == 1 else f"({text}:{_write_number(weight)})"


def _write_number(number: float) -> str:
    """All its digits and no exponent, which readers do not know."""
    return format(Decimal(repr(number)).normalize(), "f")


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _QUOTED.search(value) else value
