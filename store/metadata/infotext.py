"""The `parameters` text of A1111, and of those that write it too.

Forge, SD.Next and stable-diffusion.cpp do. A prompt, maybe a line that begins with `Negative
prompt:`, and last a line of `Key: value` pairs joined by commas. A value with a comma, a colon or a
line end stands in quotes as JSON. Text that only looks like that is a prompt: at least three pairs
are needed, and one of a few keys that all writers have.

stable-diffusion.cpp ends the line in `SDCPP:` and JSON that says the same and more. It repeats the
prompt, so it is cut off before pairs are looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from store.metadata.attention import Part, read_emphasis, split_and, take_out_networks
from store.metadata.bounded_json import JsonError, read_leading, read_object
from store.metadata.foreign import Collector, Reading, to_list, to_object, to_text
from store.metadata.parameters_text import NEGATIVE

LENGTH_LIMIT = 1024 * 1024
"""Longest text that is read; an ordinary one has a few hundred characters."""

PAIRS_NEEDED = 3
_PAIR_LIMIT = 2000
_DECODES = 32

_TEMPLATES = ("Template:", "Negative Template:", "Negative template:")
_ANCHORS = {"Steps", "Sampler", "Seed", "CFG scale", "Size"}
_SDCPP = "SDCPP: {"

_KEY = re.compile(r"\w[\w \-/+.]{0,99}")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])*+"', re.DOTALL)

_KEYS = {
    "Steps": "steps",
    "Sampler": "sampler",
    "Schedule type": "schedule",
    "Scheduler": "schedule",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Size": "size",
    "Model": "model",
    "Model hash": "fact",
    "Version": "fact",
    "App": "fact",
    "User": "fact",
    "Engine": "fact",
    "Pipeline": "fact",
    "Operations": "fact",
    "Parser": "fact",
    "Batch": "fact",
    "Index": "fact",
    "Backend": "fact",
    "VAE hash": "fact",
    "Lora hashes": "fact",
    "TI hashes": "fact",
    "Hashes": "fact",
    "Template": "fact",
    "Negative Template": "fact",
    "Negative template": "fact",
    "Civitai resources": "fact",
    "Civitai metadata": "fact",
    "Created Date": "fact",
    "Time taken": "fact",
    "Hires Module 1": "fact",
    "Module 1": "fact",
    "Cache FP16 weight for LoRA": "off=false",
    "Clip skip": "off=1",
    "CLiP-skip": "off=1|0",
    "RNG": "off=gpu|cuda",
    "Face restoration": "off=none|false",
    "Tiling": "off=false",
    "VAE": "off=automatic|none",
    "VAE Encoder": "off=full",
    "VAE Decoder": "off=full",
    "FP8 weight": "off=disable",
    "ENSD": "off=0",
    "Eta": "off=0",
    "Emphasis": "off=original",
    "Variation seed strength": "off=0",
    "Image CFG scale": "off=",
    "Distilled CFG Scale": "off=",
}
"""What the keys mean. All others change pixels in ways that a request here has no word for: those
are unread."""


def read_infotext(text: str) -> Reading | None:
    """What `text` says, None where it has no line of parameters and is no prompt of A1111."""
    if len(text) > LENGTH_LIMIT:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    record, rest = _cut_record(text)
    body, line = _split_lines(rest)
    pairs = dict(_list_pairs(line))
    if record is not None:
        return _read_record(record, pairs, text)
    prompt, negative = _split_negative(body)
    if not line and not negative:
        return None
    collector = Collector(_name_dialect(pairs, line), text)
    take_prompt(collector, prompt, 1.0)
    take_prompt(collector, negative, -1.0)
    collector.take_all(pairs, _KEYS)
    return collector.finish()


def take_prompt(collector: Collector, text: str, weight: float) -> None:
    """Take a prompt in A1111's grammar; `weight` is -1 for a negative one.

    Extra networks are unread; emphasis that is not taken apart is told.
    """
    plain, networks = take_out_networks(text)
    for kind, said in networks:
        collector.leave(kind, said)
    if not plain.strip():
        return
    for prompt in split_and(plain) if weight > 0 else [Part(plain, 1.0)]:
        parts, reason = read_emphasis(prompt.text)
        if reason:
            collector.note(f"A prompt is kept as it is written: {reason}.")
        elif len(parts) > 1:
            collector.tell("emphasis", f"{len(parts)} parts of a text became prompts of their own")
        collector.take_parts(parts, prompt.weight * weight)


def _name_dialect(pairs: dict[str, str], line: str) -> str:
    version = pairs.get("Version", "")
    if version.lower().startswith("safelight"):
        return "Safelight text"
    if pairs.get("App") == "SD.Next" or "CLiP-skip" in pairs:
        return "SD.Next"
    if "Distilled CFG Scale" in pairs or re.match(r"f[0-9]", version) or version.startswith("neo"):
        return "Forge"
    if "stable-diffusion.cpp" in version:
        return "stable-diffusion.cpp"
    return "A1111"


# Lines


def _split_lines(text: str) -> tuple[list[str], str]:
    """The lines of the prompts, and the line of parameters ("" without one).

    Templates may follow it; so do the further lines of a value that was not quoted.
    """
    lines = text.strip().split("\n")
    for place in range(len(lines) - 1, max(-1, len(lines) - 400), -1):
        if _is_parameters(lines[place]):
            after = lines[place + 1 :]
            if after and not after[0].lstrip().startswith(_TEMPLATES):
                return lines, ""
            return lines[:place], ", ".join([lines[place], *_join_templates(after)])
    return lines, ""


def _join_templates(lines: list[str]) -> list[str]:
    """Templates as pairs: what follows one belongs to it."""
    found: list[list[str]] = []
    for line in lines:
        if line.lstrip().startswith(_TEMPLATES):
            found.append([line.strip()])
        elif found:
            found[-1].append(line)
    pairs = ("\n".join(each).partition(":") for each in found)
    return [f"{key}: {json.dumps(value.strip(), ensure_ascii=False)}" for key, _, value in pairs]


def _is_parameters(line: str) -> bool:
    if ":" not in line or not any(anchor in line for anchor in _ANCHORS):
        return False
    keys = [key for key, _ in _list_pairs(line)]
    return len(keys) >= PAIRS_NEEDED and bool(_ANCHORS.intersection(keys))


def _split_negative(lines: list[str]) -> tuple[str, str]:
    for place, line in enumerate(lines):
        if line.strip().startswith(NEGATIVE):
            first = line.strip()[len(NEGATIVE) :]
            return "\n".join(lines[:place]).strip(), "\n".join([first, *lines[place + 1 :]]).strip()
    return "\n".join(lines).strip(), ""


# Pairs


def _list_pairs(line: str) -> Iterator[tuple[str, str]]:
    """The keys and values of a line; the place only ever moves on, whatever is in it."""
    place, colon, decodes, count = 0, -1, 0, 0
    while place < len(line) and count < _PAIR_LIMIT:
        if colon < place:
            colon = line.find(":", place)
            if colon < 0:
                return
        comma = line.find(",", place, colon)
        if comma >= 0:
            place = line.rfind(",", place, colon) + 1
        key = line[place:colon].strip()
        place = _skip_spaces(line, colon + 1)
        value: str | None = None
        if line[place : place + 1] == '"' and (quoted := _QUOTED.match(line, place)):
            end = _skip_spaces(line, quoted.end())
            if end == len(line) or line[end] == ",":
                value, place = _unquote(quoted[0]), end + 1
        elif line[place : place + 1] in ("[", "{") and decodes < _DECODES:
            decodes += 1
            value, place = _take_json(line, place)
        if value is None:
            end = line.find(",", place)
            end = len(line) if end < 0 else end
            value, place = line[place:end].strip(), end + 1
        if _KEY.fullmatch(key):
            count += 1
            yield key, value


def _skip_spaces(line: str, place: int) -> int:
    while place < len(line) and line[place] in " \t":
        place += 1
    return place


def _take_json(line: str, place: int) -> tuple[str | None, int]:
    """The JSON value at `place`, where one stands there up to a comma, and where to go on."""
    try:
        _, end = read_leading(line, place)
    except JsonError:
        return None, place
    after = _skip_spaces(line, end)
    if after < len(line) and line[after] != ",":
        return None, place
    return line[place:end], after + 1


def _unquote(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text[1:-1]
    return value if isinstance(value, str) else text[1:-1]


# The record of stable-diffusion.cpp


def _cut_record(text: str) -> tuple[dict[str, Any] | None, str]:
    """The JSON behind the last line's `SDCPP:`, and the text before it."""
    place = text.find(_SDCPP, text.rfind("\n") + 1)
    if place < 0:
        return None, text
    try:
        record = read_object(text[place + len(_SDCPP) - 1 :].strip())
        return record, text[:place].rstrip().rstrip(",")
    except JsonError:
        return None, text


