"""Samplers and schedules by the names that other programs have for them.

`find_sampler` gives the API's name where there is one. Other programs write a schedule behind the
sampler's name (`DPM++ 2M Karras`, `dpmpp_2m_k`, `k_dpmpp_2m`), or as a value of its own.
"""

from __future__ import annotations

import difflib
import re

_SAMPLERS = {
    "ddim": ("ddim",),
    "ddpm": ("ddpm", "plms", "ddpm solver"),
    "k_euler": ("euler", "eulerdiscrete", "euler discrete"),
    "k_euler_ancestral": ("euler a", "euler ancestral", "eulerancestraldiscrete", "eulera"),
    "k_heun": ("heun", "heundiscrete"),
    "k_dpm_2": ("dpm2", "dpm 2", "kdpm 2", "kdpm2", "kdpm2discrete"),
    "k_dpm_2_ancestral": ("dpm2 a", "dpm 2 a", "dpm 2 ancestral", "kdpm 2 a", "dpm2 ancestral"),
    "k_lms": ("lms", "lmsdiscrete"),
    "k_dpmpp_2s_ancestral": ("dpm++ 2s a", "dpm++2s a", "dpm++ 2s ancestral", "dpm++ 2s"),
    "k_dpmpp_2m": ("dpm++ 2m", "dpm++2m"),
    "k_dpmpp_sde": ("dpm++ sde",),
}
"""The API's names, and what others call the same. Simplified: see `_simplify`."""

_BY_NAME = {name: api for api, names in _SAMPLERS.items() for name in names}

_SCHEDULES = ("karras", "exponential", "polyexponential", "sgm uniform", "simple", "beta", "normal")
_USUAL = ("", "automatic", "default", "normal", "uniform", "discrete", "none")
_KARRAS_BY_CUSTOM = ("k_dpmpp_2s_ancestral", "k_dpmpp_2m", "k_dpmpp_sde")

NAME_LIMIT = 100


def find_sampler(name: str) -> tuple[str | None, str]:
    """The API's name of the sampler (None where it has none), and the schedule in `name` or ""."""
    plain = _simplify(name)
    if plain in _BY_NAME:
        return _BY_NAME[plain], ""
    for schedule in _SCHEDULES:
        if plain.endswith(f" {schedule}"):
            return _BY_NAME.get(plain.removesuffix(schedule).strip()), schedule
    if plain.endswith(" k"):
        return _BY_NAME.get(plain.removesuffix(" k")), "karras"
    return None, ""


def guess_sampler(name: str) -> str | None:
    """The API's name of the sampler whose name, here or elsewhere, is nearest; None without one."""
    known = {_simplify(api): api for api in _SAMPLERS} | _BY_NAME
    near = difflib.get_close_matches(_simplify(name), known, n=1)
    return known[near[0]] if near else None


def is_usual(sampler: str | None, schedule: str) -> bool:
    """Whether `schedule` is what is meant by `sampler` where nothing is said."""
    plain = _simplify(schedule)
    return plain in _USUAL or (plain == "karras" and sampler in _KARRAS_BY_CUSTOM)


def make_name(text: str, otherwise: str) -> str:
    """`text` as a sampler or model is named in a request, `otherwise` where nothing is left."""
    if len(text) <= NAME_LIMIT and re.fullmatch(r"[a-z0-9][a-z0-9._-]*", text):
        return text
    last = re.split(r"[/\\]", text[-4 * NAME_LIMIT :])[-1]
    for ending in (".safetensors", ".ckpt", ".gguf", ".pt", ".sft"):
        last = last.removesuffix(ending)
    plain = re.sub(r"[^a-z0-9._-]+", "-", last.lower().replace("++", "pp")).strip("-._")
    return plain[:NAME_LIMIT] or otherwise


def _simplify(name: str) -> str:
    """In small letters, with spaces for hyphens and underscores, without what says no more."""
    plain = re.sub(r"[\s_-]+", " ", name[:NAME_LIMIT].lower()).strip()
    plain = plain.removeprefix("sample ").removeprefix("k ").removesuffix(" scheduler")
    plain = plain.replace("dpmpp", "dpm++").replace("dpm pp", "dpm++").replace("dpm++2", "dpm++ 2")
    plain = plain.removesuffix("scheduler").strip()
    return re.sub(r"\bancestral$", "a", plain) if plain.endswith("ancestral") else plain