_SDCPP_KEYS = {
    "seed": "seed",
    "width": "width",
    "height": "height",
    "schema": "fact",
    "mode": "off=img_gen",
    "generator": "fact",
    "prompt": "-",
    "sampling": "-",
    "models": "-",
    "rng": "fact",
    "sampler_rng": "fact",
    "clip_skip": "off=-1|0|1",
    "strength": "off=1|0.75",
    "control_strength": "off=0.9|1|0",
    "ip_adapter_strength": "off=1|0",
    "auto_resize_ref_image": "fact",
    "increase_ref_index": "off=false",
    "batch_count": "off=1",
    "video_frames": "off=1|0",
}
_SDCPP_SAMPLING = {
    "steps": "steps",
    "method": "sampler",
    "scheduler": "schedule",
    "eta": "off=0|1|inf|null",
    "flow_shift": "off=0|inf|null",
    "guidance": "-",
    "extra_sample_args": "off=",
}


def _read_record(record: dict[str, Any], pairs: dict[str, str], text: str) -> Reading:
    collector = Collector("stable-diffusion.cpp", text)
    prompt, sampling = to_object(record.get("prompt")), to_object(record.get("sampling"))
    take_prompt(collector, to_text(prompt.get("positive")), 1.0)
    take_prompt(collector, to_text(prompt.get("negative")), -1.0)
    collector.take_all(record, _SDCPP_KEYS)
    collector.take_all(sampling, _SDCPP_SAMPLING)
    guidance = to_object(sampling.get("guidance"))
    if "txt_cfg" in guidance:
        collector.take("cfg_scale", guidance["txt_cfg"], "guidance.txt_cfg")
    for name, value in guidance.items():
        if name == "slg" and not to_list(to_object(value).get("layers")):
            continue
        if name == "slg" and to_object(value).get("scale") == 0:
            continue
        if name not in ("txt_cfg", "img_cfg", "distilled_guidance") and value:
            collector.leave(f"guidance.{name}", value)
        elif name != "txt_cfg":
            collector.tell(f"guidance.{name}", value)
    models = to_object(record.get("models"))
    model = models.get("model") or models.get("diffusion_model")
    if model:
        collector.take("model", model)
    for name, value in models.items():
        if value and value != model:
            collector.tell(f"models.{name}", value)
    if "Version" in pairs:
        collector.tell("Version", pairs["Version"])
    return collector.finish()
